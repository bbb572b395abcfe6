"""The classical side of a program as columns of numbers and the links between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrlang.draw.names import Names
from qrlang.draw.run.moment import BEFORE, Column, Link
from qrlang.ir.program import (
    Concat,
    Embed,
    Gather,
    Linear,
    Loop,
    Op,
    Pointwise,
    Program,
    Reshape,
    Unitary,
    UseWeight,
    Value,
)
from qrlang.ir.walk import defs, qubits_of, uses, walk
from qrlang.trace.layout import BOUNDS, Array
from qrlang.trace.replay import key
from qrlang.trace.taps import ACTIVATIONS, Tap

Element = tuple[str, int]  # a column, and which number of it


class Net:
    """`values` are those of the moment, by their numbers; `weights` by the program's names;
    `ranges`: what 0 and 1 are, by the names of taps."""

    def __init__(
        self, program: Program, taps: tuple[Tap, ...], values: Mapping[int, Array],
        weights: Mapping[str, Array], ranges: Mapping[str, Array], slopes: Mapping[str, float],
    ) -> None:  # fmt: skip
        self.program, self.values, self.weights = program, values, weights
        self.ranges, self.slopes = ranges, slopes
        self.names = Names(program)
        self.makers = {v.id: op for op in walk(program.body) for v in defs(op)}
        self.taps = {t.value: t for t in taps}
        self.columns: dict[str, Column] = {}
        self.links: list[Link] = []
        self.of_value: dict[int, str] = {}
        self.steering: dict[str, set[int]] = {}  # columns, and the ids of the ops they steer
        self.carried: list[tuple[str, str]] = []
        self._parts: dict[int, list[Element | None]] = {}
        self._same: dict[int, Value] = {}  # what is another value under a new number
        self.loop = ""
        self._inputs()
        self._walk(program.body)
        self._outputs()

    # --- columns --------------------------------------------------------------------------------

    def _inputs(self) -> None:
        for value in self.program.inputs:
            if not value.type.seq and value.type.kind == "real":
                self._column(value, "input", self.names.of(value))

    def _walk(self, ops: tuple[Op, ...]) -> None:
        for op in ops:
            if isinstance(op, Loop):
                self.loop = op.name
                for item in op.items:
                    if item.item.type.kind in ("real", "bit"):
                        self._column(item.item, "input", self.names.of(item.item))
                for carry in op.carries:
                    self._column(carry.arg, "input", self.names.of(carry.arg) + BEFORE)
                self._walk(op.body)
                for carry in op.carries:
                    self._alias(carry.out, carry.next)
                    to = self.of_value.get(carry.arg.id)
                    if to is not None:
                        self.carried += [(c, to) for c in sorted(self.behind(carry.next))]
                for emit in op.emits:
                    self._alias(emit.out, emit.value)
                self.loop = ""
            elif isinstance(op, Embed):
                self._column(op.out, "input", op.weight.rpartition(".")[0] or op.weight)
            else:
                for value in defs(op):
                    tap = self.taps.get(value.id)
                    if tap is not None:
                        self._tapped(op, value, tap)
                self._steers(op)

    def _tapped(self, op: Op, value: Value, tap: Tap) -> None:
        if tap.group == "readouts":
            self._column(value, "read", tap.name)
            return
        made = self._column(value, "layer", tap.name, tap.function)
        if made is not None:
            self._link(op, made)

    def _column(self, value: Value, kind: str, name: str, function: str = "") -> str | None:
        if value.id not in self.values or value.type.seq:
            return None
        flat = [float(x) for x in self.values[value.id].reshape(-1)]
        if not flat:
            return None
        low, high = self._range(kind, name, function, flat)
        span = high - low
        shares = tuple(min(max((x - low) / span, 0.0), 1.0) if span > 0 else 0.5 for x in flat)
        key = f"c{len(self.columns)}"
        slope = self._slope(self.makers.get(value.id))
        self.columns[key] = Column(key, kind, name, tuple(flat), shares, self.loop, function,
                                   (low, high), slope if kind == "layer" else None)  # fmt: skip
        self.of_value[value.id] = key
        self._parts[value.id] = [(key, i) for i in range(len(flat))]
        return key

    def _slope(self, op: Op | None) -> float | None:
        """The norm of the loss by the weights that a layer adds up with."""
        if isinstance(op, Pointwise):
            op = self.makers.get(op.args[0].id)
        names = (op.weight, op.bias) if isinstance(op, Linear) else getattr(op, "weights", ())
        found = [self.slopes[n] for n in names if n and n in self.slopes]
        return sum(x * x for x in found) ** 0.5 if found else None

    def _range(self, kind: str, name: str, function: str, flat: list[float]) -> tuple[float, float]:
        if kind == "read":
            return min(-1.0, *flat), max(1.0, *flat)
        if function in BOUNDS:
            return BOUNDS[function]
        if name in self.ranges and kind == "layer":
            low, high = (float(x) for x in self.ranges[name])
            return min(low, *flat), max(high, *flat)
        return min(flat), max(flat)

    def _alias(self, new: Value, old: Value) -> None:
        self._same[new.id] = old
        if old.id in self._parts or old.id in self.values:
            self._parts[new.id] = self.parts(old)

    def _outputs(self) -> None:
        for out in self.program.outputs:
            key = self.of_value.get(out.value.id)
            op = self.makers.get(out.value.id)
            if key is None and isinstance(op, Loop):
                emit = next((e for e in op.emits if e.out == out.value), None)
                key = self.of_value.get(emit.value.id) if emit else None
            if key is not None and self.columns[key].kind == "layer":
                c = self.columns[key]
                self.columns[key] = Column(key, "output", c.name, c.values, c.shares, c.loop,
                                           c.function, c.range, c.slope)  # fmt: skip
                continue
            if key is None and out.value.id in self.values:
                found = self._column(out.value, "output", out.name or "result")
                if found is not None and op is not None:
                    self._link(op, found)

    # --- where numbers come from ----------------------------------------------------------------

    def parts(self, value: Value) -> list[Element | None]:
        """The column and place that each number of a value is; None where it is made of others."""
        if value.id in self._parts:
            return self._parts[value.id]
        op = self.makers.get(value.id)
        found: list[Element | None]
        match op:
            case Concat():
                found = [part for arg in op.args for part in self.parts(arg)]
            case Reshape():
                found = self.parts(op.x)
            case Gather():
                inner = self.parts(op.x)
                found = [inner[i] if i < len(inner) else None for i in op.indices]
            case _:
                found = [None] * max(value.type.count, 1)
        self._parts[value.id] = found
        return found

    def behind(self, value: Value, seen: set[int] | None = None) -> set[str]:
        """Columns that a value depends on directly."""
        seen = set() if seen is None else seen
        if value.id in seen:
            return set()
        seen.add(value.id)
        if value.id in self.of_value:
            return {self.of_value[value.id]}
        known = {p[0] for p in self._parts.get(value.id, ()) if p is not None}
        if known:
            return known
        if value.id in self._same:
            return self.behind(self._same[value.id], seen)
        op = self.makers.get(value.id)
        if op is None or isinstance(op, (Loop, UseWeight)):
            return set()
        return {c for v in uses(op) for c in self.behind(v, seen)}

    def _link(self, op: Op, target: str) -> None:
        linear = op
        if isinstance(op, Pointwise) and op.fn in ACTIVATIONS and op.args[0].id in self.makers:
            linear = self.makers[op.args[0].id]
        exact: dict[str, list[tuple[int, int, float]]] = {}
        loose: set[str] = set()
        if isinstance(linear, Linear) and linear.weight in self.weights:
            matrix = self.weights[linear.weight]
            for i, part in enumerate(self.parts(linear.x)):
                if part is not None and i < matrix.shape[1]:
                    rows = exact.setdefault(part[0], [])
                    rows += [(part[1], j, float(matrix[j, i])) for j in range(len(matrix))]
            if None in self.parts(linear.x):
                loose = self.behind(linear.x)
        elif isinstance(op, Pointwise) and len(op.args) == 1:
            places = self.parts(op.args[0])
            for j, part in enumerate(places):
                if part is not None:
                    exact.setdefault(part[0], []).append((part[1], j, 1.0))
            loose = self.behind(op.args[0]) if None in places else set()
        else:
            loose = {c for v in uses(op) for c in self.behind(v)}
        loose -= {target, *exact}
        self.links += [Link(a, target, tuple(w)) for a, w in exact.items() if a != target]
        self.links += [Link(a, target) for a in sorted(loose)]

    def _steers(self, op: Op) -> None:
        given: list[Any] = uses(op) if isinstance(op, Unitary) or qubits_of(op) else []
        for value in given:
            for column in self.behind(value):
                self.steering.setdefault(column, set()).add(key(op))
