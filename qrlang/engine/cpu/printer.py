"""A plan as LLVM IR: `forward` and `backward`, each over a range of blocks of the batch."""

from __future__ import annotations

import math

from qrlang.engine.cpu.amplitudes.team import SHARED
from qrlang.engine.cpu.kernel.frame import ANGLE, INPUT, Waiting
from qrlang.engine.cpu.kernel.loops import Loops
from qrlang.engine.cpu.llvm import elf
from qrlang.engine.cpu.llvm.asm import Fn, V

__all__ = ["ANGLE", "Printer"]


class Printer(Loops):
    def print(self) -> str:
        self._main("forward")
        self._main("backward")
        self._collect()
        hidden = "hidden " if elf.possible() else ""
        return self.mod.text() + f"@constants = {hidden}global ptr null\n"

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

    def _collect(self) -> None:
        """The gradients of all weights, one after the other, from those that the threads have
        gathered: always in the same order, onto zeros. `ctx`: how many, and where each is."""
        args = [("ctx", "ptr"), ("work", "ptr"), ("out", "ptr"), ("err", "ptr"),
                ("first", "i64"), ("last", "i64")]  # fmt: skip
        fn = Fn(self.mod, "collect", args)
        fn.export()
        size, row, lanes = self.fmt.size, self.fmt.row, self.fmt.lanes
        starts = []
        at = 0
        for w in self.plan.weights:
            starts.append(at)
            at += math.prod(w.shape) * size
        with fn.loop(0, fn.load(fn.args["ctx"], 0, "i64")) as thread:
            base = fn.load(fn.args["ctx"], fn.bit("shl", fn.iadd(thread.i, 1), 3), "ptr")
            for name, (offset, count) in self.layout.gradients.items():
                kind = name.rstrip("0123456789")
                number = int(name[len(kind) :])
                out, source = fn.at(fn.args["out"], starts[number]), fn.at(base, offset)

                def add(value: V, to: V, offset: V) -> None:
                    fn.store(fn.add(value, fn.load(to, offset, fn.f)), to, offset)

                if kind == "rows":
                    with fn.loop(0, count // lanes) as loop:
                        v = fn.load(source, fn.imul(loop.i, row))
                        name = f"llvm.vector.reduce.fadd.v{lanes}f{size * 8}"
                        total = fn.new(
                            fn.f, f"call reassoc {fn.f} @{name}({fn.f} 0.0, {fn.vf} {v.name})"
                        )
                        self.mod.declare(name, fn.f, f"{fn.f}, {fn.vf}")
                        add(total, out, fn.imul(loop.i, size))
                    continue
                many, width = (1, count) if kind == "table" else (
                    self.plan.weights[number].shape[0],
                    math.prod(self.plan.weights[number].shape[1:]),
                )  # fmt: skip
                padded = count // many
                with fn.loop(0, many) as o:
                    here = fn.at(source, fn.imul(o.i, padded * size))
                    to = fn.at(out, fn.imul(o.i, width * size))
                    whole = width // lanes * row
                    with fn.loop(0, whole, row) as i:
                        v = fn.add(fn.load(here, i.i), fn.load(to, i.i, fn.vf, size))
                        fn.store(v, to, i.i, size)
                    with fn.loop(whole, width * size, size) as i:
                        add(fn.load(here, i.i, fn.f), to, i.i)
        fn.done()

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
            size = self._block_bytes(s)
            self._fill(self._costate(s), None, size)
            if not self.plan.local[s]:
                saved = fn.at(self.saved, self.words[f"off_state{s}"])
                self._fill(self._psi(s, False), saved, size)
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
