"""A plan as LLVM IR: `forward` and `backward`, each over a range of blocks of the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from qrlang.engine import nodes
from qrlang.engine.cpu import elf, functions
from qrlang.engine.cpu.asm import Fn, Format, Module, V
from qrlang.engine.cpu.gather import Gather
from qrlang.engine.cpu.layout import body_slots, loop_rows, make, walk_nodes
from qrlang.engine.cpu.rows import RowPrinter
from qrlang.engine.cpu.sweeps import Shape, Sweeps, Tables
from qrlang.engine.cpu.team import LEAST_QUBITS, NUMBER, SHARED, Team
from qrlang.engine.gf2 import Affine as IndexMap
from qrlang.engine.nodes import Plan

NEVER = -(1 << 24)  # the length of a lane without a sequence
INPUT, ANGLE = 1, 2  # kinds of what is not finite


class Printer:
    def __init__(self, plan: Plan, fmt: Format) -> None:
        self.plan, self.fmt = plan, fmt
        self.mod = Module(fmt)
        self.tables = Tables()
        large = bool(plan.spaces) and min(plan.spaces) >= LEAST_QUBITS
        self.team = Team(self.mod, large)
        self.sweeps = Sweeps(self.mod, self.tables, self.team)
        self.layout = make(plan, fmt, self.sweeps)
        self.rows = RowPrinter(self.layout)
        self.circuits = [n for n in walk_nodes(plan.body) if isinstance(n, nodes.Circuit)]
        self.depth = 0
        self.time: V = V("-1", "i64")
        self.words: dict[str, V] = {}
        self.waiting: list[Waiting] = []

    def print(self) -> str:
        self._main("forward")
        self._main("backward")
        hidden = "hidden " if elf.possible() else ""
        return self.mod.text() + f"@constants = {hidden}global ptr null\n"

    # --- the two entry points

    def _main(self, which: str) -> None:
        args = [("ctx", "ptr"), ("work", "ptr"), ("grad", "ptr"), ("err", "ptr"),
                ("first", "i64"), ("last", "i64")]  # fmt: skip
        fn = self.fn = Fn(self.mod, which, args)
        fn.export()
        pointers = ("saved", "in", "din", "w", "out", "dout", "len")
        for i, name in enumerate(self.layout.words):
            stem = name.rstrip("0123456789")
            kind = "ptr" if stem in pointers else "i64"
            self.words[name] = fn.load(fn.args["ctx"], 8 * i, kind)
        rows = self.rows
        rows.work, rows.gradient = fn.args["work"], fn.args["grad"]
        rows.rows, rows.adjoint = self._work("rows"), self._work("adjoint")
        fn.args["own"] = fn.at(rows.work, self.layout.work["own"])
        self.shared = fn.load(fn.args["own"], SHARED, "ptr") if self.team.on else fn.args["work"]
        rows.weights = [self.words[f"w{i}"] for i in range(len(self.plan.weights))]
        fn.store(fn.const(1.0), self._work("ones"))
        with fn.loop(fn.args["first"], fn.args["last"]) as block:
            self._block_begin(block.i)
            if which == "forward":
                self._forward()
            else:
                self._backward()
        fn.done()

    def _work(self, name: str) -> V:
        base = self.shared if name in ("scratch", "scratch_lam", "w") else self.rows.work
        return self.fn.at(base, self.layout.work[name])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """By one thread of a team, while the others wait."""
        if not self.team.on:
            yield
            return
        fn = self.fn
        own = fn.args["own"]
        self.team.barrier(fn)
        with fn.when(fn.compare("eq", fn.load(own, NUMBER, "i64"), fn.i64(0))):
            yield
        self.team.barrier(fn)

    def _total(self, base: V, size: int) -> None:
        if self.team.on:
            fn = self.fn
            fn.call(self.team.total(), "void", base, fn.i64(size), fn.args["own"])

    def _block_begin(self, block: V) -> None:
        fn, n = self.fn, self.fmt.lanes
        width = self.words["width"]
        self.base = fn.op("mul", block, width)
        left = fn.op("sub", self.words["B"], self.base)
        self.used = fn.select(fn.compare("slt", left, width), left, width)
        self.rows.lanes_used = self.used
        self.saved = fn.at(self.words["saved"], fn.op("mul", block, self.words["saved_stride"]))
        # Lanes without a sequence repeat the last one, so that their numbers are ordinary.
        with fn.loop(0, n) as lane:
            b = fn.iadd(self.base, lane.i)
            top = fn.iadd(self.words["B"], -1)
            fn.store(
                fn.select(fn.compare("slt", b, top), b, top), self._work("lane"),
                fn.bit("shl", lane.i, 3),
            )  # fmt: skip
        lanes = fn.ints(list(range(n)))
        used = fn.splat(fn.cast("trunc", self.used, fn.i))
        self._set_active(0, fn.compare("slt", lanes, used))
        for s in range(len(self.plan.spaces)):
            fn.store(fn.const(1.0), self._work(f"scale{s}"))
            fn.store(fn.const(1.0), self._work(f"back{s}"))

    def _set_active(self, depth: int, mask: V) -> None:
        fn = self.fn
        fn.store(fn.select(mask, fn.iconst(-1), fn.iconst(0)), self._work(f"active{depth}"))

    def _active(self) -> V:
        fn = self.fn
        return fn.compare("ne", fn.load(self._work(f"active{self.depth}"), 0, fn.vi), fn.iconst(0))

    def _memory(self, to: V, source: V | None, size: V | int) -> None:
        fn = self.fn
        n = V(str(size), "i64") if isinstance(size, int) else size
        if source is None:
            fn.call("llvm.memset.p0.i64", "void", to, V("0", "i8"), n, V("false", "i1"))
        else:
            fn.call("llvm.memcpy.p0.p0.i64", "void", to, source, n, V("false", "i1"))

    def _outer_rows(self) -> int:
        return sum(self.plan.slots[: self.plan.outer]) * self.fmt.row

    def _forward(self) -> None:
        fn = self.fn
        for i, slot in self.plan.loads:
            self._load_plain(i, slot)
        for node in self.plan.body:
            self._node(node)
        for i, out in enumerate(self.plan.outputs):
            if out.seq:
                with fn.loop(0, self._moments(out.clock, out.extra)) as t:
                    self._put(i, out.rows, self._sequence(out.slot, t.i, False), t.i)
            else:
                at = fn.at(self.rows.rows, self.rows.row(out.slot))
                self._put(i, out.rows, at, None)
        self._memory(self.saved, self.rows.rows, self._outer_rows())

    def _put(self, i: int, rows: int, source: V, t: V | None) -> None:
        """Rows of a block into the user's output."""
        fn = self.fn
        with fn.loop(0, self.used) as lane:
            at = fn.op("mul", fn.iadd(self.base, lane.i), self.words[f"out{i}_b"])
            dest = fn.at(self.words[f"out{i}"], at)
            if t is not None:
                dest = fn.at(dest, fn.op("mul", t, self.words[f"out{i}_t"]))
            here = fn.at(source, fn.imul(lane.i, self.fmt.size))
            with fn.loop(0, rows) as r:
                x = fn.load(here, fn.imul(r.i, self.fmt.row), fn.f)
                fn.store(x, dest, fn.imul(r.i, self.fmt.size))

    def _take(self, i: int, rows: int, dest: V, t: V | None) -> None:
        """The gradient of an output, into rows that are zero."""
        fn = self.fn
        with fn.loop(0, self.used) as lane:
            at = fn.op("mul", fn.iadd(self.base, lane.i), self.words[f"out{i}_b"])
            source = fn.at(self.words[f"dout{i}"], at)
            if t is not None:
                source = fn.at(source, fn.op("mul", t, self.words[f"out{i}_t"]))
            here = fn.at(dest, fn.imul(lane.i, self.fmt.size))
            with fn.loop(0, rows) as r:
                x = fn.load(source, fn.imul(r.i, self.fmt.size), fn.f)
                at2 = fn.imul(r.i, self.fmt.row)
                fn.store(fn.add(x, fn.load(here, at2, fn.f)), here, at2)

    def _backward(self) -> None:
        fn = self.fn
        self._memory(self.rows.rows, self.saved, self._outer_rows())
        self._memory(self.rows.adjoint, None, self._outer_rows())
        for s in range(len(self.plan.spaces)):
            size = fn.imul(self.words["width"], self._state_bytes(s))
            with self._alone():
                self._memory(self._costate(s), None, size)
                if not self.plan.local[s]:
                    saved = fn.at(self.saved, self.words[f"off_state{s}"])
                    self._memory(self._psi(s, False), saved, size)
        for q in range(len(self.plan.sequences)):
            at = fn.at(self.rows.work, self.words[f"off_dseq{q}"])
            self._memory(at, None, self.words[f"size_dseq{q}"])
        for i, out in enumerate(self.plan.outputs):
            given = fn.compare("ne", fn.cast("ptrtoint", self.words[f"dout{i}"], "i64"), fn.i64(0))
            with fn.when(given):
                if out.seq:
                    with fn.loop(0, self._moments(out.clock, out.extra)) as t:
                        self._take(i, out.rows, self._sequence(out.slot, t.i, True), t.i)
                else:
                    at = fn.at(self.rows.adjoint, self.rows.row(out.slot))
                    self._take(i, out.rows, at, None)
        self.waiting = [Waiting() for _ in self.plan.spaces]
        self.locals_run(self.plan.body)
        for node in reversed(self.plan.body):
            self._node_back(node)
        for i, slot in self.plan.loads:
            self._unload_plain(i, slot)

    # --- places

    def _state_bytes(self, s: int) -> int:
        return 2 * self.sweeps.plane(self.layout.qubits(s))

    def _psi(self, s: int, forward: bool) -> V:
        if forward and not self.plan.local[s]:
            return self.fn.at(self.saved, self.words[f"off_state{s}"])
        return self.fn.at(self.shared, self.words[f"off_psi{s}"])

    def _costate(self, s: int) -> V:
        return self.fn.at(self.shared, self.words[f"off_lam{s}"])

    def _sequence(self, q: int, t: V, adjoint: bool) -> V:
        """The rows of a sequence at a moment."""
        fn = self.fn
        rows = self.plan.sequences[q][0]
        base = (
            fn.at(self.rows.work, self.words[f"off_dseq{q}"])
            if adjoint
            else fn.at(self.saved, self.words[f"off_seq{q}"])
        )
        return fn.at(base, fn.imul(t, rows * self.fmt.row))

    def _moments(self, clock: int, grown: int) -> V:
        return self.fn.iadd(self.words[f"T{clock}"], grown)

    # --- inputs that are not sequences

    def _load_plain(self, i: int, slot: int) -> None:
        fn, n = self.fn, self.fmt.lanes
        zero = fn.const(0.0)
        out = fn.at(self.rows.rows, self.rows.row(slot))
        token = self.plan.inputs[i].token
        with fn.loop(0, n) as lane:
            b = fn.load(self._work("lane"), fn.bit("shl", lane.i, 3), "i64")
            source = fn.at(self.words[f"in{i}"], fn.op("mul", b, self.words[f"in{i}_b"]))
            here = fn.at(out, fn.imul(lane.i, self.fmt.size))
            with fn.loop(0, self.plan.slots[slot]) as r:
                fn.store(self._number(source, r.i, token), here, fn.imul(r.i, self.fmt.row))
        if not token:
            with fn.loop(0, self.plan.slots[slot] * self.fmt.row, self.fmt.row, [zero]) as loop:
                loop.next = [fn.fma(fn.load(out, loop.i), zero, loop.values[0])]
            self._report(INPUT, i, loop.values[0])

    def _number(self, source: V, r: V, token: bool) -> V:
        fn = self.fn
        if token:
            return fn.cast("sitofp", fn.load(source, fn.bit("shl", r, 3), "i64"), fn.f)
        return fn.load(source, fn.imul(r, self.fmt.size), fn.f)

    def _unload_plain(self, i: int, slot: int) -> None:
        if self.plan.inputs[i].token:
            return
        fn = self.fn
        wanted = fn.compare("ne", fn.cast("ptrtoint", self.words[f"din{i}"], "i64"), fn.i64(0))
        source = fn.at(self.rows.adjoint, self.rows.row(slot))
        with fn.when(wanted), fn.loop(0, self.used) as lane:
            b = fn.iadd(self.base, lane.i)
            dest = fn.at(self.words[f"din{i}"], fn.op("mul", b, self.words[f"in{i}_b"]))
            here = fn.at(source, fn.imul(lane.i, self.fmt.size))
            with fn.loop(0, self.plan.slots[slot]) as r:
                x = fn.load(here, fn.imul(r.i, self.fmt.row), fn.f)
                fn.store(x, dest, fn.imul(r.i, self.fmt.size))

    # --- what is not finite

    def _report(self, kind: int, number: int, check: V) -> None:
        """Notes the first place where `check` is NaN in an active lane."""
        fn, n = self.fn, self.fmt.lanes
        bad = fn.new(
            f"<{n} x i1>",
            f"and <{n} x i1> {fn.compare('uno', check, check).name}, {self._active().name}",
        )
        bits = fn.cast("bitcast", bad, f"i{n}")
        err = fn.args["err"]
        with fn.when(fn.new("i1", f"icmp ne i{n} {bits.name}, 0")):
            free = fn.compare("eq", fn.load(err, 0, "i64"), fn.i64(0))
            with fn.when(free):
                lane = fn.new(f"i{n}", f"call i{n} @llvm.cttz.i{n}(i{n} {bits.name}, i1 true)")
                self.mod.declare(f"llvm.cttz.i{n}", f"i{n}", f"i{n}, i1")
                wide = lane if n == 64 else fn.cast("zext", lane, "i64")
                fn.store(fn.i64(kind), err, 0)
                fn.store(fn.i64(number), err, 8)
                fn.store(self.time, err, 16)
                fn.store(fn.iadd(wide, self.base), err, 24)

    # --- nodes

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

    def _rows_of(self, slot: int, adjoint: bool) -> V:
        base = self.rows.adjoint if adjoint else self.rows.rows
        return self.fn.at(base, self.rows.row(slot))

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

    # --- loops

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
        size = sum(rows for _, rows in loop_rows(node, self.plan)) * self.fmt.row
        base = fn.at(self.saved, self.words[f"off_tape{node.id}"])
        return fn.at(base, fn.imul(t, size))

    def _keep(self, node: nodes.Loop, t: V, slots: set[int], restore: bool) -> None:
        fn = self.fn
        tape = self._tape(node, t)
        at = 0
        for slot, rows in loop_rows(node, self.plan):
            size = rows * self.fmt.row
            if slot in slots:
                here = fn.at(self.rows.rows, self.rows.row(slot))
                there = fn.at(tape, at)
                a, b = (here, there) if restore else (there, here)
                self.rows.copy(fn, a, b, rows)
            at += size

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
            value = fn.select(within, value, zero)
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
            self._keep(node, loop.i, {s for s, _ in loop_rows(node, self.plan)}, False)
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
            self._keep(node, t, {s for s, _ in loop_rows(node, self.plan)}, True)
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

    # --- circuits

    def _number_of(self, node: nodes.Circuit) -> int:
        return next(i for i, c in enumerate(self.circuits) if c is node)

    def _parameters(self, node: nodes.Circuit, index: int) -> V:
        n = self.layout.qubits(node.space)
        before = sum(Shape.of(x, n).rows for x in node.layers[:index])
        k = self._number_of(node)
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
                self._report(ANGLE, self._number_of(node) << 16 | index, check)

    @contextmanager
    def _each_active(self) -> Iterator[V]:
        fn = self.fn
        with fn.loop(0, self.used) as lane:
            on = fn.load(self._work(f"active{self.depth}"), fn.imul(lane.i, self.fmt.size), fn.i)
            with fn.when(fn.compare("ne", on, V("0", fn.i))):
                yield lane.i

    def _state(self, base: V, s: int, lane: V) -> V:
        return self.fn.at(base, self.fn.imul(lane, self._state_bytes(s)))

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
        with self._each_active() as lane:
            psi = self._state(self._psi(s, forward), s, lane)
            if node.reset >= 0:
                with self._alone():
                    self._memory(psi, None, self._state_bytes(s))
                    fn.store(fn.num(1.0), psi, node.reset * size)
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
            stride = row * self.fmt.lanes
            self._total(vectors, len(node.masks) * stride)
            out = fn.at(self.rows.rows, self.rows.row(node.out))
            with fn.loop(0, len(node.masks)) as loop:
                v = fn.call(self.sweeps.lane_sums(), fn.vf, fn.at(vectors, fn.imul(loop.i, stride)))
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
                    fn = self.fn
                    size = fn.imul(self.words["width"], self._state_bytes(node.space))
                    with self._alone():
                        self._memory(self._costate(node.space), None, size)

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
            fn = self.fn
            if not self.plan.local[s]:
                size = fn.imul(self.words["width"], self._state_bytes(s))
                with self._alone():
                    self._memory(self._costate(s), None, size)

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

    def _lane_word(self, base: V, offset: int) -> V:
        fn = self.fn
        word = fn.load(base, offset, fn.i)
        return fn.cast("zext", word, "i64")

    def _turn(self, s: int, lane: V) -> V:
        here = self.fn.at(self._work(f"turn{s}"), self.fn.imul(lane, self.fmt.size))
        return self._lane_word(here, 0)

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
        with self._each_active() as lane:
            self._seed_tables(s, seeds, lane)
            fn.call(
                self.sweeps.settle(n, gather, seeds), "void",
                self._state(self._psi(s, False), s, lane), self._state(self._costate(s), s, lane),
                self._work("scratch"), self._work("scratch_lam"), self._turn(s, lane),
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
                inverse = IndexMap(form.gather.map.cols).inverse()
                self._settle(s, self.sweeps.linear(inverse))
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
        stride = row * self.fmt.lanes
        starts, at = [], 0
        for shape in shapes:
            starts.append(at)
            at += (len(shape.terms) + len(shape.bits) + 1) * stride
        waiting = self.waiting[s]
        with self._each_active() as lane:
            psi = self._state(self._psi(s, False), s, lane)
            lam = self._state(self._costate(s), s, lane)
            self._seed_tables(s, waiting.seeds, lane)
            pending, g, seeds = waiting.gather, self._turn(s, lane), waiting.seeds
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
                g = self._lane_word(prm, shapes[index].row_back * row)
        self._total(vectors, at)
        mask = self._active()
        back = fn.load(self._parameters(node, 0), shapes[0].row_back * row, fn.vi)
        turn = self._work(f"turn{s}")
        fn.store(fn.select(mask, back, fn.load(turn, 0, fn.vi)), turn)
        self.waiting[s] = Waiting(self.sweeps.gather_back(shapes[0]))
        active = self._work(f"active{self.depth}")
        for index, (shape, layer) in enumerate(zip(shapes, node.layers, strict=True)):
            rows = [r for _, r in (*layer.terms, *layer.rotations)]
            angles = fn.at(self.rows.adjoint, self.rows.row(node.angles, rows[0] if rows else 0))
            at2 = fn.at(vectors, starts[index])
            name = self.sweeps.finish(shape)
            fn.call(name, "void", at2, self._parameters(node, index), angles, active)
        if node.renormalise:
            where = starts[0] + (len(shapes[0].terms) + len(shapes[0].bits)) * stride
            norm = fn.call(self.sweeps.lane_sums(), fn.vf, fn.at(vectors, where))
            norm = fn.select(self._active(), norm, fn.const(1.0))
            fn.store(fn.div(fn.const(1.0), functions.sqrt(fn, norm)), self._work(f"back{s}"))


@dataclass(slots=True)
class Waiting:
    """What walking back has left undone on a space: an index map, then weights of readouts."""

    gather: Gather | None = None
    seeds: tuple[int, ...] = ()


def _mixed(fn: Fn, x: V) -> V:
    """A number that every bit of x has a say in."""

    def same(value: int) -> V:
        signed = value - (1 << 32) if value >> 31 else value
        return fn.ints([signed] * fn.fmt.lanes, "i32") if x.type != "i32" else V(str(signed), "i32")

    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = fn.op("mul", fn.bit("xor", x, fn.op("lshr", x, same(shift))), same(factor))
    return fn.bit("xor", x, fn.op("lshr", x, same(16)))


def _true(n: int) -> str:
    return "<" + ", ".join(["i1 true"] * n) + ">"
