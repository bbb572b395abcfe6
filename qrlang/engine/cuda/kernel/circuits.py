"""Circuits: their layers, their readouts, and the way back."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.cuda.kernel.parameters import Parameters
from qrlang.engine.cuda.layout.shape import Shape

LONG = 5  # register bits from which on a layer undone takes more than 64 KB


class Circuits(Parameters):
    # --- forward

    def _swap(self, s: int, both: bool) -> None:
        """A layer in global memory leaves the state in the other buffer."""
        if not self.mapping.shared:
            for x in "PQ" if both else "P":
                self.out(f"{{ C* const x = {x}{s}; {x}{s} = {x}{s}x; {x}{s}x = x; }}")

    def _red(self) -> int:
        """Where the next sums gather: two places in turn, as one may still be read."""
        self.turn ^= 1
        return self.memory.sums + self.turn * self.memory.sums_room

    def _at(self, number: int) -> str:
        """A place among the sequence's own numbers, in bytes."""
        return f"mine + {number * self.mapping.size}u"

    def circuit_forward(self, node: nodes.Circuit, read: bool, report: bool) -> None:
        out, s, k = self.out, node.space, self.plan.number_of(node)
        g = self.geometries[s]
        if node.reset >= 0:
            self._reset(s, node.reset)
        read = read and bool(node.masks)
        red = self._red() if read else 0
        # A pass over global memory less: the last layer has the amplitudes at hand.
        along = read and not self.mapping.shared and bool(node.layers)
        for part in self._batches(k):
            scaled = 0 if node.renormalise and part[0] == 0 else -1
            self._prepare(node, k, part, scaled, report)
            for i, at in self._places(k, part).items():
                self.forget()
                here = along and i == len(node.layers) - 1
                reads = node.masks if here else ()
                name = self.layers.forward(self.shapes[k][i], g, i == scaled, reads)
                sums = self._at(red) if here else "mine"
                out(self.layers.call(name, s, self._at(at), sums))
                self._swap(s, False)
                self.forget()
        # One warp has all the sums, and where rows lie near them, these are the values.
        alone = read and not along and self.layers.warps == 1 and not self.mapping.cluster
        if alone and self.memory.rows_shared:
            places = tuple(self.addresses(node.out))
            name = self.layers.read(node.masks, g, places, self.memory.norms + s)
            out(self.layers.call(name, s, "mine", "mine"))
            self.writes("v", node.out)
            return
        if read and not along:
            name = self.layers.read(node.masks, g)
            out(self.layers.call(name, s, "mine", self._at(red)))
            self.barrier(far=True)
        if read:
            self._readouts(node, red)

    def _reset(self, s: int, state: int) -> None:
        """A basis state, and no costate."""
        out, g = self.out, self.geometries[s]
        held = self.mapping.group if self.mapping.shared else 1 << g.threads
        mine = "ln" if self.mapping.shared else "tid"
        size = 1 << g.local
        slot = g.slot(state)
        with out.rolled(f"for (U i = {mine}; i < {size}u; i += {held}u)"):
            one = f"F(i == {slot & (size - 1)}u)"
            if self.mapping.cluster and self.mapping.shared:
                one = f"F(i == {slot & (size - 1)}u && rank == {slot >> g.local}u)"
            where = f"*(C*)(smem + h{s} + i * {2 * g.size}u)" if g.shared else f"P{s}[i]"
            with self.layers._if_on(out):
                out(f"C x; x.x = {one}; x.y = F(0); {where} = x;")
        self.barrier(far=True)

    def clear_costate(self, s: int) -> None:
        out, g = self.out, self.geometries[s]
        held = self.mapping.group if self.mapping.shared else 1 << g.threads
        mine = "ln" if self.mapping.shared else "tid"
        with out.rolled(f"for (U i = {mine}; i < {1 << g.local}u; i += {held}u)"):
            where = (
                f"*(C*)(smem + (h{s} + i * {2 * g.size}u ^ {g.bytes}u))" if g.shared
                else f"Q{s}[i]"
            )  # fmt: skip
            with self.layers._if_on(out):
                out(f"C x; x.x = F(0); x.y = F(0); {where} = x;")
        self.barrier(far=True)

    def _readouts(self, node: nodes.Circuit, red: int) -> None:
        """What has been summed, as values."""
        out, s, count = self.out, node.space, len(node.masks)
        with out.block(""):
            out(f"F* const red = own + {red};")
            with self.rows(count) as r:
                total = self.layers.total(out, r, count)
                # Sequences that rest keep numbers that are ordinary.
                if self.mapping.group < 32:
                    out(f"if (!on) {total} = F(1);")
                out(f"{self.value(node.out, r)} = {total};")
                out(f"if ({r} == 0) {self._norm(s)} = {total};")
        self.writes("v", node.out, True)

    # --- backward

    def locals_run(self, body: tuple[nodes.Node, ...]) -> None:
        """States that live only in this body, at its end: needed to walk back through it."""
        for node in body:
            if isinstance(node, nodes.Circuit) and self.plan.local[node.space]:
                self.circuit_forward(node, read=False, report=False)
                if node.reset >= 0:
                    self.clear_costate(node.space)

    def circuit_backward(self, node: nodes.Circuit) -> None:
        s, k = node.space, self.plan.number_of(node)
        if node.layers:
            self._layers_back(node, k)
        elif node.masks:
            self._settle(node)
        if node.reset >= 0 and not self.plan.local[s]:
            # What was before is not this state's.
            if not self.clean:
                self.barrier()
            self.clear_costate(s)

    def _given(self, node: nodes.Circuit) -> str:
        return f"a + {self.memory.row_of[node.out]}"

    def _settle(self, node: nodes.Circuit) -> None:
        if not self.clean:
            self.barrier()
        name = self.layers.settle(node.masks, self.geometries[node.space])
        self.out(self.layers.call(name, node.space, "mine", "mine", self._given(node)))
        # In shared memory each block has changed what is its own, and goes on with that.
        self.barrier(far=not self.mapping.shared)

    def _layers_back(self, node: nodes.Circuit, k: int) -> None:
        out, s = self.out, node.space
        g = self.geometries[s]
        last = len(node.layers) - 1
        # Where a layer's code is long, one piece of it for all layers of a shape: two do not fit
        # into the cache of instructions, and are fetched anew for every layer.
        long = self.mapping.shared and self.mapping.registers >= LONG
        again = self.shapes[k][last] in self.shapes[k][:last]
        apart = (long and again) or g.crossing is not None
        if apart and node.masks:
            self._settle(node)
        for part in reversed(self._batches(k)):
            scaled = last if node.renormalise and last in part else -1
            self._prepare(node, k, part, scaled, False)
            if not self.clean:
                self.barrier()
            places = self._places(k, part)
            for i in reversed(part):
                shape = self.shapes[k][i]
                seeds = node.masks if i == last and not apart else ()
                norm = node.renormalise and i == 0
                red = self._red()
                name = self.layers.backward(shape, g, i == scaled, seeds)
                more = ["true" if norm else "false", *([self._given(node)] if seeds else [])]
                self.forget()
                out(self.layers.call(name, s, self._at(places[i]), self._at(red), *more))
                self._swap(s, True)
                self.forget()
                self._finish(node, shape, i, places[i], red, norm)

    def _finish(
        self, node: nodes.Circuit, shape: Shape, index: int, at: int, red: int, norm: bool
    ) -> None:
        """The gradients of a layer's angles."""
        out = self.out
        layer = node.layers[index]
        turn_row = dict(layer.rotations)
        rows = [turn_row[b] for b in shape.bits] + [r for _, r in layer.terms]
        turns, count = len(shape.bits), len(rows)
        if not count and not norm:
            return
        with out.block(""):
            out(f"F* const red = own + {red};")
            with self.rows(count + norm) as r:
                total = self.layers.total(out, r, shape.sums)
                if norm:
                    rest = f"if ({r} == {count}u) {self._norm(node.space)} = "
                    out(f"{rest}{'on ? ' + total + ' : F(1)'};")
                with out.block(f"if ({r} < {count}u)" if norm else ""):
                    if turns:
                        before = f"own[{at + shape.at_cos - 1} + ({r} < {turns}u ? {r} : {turns}u)]"
                        out(f"{total} *= {r} ? {before} : F(1);")
                    if turns and shape.terms:
                        masks = [0] * turns
                        for m in shape.terms:
                            hit = sum(1 << j for j, b in enumerate(shape.bits) if m >> b & 1)
                            masks.append(hit)
                        flips = f"(U)((const W*)own)[{at + shape.at_words + 1}]"
                        mask = self.numbers(masks, r)
                        out(f"{total} = signed_by(parity((U){mask} & {flips}), {total});")
                    if count:
                        at_rows = [self.addresses(node.angles)[x] for x in rows]
                        out(f"if (on) a[{self.numbers(at_rows, r)}] += {total};")
        self.writes("a", node.angles)
