"""How often circuits are run: for a step, a sample, a gradient.

On a device a state cannot be read and kept, so each reading of each step is a circuit of its own,
run from the beginning up to there; a circuit layer, whose qubits are fresh at every call, is run
by itself. Observables that share a basis are read together (a *setting*).
Weak readouts leave the state be: one circuit has those of all steps.

Parameter shift: the derivative of every reading by every angle before it, two circuits for an
angle of a Pauli rotation, four for one of a controlled gate (its generator has the eigenvalues
-1/2, 0, 1/2); classical layers and the loop through the readouts are differentiated by the chain
rule. SPSA: two samples. Backpropagation needs the states, which only a simulator has.
"""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.analysis.circuits import AnyAngle, Circuit, Product, circuits, flat
from qrlang.analysis.settings import measurement_settings
from qrlang.gates import waves
from qrlang.ir.program import Angle, Evolve, Expect, Op, Probabilities, Program, Unitary
from qrlang.ir.walk import walk


@dataclass(frozen=True)
class Evaluations:
    step_values: int  # numbers read in a step
    step: int  # circuits of a step: its settings
    sample_values: int
    sample: int
    sample_steps: int  # steps that these circuits are long, together
    shift: int | None  # circuits of a gradient; None: there is no rule
    spsa: int


def evaluations(program: Program, steps: int) -> Evaluations:
    found = circuits(program)
    values = settings = sample = sample_values = long = 0
    shift: int | None = 0
    after = sum(_settings(op) for c in found if c.loop is None for op in walk(c.ops))
    for c in found:
        mine = sum(_settings(op) for op in walk(c.ops))
        numbers = sum(_values(op) for op in walk(c.ops))
        rule, later = _shifts(c)
        if c.loop is None:
            sample, sample_values = sample + mine, sample_values + numbers
            long += mine * steps
            own = later
        else:
            values, settings = values + numbers, settings + mine
            sample, sample_values = sample + steps * mine, sample_values + steps * numbers
            long += steps * mine if c.fresh else mine * steps * (steps + 1) // 2
            own = steps * later
            if any(isinstance(op, Expect) and op.weak for op in walk(c.ops)):
                settings, sample, long = settings + 1, sample + 1, long + steps
                own += steps * rule
            if not c.fresh:
                own += rule * (mine * steps * (steps - 1) // 2 + steps * after)
        exact = any(isinstance(op, Evolve) and not op.trotter for op in walk(c.ops))
        shift = None if shift is None or exact else shift + own
    return Evaluations(values, settings, sample_values, sample, long, shift, 2 * sample)


def _shifts(circuit: Circuit) -> tuple[int, int]:
    """Shifted circuits of all angles for one reading; and those for the readings that come later
    in the same turn."""
    rule = later = 0
    for op in walk(circuit.ops):
        if isinstance(op, (Unitary, Evolve)):
            for gate in flat(op):
                for k, angle in enumerate(gate.angles):
                    if _changing(angle):
                        under = bool(gate.controls or gate.zeros)
                        rule += 2 * waves(gate.name, k, under)[0]
        later += rule * _settings(op)
    return rule, later


def _changing(angle: AnyAngle) -> bool:
    if isinstance(angle, Product):
        return bool(angle.a.terms or angle.b.terms)
    assert isinstance(angle, Angle)
    return bool(angle.terms)


def _settings(op: Op) -> int:
    if isinstance(op, Expect):
        return 0 if op.weak else len(measurement_settings(op))
    return int(isinstance(op, Probabilities))


def _values(op: Op) -> int:
    return op.out.type.count if isinstance(op, (Expect, Probabilities)) else 0
