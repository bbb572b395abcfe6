"""Circuits of the torch backend as steps, an angle of its own for each place where one stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from qrlang.analysis.circuits import AnyAngle, FlatGate, Product, flat_element, pauli_rotation
from qrlang.hardware.device import Slot, Step
from qrlang.hardware.gradient.shifts import Rule, rule
from qrlang.hardware.shared import as_step
from qrlang.ir.program import Angle, PauliString, Term, Value
from qrlang.ir.types import real

_TIME = Value(0, real(), "evolved")


@dataclass(eq=False)
class Moved:
    """What acts at once. As a key of the tree it is told by its identity."""

    steps: tuple[Step, ...]
    angles: tuple[Angle, ...]  # one for each slot
    names: tuple[str, ...] = ()
    _tables: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Of each slot."""
        found: dict[int, Rule] = {}
        for step in self.steps:
            for which, a in enumerate(step.angles):
                if isinstance(a, Slot):
                    found[a.index] = rule(step, which)
        return tuple(found[i] for i in range(len(self.angles)))

    def numbers(self, vectors: Mapping[str, Any], like: Any) -> Any:
        """All angles, [..., slots], from the vectors that the circuit names."""
        parts = [vectors[name].to(like.dtype) for name in self.names]
        if not parts:
            return like.new_tensor([a.constant for a in self.angles])
        lead = torch.broadcast_shapes(*(p.shape[:-1] for p in parts))
        everything = torch.cat([p.expand(*lead, p.shape[-1]) for p in parts], -1)
        key = (tuple(p.shape[-1] for p in parts), like.dtype)
        if key not in self._tables:
            start, at = {}, 0
            for name, part in zip(self.names, parts, strict=True):
                start[name], at = at, at + part.shape[-1]
            weights = torch.zeros(at, len(self.angles), dtype=torch.float64)
            for j, angle in enumerate(self.angles):
                for term in angle.terms:
                    weights[start[term.value.name] + term.index, j] += term.coefficient
            constant = torch.tensor([a.constant for a in self.angles], dtype=torch.float64)
            self._tables[key] = weights.to(like), constant.to(like)
        weights, constant = self._tables[key]
        return everything @ weights + constant


class Lowered:
    """Circuits and evolutions, each taken apart once for each place of its qubits."""

    def __init__(self) -> None:
        self._known: dict[Any, Moved] = {}

    def circuit(self, circuit: Any, wires: Sequence[int]) -> Moved:
        key = (circuit, tuple(wires))
        if key not in self._known:
            gates = [g for element in circuit.elements for g in flat_element(element)]
            self._known[key] = _moved(gates, wires, circuit.names)
        return self._known[key]

    def evolution(
        self, strings: tuple[PauliString, ...], times: int, wires: Sequence[int]
    ) -> Moved:
        """`times` steps; the vector `evolved` has the angle of each string."""
        key = (strings, times, tuple(wires))
        if key not in self._known:
            gates = [
                g
                for _ in range(times)
                for j, string in enumerate(strings)
                for g in pauli_rotation(string, Angle(0.0, (Term(1.0, _TIME, j),)))
            ]
            self._known[key] = _moved(gates, wires, ("evolved",))
        return self._known[key]

    def plain(self, *steps: Step) -> Moved:
        """Steps without angles."""
        if steps not in self._known:
            self._known[steps] = Moved(steps, ())
        return self._known[steps]


def _moved(gates: Sequence[FlatGate], wires: Sequence[int], names: tuple[str, ...]) -> Moved:
    angles: list[Angle] = []

    def slot(angle: AnyAngle) -> int:
        assert not isinstance(angle, Product)  # only an evolution of the IR has those
        angles.append(angle)
        return len(angles) - 1

    steps = tuple(as_step(g, wires, slot) for g in gates)
    return Moved(steps, tuple(angles), names)
