"""Counts against what Qiskit reports for the circuit as it is emitted."""

from __future__ import annotations

import pytest
from circuit_tools import qiskit_circuit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import circuits as any_circuits

from qrlang.analysis.circuits import circuits
from qrlang.analysis.cost import cost, gates_of
from qrlang.analysis.own import own_weights
from qrlang.backends.qasm.dialects import DIALECTS
from qrlang.backends.qasm.target import texts
from qrlang.driver import Compilation
from qrlang.ir.program import (
    Alloc,
    Angle,
    Const,
    Embed,
    Expect,
    Gate,
    Initial,
    Linear,
    Loop,
    LoopItem,
    Op,
    Output,
    Pointwise,
    Program,
    Register,
    Term,
    Unitary,
    UseWeight,
    Value,
    Weight,
)
from qrlang.ir.types import Type, real, seq
from qrlang.passes import GATES, run_passes


@given(any_circuits(), st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_counts_and_depth_are_those_of_qiskit(program: Program, optimised: bool) -> None:
    if optimised:
        program = run_passes(program, GATES)
    for circuit in circuits(program):
        mine = gates_of(circuit.ops)
        (text,) = texts(program, DIALECTS["qiskit"]).values()
        theirs = qiskit_circuit(text)
        assert mine.depth == theirs.depth()
        assert mine.total == theirs.size()
        assert mine.two_qubit == sum(len(i.qubits) == 2 for i in theirs.data)
        counts = theirs.count_ops()
        for name in ("h", "x", "cx", "rz", "ry", "cz", "swap", "p", "s", "t", "ccx"):
            assert mine.counts[name] == counts.get(name, 0), name


def qrnn(n: int, layers: int) -> Program:
    rows, row = Value(0, seq(real(3)), "rows"), Value(1, real(3))
    z, theta, last = Value(2, real(n)), Value(3, real(layers * n * 3)), Value(4, real(n))
    gates = []
    for layer in range(layers):
        for q in range(n):
            for k, name in enumerate(("rz", "ry", "rz")):
                index = (layer * n + q) * 3 + k
                gates.append(Gate(name, (q,), (Angle(0.0, (Term(1.0, theta, index),)),)))
        gates += [Gate("x", ((q + 1) % n,), controls=(q,)) for q in range(n)]
    read = tuple(((1.0, ((q, "Z"),)),) for q in range(n))
    step: tuple[Op, ...] = (Expect(z, read), Linear(theta, row, "w", "b"), Unitary(tuple(gates)))
    weights = (
        Weight("w", (layers * n * 3, 3), Initial("uniform", (-1.0, 1.0))),
        Weight("b", (layers * n * 3,), Initial("uniform", (-1.0, 1.0))),
    )
    body = (
        Alloc(tuple(range(n))),
        Loop("step", (LoopItem(rows, row),), (), step),
        Expect(last, read),
    )
    return Program(
        "p", (), (rows,), (), weights, (), (Register("m", 0, n),), body, (Output("", last),)
    )


def test_a_recurrence() -> None:
    n, layers = 5, 2
    found = cost(qrnn(n, layers))
    step = found.part("step")
    assert step is not None
    assert step.gates.counts == {"rz": 2 * n * layers, "ry": n * layers, "cx": n * layers}
    assert step.gates.two_qubit == n * layers
    assert step.gates.angles == {"layer": 3 * n * layers}
    assert (step.readouts, step.settings) == (n, 1)
    outside = found.part()
    assert outside is not None
    assert (outside.gates.total, outside.readouts) == (0, n)
    assert (found.classical, found.quantum, found.frozen) == (3 * n * layers * 4, 0, 0)
    assert found.pure
    assert found.qubits == {0: n}


def test_one_training_step() -> None:
    n, layers, steps, batch = 5, 2, 7, 3
    program = qrnn(n, layers)
    amplitudes = 2**n
    one = cost(program).training(batch, steps)
    # Per layer: 2n rz of 6 N each way three times, n ry of 4 N, and 4 N for each angle.
    gates = layers * n * (2 * 3 * 6 + 3 * 4 + 3 * 4) * amplitudes
    reads = n * 2 * 3 * amplitudes
    assert one.quantum_operations == batch * (steps * (gates + reads) + reads)
    assert one.classical_operations == batch * steps * 3 * 2 * (3 * n * layers * 3)
    assert one.state_bytes == batch * amplitudes * 16
    assert one.weight_bytes == 16 * (3 * n * layers * 4)
    twice = cost(program).training(2 * batch, steps)
    assert twice.operations == 2 * one.operations


def role(make: tuple[Op, ...], angle: Angle, weights: tuple[Weight, ...] = ()) -> dict[str, int]:
    x = Value(0, real(2), "x")
    body = (Alloc((0,)), *make, Unitary((Gate("ry", (0,), (angle,)),)))
    program = Program(
        "p", inputs=(x,), weights=weights, registers=(Register("q", 0, 1),), body=body
    )
    (part,) = cost(program).parts
    return dict(part.gates.angles)


def test_where_angles_come_from() -> None:
    x, a, b = Value(0, real(2), "x"), Value(1, real(2)), Value(2, real(2))
    z = Value(3, real(1))
    trained = Weight("w", (2,), Initial("constant", (0.0,)))
    frozen = Weight("w", (2,), Initial("constant", (0.0,)), trained=False)
    at_a, at_b = Angle(0.0, (Term(1.0, a, 0),)), Angle(0.0, (Term(1.0, b, 1),))
    assert role((), Angle(0.3)) == {}
    assert role((), Angle(0.0, (Term(1.0, x, 0),))) == {"data": 1}
    assert role((UseWeight(a, "w"),), at_a, (trained,)) == {"trained": 1}
    assert role((UseWeight(a, "w"),), at_a, (frozen,)) == {"frozen": 1}
    assert role((UseWeight(a, "w"), Pointwise(b, "mul", (a, x))), at_b, (trained,)) == {
        "trained": 1
    }
    assert role((Const(a, (0.1, 0.2)), Pointwise(b, "sin", (a,))), at_b) == {}
    read = Expect(z, (((1.0, ((0, "X"),)),),))
    assert role((read,), Angle(0.0, (Term(1.0, z, 0),))) == {"readout": 1}
    matrix = Weight("m", (2, 2), Initial("constant", (0.0,)))
    assert role((Linear(a, x, "m"),), at_a, (matrix,)) == {"layer": 1}


@pytest.mark.parametrize("trained", [True, False])
def test_numbers_that_are_angles(trained: bool) -> None:
    w, word, e = Value(0, real(3)), Value(1, Type("token", (), 4), "word"), Value(2, real(2))
    y = Value(3, real(1), "z")
    body: tuple[Op, ...] = (
        Alloc((0,)),
        UseWeight(w, "theta"),
        Embed(e, word, "table"),
        Unitary(
            (
                Gate("ry", (0,), (Angle(0.0, (Term(1.0, w, 1),)),)),
                Gate("rz", (0,), (Angle(0.0, (Term(1.0, e, 1),)),)),
            )
        ),
        Expect(y, (((1.0, ((0, "X"),)),),)),
    )
    weights = (
        Weight("theta", (3,), Initial("constant", (0.0,)), trained),
        Weight("table", (4, 2), Initial("constant", (0.0,))),
    )
    program = Program(
        "p", (), (word,), (), weights, (), (Register("q", 0, 1),), body, (Output("", y),)
    )
    found = cost(program)
    assert (found.classical, found.quantum, found.frozen) == ((8, 3, 0) if trained else (8, 0, 3))


def test_what_is_a_circuits_own() -> None:
    """What `inspect` counts as quantum is what `quantum = …` trains."""
    text = """
model M {
  input x: real[2]
  qubits q[2]
  param a: real[4] = 1
  param turn: angle[2]
  frozen still: angle
  layer steer = linear(2)
  let made = steer(x)
  prepare a on q
  for i in 0..2 { rx(turn[i] * 2) q[i]  ry(made[i]) q[i] }
  rz(still) q[0]
  return read Z(q[0])
}
"""
    (model,) = Compilation.of_bytes("m.qrl", text.encode()).models()
    assert own_weights(model.program) == {"a", "turn"}
    found = cost(model.program)
    assert (found.quantum, found.classical, found.frozen) == (6, 6, 1)
