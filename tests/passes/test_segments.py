"""What cancel, fuse and permute make of segments, and that it is the same matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dense import same_up_to_phase, segment_matrix

from qrlang.ir.program import (
    Alloc,
    Angle,
    Diagonal,
    Element,
    Gate,
    Permutation,
    Program,
    Register,
    Run,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.types import real
from qrlang.passes import run_passes

W = Value(0, real(9), "w")
VALUES = {0: np.linspace(-1.3, 2.1, 9)}
PI = math.pi


def w(i: int, factor: float = 1.0, constant: float = 0.0) -> Angle:
    return Angle(constant, (Term(factor, W, i),))


def cx(control: int, target: int) -> Gate:
    return Gate("x", (target,), controls=(control,))


def after(passes: tuple[str, ...], *elements: Element, n: int = 3) -> tuple[Element, ...]:
    """The segment after some passes; its matrix has to be the same."""
    program = Program(
        "p",
        inputs=(W,),
        registers=(Register("q", 0, n),),
        body=(Alloc(tuple(range(n))), Unitary(elements)),
    )
    changed = run_passes(program, passes, verify=True)
    found = tuple(e for op in changed.body if isinstance(op, Unitary) for e in op.elements)
    assert same_up_to_phase(segment_matrix(elements, n, VALUES), segment_matrix(found, n, VALUES))
    return found


def cancel(*elements: Element) -> list[str]:
    """Written names of what is left."""
    found = after(("cancel",), *elements)
    assert all(isinstance(e, Gate) for e in found)
    return [
        "c" * len(e.controls) + "n" * len(e.zeros) + e.name for e in found if isinstance(e, Gate)
    ]


@pytest.mark.parametrize(
    "elements,left",
    [
        ((Gate("h", (0,)), Gate("h", (0,))), []),
        ((Gate("s", (0,)), Gate("sdg", (0,))), []),
        ((Gate("s", (0,)), Gate("s", (0,))), ["z"]),
        ((Gate("t", (0,)), Gate("t", (0,))), ["s"]),
        ((Gate("sx", (0,)), Gate("sx", (0,))), ["x"]),
        ((Gate("rz", (0,), (w(0),)), Gate("rz", (0,), (w(1),))), ["rz"]),
        ((Gate("rz", (0,), (w(0),)), Gate("rz", (0,), (w(0, -1.0),))), []),
        ((Gate("rz", (0,), (w(0),)), Gate("p", (0,), (w(1),))), ["rz"]),
        ((Gate("rx", (0,), (Angle(2 * PI),)),), []),
        ((Gate("rx", (0,), (Angle(2 * PI),), controls=(1,)),), ["crx"]),
        ((Gate("rx", (0,), (Angle(4 * PI),), controls=(1,)),), []),
        ((Gate("p", (0,), (Angle(2 * PI),), controls=(1,)),), []),
        ((Gate("id", (0,)),), []),
        ((cx(0, 1), cx(0, 1)), []),
        ((cx(0, 1), cx(1, 0)), ["cx", "cx"]),
        # Past gates that commute: diagonals on the control, x-type on the target.
        ((cx(0, 1), Gate("rz", (0,), (w(0),)), Gate("rx", (1,), (w(1),)), cx(0, 1)), ["rz", "rx"]),
        ((cx(0, 1), Gate("rz", (1,), (w(0),)), cx(0, 1)), ["cx", "rz", "cx"]),
        ((cx(0, 1), cx(0, 2), cx(0, 1)), ["cx"]),
        ((Gate("z", (1,), controls=(0,)), Gate("z", (0,), controls=(1,))), []),
        ((Gate("rzz", (0, 1), (w(0),)), Gate("rzz", (1, 0), (w(1),))), ["rzz"]),
        ((Gate("swap", (0, 1)), Gate("swap", (1, 0))), []),
        ((Gate("iswap", (0, 1)), Gate("iswapdg", (1, 0))), []),
        ((Gate("u", (0,), (w(0), w(1), w(2))), Gate("u", (0,), (w(0, -1), w(2, -1), w(1, -1)))), []),
        ((Gate("h", (0,)), Gate("x", (0,)), Gate("h", (0,))), ["z"]),
        ((Gate("h", (1,)), cx(0, 1), Gate("h", (1,))), ["cz"]),
        ((Gate("h", (0,)), Gate("z", (1,), controls=(0,)), Gate("h", (0,))), ["cx"]),
        ((Gate("h", (0,)), Gate("rz", (0,), (w(0),)), Gate("h", (0,))), ["rx"]),
        # One cancellation lets the next happen.
        ((Gate("h", (0,)), cx(0, 1), cx(0, 1), Gate("h", (0,))), []),
        ((Gate("x", (0,), zeros=(1,)), Gate("x", (0,), controls=(1,))), ["nx", "cx"]),
    ],
)  # fmt: skip
def test_cancel(elements: tuple[Element, ...], left: list[str]) -> None:
    assert cancel(*elements) == left


def test_merged_angles_add() -> None:
    (gate,) = after(
        ("cancel",), Gate("rz", (0,), (w(0, 2.0, 0.1),)), Gate("rz", (0,), (w(0, 1.0, 0.2),))
    )
    assert isinstance(gate, Gate)
    (angle,) = gate.angles
    assert angle.terms == (Term(3.0, W, 0),)
    assert angle.constant == pytest.approx(0.3)


def test_a_run_on_one_qubit() -> None:
    gates = (Gate("rx", (0,), (w(0),)), Gate("ry", (0,), (w(1),)), Gate("h", (0,)))
    assert after(("fuse",), *gates) == (Run(0, gates),)
    # A lone diagonal gate goes along.
    gates = (Gate("rz", (0,), (w(0),)), Gate("ry", (0,), (w(1),)), Gate("rz", (0,), (w(2),)))
    assert after(("fuse",), *gates) == (Run(0, gates),)


def test_a_layer_of_diagonals() -> None:
    found = after(
        ("fuse",),
        Gate("rz", (0,), (w(0),)),
        Gate("z", (1,), controls=(0,)),
        Gate("rz", (1,), (w(1),)),
        Gate("t", (2,)),
        Gate("z", (2,), controls=(0, 1)),
        Gate("rzz", (0, 2), (w(2),)),
    )
    (diagonal,) = found
    assert isinstance(diagonal, Diagonal)
    assert len({mask for mask, _ in diagonal.terms}) == len(diagonal.terms) <= 7


def test_gates_on_other_qubits_do_not_hold_a_layer_up() -> None:
    def layer(name: str, first: int) -> list[Gate]:
        return [Gate(name, (q,), (w(first + q),)) for q in range(3)]

    # As written qubit by qubit: rz ry rz on each.
    gates = [g for q in range(3) for g in (layer("rz", 0)[q], layer("ry", 3)[q], layer("rz", 6)[q])]
    found = after(("fuse",), *gates)
    assert [type(e).__name__ for e in found] == ["Diagonal", "Gate", "Gate", "Gate", "Diagonal"]


def test_a_network_is_one_map() -> None:
    ring = [cx(q, (q + 1) % 3) for q in range(3)]
    (found,) = after(("permute",), *ring, Gate("x", (1,)), Gate("swap", (0, 2)))
    assert isinstance(found, Permutation)
    assert after(("permute",), *ring, *ring[::-1]) == ()


def test_phases_go_through_maps() -> None:
    # The textbook rzz.
    found = after(("permute",), cx(0, 1), Gate("rz", (1,), (w(0),)), cx(0, 1))
    assert found == (Diagonal((((0, 1), w(0)),)),)
    # A flip turns the sign.
    found = after(("permute",), Gate("x", (0,)), Gate("rz", (0,), (w(0),)), Gate("x", (0,)))
    assert found == (Diagonal((((0,), w(0, -1.0)),)),)


def test_diagonals_on_both_sides_of_a_map_become_one() -> None:
    left = [Gate("rz", (q,), (w(q),)) for q in range(3)]
    right = [Gate("rz", (q,), (w(3 + q),)) for q in range(3)]
    ring = [cx(q, (q + 1) % 3) for q in range(3)]
    found = after(("permute",), *left, *ring, *right)
    assert sorted(type(e).__name__ for e in found) == ["Diagonal", "Permutation"]


def test_what_simulators_get_of_a_layer() -> None:
    gates: list[Element] = []
    for _ in range(2):
        for q in range(3):
            gates += [
                Gate("rz", (q,), (w(q),)),
                Gate("ry", (q,), (w(3 + q),)),
                Gate("rz", (q,), (w(6 + q),)),
            ]
        gates += [cx(q, (q + 1) % 3) for q in range(3)]
    found = after(("cancel", "permute", "fuse"), *gates)
    kinds = [type(e).__name__[0] for e in found]
    # Two layers: a diagonal and three ry each, and one diagonal with a map after each.
    assert kinds.count("D") == 3
    assert kinds.count("P") == 2
    assert kinds.count("G") == 6
    assert len(found) == 11
