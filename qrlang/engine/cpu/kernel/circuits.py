"""Circuits: forward, and walked back."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.cpu.amplitudes.gather import Gather
from qrlang.engine.cpu.amplitudes.sweeps import Shape
from qrlang.engine.cpu.kernel.frame import ANGLE, Frame, Waiting
from qrlang.engine.cpu.llvm import functions
from qrlang.engine.cpu.llvm.asm import V


class Circuits(Frame):
    def _parameters(self, node: nodes.Circuit, index: int) -> V:
        n = self.layout.qubits(node.space)
        before = sum(Shape.of(x, n).rows for x in node.layers[:index])
        k = self.plan.number_of(node)
        return self.fn.at(self._work(f"prm{k}"), before * self.fmt.row)

    def _prepare(self, node: nodes.Circuit, scales: list[V], report: bool) -> None:
        fn = self.fn
        n = self.layout.qubits(node.space)
        for index, layer in enumerate(node.layers):
            rows = [r for _, r in (*layer.terms, *layer.rotations)]
            angles = fn.at(self.rows.rows, self.rows.row(node.angles, rows[0] if rows else 0))
            shape = Shape.of(layer, n)
            check = fn.call(
                self.sweeps.prepare(shape),
                fn.vf,
                angles,
                self._parameters(node, index),
                scales[index],
            )
            if report:
                self._report(ANGLE, self.plan.number_of(node) << 16 | index, check)

    def _circuit(self, node: nodes.Circuit, read: bool, forward: bool) -> None:
        fn, row, size = self.fn, self.fmt.row, self.fmt.size
        s = node.space
        n = self.layout.qubits(s)
        ones = self._work("ones")
        scales = [ones] * len(node.layers)
        if node.renormalise:
            scales[0] = self._work(f"scale{s}")
        self._prepare(node, scales, forward)
        if node.renormalise:
            fn.store(fn.const(1.0), scales[0])
        vectors = self._work("vectors")
        reads = read and bool(node.masks)
        if not (node.layers or reads or node.reset >= 0):
            return
        with self._states(s, self._psi(s, forward)) as lane:
            psi = self._state(self._psi(s, forward), s, lane)
            if node.reset >= 0:
                self._fill(psi, None, self._state_bytes(s))
                with self._alone():
                    one = fn.const(1.0) if self.sweeps.together else fn.num(1.0)
                    fn.store(one, psi, node.reset * self.sweeps.unit)
            here, there = psi, self._work("scratch")
            ways = self.sweeps.ways(n, len(node.layers))
            for index, layer in enumerate(node.layers):
                shape = Shape.of(layer, n)
                prm = fn.at(self._parameters(node, index), fn.imul(lane, size))
                name = self.sweeps.forward(shape, ways[index])
                fn.call(name, "void", here, there, prm, self._work("tables"), fn.args["own"])
                if ways[index]:
                    here, there = there, here
            if reads:
                out = fn.at(vectors, fn.imul(lane, row))
                fn.call(
                    self.sweeps.read(n, node.masks), "void", psi, self._work("w"), out,
                    fn.args["own"],
                )  # fmt: skip
        if reads:
            active = self._active()
            stride = self.sweeps.stride
            self._total(vectors, len(node.masks) * stride)
            out = fn.at(self.rows.rows, self.rows.row(node.out))
            with fn.loop(0, len(node.masks)) as loop:
                v = self.sweeps.summed(fn, fn.at(vectors, fn.imul(loop.i, stride)))
                # Lanes that rest keep numbers that are ordinary.
                fn.store(fn.select(active, v, fn.const(1.0)), out, fn.imul(loop.i, row))
            norm = fn.load(out)
            fn.store(fn.div(fn.const(1.0), functions.sqrt(fn, norm)), self._work(f"scale{s}"))

    def locals_run(self, body: tuple[nodes.Node, ...]) -> None:
        """States that live only in this body, at its end: needed to walk back through it."""
        for node in body:
            if isinstance(node, nodes.Circuit) and self.plan.local[node.space]:
                self._circuit(node, read=False, forward=False)
                if node.reset >= 0:
                    size = self._block_bytes(node.space)
                    self._fill(self._costate(node.space), None, size)

    def _circuit_back(self, node: nodes.Circuit) -> None:
        s = node.space
        if node.layers:
            self._layers_back(node)
        elif node.masks:
            if self.waiting[s].seeds:
                self._settle(s)
            self._take_seeds(node)
        if node.reset >= 0:
            # What was before is not this state's.
            self.waiting[s] = Waiting()
            if not self.plan.local[s]:
                size = self._block_bytes(s)
                self._fill(self._costate(s), None, size)

    def _take_seeds(self, node: nodes.Circuit) -> None:
        """Keeps the readouts' weights for whoever walks over the costate next."""
        fn = self.fn
        given = fn.at(self.rows.adjoint, self.rows.row(node.out))
        kept = self._work(f"seeds{node.space}")
        self.rows.copy(fn, kept, given, len(node.masks))
        self.waiting[node.space].seeds = node.masks

    def _seed_tables(self, s: int, seeds: tuple[int, ...], lane: V) -> None:
        fn = self.fn
        if seeds:
            here = fn.at(self._work(f"seeds{s}"), fn.imul(lane, self.fmt.size))
            name = self.sweeps.seed(self.layout.qubits(s), seeds)
            fn.call(name, "void", here, self._work("seed_tables"))

    def _turn(self, s: int, gather: Gather | None, lane: V) -> V:
        fn = self.fn
        if gather is None:
            return fn.i64(0)
        here = fn.at(self._work(f"turn{s}"), fn.imul(lane, self.fmt.size))
        return self.sweeps.turn(fn, gather, here, 0)

    def _settle(self, s: int, gather: Gather | None = None) -> None:
        """Does what waits for a space by itself; or an index map on its own."""
        fn = self.fn
        waiting = self.waiting[s]
        if gather is None:
            gather = waiting.gather
        seeds = waiting.seeds
        self.waiting[s] = Waiting()
        if (gather is None or gather.plain) and not seeds:
            return
        n = self.layout.qubits(s)
        with self._states(s, self._psi(s, False), self._costate(s)) as lane:
            self._seed_tables(s, seeds, lane)
            fn.call(
                self.sweeps.settle(n, gather, seeds), "void",
                self._state(self._psi(s, False), s, lane), self._state(self._costate(s), s, lane),
                self._work("scratch"), self._work("scratch_lam"),
                self._turn(s, gather, lane),
                self._work("seed_tables"), fn.args["own"],
            )  # fmt: skip

    def _left_by(self, body: tuple[nodes.Node, ...], s: int) -> Waiting | None:
        """What waits for a space when a body has been walked back; None if it has no layers."""
        found: Waiting | None = None
        for node in reversed(body):
            if isinstance(node, nodes.Circuit) and node.space == s:
                if node.layers:
                    shape = Shape.of(node.layers[0], self.layout.qubits(s))
                    found = Waiting(self.sweeps.gather_back(shape))
                elif found is not None and node.masks:
                    # A second readout settles what waits before it.
                    found = Waiting(None if found.seeds else found.gather, node.masks)
        return found

    @staticmethod
    def _spaces_in(node: nodes.Loop) -> list[int]:
        return sorted({n.space for n in node.body if isinstance(n, nodes.Circuit)})

    def _enter_loop_back(self, node: nodes.Loop) -> None:
        """Brings states to the form in which each step of the loop leaves them."""
        fn = self.fn
        for s in self._spaces_in(node):
            if self.plan.local[s]:
                continue
            form = self._left_by(node.body, s)
            self._settle(s)
            if form is None:
                continue
            fn.store(fn.iconst(0), self._work(f"turn{s}"))
            if form.gather is not None and not form.gather.plain:
                self._settle(s, self.sweeps.undone(form.gather))
            self.rows.copy(fn, self._work(f"seeds{s}"), None, len(form.seeds))
            self.waiting[s] = form

    def _layers_back(self, node: nodes.Circuit) -> None:
        fn, row, size = self.fn, self.fmt.row, self.fmt.size
        s = node.space
        n = self.layout.qubits(s)
        if node.masks:
            if self.waiting[s].seeds:
                self._settle(s)
            self._take_seeds(node)
        ones = self._work("ones")
        scales = [ones] * len(node.layers)
        if node.renormalise:
            scales[-1] = self._work(f"back{s}")
        self._prepare(node, scales, False)
        vectors = self._work("vectors")
        shapes = [Shape.of(layer, n) for layer in node.layers]
        stride = self.sweeps.stride
        starts, at = [], 0
        for shape in shapes:
            starts.append(at)
            at += (len(shape.terms) + len(shape.bits) + 1) * stride
        waiting = self.waiting[s]
        with self._states(s, self._psi(s, False), self._costate(s)) as lane:
            psi = self._state(self._psi(s, False), s, lane)
            lam = self._state(self._costate(s), s, lane)
            self._seed_tables(s, waiting.seeds, lane)
            pending, seeds = waiting.gather, waiting.seeds
            g = self._turn(s, pending, lane)
            here = (psi, lam)
            there = (self._work("scratch"), self._work("scratch_lam"))
            ways = self.sweeps.ways(n, len(shapes))
            for index in reversed(range(len(shapes))):
                prm = fn.at(self._parameters(node, index), fn.imul(lane, size))
                name = self.sweeps.backward(
                    shapes[index], pending, seeds, index == 0 and node.renormalise, ways[index]
                )
                out = fn.at(fn.at(vectors, starts[index]), fn.imul(lane, row))
                fn.call(
                    name, "void", *here, *there, prm, g, self._work("tables"), self._work("w"),
                    out, self._work("seed_tables"), fn.args["own"],
                )  # fmt: skip
                if ways[index]:
                    here, there = there, here
                pending, seeds = self.sweeps.gather_back(shapes[index]), ()
                g = self.sweeps.turn(fn, pending, prm, shapes[index].row_back)
        self._total(vectors, at)
        if not self.sweeps.together:
            back = fn.load(self._parameters(node, 0), shapes[0].row_back * row, fn.vi)
            turn = self._work(f"turn{s}")
            fn.store(fn.select(self._active(), back, fn.load(turn, 0, fn.vi)), turn)
        self.waiting[s] = Waiting(self.sweeps.gather_back(shapes[0]))
        active = self._work(f"active{self.depth}")
        for index, (shape, layer) in enumerate(zip(shapes, node.layers, strict=True)):
            rows = [r for _, r in (*layer.terms, *layer.rotations)]
            angles = fn.at(self.rows.adjoint, self.rows.row(node.angles, rows[0] if rows else 0))
            at2 = fn.at(vectors, starts[index])
            name = self.sweeps.finish(shape)
            fn.call(name, "void", at2, self._parameters(node, index), angles, active, self.used)
        if node.renormalise:
            where = starts[0] + (len(shapes[0].terms) + len(shapes[0].bits)) * stride
            norm = self.sweeps.summed(fn, fn.at(vectors, where))
            norm = fn.select(self._active(), norm, fn.const(1.0))
            fn.store(fn.div(fn.const(1.0), functions.sqrt(fn, norm)), self._work(f"back{s}"))
