"""What all sequences of a run have in common: weights, and the gates that ops come down to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qrlang.analysis.circuits import AnyAngle, FlatGate, flat
from qrlang.backends.reference import inputs
from qrlang.hardware import synthesis
from qrlang.hardware.device import Slot, Step
from qrlang.hardware.evolution import parts_of
from qrlang.hardware.tape import Tree
from qrlang.ir.program import Angle, ApplyMatrix, Evolve, Op, Prepare, Program, Unitary, Value
from qrlang.ir.walk import qubits_of, uses


class Shared:
    """What all lanes of a run have in common."""

    def __init__(
        self, program: Program, weights: Mapping[str, Any],
        externs: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:  # fmt: skip
        self.program = program
        self.tree = Tree()
        self.weights = inputs.weights_of(program, weights)
        self.externs = externs or {}
        registers = program.registers
        self.space = {q: r.space for r in registers for q in range(r.start, r.start + r.size)}
        self._gates: dict[int, tuple[FlatGate, ...]] = {}
        self._steps: dict[Any, tuple[tuple[Step, ...], list[AnyAngle]]] = {}
        self._uses: dict[int, list[Value]] = {}
        self._parts: dict[int, tuple[list[Evolve], list[Evolve]]] = {}
        self._made: dict[Any, tuple[Step, ...]] = {}

    def parts(self, op: Evolve) -> tuple[list[Evolve], list[Evolve]]:
        if id(op) not in self._parts:
            self._parts[id(op)] = parts_of(op)
        return self._parts[id(op)]

    def synthesised(
        self, key: Any, op: Evolve | Prepare | ApplyMatrix, wires: Mapping[int, int],
        when: tuple[tuple[int, int], ...],
    ) -> tuple[Step, ...]:  # fmt: skip
        """Gates that make a state or a unitary, an angle of its own for each."""
        if key not in self._made:
            made: list[Step] = []
            count = 0
            for name, on, *angle in _synthesis(op, wires):
                if name == "cx":
                    made.append(Step("x", on[1:], controls=on[:1], when=when))
                else:
                    made.append(Step(name, on, (Slot(count),), when=when))
                    count += len(angle)
            self._made[key] = tuple(made)
        return self._made[key]

    def gates(self, op: Unitary | Evolve) -> tuple[FlatGate, ...]:
        if id(op) not in self._gates:
            self._gates[id(op)] = tuple(flat(op))
        return self._gates[id(op)]

    def uses(self, op: Op) -> list[Value]:
        if id(op) not in self._uses:
            self._uses[id(op)] = uses(op)
        return self._uses[id(op)]

    def steps(
        self, key: Any, gates: Sequence[FlatGate], wires: Mapping[int, int],
        when: tuple[tuple[int, int], ...],
    ) -> tuple[tuple[Step, ...], list[AnyAngle]]:  # fmt: skip
        """Gates as steps, equal angles as one number."""
        if key not in self._steps:
            slots: dict[AnyAngle, int] = {}

            def slot(angle: AnyAngle) -> int:
                return slots.setdefault(angle, len(slots))

            made = tuple(as_step(g, wires, slot, when) for g in gates)
            self._steps[key] = made, list(slots)
        return self._steps[key]


def as_step(
    g: FlatGate, wires: Mapping[int, int] | Sequence[int], slot: Callable[[AnyAngle], int],
    when: tuple[tuple[int, int], ...] = (),
) -> Step:  # fmt: skip
    """A gate where its qubits are. `slot`: the number of an angle that is no constant."""
    return Step(
        g.name,
        tuple(wires[q] for q in g.qubits),
        tuple(
            a.constant if isinstance(a, Angle) and not a.terms else Slot(slot(a)) for a in g.angles
        ),
        tuple(wires[q] for q in g.controls),
        tuple(wires[q] for q in g.zeros),
        when=when,
    )


def _synthesis(op: Evolve | Prepare | ApplyMatrix, wires: Mapping[int, int]) -> synthesis.Made:
    """In an order of angles that only the op decides on."""
    if isinstance(op, ApplyMatrix):
        ones, zeros, on = ([wires[q] for q in x] for x in (op.controls, op.zeros, op.qubits))
        size = 2 * synthesis.unitary_size(len(on)) + (1 << len(op.qubits + op.controls + op.zeros))
        if ones or zeros:
            return synthesis.controlled(ones, zeros, on, [0.0] * (size - 1))
        return synthesis.unitary(on, [0.0] * synthesis.unitary_size(len(on)))
    on = [wires[q] for q in (op.qubits if isinstance(op, Prepare) else qubits_of(op))]
    if isinstance(op, Evolve):
        return synthesis.unitary(on, [0.0] * synthesis.unitary_size(len(on)))
    real = op.amplitudes.type.kind != "state"
    return synthesis.prepare(on, [0.0] * ((1 if real else 2) * ((1 << len(on)) - 1)))
