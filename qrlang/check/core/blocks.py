"""Blocks of ops that are still being written, and how they become final."""

from __future__ import annotations

from dataclasses import dataclass, field

from qrlang.check.core.values import Freeing, Poison, Tensor
from qrlang.ir import program as ir


@dataclass(slots=True)
class LoopDraft:
    """A loop whose body and emits may still grow: a later line can ask for its last readouts."""

    name: str
    items: tuple[ir.LoopItem, ...]
    body: Block
    extra: int = 0
    flag: ir.Value | None = None
    carries: list[ir.LoopCarry] = field(default_factory=list)
    emits: list[ir.LoopEmit] = field(default_factory=list)
    reads: dict[object, ir.Value] = field(default_factory=dict)  # read at the end of every step
    emitted: dict[str, Tensor | Poison] = field(default_factory=dict)  # by name


@dataclass(slots=True)
class Block:
    ops: list[ir.Op | LoopDraft | Freeing] = field(default_factory=list)
    memo: dict[object, ir.Value] = field(default_factory=dict)
    gates: list[ir.Element] = field(default_factory=list)

    def flush(self) -> None:
        if self.gates:
            self.ops.append(ir.Unitary(tuple(self.gates)))
            self.gates = []


def finish(block: Block) -> tuple[ir.Op, ...]:
    """The block's ops, drafts made final."""
    block.flush()
    ops: list[ir.Op] = []
    for op in block.ops:
        if isinstance(op, LoopDraft):
            ops.append(
                ir.Loop(
                    op.name,
                    op.items,
                    tuple(op.carries),
                    finish(op.body),
                    tuple(op.emits),
                    op.extra,
                    op.flag,
                )
            )
        elif isinstance(op, Freeing):
            if op.qubits:
                ops.append(ir.Free(tuple(op.qubits)))
        else:
            ops.append(op)
    return tuple(ops)
