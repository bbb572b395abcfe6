"""The numbers of one sequence: computed at once, or for each outcome of measured bits."""

from __future__ import annotations

import itertools
import math
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qrlang.analysis.circuits import AnyAngle, FlatGate, Product
from qrlang.backends.reference import classical
from qrlang.backends.reference.gates import unitary_from_coefficients
from qrlang.hardware.device import DeviceError
from qrlang.hardware.later import Later, MeasuredBits, Pending, bits_of
from qrlang.hardware.shared import Shared
from qrlang.hardware.tape import Bit, When
from qrlang.ir.program import CallExtern, Op, UseWeight, Value

MOST_LOOKUP = 8  # measured bits that an angle may depend on


class Values:
    def __init__(self, shared: Shared, checked: bool) -> None:
        self.shared = shared
        self.checked = checked  # angles have to be finite
        self.of: dict[int, Any] = {}  # by the number of the program's value

    def __getitem__(self, value: Value) -> Any:
        return self.of[value.id]

    def __setitem__(self, value: Value, found: Any) -> None:
        self.of[value.id] = found

    def by_shot(self, value: Value) -> bool:
        return isinstance(self.of[value.id], (Later, MeasuredBits))

    def compute(self, op: Op) -> None:
        out: Value = op.out  # type: ignore[attr-defined]
        needs = [self.of.get(u.id) for u in self.shared.uses(op)]
        if any(isinstance(x, (Later, MeasuredBits)) for x in needs):
            self[out] = Later(op, tuple(needs))
        else:
            self[out] = self.result(op, self.of)

    def result(self, op: Op, values: Mapping[int, Any]) -> Any:
        if isinstance(op, UseWeight):
            found = self.shared.weights[op.weight]
            trained = op.out.type.kind == "unitary"
            return unitary_from_coefficients(found, op.out.type.size) if trained else found
        if isinstance(op, CallExtern):
            if op.layer not in self.shared.externs:
                raise DeviceError(f"the extern layer `{op.layer}` was not given")
            return np.asarray(self.shared.externs[op.layer](*(values[a.id] for a in op.args)))
        with np.errstate(all="ignore"):
            result = classical.compute(op, values, self.shared.weights)
        if result is None:
            raise DeviceError(f"a device has no {type(op).__name__}")
        return result

    def number(self, angle: AnyAngle, values: Mapping[int, Any]) -> float:
        if isinstance(angle, Product):
            return angle.factor * self.number(angle.a, values) * self.number(angle.b, values)
        total = angle.constant
        for term in angle.terms:
            total += term.coefficient * float(np.asarray(values[term.value.id]).flat[term.index])
        if self.checked and not math.isfinite(total):
            names = ", ".join(dict.fromkeys(t.value.name for t in angle.terms if t.value.name))
            origin = f" from {names}" if names else ""
            raise DeviceError(
                f"an angle{origin} is {total}: nothing has been sent to the device",
                "mend the weights or the inputs: every angle has to be a finite number",
            )
        return total

    def outcomes(
        self, asked: Sequence[Value], when: When
    ) -> Iterator[tuple[When, Mapping[int, Any]]]:
        """For each outcome of the measured bits that some values depend on, the values; all gates
        that use them go under an `if` on it. Most values depend on none."""
        shots = [v for v in asked if self.by_shot(v)]
        if not shots:
            yield when, self.of
            return
        bits = list(dict.fromkeys(b for v in shots for b in bits_of(self[v])))
        known = {bit: float(value) for bit, value in when}
        free = [bit for bit in bits if bit not in known]
        if len(free) > MOST_LOOKUP:
            raise DeviceError(
                f"an angle depends on {len(free)} measured bits: a device would need a gate for "
                f"each of their 2^{len(free)} outcomes",
                f"let it depend on {MOST_LOOKUP} bits at most, for example on those of one moment",
            )
        for pattern in itertools.product((0, 1), repeat=len(free)):
            outcome = known | dict(zip(free, map(float, pattern), strict=True))
            memo: dict[int, Any] = {}
            found = {v.id: self.of_shot(self[v], outcome, memo) for v in shots}
            case = (*when, *zip(free, pattern, strict=True))
            yield case, ChainMap(found, self.of)

    def of_shot(self, x: Any, pattern: Mapping[Bit, float], memo: dict[int, Any]) -> Any:
        if isinstance(x, Pending):
            return x.value
        if isinstance(x, MeasuredBits):
            return np.array([pattern[b] for b in x.bits]).reshape(x.shape)
        if not isinstance(x, Later):
            return x
        if id(x) not in memo:
            needs = [self.of_shot(n, pattern, memo) for n in x.needs]
            if x.op is None:
                memo[id(x)] = np.array(needs)
            else:
                names = [u.id for u in self.shared.uses(x.op)]
                memo[id(x)] = self.result(x.op, dict(zip(names, needs, strict=True)))
        return memo[id(x)]


def values_of(g: FlatGate) -> Iterator[Value]:
    for angle in g.angles:
        for one in (angle.a, angle.b) if isinstance(angle, Product) else (angle,):
            yield from (term.value for term in one.terms)
