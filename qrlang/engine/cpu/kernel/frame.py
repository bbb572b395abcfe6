"""Where a block of sequences finds its things, and which of its lanes are on their way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from qrlang.engine.cpu.amplitudes.batch import BatchSweeps
from qrlang.engine.cpu.amplitudes.gather import Gather
from qrlang.engine.cpu.amplitudes.sweeps import Sweeps, Tables
from qrlang.engine.cpu.amplitudes.team import LEAST_QUBITS, NUMBER, Team
from qrlang.engine.cpu.kernel.layout import make
from qrlang.engine.cpu.kernel.rows import RowPrinter
from qrlang.engine.cpu.llvm.asm import Fn, Format, Module, V
from qrlang.engine.nodes import Plan

NEVER = -(1 << 24)  # the length of a lane without a sequence
INPUT, ANGLE = 1, 2  # kinds of what is not finite


@dataclass(slots=True)
class Waiting:
    """What walking back has left undone on a space: an index map, then weights of readouts."""

    gather: Gather | None = None
    seeds: tuple[int, ...] = ()


class Frame:
    """The base of what writes the two functions: set up anew for each."""

    fn: Fn
    shared: V  # the working memory of the first thread of a team
    base: V  # the block's first sequence
    used: V  # how many it has
    saved: V  # what is kept of it between forward and backward

    def __init__(self, plan: Plan, fmt: Format, together: bool = False) -> None:
        self.plan, self.fmt = plan, fmt
        self.mod = Module(fmt)
        self.tables = Tables()
        large = bool(plan.spaces) and min(plan.spaces) >= LEAST_QUBITS
        self.team = Team(self.mod, large)
        self.sweeps = (BatchSweeps if together else Sweeps)(self.mod, self.tables, self.team)
        self.layout = make(plan, fmt, self.sweeps)
        self.rows = RowPrinter(self.layout)
        self.rows.active = self._active
        self.circuits = plan.circuits
        self.depth = 0
        self.time: V = V("-1", "i64")
        self.words: dict[str, V] = {}
        self.waiting: list[Waiting] = []

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

    def _set_active(self, depth: int, mask: V) -> None:
        fn = self.fn
        fn.store(fn.select(mask, fn.iconst(-1), fn.iconst(0)), self._work(f"active{depth}"))

    def _active(self) -> V:
        fn = self.fn
        return fn.compare("ne", fn.load(self._work(f"active{self.depth}"), 0, fn.vi), fn.iconst(0))

    @contextmanager
    def _states(self, s: int, *bases: V) -> Iterator[V]:
        """For each sequence on its way its number, to do what belongs to its state; once, with
        number 0, where one state has all of them. `bases`: what the others get back after it."""
        fn = self.fn
        if isinstance(self.sweeps, BatchSweeps):
            with self._resting(s, self.sweeps, bases):
                yield fn.i64(0)
            return
        with fn.loop(0, self.used) as lane:
            on = fn.load(self._work(f"active{self.depth}"), fn.imul(lane.i, self.fmt.size), fn.i)
            with fn.when(fn.compare("ne", on, V("0", fn.i))):
                yield lane.i

    @contextmanager
    def _resting(self, s: int, sweeps: BatchSweeps, bases: tuple[V, ...]) -> Iterator[None]:
        """Sequences that have come to their end keep their state while others go on."""
        fn = self.fn
        if self.depth == 0:
            yield
            return
        here = fn.load(self._work(f"active{self.depth}"), 0, fn.vi)
        every = fn.load(self._work("active0"), 0, fn.vi)
        rest = sweeps.some(fn, fn.compare("ne", here, every))
        kept = [(b, self._work(f"rest{i}")) for i, b in enumerate(bases)]
        with fn.when(rest):
            for base, place in kept:
                self._memory(place, base, self._state_bytes(s))
        yield
        with fn.when(rest):
            name = sweeps.keep(self.layout.qubits(s))
            for base, place in kept:
                fn.call(name, "void", base, place, self._work(f"active{self.depth}"))

    def _memory(self, to: V, source: V | None, size: V | int) -> None:
        fn = self.fn
        n = V(str(size), "i64") if isinstance(size, int) else size
        if source is None:
            fn.call("llvm.memset.p0.i64", "void", to, V("0", "i8"), n, V("false", "i1"))
        else:
            fn.call("llvm.memcpy.p0.p0.i64", "void", to, source, n, V("false", "i1"))

    def _fill(self, to: V, source: V | None, size: V | int) -> None:
        """The same for states, each thread of a team a part; sizes are of whole lines."""
        if not self.team.on:
            self._memory(to, source, size)
            return
        fn = self.fn
        lines = size >> 6 if isinstance(size, int) else fn.bit("lshr", size, 6)
        self.team.barrier(fn)
        first, last = (fn.bit("shl", x, 6) for x in self.team.part(fn, lines))
        part = None if source is None else fn.at(source, first)
        self._memory(fn.at(to, first), part, fn.op("sub", last, first))
        self.team.barrier(fn)

    def _rows_of(self, slot: int, adjoint: bool) -> V:
        base = self.rows.adjoint if adjoint else self.rows.rows
        return self.fn.at(base, self.rows.row(slot))

    def _state_bytes(self, s: int) -> int:
        return 2 * self.sweeps.plane(self.layout.qubits(s))

    def _block_bytes(self, s: int) -> V:
        """Of the states of all sequences of a block."""
        if self.sweeps.together:
            return self.fn.i64(self._state_bytes(s))
        return self.fn.imul(self.words["width"], self._state_bytes(s))

    def _state(self, base: V, s: int, lane: V) -> V:
        return self.fn.at(base, self.fn.imul(lane, self._state_bytes(s)))

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
