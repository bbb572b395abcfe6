"""Loops, and every node of a body: forward, and backward as the mirror."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qrlang.engine import nodes
from qrlang.engine.bodies import body_slots, loop_rows
from qrlang.engine.cpu.kernel.frame import NEVER
from qrlang.engine.cpu.kernel.items import Items
from qrlang.engine.cpu.kernel.layout import narrow_rows
from qrlang.engine.cpu.llvm.asm import Fn, V


def _mixed(fn: Fn, x: V) -> V:
    """A number that every bit of x has a say in."""

    def same(value: int) -> V:
        signed = value - (1 << 32) if value >> 31 else value
        return fn.ints([signed] * fn.fmt.lanes, "i32") if x.type != "i32" else V(str(signed), "i32")

    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = fn.op("mul", fn.bit("xor", x, fn.op("lshr", x, same(shift))), same(factor))
    return fn.bit("xor", x, fn.op("lshr", x, same(16)))


class Loops(Items):
    def _node(self, node: nodes.Node) -> None:
        match node:
            case nodes.Loop():
                self._loop(node)
            case nodes.Circuit():
                self._circuit(node, read=True, forward=True)
            case nodes.Dropout():
                x, out = self._rows_of(node.x, False), self._rows_of(node.out, False)
                self._drop(node, x, out, False)
            case _:
                self.rows.forward(self.fn, node)

    def _node_back(self, node: nodes.Node) -> None:
        match node:
            case nodes.Loop():
                self._loop_back(node)
            case nodes.Circuit():
                self._circuit_back(node)
            case nodes.Dropout():
                self._drop(node, self._rows_of(node.out, True), self._rows_of(node.x, True), True)
            case _:
                self.rows.backward(self.fn, node)

    def _drop(self, node: nodes.Dropout, x: V, out: V, add: bool) -> None:
        """out = (or +=) x where the lot falls well, times 1/(1-p)."""
        fn, row, n = self.fn, self.fmt.row, self.fmt.lanes
        seed, small = self.words["seed"], "i32"
        low, high = fn.cast("trunc", seed, small), fn.cast("trunc", fn.bit("lshr", seed, 32), small)
        start = fn.bit("xor", low, fn.imul(fn.cast("trunc", self.time, small), 0x27D4EB2F))
        start = fn.bit(
            "add", _mixed(fn, start), fn.imul(V(str(node.number + 1), small), 0x165667B1)
        )
        start = _mixed(fn, fn.bit("xor", start, high))
        first = fn.splat(fn.cast("trunc", self.base, small))
        lanes = fn.bit("add", first, fn.ints(list(range(n)), small))
        lanes = _mixed(fn, fn.bit("xor", lanes, fn.splat(start)))
        limit = fn.ints([min(int(node.p * (1 << 24)), 1 << 24)] * n, small)
        scale, zero = fn.const(1 / (1 - node.p) if node.p < 1 else 0.0), fn.const(0.0)
        with fn.loop(0, self.rows.count(node.x)) as r:
            step = fn.splat(fn.imul(fn.cast("trunc", r.i, small), 0x9E3779B1 - (1 << 32)))
            lot = fn.bit("lshr", _mixed(fn, fn.bit("add", lanes, step)), fn.ints([8] * n, small))
            at = fn.imul(r.i, row)
            value = fn.mul(fn.load(x, at), fn.select(fn.compare("uge", lot, limit), scale, zero))
            fn.store(fn.add(fn.load(out, at), value) if add else value, out, at)

    def _lengths(self, node: nodes.Loop) -> tuple[V, V]:
        """The length of each lane's sequence (with what it has grown), and the most steps."""
        fn, n = self.fn, self.fmt.lanes
        where = self._work(f"length{node.id}")
        total = self._moments(node.clock, node.grown)

        def narrow(x: V) -> V:
            return fn.cast("trunc", x, fn.i)

        pointer = self.words[f"len{node.clock}"]
        given = fn.compare("ne", fn.cast("ptrtoint", pointer, "i64"), fn.i64(0))
        never = V(str(NEVER), fn.i)
        with fn.loop(0, n) as lane:
            inside = fn.compare("slt", lane.i, self.used)
            x = fn.select(inside, narrow(total), never)
            fn.store(x, where, fn.imul(lane.i, self.fmt.size))
        with fn.when(given), fn.loop(0, self.used) as lane:
            b = fn.iadd(self.base, lane.i)
            own = fn.iadd(fn.load(pointer, fn.bit("shl", b, 3), "i64"), node.grown)
            fn.store(narrow(own), where, fn.imul(lane.i, self.fmt.size))
        lengths = fn.load(where, 0, fn.vi)
        most = fn.call(f"llvm.vector.reduce.smax.v{n}{fn.i}", fn.i, lengths)
        wide = fn.cast("sext", most, "i64")
        zero = fn.i64(0)
        wide = fn.select(fn.compare("slt", wide, zero), zero, wide)
        return lengths, fn.iadd(wide, node.extra)

    def _step_begin(self, node: nodes.Loop, t: V) -> V:
        """Which lanes are still on their way; returns those within their sequence."""
        fn = self.fn
        lengths = fn.load(self._work(f"length{node.id}"), 0, fn.vi)
        now = fn.splat(fn.cast("trunc", t, fn.i))
        within = fn.compare("slt", now, lengths)
        ends = fn.bit("add", lengths, fn.iconst(node.extra)) if node.extra else lengths
        self._set_active(self.depth, fn.compare("slt", now, ends))
        return within

    @contextmanager
    def _inside(self, t: V) -> Iterator[None]:
        before = self.time
        self.time = t
        self.depth += 1
        yield
        self.depth -= 1
        self.time = before

    def _tape(self, node: nodes.Loop, t: V) -> V:
        fn = self.fn
        size = sum(rows for _, rows in loop_rows(node, self.plan))
        base = fn.at(self.saved, self.words[f"off_tape{node.id}"])
        return fn.at(base, fn.op("mul", t, fn.imul(self.words["tape_row"], size)))

    def _keep(self, node: nodes.Loop, t: V, restore: bool) -> None:
        fn = self.fn
        tape = self._tape(node, t)
        row = self.words["tape_row"]
        at = 0
        for slot, rows in loop_rows(node, self.plan):
            here = fn.at(self.rows.rows, self.rows.row(slot))
            there = fn.at(tape, fn.imul(row, at))
            fn.call(self._narrow(restore), "void", here, there, fn.i64(rows), row)
            at += rows

    def _narrow(self, restore: bool) -> str:
        """(rows, tape, how many, bytes of each on the tape): to the tape or back from it. The lanes
        that it leaves out have no sequence, and get the numbers of others."""
        name = "restore" if restore else "keep_rows"
        if name in self.mod.functions:
            return name
        fn = Fn(self.mod, name, [("rows", "ptr"), ("tape", "ptr"), ("n", "i64"), ("row", "i64")])
        wide, row, tape = fn.args["rows"], fn.args["row"], fn.args["tape"]
        lanes, size = self.fmt.lanes, self.fmt.size
        for width in narrow_rows(self.fmt):
            few = width // size
            kind = f"<{few} x {fn.f}>"
            with (
                fn.when(fn.compare("eq", row, fn.i64(width))),
                fn.loop(0, fn.args["n"]) as loop,
            ):
                far, near = fn.imul(loop.i, self.fmt.row), fn.imul(loop.i, width)
                if restore:
                    x = fn.load(tape, near, kind, width)
                    fn.store(fn.shuffle(x, None, [i % few for i in range(lanes)]), wide, far)
                else:
                    x = fn.load(wide, far)
                    fn.store(fn.shuffle(x, None, list(range(few))), tape, near, width)
        fn.done()
        return name

    def _copy_rows(self, to: int, source: int, mask: V | None = None) -> None:
        fn = self.fn
        a, b = (
            fn.at(self.rows.rows, self.rows.row(to)),
            fn.at(self.rows.rows, self.rows.row(source)),
        )

        def one(o: V | int) -> None:
            x = fn.load(b, o)
            fn.store(x if mask is None else fn.select(mask, x, fn.load(a, o)), a, o)

        self.rows.each(fn, self.rows.count(to), one)

    def _loop(self, node: nodes.Loop) -> None:
        fn = self.fn
        _, steps = self._lengths(node)
        for c in node.carries:
            self._copy_rows(c.out, c.initial)
        with fn.loop(0, steps) as loop, self._inside(loop.i):
            within = self._step_begin(node, loop.i)
            for c in node.carries:
                self._copy_rows(c.arg, c.out)
            self._items(node, loop.i, within, True)
            for inner in node.body:
                self._node(inner)
            self._keep(node, loop.i, False)
            active = self._active()
            for c in node.carries:
                self._copy_rows(c.out, c.next, active)
            for slot, q in node.emits:
                source = fn.at(self.rows.rows, self.rows.row(slot))
                dest = self._sequence(q, loop.i, False)
                self.rows.copy(fn, dest, source, self.rows.count(slot), active)
        for _, q in node.emits:
            self._clear_rest(q, steps)

    def _clear_rest(self, q: int, steps: V) -> None:
        """Zeros for the moments that no sequence of the block has reached."""
        fn = self.fn
        rows, clock, grown = self.plan.sequences[q]
        total = self._moments(clock, grown)
        left = fn.imul(fn.op("sub", total, steps), rows * self.fmt.row)
        self._memory(self._sequence(q, steps, False), None, left)

    def _loop_back(self, node: nodes.Loop) -> None:
        fn, rows = self.fn, self.rows
        _, steps = self._lengths(node)
        zero = fn.const(0.0)
        self._enter_loop_back(node)
        with fn.down(steps) as t, self._inside(t):
            within = self._step_begin(node, t)
            active = self._active()
            for slot in body_slots(node):
                rows.zero(fn, rows.adjoint, slot)
            for inner in node.body:
                for _, q in inner.emits if isinstance(inner, nodes.Loop) else ():
                    where = fn.at(rows.work, self.words[f"off_dseq{q}"])
                    self._memory(where, None, self.words[f"size_dseq{q}"])
            for c in node.carries:
                out = fn.at(rows.adjoint, rows.row(c.out))
                after = fn.at(rows.adjoint, rows.row(c.next))

                def carry(o: V | int, out: V = out, after: V = after) -> None:
                    d = fn.load(out, o)
                    rows.accumulate(fn, after, o, fn.select(active, d, zero))
                    fn.store(fn.select(active, zero, d), out, o)

                rows.each(fn, rows.count(c.out), carry)
            for slot, q in node.emits:
                source = self._sequence(q, t, True)
                dest = fn.at(rows.adjoint, rows.row(slot))
                rows.add(fn, dest, source, rows.count(slot), active)
            # The step's classical part once more, from what was kept of it.
            self._keep(node, t, True)
            self._items(node, t, within, False)
            for inner in node.body:
                if not isinstance(inner, nodes.Circuit):
                    self._node(inner)
            self.locals_run(node.body)
            for inner in reversed(node.body):
                self._node_back(inner)
            for s in self._spaces_in(node):
                if self._left_by(node.body, s) is None:
                    self._settle(s)
            for c in node.carries:
                arg = fn.at(rows.adjoint, rows.row(c.arg))
                out = fn.at(rows.adjoint, rows.row(c.out))
                rows.add(fn, out, arg, rows.count(c.arg), active)
            for view, slot in node.items:
                self._item_back(node, view, slot, t, within)
        for c in node.carries:
            out = fn.at(rows.adjoint, rows.row(c.out))
            first = fn.at(rows.adjoint, rows.row(c.initial))
            rows.add(fn, first, out, rows.count(c.out))
