"""Several threads on one sequence, for states too large to leave to one.

All threads run the whole program, each on rows of its own; a pass over the state is shared out,
with a barrier behind it. What each keeps to find the others lies in its working memory under
`own`: words for the shared memory, its number, how many they are, its barrier ticket, the
barrier's counter, where partial sums meet, and spare room.
"""

from __future__ import annotations

import sys

from qrlang.engine.cpu.llvm.asm import Fn, Module, V

LEAST_QUBITS = 16
WORTH_QUBITS = 20  # below, what threads tell each other takes longer than what they share
SLICE_BITS = 3
MOST = 1 << SLICE_BITS
SHARED, NUMBER, COUNT, TICKET, COUNTER, MEETING, SPARE = (8 * i for i in range(7))
PATIENCE = 4000  # looks at the counter before the processor is offered to others


class Team:
    def __init__(self, mod: Module, on: bool) -> None:
        self.mod, self.on = mod, on

    def word(self, fn: Fn, which: int, kind: str = "i64") -> V:
        return fn.load(fn.args["own"], which, kind)

    def share(self, fn: Fn, count: int) -> tuple[V | int, V | int]:
        """The part of 0 … count-1 that is this thread's."""
        return self.part(fn, count) if self.on else (0, count)

    def part(self, fn: Fn, count: V | int) -> tuple[V, V]:
        number, team = self.word(fn, NUMBER), self.word(fn, COUNT)
        first = fn.op("udiv", fn.imul(number, count), team)
        return first, fn.op("udiv", fn.imul(fn.iadd(number, 1), count), team)

    def spare(self, fn: Fn) -> V:
        return self.word(fn, SPARE, "ptr")

    def barrier(self, fn: Fn) -> None:
        if self.on:
            fn.call(self._barrier(), "void", fn.args["own"])

    def _barrier(self) -> str:
        name = "team_barrier"
        if name in self.mod.functions:
            return name
        fn = Fn(self.mod, name, [("own", "ptr")])
        own, team = fn.args["own"], self.word(fn, COUNT)
        with fn.when(fn.compare("sgt", team, fn.i64(1))):
            ticket = fn.iadd(fn.load(own, TICKET, "i64"), 1)
            fn.store(ticket, own, TICKET)
            counter = fn.load(own, COUNTER, "ptr")
            fn.new("i64", f"atomicrmw add ptr {counter.name}, i64 1 seq_cst")
            wanted = fn.op("mul", ticket, team)
            before, head, again, rest, over = (
                fn.block, *(fn.label(x) for x in ("wait", "again", "rest", "over"))
            )  # fmt: skip
            fn.emit(f"br label %{head}")
            fn.begin(head)
            i, following = f"%{head}.i", f"%{head}.n"
            fn.lines.append(f"  {i} = phi i64 [ 0, %{before} ], [ {following}, %{again} ]")
            seen = fn.new("i64", f"load atomic i64, ptr {counter.name} acquire, align 8")
            there = fn.compare("sge", seen, wanted)
            fn.emit(f"br i1 {there.name}, label %{over}, label %{rest}")
            fn.begin(rest)
            if self.mod.fmt.machine.triple.startswith("x86"):
                fn.call("llvm.x86.sse2.pause", "void")
            if sys.platform != "win32":
                tired = fn.compare("sgt", V(i, "i64"), fn.i64(PATIENCE))
                with fn.when(tired):
                    fn.call("sched_yield", "i32")
            fn.emit(f"br label %{again}")
            fn.begin(again)
            fn.lines.append(f"  {following} = add i64 {i}, 1")
            fn.emit(f"br label %{head}")
            fn.begin(over)
        fn.done()
        return name

    def total(self) -> str:
        """(vectors, bytes, own): the sum of what all have there, in the order of their numbers."""
        name = "team_total"
        if name in self.mod.functions:
            return name
        fn = Fn(self.mod, name, [("data", "ptr"), ("size", "i64"), ("own", "ptr")])
        data, size, row = fn.args["data"], fn.args["size"], fn.fmt.row
        team, meeting = self.word(fn, COUNT), self.word(fn, MEETING, "ptr")
        with fn.when(fn.compare("sgt", team, fn.i64(1))):
            mine = fn.at(meeting, fn.op("mul", self.word(fn, NUMBER), size))
            with fn.loop(0, size, row) as loop:
                fn.store(fn.load(data, loop.i), mine, loop.i)
            self.barrier(fn)
            with fn.loop(0, size, row) as loop:
                with fn.loop(0, team, 1, [fn.const(0.0)]) as each:
                    at = fn.op("add", fn.op("mul", each.i, size), loop.i)
                    each.next = [fn.add(each.values[0], fn.load(meeting, at))]
                fn.store(each.values[0], data, loop.i)
            self.barrier(fn)
        fn.done()
        return name
