"""What the values of a program are called in its drawing, so that one name is one thing."""

from __future__ import annotations

from collections import Counter

from qrlang.ir.program import (
    Expect,
    Gather,
    If,
    Loop,
    Measure,
    Op,
    Postselect,
    Probabilities,
    Program,
    Reshape,
    Reverse,
    Shift,
    UseWeight,
    Value,
)
from qrlang.ir.walk import walk

_UNNAMED = {Expect: "read", Probabilities: "p", Measure: "b", Postselect: "kept"}


class Names:
    """Inputs, items, carries and readouts; sequences; and what elements are elements of."""

    def __init__(self, program: Program | None = None) -> None:
        self._own: dict[int, tuple[str, str]] = {}  # the recurrence, and the name there
        self._unnamed: Counter[tuple[str, str]] = Counter()
        self._sequences: dict[int, str] = {}
        self._parts: dict[int, tuple[Value, tuple[int, ...] | None]] = {}
        if program is not None:
            for value in program.inputs:
                self._own[value.id] = ("", value.name)
            self._visit(program.body, "")
            self._elements(program)
        places: dict[str, set[str]] = {}
        for block, name in self._own.values():
            places.setdefault(name, set()).add(block)
        self._clashes = {name for name, blocks in places.items() if len(blocks) > 1}

    def of(self, value: Value) -> str:
        """With its recurrence, if the name means something else in another one."""
        block, name = self._own.get(value.id, ("", value.name))
        name = name or f"%{value.id}"
        return f"{block}.{name}" if block and name in self._clashes else name

    def sequence(self, value: Value) -> str:
        return self._sequences.get(value.id) or value.name

    def element(self, value: Value, index: int) -> tuple[Value, int]:
        """The value that an element was taken from, and where it stands there."""
        while value.id in self._parts:
            value, indices = self._parts[value.id]
            index = index if indices is None else indices[index]
        return value, index

    def _visit(self, ops: tuple[Op, ...], block: str) -> None:
        for op in ops:
            match op:
                case Loop():
                    # The names in an anonymous step are those of the model itself.
                    inner = "" if op.name == "step" else op.name
                    bound = [i.item for i in op.items] + [c.arg for c in op.carries]
                    for value in (*bound, *([op.flag] if op.flag else [])):
                        self._own[value.id] = (inner, value.name)
                    for emit in op.emits:
                        full = f"{inner}.{emit.name}" if inner else emit.name
                        self._sequences[emit.out.id] = full if emit.name else inner
                    self._visit(op.body, inner)
                case If():
                    self._visit((*op.then, *op.orelse), block)
                case Expect() | Probabilities() | Measure() | Postselect():
                    self._own[op.out.id] = (block, op.out.name or self._number(op, block))
                case Reverse():
                    self._sequences[op.out.id] = f"reversed({self.sequence(op.x)})"
                case Shift():
                    self._sequences[op.out.id] = f"shifted({self.sequence(op.x)})"

    def _number(self, op: Op, block: str) -> str:
        """`read`, then `read2`: readouts without a name of their own."""
        word = _UNNAMED[type(op)]
        self._unnamed[block, word] += 1
        count = self._unnamed[block, word]
        return word if count == 1 else f"{word}{count}"

    def _elements(self, program: Program) -> None:
        first: dict[str, Value] = {}
        for op in walk(program.body):
            match op:
                case UseWeight() if first.setdefault(op.weight, op.out) is not op.out:
                    self._parts[op.out.id] = (first[op.weight], None)
                case Gather():
                    self._parts[op.out.id] = (op.x, op.indices)
                case Reshape():
                    self._parts[op.out.id] = (op.x, None)
