"""What a loop walks along: inputs and emitted sequences, each lane at its own moment."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.cpu.kernel.circuits import Circuits
from qrlang.engine.cpu.kernel.frame import INPUT
from qrlang.engine.cpu.llvm.asm import V


def _true(n: int) -> str:
    return "<" + ", ".join(["i1 true"] * n) + ">"


class Items(Circuits):
    def _items(self, node: nodes.Loop, t: V, within: V, check: bool) -> None:
        fn = self.fn
        for view, slot in node.items:
            self._item(node, view, slot, t, within, check)
        if node.flag >= 0:
            one = fn.select(within, fn.const(0.0), fn.const(1.0))
            fn.store(one, self.rows.rows, self.rows.row(node.flag))

    def _plain_view(self, view: nodes.View) -> bool:
        return view.source < 0 and not view.reverse and not view.shift

    def _item(
        self, node: nodes.Loop, view: nodes.View, slot: int, t: V, within: V, check: bool
    ) -> None:
        fn = self.fn
        rows, size, row = self.rows.count(slot), self.fmt.size, self.fmt.row
        out = fn.at(self.rows.rows, self.rows.row(slot))
        zero = fn.const(0.0)
        if self._plain_view(view):
            source = self._sequence(-1 - view.source, t, False)
            self.rows.copy(fn, out, source, rows, within)
            return
        early = self._pointers(node, view, t)
        token = view.source >= 0 and self.plan.inputs[view.source].token
        stride = row if view.source < 0 else (8 if token else size)
        where = self._work(f"place{node.id}")
        start = fn.const(view.start)
        # Sequences at rest keep an item of theirs, so that their numbers are ordinary.
        resting = fn.op("xor", self._active(), V(_true(self.fmt.lanes), within.type))
        taken = fn.op("or", within, resting)
        with fn.loop(0, rows, 1, [zero]) as r:
            offset = fn.imul(r.i, stride)
            value = V("poison", fn.vf)
            for lane in range(self.fmt.lanes):
                p = fn.load(where, lane * 8, "ptr")
                if token:
                    x = fn.cast("sitofp", fn.load(p, offset, "i64"), fn.f)
                else:
                    x = fn.load(p, offset, fn.f)
                value = fn.new(
                    fn.vf, f"insertelement {fn.vf} {value.name}, {fn.f} {x.name}, i32 {lane}"
                )
            if early is not None:
                value = fn.select(early, start, value)
            value = fn.select(taken, value, zero)
            fn.store(value, out, fn.imul(r.i, row))
            r.next = [fn.fma(value, zero, r.values[0])]
        if check and view.source >= 0 and not token:
            self._report(INPUT, view.source, r.values[0])

    def _pointers(self, node: nodes.Loop, view: nodes.View, t: V) -> V | None:
        """Where each lane's moment lies; returns which lanes are before the beginning."""
        fn = self.fn
        lengths = fn.load(self._work(f"length{node.id}"), 0, fn.vi)
        u = fn.iadd(t, -view.shift)
        moment = fn.splat(fn.cast("trunc", u, fn.i))
        early = fn.compare("slt", moment, fn.iconst(0)) if view.shift else None
        top = fn.bit("sub", lengths, fn.iconst(1))
        if view.reverse:
            moment = fn.bit("sub", top, moment)
        moment = fn.select(fn.compare("slt", moment, top), moment, top)
        moment = fn.select(fn.compare("slt", moment, fn.iconst(0)), fn.iconst(0), moment)
        where = self._work(f"place{node.id}")
        for lane in range(self.fmt.lanes):
            k = fn.new(fn.i, f"extractelement {fn.vi} {moment.name}, i32 {lane}")
            k = fn.cast("zext", k, "i64")
            if view.source >= 0:
                i = view.source
                b = fn.load(self._work("lane"), lane * 8, "i64")
                p = fn.at(self.words[f"in{i}"], fn.op("mul", b, self.words[f"in{i}_b"]))
                p = fn.at(p, fn.op("mul", k, self.words[f"in{i}_t"]))
            else:
                p = fn.at(self._sequence(-1 - view.source, k, False), lane * self.fmt.size)
            fn.store(p, where, lane * 8)
        return early

    def _item_back(self, node: nodes.Loop, view: nodes.View, slot: int, t: V, within: V) -> None:
        fn, rows = self.fn, self.rows
        given = fn.at(rows.adjoint, rows.row(slot))
        count = rows.count(slot)
        if self._plain_view(view):
            dest = self._sequence(-1 - view.source, t, True)
            rows.add(fn, dest, given, count, within)
            return
        if view.source >= 0:
            i = view.source
            if self.plan.inputs[i].token:
                return
            wanted = fn.compare("ne", fn.cast("ptrtoint", self.words[f"din{i}"], "i64"), fn.i64(0))
            with fn.when(wanted), self._alone():
                self._scatter(node, view, given, count, t, within)
        else:
            self._scatter(node, view, given, count, t, within)

    def _scatter(
        self, node: nodes.Loop, view: nodes.View, given: V, count: int, t: V, within: V
    ) -> None:
        fn, size = self.fn, self.fmt.size
        early = self._pointers(node, view, t)
        kept = within
        if early is not None:
            n = self.fmt.lanes
            late = fn.new(early.type, f"xor {early.type} {early.name}, {_true(n)}")
            kept = fn.new(early.type, f"and {early.type} {late.name}, {within.name}")
        where = self._work(f"place{node.id}")
        if view.source >= 0:
            i = view.source
            shift = fn.op(
                "sub", fn.cast("ptrtoint", self.words[f"din{i}"], "i64"),
                fn.cast("ptrtoint", self.words[f"in{i}"], "i64"),
            )  # fmt: skip
            stride = size
        else:
            q = -1 - view.source
            adjoint = fn.at(self.rows.work, self.words[f"off_dseq{q}"])
            values = fn.at(self.saved, self.words[f"off_seq{q}"])
            shift = fn.op(
                "sub", fn.cast("ptrtoint", adjoint, "i64"), fn.cast("ptrtoint", values, "i64")
            )
            stride = self.fmt.row
        for lane in range(self.fmt.lanes):
            on = fn.new("i1", f"extractelement {kept.type} {kept.name}, i32 {lane}")
            with fn.when(on):
                p = fn.at(fn.load(where, lane * 8, "ptr"), shift)
                here = fn.at(given, lane * size)
                with fn.loop(0, count) as r:
                    at = fn.imul(r.i, stride)
                    x = fn.load(here, fn.imul(r.i, self.fmt.row), fn.f)
                    fn.store(fn.add(x, fn.load(p, at, fn.f)), p, at)
