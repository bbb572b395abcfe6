"""Drop classical ops whose results nothing uses, and parts of loops likewise."""

from __future__ import annotations

from dataclasses import replace

from qrlang.analysis.flow import is_quantum
from qrlang.ir.program import Expect, If, Loop, Op, Probabilities, Program
from qrlang.ir.walk import defs, uses


def sweep(program: Program, readouts: bool = False) -> Program:
    """`readouts`: also expectations that nobody uses (exact or sampled: they disturb nothing)."""
    sweeper = _Sweeper({o.value.id for o in program.outputs}, readouts)
    body = sweeper.ops(program.body)
    return program if body == program.body else replace(program, body=body)


class _Sweeper:
    def __init__(self, used: set[int], readouts: bool) -> None:
        self.used = used
        self.readouts = readouts

    def ops(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        kept: list[Op] = []
        for op in reversed(ops):
            if isinstance(op, Loop):
                changed = self._loop(op)
                if changed is not None:
                    kept.append(changed)
            elif isinstance(op, If):
                # Nothing leaves a branch, so each is swept for itself.
                then, orelse = self.ops(op.then), self.ops(op.orelse)
                if then or orelse:
                    kept.append(replace(op, then=then, orelse=orelse))
                    self.used.add(op.condition.id)
            elif self._needed(op):
                kept.append(op)
                self.used.update(v.id for v in uses(op))
        return tuple(reversed(kept))

    def _needed(self, op: Op) -> bool:
        if any(v.id in self.used for v in defs(op)):
            return True
        if isinstance(op, (Expect, Probabilities)):
            return not self.readouts or bool(getattr(op, "weak", 0.0))
        return is_quantum(op)

    def _loop(self, loop: Loop) -> Loop | None:
        emits = tuple(e for e in loop.emits if e.out.id in self.used)
        live = {c.arg.id for c in loop.carries if c.out.id in self.used}
        used_after = set(self.used)
        while True:
            carries = tuple(c for c in loop.carries if c.arg.id in live)
            self.used = used_after | {e.value.id for e in emits} | {c.next.id for c in carries}
            body = self.ops(loop.body)
            more = {c.arg.id for c in loop.carries if c.arg.id in self.used} - live
            if not more:
                break
            live |= more
        if not emits and not carries and not body:
            self.used = used_after
            return None
        if not emits and not carries and not any(is_quantum(op) for op in body):
            self.used = used_after
            return None
        self.used |= {i.sequence.id for i in loop.items} | {c.initial.id for c in carries}
        return replace(loop, carries=carries, emits=emits, body=body)
