"""Which spaces stay real, which stay pure: against the states of the interpreter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dense import element_matrix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import arguments, mixed_programs, programs

from qrlang.analysis.purity import per_shot, purity
from qrlang.analysis.real import is_real, real_spaces
from qrlang.backends.reference import RunError, run
from qrlang.ir.program import (
    Alloc,
    Angle,
    Channel,
    Diagonal,
    Element,
    Expect,
    Free,
    Gate,
    If,
    Loop,
    LoopItem,
    Measure,
    Op,
    Pointwise,
    Postselect,
    Program,
    Register,
    Reset,
    Run,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.types import Type, real, seq

X = Value(0, real(1), "x")
ANY = Angle(0.0, (Term(1.0, X, 0),))
H, CX = Gate("h", (0,)), Gate("x", (1,), controls=(0,))
MIXING = [
    (),
    (H, CX),
    (Gate("ry", (0,), (ANY,)), Gate("z", (1,), controls=(0,))),
]


def real_up_to_phase(matrix: np.ndarray) -> bool:
    largest = matrix.flat[np.argmax(np.abs(matrix))]
    return bool(np.abs((matrix / (largest / abs(largest))).imag).max() < 1e-9)


ELEMENTS: list[Element] = [
    Gate("y", (0,)),
    Gate("y", (0,), controls=(1,)),
    Gate("z", (0,), controls=(1,)),
    Gate("s", (0,)),
    Gate("rz", (0,), (Angle(math.pi),)),
    Gate("rz", (0,), (Angle(math.pi),), controls=(1,)),
    Gate("rz", (0,), (Angle(2 * math.pi),), controls=(1,)),
    Gate("p", (0,), (Angle(math.pi),), controls=(1,)),
    Gate("p", (0,), (Angle(0.5),)),
    Gate("rx", (0,), (Angle(math.pi),)),
    Gate("rx", (0,), (Angle(0.1),)),
    Gate("ry", (0,), (Angle(0.1),), controls=(1,)),
    Gate("rzz", (0, 1), (Angle(math.pi),)),
    Gate("xx_plus_yy", (0, 1), (Angle(math.pi),)),
    Gate("iswap", (0, 1)),
    Gate("swap", (0, 1)),
    Gate("u", (0,), (Angle(0.1), Angle(0.0), Angle(0.0))),
    Run(0, (Gate("h", (0,)), Gate("ry", (0,), (Angle(0.2),)))),
    Diagonal(
        (((0,), Angle(math.pi / 2)), ((1,), Angle(math.pi / 2)), ((0, 1), Angle(-math.pi / 2)))
    ),
    Diagonal((((0,), Angle(math.pi / 2)), ((1,), Angle(math.pi / 2)))),
    Diagonal((((0, 1), Angle(math.pi)),)),
]


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda e: type(e).__name__)
def test_elements(element: Element) -> None:
    truly = real_up_to_phase(element_matrix(element, 2, {}))
    assert truly or not is_real(element)  # never a false claim
    known_gaps = ("iswap", "u", "sx", "sxdg")
    if not (isinstance(element, Gate) and element.name in known_gaps):
        assert is_real(element) == truly


@given(programs(qubits=3))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_real_spaces_have_real_states(program: Program) -> None:
    try:
        states = run(program, arguments(program)).states
    except RunError:
        return
    for space in real_spaces(program) & states.keys():
        assert real_up_to_phase(states[space])


@given(mixed_programs(qubits=2), st.integers(0, 2))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_pure_spaces_have_vectors(program: Program, seed: int) -> None:
    """A program said to be pure never needs a density matrix."""
    if purity(program).all_pure:
        try:
            run(program, arguments(program, seed), method="statevector")
        except RunError as error:
            assert "mixed" not in str(error)


def program(*ops: Op) -> Program:
    rows = Value(90, seq(real(1)), "rows")
    return Program(
        "p", inputs=(X, rows), registers=(Register("a", 0, 1), Register("b", 1, 1)), body=ops
    )


BIT = Value(7, Type("bit"), "b")


@pytest.mark.parametrize(
    "ops,causes",
    [
        ((Alloc((0, 1)), Unitary((H, CX))), []),
        ((Alloc((0, 1)), Unitary((H, CX)), Reset((0,))), ["reset"]),
        ((Alloc((0, 1)), Unitary((H,)), Reset((0,))), []),
        ((Alloc((0, 1)), Unitary((H, CX)), Free((1,))), ["end"]),
        ((Alloc((0, 1)), Unitary((H, CX)), Free((0, 1))), []),
        ((Alloc((0, 1)), Unitary((H, CX)), Measure(BIT, (0,))), ["measure"]),
        ((Alloc((0, 1)), Unitary((H, CX)), Postselect(Value(8, real()), (0,), (1,))), []),
        ((Alloc((0, 1)), Channel("bit_flip", (0,), (Angle(0.1),))), ["bit_flip"]),
        ((Alloc((0, 1), mixed=True),), ["mixed"]),
        ((Alloc((0, 1)), Expect(Value(8, real(1)), (((1.0, ((0, "Z"),)),),), weak=0.3)), ["weak"]),
    ],
)
def test_what_makes_a_state_mixed(ops: tuple[Op, ...], causes: list[str]) -> None:
    found = purity(program(*ops))
    assert [c.what for c in found.causes.get(0, [])] == causes
    assert found.all_pure == (not causes)


def test_a_reset_in_a_recurrence() -> None:
    rows, row = Value(90, seq(real(1)), "rows"), Value(91, real(1))
    body: tuple[Op, ...] = (Reset((0,)), Unitary((Gate("ry", (0,), (ANY,)), CX)))
    loop = Loop("step", (LoopItem(rows, row),), (), body)
    (cause,) = purity(program(Alloc((0, 1)), loop)).causes[0]
    assert (cause.what, cause.loop, cause.qubits) == ("reset", "step", (0,))


def test_values_that_differ_from_shot_to_shot() -> None:
    minus, z, other = Value(8, real()), Value(9, real(1)), Value(10, real(1))
    found = per_shot(
        program(
            Alloc((0, 1)),
            Unitary((H, CX)),
            Measure(BIT, (0,)),
            Pointwise(minus, "neg", (BIT,)),
            If(BIT, 0, (Unitary((Gate("x", (1,)),)),)),
            Expect(z, (((1.0, ((1, "Z"),)),),)),
            Pointwise(other, "sin", (z,)),
        )
    )
    assert found == {BIT.id, minus.id}


def test_what_ends_together_is_of_several_spaces() -> None:
    """Only where something entangled with it stays is a state mixed by an end."""
    gates = Unitary((H, Gate("h", (2,)), Gate("x", (3,), controls=(0,))))
    both = Program(
        "p",
        registers=(Register("a", 0, 2, 0), Register("b", 2, 1, 1), Register("c", 3, 1, 0)),
        body=(Alloc((0, 1)), Alloc((2,)), Alloc((3,)), gates, Free((2, 3))),
    )
    assert {s: [c.qubits for c in causes] for s, causes in purity(both).causes.items()} == {
        0: [(3,)]
    }
