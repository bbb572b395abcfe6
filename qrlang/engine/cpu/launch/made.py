"""The code of a plan in one layout of its states."""

from __future__ import annotations

import time

from qrlang.engine import nodes
from qrlang.engine.bodies import loop_rows, walk_nodes
from qrlang.engine.cpu.amplitudes.batch import MOST_QUBITS
from qrlang.engine.cpu.kernel.layout import narrow_rows, rounded
from qrlang.engine.cpu.llvm import machine
from qrlang.engine.cpu.llvm.asm import Format
from qrlang.engine.cpu.printer import Printer
from qrlang.engine.nodes import Plan

CACHE = 1100 << 10
# From how many sequences on a block of 16 is faster in the batch layout, by qubits; measured.
WORTH = {1: 2, 2: 3, 3: 4, 4: 5, 5: 7, 6: 10, 7: 12, 8: 15}


class Places:
    """Which of a call's words are addresses of what."""

    def __init__(self, plan: Plan, words: list[str]) -> None:
        where = {name: i for i, name in enumerate(words)}

        def each(stem: str, count: int) -> list[int]:
            return [where[f"{stem}{i}"] for i in range(count) if f"{stem}{i}" in where]

        inputs, outputs = len(plan.inputs), len(plan.outputs)
        self.saved, self.seed = where["saved"], where["seed"]
        self.inputs, self.d_inputs = each("in", inputs), each("din", inputs)
        self.lengths = each("len", inputs)  # of those that are sequences
        self.weights = each("w", len(plan.weights))
        self.outputs, self.d_outputs = each("out", outputs), each("dout", outputs)


class Made:
    def __init__(self, plan: Plan, fmt: Format, together: bool) -> None:
        self.plan, self.fmt, self.together = plan, fmt, together
        begun = time.perf_counter()
        printer = Printer(plan, fmt, together)
        self.layout, self.sweeps, self.circuits = printer.layout, printer.sweeps, printer.circuits
        self.team = printer.team.on
        text = printer.print()
        constants = printer.tables.fill(self.sweeps.w)
        self.code, self.from_cache = machine.made(text, fmt.machine, constants)
        self.run_forward = self.code.function("forward")
        self.run_backward = self.code.function("backward")
        self.collect = self.code.function("collect")
        self.at = Places(plan, self.layout.words)
        self.made_in = time.perf_counter() - begun
        self.loops = [n for n in walk_nodes(plan.body) if isinstance(n, nodes.Loop)]

    def lay_out(self, words: dict[str, int], batch: int) -> tuple[int, int, int]:
        """Fills in what depends on B and T: (blocks, saved bytes of each, bytes of work)."""
        plan, row = self.plan, self.fmt.row
        width = max(1, min(self.fmt.lanes, -(-batch // words["threads"]), self._fit()))
        blocks = -(-batch // width)
        words["B"], words["width"] = batch, width
        words["tape_row"] = next(x for x in narrow_rows(self.fmt) if x >= width * self.fmt.size)
        at = rounded(sum(plan.slots[: plan.outer]) * row)
        work = rounded(self.layout.work_size)
        for s in range(len(plan.spaces)):
            states = 1 if self.together else width
            size = 2 * self.sweeps.plane(self.layout.qubits(s)) * states
            words[f"off_state{s}"] = at
            if not plan.local[s]:
                at += rounded(size)
            words[f"off_psi{s}"] = work
            words[f"off_lam{s}"] = work + rounded(size)
            work += 2 * rounded(size)
        for loop in self.loops:
            steps = words[f"T{loop.clock}"] + loop.grown + loop.extra
            words[f"off_tape{loop.id}"] = at
            kept = sum(r for _, r in loop_rows(loop, plan))
            at += rounded(steps * kept * words["tape_row"])
        for q, (rows, clock, grown) in enumerate(plan.sequences):
            size = (words[f"T{clock}"] + grown) * rows * row
            words[f"off_seq{q}"] = at
            at += rounded(size)
            words[f"off_dseq{q}"], words[f"size_dseq{q}"] = work, size
            work += rounded(size)
        words["saved_stride"] = at
        return blocks, at, work

    def _fit(self) -> int:
        """How many sequences go through a step together: as many as keep their states and
        costates in the second cache."""
        if self.together:
            return self.fmt.lanes
        sizes = [4 * self.sweeps.plane(self.layout.qubits(s)) for s in range(len(self.plan.spaces))]
        return max(1, CACHE // max(1, sum(sizes)))


def better_together(plan: Plan, lanes: int, batch: int, threads: int) -> bool:
    """Is the batch layout the faster one: small states, and enough sequences to fill vectors."""
    if not plan.spaces or max(plan.spaces) > MOST_QUBITS:
        return False
    each = -(-batch // threads)
    return -(-each // lanes) * WORTH[max(plan.spaces)] * lanes <= each * 16
