"""What the findings claim, against numbers: nothing claimed is false, and known cases are found."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import arguments, circuits, mixed_programs, programs

from qrlang.analysis.findings import Finding, findings
from qrlang.backends.reference import RunError, run
from qrlang.ir.program import (
    Alloc,
    Angle,
    Element,
    Evolve,
    Expect,
    Free,
    Gate,
    If,
    Initial,
    Linear,
    Loop,
    LoopCarry,
    LoopItem,
    Measure,
    Op,
    Output,
    PauliString,
    Program,
    Register,
    Reset,
    Term,
    Unitary,
    UseWeight,
    Value,
    Weight,
)
from qrlang.ir.types import Type, real, seq
from qrlang.ir.walk import map_bodies, walk

W = Value(0, real(40), "w")
Z = Value(1, real(1), "z")


def angle(i: int) -> Angle:
    return Angle(0.0, (Term(1.0, W, i),))


def circuit(
    n: int, gates: list[Element], read: list[PauliString], before: tuple[Op, ...] = ()
) -> Program:
    z = Value(1, real(len(read)), "z")
    return Program(
        "p",
        inputs=(W,),
        registers=(Register("q", 0, n),),
        body=(
            Alloc(tuple(range(n))),
            *before,
            Unitary(tuple(gates)),
            Expect(z, tuple(((1.0, word),) for word in read)),
        ),
        outputs=(Output("", z),),
    )


def each(letter: str, n: int) -> list[PauliString]:
    return [((q, letter),) for q in range(n)]


def of_kind(kind: str, program: Program) -> list[Finding]:
    return [f for f in findings(program) if f.kind == kind]


def dead(program: Program) -> set[int]:
    return {f.places[0] for f in of_kind("dead-angle", program)}


def su2_ring(n: int, layers: int) -> list[Element]:
    gates: list[Element] = []
    for _ in range(layers):
        for q in range(n):
            for name in ("rz", "ry", "rz"):
                gates.append(Gate(name, (q,), (angle(len(gates) % 40),), place=len(gates)))
        for q in range(n):
            gates.append(Gate("x", ((q + 1) % n,), controls=(q,), place=len(gates)))
    return gates


# --- known cases --------------------------------------------------------------------------------


def test_the_circuit_of_the_recursive_network() -> None:
    n = 5
    gates: list[Element] = [Gate("h", (q,)) for q in range(n)]
    gates += [Gate("x", (q + 1,), controls=(q,)) for q in range(n - 1)]
    gates += [Gate("rz", (q,), (angle(q),), place=q) for q in range(n)]
    program = circuit(n, gates, each("Z", n))
    assert dead(program) == set(range(n))
    (constant,) = of_kind("constant-readout", program)
    assert constant.detail == {"indices": tuple(range(n)), "constants": (0.0,) * n}


@pytest.mark.parametrize("layers", [1, 2])
def test_first_and_last_rz_of_su2_ring(layers: int) -> None:
    n = 4
    gates = su2_ring(n, layers)
    program = circuit(n, gates, each("Z", n))
    first = {3 * q for q in range(n)}
    last = {(layers - 1) * 4 * n + 3 * q + 2 for q in range(n)}
    assert dead(program) == first | last
    whys = {f.places[0]: f.detail["why"] for f in of_kind("dead-angle", program)}
    assert {whys[p] for p in first} == {"behind"}
    assert {whys[p] for p in last} == {"ahead"}


def test_nothing_is_dead_when_x_is_read() -> None:
    gates: list[Element] = [
        Gate("ry", (0,), (angle(0),), place=0),
        Gate("rz", (0,), (angle(1),), place=1),
    ]
    assert dead(circuit(1, gates, [((0, "X"),)])) == set()
    assert dead(circuit(1, gates, [((0, "Z"),)])) == {1}


def test_a_number_that_another_gate_makes_felt_is_not_dead() -> None:
    """A trained angle that two gates share has a gradient if one of them changes a readout."""
    gates: list[Element] = [
        Gate("ry", (0,), (angle(0),), place=0),
        Gate("rz", (0,), (angle(0),), place=1),
        Gate("rz", (0,), (angle(1),), place=2),
    ]
    assert dead(circuit(1, gates, [((0, "Z"),)])) == {2}


def test_controls_and_phases() -> None:
    gates: list[Element] = [
        Gate("h", (0,)),
        Gate("ry", (1,), (angle(0),), place=0),
        Gate("p", (0,), (angle(1),), controls=(1,), place=1),
        Gate("rz", (1,), (angle(2),), controls=(0,), place=2),
    ]
    assert dead(circuit(2, gates, each("Z", 2))) == {1, 2}
    assert dead(circuit(2, gates, [((0, "X"),)])) == set()


def recurrence(body: tuple[Op, ...], n: int, read: list[PauliString], extra: int = 0) -> Program:
    rows, x = Value(2, seq(real(1)), "rows"), Value(3, real(1), "x")
    z = Value(1, real(len(read)), "z")
    return Program(
        "p",
        inputs=(W, rows),
        registers=(Register("memory", 0, n),),
        body=(
            Alloc(tuple(range(n))),
            Loop("step", (LoopItem(rows, x),), (), body, extra=extra),
            Expect(z, tuple(((1.0, word),) for word in read)),
        ),
        outputs=(Output("", z),),
    )


X = Value(3, real(1), "x")


def test_in_a_recurrence_the_next_step_sees_the_last_angles() -> None:
    gates = tuple(su2_ring(3, 1))
    program = recurrence((Unitary(gates),), 3, each("Z", 3))
    assert dead(program) == set()


def test_in_a_recurrence_what_commutes_with_every_step_is_dead() -> None:
    gates = (
        Gate("rx", (0,), (Angle(0.0, (Term(1.0, X, 0),)),), place=0),
        Gate("rx", (1,), (angle(1),), place=1),
        Gate("x", (1,), controls=(0,)),
        Gate("x", (1,), controls=(0,)),
    )
    program = recurrence((Unitary(gates),), 2, [((0, "Z"),)])
    assert dead(program) == {1}
    # Unless the two gates differ, and qubit 1 reaches qubit 0.
    other = (*gates[:2], gates[2], Gate("x", (0,), controls=(1,)))
    assert dead(recurrence((Unitary(other),), 2, [((0, "Z"),)])) == set()


def test_a_measured_bit_that_steers_keeps_angles_alive() -> None:
    bit = Value(9, Type("bit"), "b")
    gates = (Gate("ry", (0,), (angle(0),), place=0),)
    flip = If(bit, 0, (Unitary((Gate("x", (1,)),)),))
    z = Value(1, real(1), "z")
    program = Program(
        "p",
        inputs=(W,),
        registers=(Register("q", 0, 2),),
        body=(
            Alloc((0, 1)),
            Unitary(gates),
            Measure(bit, (0,)),
            flip,
            Expect(z, (((1.0, ((1, "Z"),)),),)),
        ),
        outputs=(Output("", z),),
    )
    assert dead(program) == set()


def test_qubits_that_never_meet() -> None:
    gates: list[Element] = [Gate("ry", (q,), (angle(q),)) for q in range(4)]
    gates.append(Gate("z", (0,), controls=(2,)))
    gates.append(Gate("x", (1,), controls=(3,)))
    (found,) = of_kind("product", circuit(4, gates, each("Z", 4)))
    assert found.detail["parts"] == ((("q", 0), ("q", 2)), (("q", 1), ("q", 3)))
    assert found.names == ("q",)
    gates.append(Gate("x", (1,), controls=(0,)))
    assert of_kind("product", circuit(4, gates, each("Z", 4))) == []


def test_constant_readouts() -> None:
    gates: list[Element] = [
        Gate("x", (0,)),
        Gate("h", (1,)),
        Gate("x", (2,), controls=(1,)),
        Gate("ry", (3,), (angle(0),)),
    ]
    words: list[PauliString] = [
        ((0, "Z"),),
        ((1, "X"), (2, "X")),
        ((1, "Z"), (2, "Z")),
        ((1, "Y"), (2, "Y")),
        ((1, "Z"),),
        ((3, "Y"),),
        ((3, "Z"),),
    ]
    (found,) = of_kind("constant-readout", circuit(4, gates, words))
    assert found.detail["indices"] == (0, 1, 2, 3, 4, 5)
    assert found.detail["constants"] == (-1.0, 1.0, 1.0, -1.0, 0.0, 0.0)
    assert found.values == (1,)


def test_a_readout_that_changes_from_step_to_step_is_not_constant() -> None:
    flip = recurrence((Unitary((Gate("x", (0,)),)),), 1, [((0, "Z"),)])
    assert of_kind("constant-readout", flip) == []
    phase = recurrence((Unitary((Gate("z", (0,)),)),), 1, [((0, "Z"),)])
    (found,) = of_kind("constant-readout", phase)
    assert found.detail["constants"] == (1.0,)


def test_weights_that_reach_no_output() -> None:
    a, b, out = Value(5, real(40), "a"), Value(6, real(40), "b"), Value(7, real(1), "y")
    z = Value(1, real(1), "z")
    rows = Value(2, seq(real(1)), "rows")
    body: tuple[Op, ...] = (
        Alloc((0, 1)),
        UseWeight(a, "seen"),
        UseWeight(b, "unseen"),
        Unitary(
            (
                Gate("ry", (0,), (Angle(0.0, (Term(1.0, a, 0),)),)),
                Gate("ry", (1,), (Angle(0.0, (Term(1.0, b, 0),)),)),
            )
        ),
        Expect(z, (((1.0, ((0, "Z"),)),),)),
        Linear(out, z, "head"),
    )
    weights = tuple(
        Weight(name, shape, Initial("constant", (0.0,)))
        for name, shape in (("seen", (40,)), ("unseen", (40,)), ("head", (1, 1)), ("idle", (3,)))
    )
    program = Program(
        "p", (), (rows,), (), weights, (), (Register("q", 0, 2),), body, (Output("", out),)
    )
    assert [f.names for f in of_kind("unused-weight", program)] == [("unseen",), ("idle",)]


def test_a_memory_that_is_never_read_or_written() -> None:
    written = Gate("ry", (0,), (Angle(0.0, (Term(1.0, X, 0),)),))
    steady = Gate("ry", (0,), (angle(0),))
    assert of_kind("memory-unread", recurrence((Unitary((written,)),), 1, [((0, "Z"),)])) == []
    assert of_kind("memory-unwritten", recurrence((Unitary((written,)),), 1, [((0, "Z"),)])) == []
    (found,) = of_kind("memory-unwritten", recurrence((Unitary((steady,)),), 1, [((0, "Z"),)]))
    assert found.names == ("step", "memory")
    program = recurrence((Reset((0,)), Unitary((written,))), 1, [((0, "Z"),)])
    (found,) = of_kind("memory-unread", program)
    assert found.names == ("step", "memory")


def test_a_carry_that_the_input_never_reaches() -> None:
    start, arg, new, out = (Value(10 + i, real(1), "h") for i in range(4))
    rows = Value(2, seq(real(1)), "rows")
    y = Value(20, real(1), "y")
    loop = Loop(
        "step", (LoopItem(rows, X),), (LoopCarry(start, arg, new, out),), (Linear(new, arg, "w"),)
    )
    body: tuple[Op, ...] = (UseWeight(start, "s"), loop, Linear(y, out, "w"))
    weights = (
        Weight("w", (1, 1), Initial("constant", (1.0,))),
        Weight("s", (1,), Initial("constant", (1.0,))),
    )
    program = Program("p", inputs=(rows,), weights=weights, body=body, outputs=(Output("", y),))
    (found,) = of_kind("memory-unwritten", program)
    assert found.values == (arg.id,)
    assert of_kind("memory-unread", program) == []


def test_a_layer_of_its_own_qubits() -> None:
    """Fresh qubits at each step: the first rz is only a phase, also inside a loop."""
    z = Value(8, real(1), "r")
    body: tuple[Op, ...] = (
        Alloc((1,)),
        Unitary(
            (
                Gate("rz", (1,), (angle(0),), place=0),
                Gate("ry", (1,), (Angle(0.0, (Term(1.0, X, 0),)),), place=1),
            )
        ),
        Expect(z, (((1.0, ((1, "Z"),)),),)),
        Free((1,)),
        Unitary((Gate("ry", (0,), (Angle(0.0, (Term(1.0, z, 0),)),), place=2),)),
    )
    assert dead(recurrence(body, 2, [((0, "Z"),)])) == {0}


# --- nothing false ------------------------------------------------------------------------------


def outputs(program: Program, seed: int) -> np.ndarray[Any, Any] | None:
    try:
        found = run(program, arguments(program, seed, 2), seed=seed).outputs
    except RunError:
        return None
    joined = np.concatenate([np.ravel(v) for v in found.values()])
    return joined if np.isfinite(joined).all() else None


def shifted(program: Program, place: int, index: int, by: float) -> Program:
    """One angle of one gate, of one term, moved by a constant."""

    def gate(g: Gate) -> Gate:
        if g.place != place:
            return g
        angles = tuple(
            Angle(a.constant + by, a.terms) if i == index else a for i, a in enumerate(g.angles)
        )
        return Gate(g.name, g.qubits, angles, g.controls, g.zeros, g.place)

    return mapped(program, gate)


def mapped(program: Program, change: Any) -> Program:
    from dataclasses import replace

    def ops(body: tuple[Op, ...]) -> tuple[Op, ...]:
        out: list[Op] = []
        for op in body:
            op = map_bodies(op, ops)
            if isinstance(op, Unitary):
                op = Unitary(tuple(change(e) if isinstance(e, Gate) else e for e in op.elements))
            out.append(op)
        return tuple(out)

    return replace(program, body=ops(program.body))


def numbered(program: Program) -> Program:
    counter = iter(range(10_000))

    def number(g: Gate) -> Gate:
        return Gate(g.name, g.qubits, g.angles, g.controls, g.zeros, next(counter))

    return mapped(program, number)


def varying(program: Program) -> list[tuple[int, int]]:
    return [
        (e.place, i)
        for op in walk(program.body)
        if isinstance(op, Unitary)
        for e in op.elements
        if isinstance(e, Gate)
        for i, a in enumerate(e.angles)
        if a.terms
    ]


def check_claims(program: Program, seed: int) -> tuple[int, int]:
    """(angles that do nothing, those of them that were found)."""
    program = numbered(program)
    before = outputs(program, seed)
    if before is None:
        return 0, 0  # refused: amplitudes of norm zero
    claimed = {
        (f.places[0], f.detail["angle"])
        for f in of_kind("dead-angle", program)
        if f.detail["gate"] != "evolve"
    }
    scale = max(1.0, float(np.abs(before).max(initial=0.0)))
    truly = 0
    for place, index in varying(program):
        moved = [outputs(shifted(program, place, index, by), seed) for by in (0.9, 2.4, -1.7)]
        still = all(m is not None and np.abs(m - before).max() < 1e-10 * scale for m in moved)
        if (place, index) in claimed:
            assert still, f"angle {index} of gate {place} does change something"
        truly += still
    for f in of_kind("constant-readout", program):
        check_constant(program, f, seed)
    return truly, len(claimed)


def check_constant(program: Program, finding: Finding, seed: int) -> None:
    """The readout as an output, where it stands outside of loops."""
    from dataclasses import replace

    for op in program.body:
        if isinstance(op, Expect) and op.out.id == finding.values[0]:
            shown = replace(program, outputs=(Output("", op.out),))
            try:
                found = run(shown, arguments(shown, seed, 2), seed=seed).outputs[""]
            except RunError:
                return
            for i, constant in zip(
                finding.detail["indices"], finding.detail["constants"], strict=True
            ):
                assert abs(found[i] - constant) < 1e-9


RANDOM = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@given(circuits(fused=False), st.integers(0, 3))
@RANDOM
def test_claims_about_circuits(program: Program, seed: int) -> None:
    check_claims(program, seed)


@given(programs(fused=False), st.integers(0, 3))
@RANDOM
def test_claims_about_recurrences(program: Program, seed: int) -> None:
    check_claims(program, seed)


@given(mixed_programs(qubits=2, fused=False), st.integers(0, 3))
@RANDOM
def test_claims_about_mixed_programs(program: Program, seed: int) -> None:
    check_claims(program, seed)


def random_circuit(rng: np.random.Generator, n: int, size: int) -> Program:
    """Rotations and Clifford gates, as ansätze have them."""
    gates: list[Element] = []
    for _ in range(size):
        kind = rng.choice(["rx", "ry", "rz", "h", "s", "x", "z", "rzz", "rxx"])
        a, b = (int(q) for q in rng.permutation(n)[:2])
        place = len(gates)
        if kind in ("rx", "ry", "rz"):
            gates.append(Gate(kind, (a,), (angle(place),), place=place))
        elif kind in ("rzz", "rxx"):
            gates.append(Gate(kind, (a, b), (angle(place),), place=place))
        elif kind in ("x", "z"):
            gates.append(Gate(kind, (a,), controls=(b,), place=place))
        else:
            gates.append(Gate(kind, (a,), place=place))
    return circuit(n, gates, each("Z", n))


def test_most_dead_angles_are_found() -> None:
    """Recall on circuits of rotations and Clifford gates, against the numbers."""
    truly = found = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        a, b = check_claims(random_circuit(rng, 3, 14), seed)
        truly += a
        found += b
    assert truly > 50
    assert found >= 0.9 * truly


def test_evolution_under_a_hamiltonian() -> None:
    terms = ((angle(0), ((0, "Z"), (1, "Z"))), (angle(1), ((1, "X"),)), (angle(2), ((2, "X"),)))
    z = Value(1, real(1), "z")
    program = Program(
        "p",
        inputs=(W,),
        registers=(Register("q", 0, 3),),
        body=(
            Alloc((0, 1, 2)),
            Evolve(terms, Angle(1.0), place=7),
            Expect(z, (((1.0, ((1, "Z"),)),),)),
        ),
        outputs=(Output("", z),),
    )
    found = {(f.places[0], f.detail["angle"]) for f in of_kind("dead-angle", program)}
    # ZZ matters: it does not commute with the X that turns what is read.
    assert found == {(7, 2)}


def test_a_long_program_is_quick() -> None:
    n, layers = 20, 123
    gates = su2_ring(n, layers)
    program = recurrence((Unitary(tuple(gates)),), n, each("Z", n))
    assert len(gates) > 9_800
    start = time.process_time()
    findings(program)
    assert time.process_time() - start < 2.0  # 0.4 s alone; room for a busy machine


def clock(next_: Value, body: tuple[Op, ...]) -> Program:
    """A carry beside a qubit: `h` becomes what `body` makes of it."""
    start, arg, out = (Value(10 + i, real(1), "h") for i in (0, 1, 3))
    rows, z = Value(2, seq(real(1)), "rows"), Value(1, real(1), "z")
    loop = Loop("step", (LoopItem(rows, X),), (LoopCarry(start, arg, next_, out),), body)
    return Program(
        "p",
        inputs=(W, rows),
        weights=tuple(Weight(n, (1, 1), Initial("constant", (1.0,))) for n in ("w", "s")),
        registers=(Register("q", 0, 1),),
        body=(Alloc((0,)), UseWeight(start, "s"), loop, Expect(z, (((1.0, ((0, "Z"),)),),))),
        outputs=(Output("", z),),
    )


def test_a_clock_beside_a_memory_is_no_finding() -> None:
    """The carry goes on by itself, but the input gets into the qubit, and it is read."""
    arg, new = Value(11, real(1), "h"), Value(12, real(1), "h")
    turned = Gate("ry", (0,), (Angle(0.0, (Term(1.0, X, 0), Term(1.0, new, 0))),))
    program = clock(new, (Linear(new, arg, "w"), Unitary((turned,))))
    assert not [f for f in findings(program) if f.kind.startswith("memory")]


def test_a_lost_carry_beside_a_memory_is_not_the_whole_memory() -> None:
    arg, new = Value(11, real(1), "h"), Value(12, real(1), "h")
    turned = Gate("ry", (0,), (Angle(0.0, (Term(1.0, X, 0),)),))
    program = clock(new, (Linear(new, arg, "w"), Unitary((turned,))))
    (found,) = [f for f in findings(program) if f.kind.startswith("memory")]
    assert found.kind == "memory-unread" and found.names == ("step", "h")
    assert found.detail == {"carries": ("h",), "whole": False}
