"""Measurement, feed-forward, reset, noise and post-selection, against Qiskit and dense matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.quantum_info import DensityMatrix, Kraus, Operator, Pauli, Statevector
from qiskit_aer import AerSimulator
from strategies import arguments, gates, mixed_programs, strings

from qrlang.backends.reference import RunError, branches, run, unitary
from qrlang.gates import CHANNELS, PAULI
from qrlang.ir.program import (
    Alloc,
    Angle,
    Channel,
    Expect,
    Gate,
    If,
    Measure,
    Op,
    Output,
    PauliString,
    Probabilities,
    Program,
    Register,
    Reset,
    Unitary,
    Value,
)
from qrlang.ir.text import parse_program
from qrlang.ir.types import Type, real
from qrlang.ir.verify import verify

N = 3
QUBITS = tuple(range(N))


def straight(*ops: Op, outputs: tuple[Output, ...] = ()) -> Program:
    program = Program(
        "straight",
        registers=(Register("q", 0, N),),
        body=(Alloc(QUBITS), *ops),
        outputs=outputs,
    )
    assert verify(program) == []
    return program


def dense(string: PauliString) -> np.ndarray:
    letters = dict(string)
    matrix = np.eye(1)
    for q in QUBITS:
        matrix = np.kron(matrix, np.array(PAULI[letters.get(q, "I")]))
    return matrix


# --- channels -----------------------------------------------------------------------------------

ARGS = {1: (0.3,), 3: (0.1, 0.25, 0.4)}


@settings(max_examples=10)
@given(st.lists(gates(QUBITS), min_size=2, max_size=8))
@pytest.mark.parametrize("name", CHANNELS)
def test_every_channel_is_its_kraus_operators(name: str, segment: list[Gate]) -> None:
    spec = CHANNELS[name]
    qubits = (2, 0)[: spec.qubits]
    args = ARGS[spec.args]
    channel = Channel(name, qubits, tuple(map(Angle, args)))
    rho = run(straight(Unitary(tuple(segment)), channel)).states[0]
    before = DensityMatrix(Statevector(unitary(segment, QUBITS)[:, 0]))
    # Qiskit's first qubit is the least significant: give it the qubits the other way round.
    kraus = Kraus([np.array(k) for k in spec.kraus(*args)])
    after = before.evolve(kraus, qargs=[N - 1 - q for q in reversed(qubits)])
    assert np.allclose(rho, after.data, atol=1e-12)


def test_channels_are_what_their_words_say() -> None:
    """From the definitions in words, not from the table's matrices."""
    plus = Unitary((Gate("h", (0,)),))
    one = Unitary((Gate("x", (0,)),))

    def rho(op: Op, name: str, *args: float) -> np.ndarray:
        channel = Channel(name, (0,), tuple(map(Angle, args)))
        full = run(straight(op, channel)).states[0].reshape(2, 4, 2, 4)
        return np.trace(full, axis1=1, axis2=3)

    assert np.allclose(rho(one, "bit_flip", 0.2), np.diag([0.2, 0.8]))
    assert np.allclose(rho(one, "amplitude_damping", 0.2), np.diag([0.2, 0.8]))
    assert np.allclose(rho(one, "phase_damping", 0.2), np.diag([0, 1]))
    assert np.allclose(rho(plus, "phase_flip", 0.2), [[0.5, 0.3], [0.3, 0.5]])
    assert np.allclose(rho(plus, "phase_damping", 0.36), [[0.5, 0.4], [0.4, 0.5]])
    assert np.allclose(rho(plus, "depolarizing", 0.75), np.eye(2) / 2)
    assert np.allclose(rho(one, "depolarizing", 0.3), np.diag([0.2, 0.8]))
    assert np.allclose(rho(one, "pauli_channel", 0.1, 0.2, 0.3), np.diag([0.3, 0.7]))


# --- measure, if, reset -------------------------------------------------------------------------


@st.composite
def dynamic(draw: st.DrawFn) -> list[Op]:
    """A straight run of segments, measurements that steer gates, resets and noise."""
    ops: list[Op] = []
    for number in range(draw(st.integers(1, 4))):
        segment = st.lists(gates(QUBITS), min_size=1, max_size=4).map(tuple)
        ops.append(Unitary(draw(segment)))
        qubit = draw(st.sampled_from(QUBITS))
        kind = draw(st.sampled_from(("measure", "measure", "reset", "noise")))
        if kind == "reset":
            ops.append(Reset((qubit,)))
        elif kind == "noise":
            ops.append(Channel("amplitude_damping", (qubit,), (Angle(0.3),)))
        else:
            qubits = tuple(draw(st.permutations(QUBITS)))[: draw(st.integers(1, 2))]
            bits = Value(number, Type("bit", (len(qubits),)))
            ops.append(Measure(bits, qubits))
            index = draw(st.integers(0, len(qubits) - 1))
            orelse = (Unitary(draw(segment)),) if draw(st.booleans()) else ()
            ops.append(If(bits, index, (Unitary(draw(segment)),), orelse))
    return ops


def by_projectors(ops: list[Op]) -> np.ndarray:
    """The state at the end, as a sum over all outcomes of dense matrices."""
    start = np.zeros((1 << N, 1 << N), complex)
    start[0, 0] = 1
    cases: list[tuple[dict[int, tuple[int, ...]], np.ndarray]] = [({}, start)]

    def single(q: int, matrix: list[list[float]]) -> np.ndarray:
        return np.kron(np.kron(np.eye(1 << q), matrix), np.eye(1 << (N - 1 - q)))

    def step(op: Op, bits: dict[int, tuple[int, ...]], rho: np.ndarray) -> list[tuple]:  # type: ignore[type-arg]
        match op:
            case Unitary():
                u = unitary(op.elements, QUBITS)
                return [(bits, u @ rho @ u.conj().T)]
            case Reset():
                (q,) = op.qubits
                ks = [single(q, [[1, 0], [0, 0]]), single(q, [[0, 1], [0, 0]])]
                return [(bits, sum(k @ rho @ k.T for k in ks))]
            case Channel():
                (q,) = op.qubits
                ks = [
                    single(q, [[1, 0], [0, math.sqrt(0.7)]]),
                    single(q, [[0, math.sqrt(0.3)], [0, 0]]),
                ]
                return [(bits, sum(k @ rho @ k.T for k in ks))]
            case Measure():
                found = []
                for outcome in np.ndindex(*(2,) * len(op.qubits)):
                    p = np.eye(1 << N)
                    for q, bit in zip(op.qubits, outcome, strict=True):
                        p = p @ single(q, [[1 - bit, 0], [0, bit]])
                    found.append((bits | {op.out.id: outcome}, p @ rho @ p))
                return found
            case If():
                cases = [(bits, rho)]
                for inner in op.then if bits[op.condition.id][op.index] else op.orelse:
                    cases = [after for case in cases for after in step(inner, *case)]
                return cases
        raise AssertionError(op)

    for op in ops:
        cases = [after for case in cases for after in step(op, *case)]
    return sum(rho for _, rho in cases)


@settings(max_examples=80)
@given(dynamic(), st.lists(strings(QUBITS), min_size=1, max_size=3))
def test_dynamic_circuits_are_sums_over_outcomes(ops: list[Op], read: list[PauliString]) -> None:
    expected = by_projectors(ops)
    out, chances = Value(90, real(len(read))), Value(91, real(4))
    expect = Expect(out, tuple(((1.0, s),) for s in read))
    program = straight(
        *ops,
        expect,
        Probabilities(chances, (2, 0)),
        outputs=(Output("", out), Output("p", chances)),
    )
    for method in ("auto", "density"):
        result = run(program, method=method)
        assert np.allclose(result.states[0], as_density(expected, result.states[0]), atol=1e-11)
        values = [np.trace(dense(s) @ expected).real for s in read]
        assert np.allclose(result.outputs[""], values, atol=1e-11)
        diagonal = np.diagonal(expected).real.reshape(2, 2, 2)
        assert np.allclose(result.outputs["p"], diagonal.sum(axis=1).T.ravel(), atol=1e-11)


def as_density(rho: np.ndarray, like: np.ndarray) -> np.ndarray:
    """For a run that ended pure: the vector of the same projector, with its phase."""
    if like.ndim == 2:
        return rho
    return rho @ like  # |v><v|v> = |v>


def test_feed_forward_in_aer() -> None:
    """Teleportation with a wrong turn, so that bits matter: Aer's shots agree."""
    program = parse_program("""
program teleport {
  qubits q[3] at q0
  alloc q0, q1, q2
  unitary { ry(1.1) q0  rz(0.4) q0  h q1  cx q1, q2  cx q0, q1  h q0 }
  %a.0 : bit = measure q0
  %b.1 : bit = measure q1
  if %b.1 { unitary { x q2 } }
  if %a.0 { unitary { z q2  rx(0.5) q2 } } else { unitary { ry(0.7) q2 } }
  %z.2 : real[3] = expect [X2, Y2, Z2]
  return %z.2
  return a = %a.0
}""")
    exact = run(program).outputs
    for k, letter in enumerate("XYZ"):
        q, a, b, out = (
            QuantumRegister(3),
            ClassicalRegister(1),
            ClassicalRegister(1),
            ClassicalRegister(1),
        )
        circuit = QuantumCircuit(q, a, b, out)
        circuit.ry(1.1, 0)
        circuit.rz(0.4, 0)
        circuit.h(1)
        circuit.cx(1, 2)
        circuit.cx(0, 1)
        circuit.h(0)
        circuit.measure(0, a)
        circuit.measure(1, b)
        with circuit.if_test((b, 1)):
            circuit.x(2)
        with circuit.if_test((a, 1)) as orelse:
            circuit.z(2)
            circuit.rx(0.5, 2)
        with orelse:
            circuit.ry(0.7, 2)
        if letter == "Y":
            circuit.sdg(2)
        if letter != "Z":
            circuit.h(2)
        circuit.measure(2, out)
        shots = 20_000
        counts = AerSimulator(seed_simulator=7).run(circuit, shots=shots).result().get_counts()
        mean = sum(n * (1 - 2 * int(key.split()[0])) for key, n in counts.items()) / shots
        assert abs(mean - exact[""][k]) < 5 / math.sqrt(shots)
    assert np.isclose(exact["a"], 0.5)


def test_reset_of_half_a_bell_pair_is_not_one_trajectory() -> None:
    program = parse_program("""
program p {
  qubits q[2] at q0
  alloc q0, q1
  unitary { h q0  cx q0, q1 }
  reset q0
  %z.0 : real[3] = expect [Z0, Z1, X1]
  return %z.0
}""")
    assert np.allclose(run(program).outputs[""], [1, 0, 0])


# --- branches -----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(mixed_programs())
def test_joining_branches_changes_nothing(program: Program) -> None:
    given_inputs = arguments(program, length=2)
    try:
        joined = run(program, given_inputs)
    except RunError as error:
        # Only what generated programs can't rule out.
        assume("never happens" not in str(error) and "not |0" not in str(error))
        raise
    before = branches.merge
    with pytest.MonkeyPatch.context() as patch:
        from qrlang.backends.reference import interpreter

        patch.setattr(interpreter, "merge", lambda found, *_, **__: found)
        apart = run(program, given_inputs)
    assert branches.merge is before
    dense_run = run(program, given_inputs, method="density")
    for name, value in joined.outputs.items():
        assert np.allclose(value, apart.outputs[name], atol=1e-9, equal_nan=True)
        assert np.allclose(value, dense_run.outputs[name], atol=1e-9, equal_nan=True)
    assert np.allclose(joined.probabilities, apart.probabilities, atol=1e-9)


STAGGERED = """
program staggered {
  input %x.0 : seq[real]
  qubits memory[2] at q0
  alloc q0, q1
  loop step (%x.1 : real in %x.0) {
    unitary { ry(%x.1) q0  cx q0, q1  ry(0.3) q1 }
    %b.2 : bit = measure q0
    if %b.2 { unitary { rx(0.4) q1 } }
    reset q0
    %z.3 : real = neg(%b.2)
  } emit(bits %bits.4 : seq[bit] = %b.2, z %zs.5 : seq[real] = %z.3)
  return bits = %bits.4
  return z = %zs.5
}"""


def test_long_sequences_with_measurements_stay_cheap() -> None:
    result = run(parse_program(STAGGERED), {"x": np.linspace(0, 2, 60)})
    assert len(result.ensemble) == 1
    assert np.allclose(result.outputs["bits"], -result.outputs["z"])
    short = run(parse_program(STAGGERED), {"x": np.linspace(0, 2, 60)[:3]})
    assert np.allclose(short.outputs["bits"], result.outputs["bits"][:3])


def test_bits_that_are_all_still_needed_are_refused() -> None:
    program = parse_program("""
program keeps {
  input %x.0 : seq[real]
  qubits q[1] at q0
  %none.8 : real = const [0.0]
  alloc q0
  loop step (%x.1 : real in %x.0) carry(%sum.2 : real = %none.8) {
    unitary { h q0 }
    %b.3 : bit = measure q0
    %half.4 : real = mul(%sum.2, %x.1)
    %next.5 : real = add(%half.4, %b.3)
  } next(%total.6 : real = %next.5)
  return %total.6
}""")
    result = run(program, {"x": [0.5] * 6})
    assert len(result.ensemble) == 1  # only the output needs it: averaged at the end
    assert np.isclose(result.outputs[""], 0.5 * (1 - 0.5**6) / 0.5)
    with pytest.raises(RunError, match="4096 different outcomes"):
        run(program, {"x": [0.5] * 14})


def test_a_bit_from_before_a_loop_steers_every_step() -> None:
    """It is needed again only in the next step, or deep in a body: it has to be kept."""
    program = parse_program("""
program p {
  input %x.0 : seq[real]
  qubits q[2] at q0
  alloc q0, q1
  unitary { h q0 }
  %b.1 : bit = measure q0
  %c.2 : bit = measure q0
  reset q0
  loop step (%x.3 : real in %x.0) {
    if %b.1 { unitary { ry(%x.3) q1 } }
    unitary { h q0 }
    %d.4 : bit = measure q0
    reset q0
    if %d.4 { if %d.4 { unitary { ry(%c.2) q1 } } }
  }
  %z.5 : real[1] = expect [Z1]
  return %z.5
}""")
    x = [0.4, 0.9]
    flips = [(0, 0.25), (1, 0.5), (2, 0.25)]  # how often d was 1 in two steps
    expected = 0.5 + 0.5 * sum(p * math.cos(sum(x) + k) for k, p in flips)
    assert np.isclose(run(program, {"x": x}).outputs[""][0], expected)


def test_a_bit_that_only_an_output_needs_still_feels_a_later_selection() -> None:
    program = parse_program("""
program p {
  qubits q[2] at q0
  alloc q0, q1
  unitary { h q0  cx q0, q1 }
  %b.0 : bit = measure q0
  reset q0
  %p.1 : real = postselect q1 = 1
  return b = %b.0
  return p = %p.1
}""")
    outputs = run(program).outputs
    assert outputs["b"] == 1 and np.isclose(outputs["p"], 0.5)


def test_correlation_through_bits_between_two_spaces() -> None:
    """Two layers steered by one bit: neither knows the other's state, and yet they agree."""
    program = parse_program("""
program correlated {
  qubits a[1] at q0
  qubits b[1] at q1 space 1
  qubits c[1] at q2 space 2
  alloc q0, q1, q2
  unitary { h q0 }
  %m.0 : bit = measure q0
  if %m.0 { unitary { x q1  x q2 } }
  reset q0
  %y.1 : bit = measure q1
  %z.2 : bit = measure q2
  %both.3 : real = mul(%y.1, %z.2)
  return %both.3
}""")
    assert np.isclose(run(program).outputs[""], 0.5)  # not 1/4


# --- post-selection, weak readouts, shots -------------------------------------------------------


def test_postselection_renormalises() -> None:
    program = parse_program("""
program p {
  qubits q[2] at q0
  alloc q0, q1
  unitary { ry(1.0) q0  cx q0, q1  ry(0.5) q1 }
  %p.0 : real = postselect q1 = 1
  %z.1 : real[1] = expect [Z0]
  return p = %p.0
  return z = %z.1
}""")
    circuit = QuantumCircuit(2)
    circuit.ry(1.0, 0)
    circuit.cx(0, 1)
    circuit.ry(0.5, 1)
    chances = Statevector(circuit).probabilities_dict()  # letters: qubit 1, qubit 0
    p = chances["10"] + chances["11"]
    result = run(program)
    assert np.isclose(result.outputs["p"], p) and np.allclose(result.probabilities, [p])
    assert np.allclose(result.outputs["z"], (chances["10"] - chances["11"]) / p)


def test_postselection_changes_the_shares_of_branches() -> None:
    """q1 is 1 with 1/4 or 3/4, by the bit: after selecting 1 the bit is 1 in 3/4 of the shots."""
    quarter = 2 * math.asin(0.5)
    program = parse_program(f"""
program p {{
  qubits q[2] at q0
  alloc q0, q1
  unitary {{ h q0 }}
  %b.0 : bit = measure q0
  if %b.0 {{ unitary {{ ry({math.pi - quarter}) q1 }} }} else {{ unitary {{ ry({quarter}) q1 }} }}
  %early.3 : real[1] = expect [Z0]
  %p.1 : real = postselect q1 = 1
  %z.2 : real[1] = expect [Z0]
  return b = %b.0
  return p = %p.1
  return z = %z.2
  return early = %early.3
}}""")
    outputs = run(program).outputs
    assert np.isclose(outputs["b"], 0.75) and np.isclose(outputs["p"], 0.5)
    assert np.allclose(outputs["z"], -0.5) and np.allclose(outputs["early"], 0)


def test_postselection_on_what_never_happens() -> None:
    program = parse_program("""
program p { qubits q[1] at q0  alloc q0  %p.0 : real = postselect q0 = 1  return %p.0 }""")
    with pytest.raises(RunError, match="never happens"):
        run(program)


@settings(max_examples=30)
@given(
    st.lists(gates(QUBITS), min_size=3, max_size=10),
    st.lists(strings(QUBITS), min_size=1, max_size=3),
    st.floats(0.1, math.pi / 2),
)
def test_weak_readouts_are_the_ancilla_circuit(
    segment: list[Gate], read: list[PauliString], theta: float
) -> None:
    state = unitary(segment, QUBITS)[:, 0]
    rho = np.outer(state, state.conj())
    expected = []
    for string in read:  # a fresh ancilla, last in the product
        p = np.kron(dense(string), np.array(PAULI["X"]))
        u = math.cos(theta / 2) * np.eye(2 << N) - 1j * math.sin(theta / 2) * p
        joint = u @ np.kron(rho, np.diag([1, 0])) @ u.conj().T
        y = np.kron(np.eye(1 << N), np.array(PAULI["Y"]))
        expected.append(-np.trace(joint @ y).real / math.sin(theta))
        rho = np.trace(joint.reshape(1 << N, 2, 1 << N, 2), axis1=1, axis2=3)
    out = Value(0, real(len(read)))
    expect = Expect(out, tuple(((1.0, s),) for s in read), weak=theta)
    result = run(straight(Unitary(tuple(segment)), expect, outputs=(Output("", out),)))
    assert np.allclose(result.outputs[""], expected, atol=1e-10)
    assert np.allclose(result.states[0], rho, atol=1e-10)


SHOTS = """
program p {
  qubits q[2] at q0
  alloc q0, q1
  unitary { ry(1.0) q0  rx(0.4) q0  cx q0, q1  ry(0.8) q1 }
  %z.0 : real[4] = expect [Z0, 0.5*X0 Y1 - Z1 + I, X0, Y0 Z1] shots 400 SETTINGS
  %e.1 : real[4] = expect [Z0, 0.5*X0 Y1 - Z1 + I, X0, Y0 Z1]
  %p.2 : real[4] = probs q1, q0 shots 400
  %d.3 : real[4] = probs q1, q0
  return z = %z.0
  return e = %e.1
  return p = %p.2
  return d = %d.3
}"""


@pytest.mark.parametrize("method", ["statevector", "density"])
def test_shots_scatter_as_they_should(method: str) -> None:
    program = parse_program(SHOTS.replace("SETTINGS", ""))
    runs = [run(program, seed=s, method=method).outputs for s in range(300)]
    found = np.array([r["z"] for r in runs])
    exact = runs[0]["e"]
    error = found.std(axis=0)
    assert np.all(np.abs(found.mean(axis=0) - exact) < 5 * error / math.sqrt(len(runs)))
    # One Pauli: sqrt((1 - z^2) / shots). The sum: two settings, X0 Y1 and Z1, added.
    variances = 1 - exact**2
    two = run(parse_program(SHOTS.replace("SETTINGS", "").replace("0.5*X0 Y1 - Z1 + I", "X0 Y1")))
    xy = two.outputs["e"][1]
    z1 = 0.5 * xy + 1 - exact[1]
    variances[1] = 0.25 * (1 - xy**2) + (1 - z1**2)
    assert np.allclose(error, np.sqrt(variances / 400), rtol=0.25)
    chances = np.array([r["p"] for r in runs])
    assert np.allclose(chances.mean(axis=0), runs[0]["d"], atol=0.01)
    assert np.allclose(chances.sum(axis=1), 1)


def test_shots_in_one_setting_share_their_samples() -> None:
    """Z0 and Z1 of a Bell pair, measured together, agree in every shot; apart they don't."""
    text = """
program p {
  qubits q[2] at q0
  alloc q0, q1
  unitary { h q0  cx q0, q1 }
  %z.0 : real[2] = expect [Z0, Z1] shots 101 SETTINGS
  return %z.0
}"""
    together = parse_program(text.replace("SETTINGS", "settings [0, 1]"))
    apart = parse_program(text.replace("SETTINGS", ""))
    pairs = [run(together, seed=s).outputs[""] for s in range(20)]
    assert all(a == b for a, b in pairs)
    assert any(a != b for a, b in (run(apart, seed=s).outputs[""] for s in range(20)))
    assert np.array_equal(run(apart, seed=3).outputs[""], run(apart, seed=3).outputs[""])


def test_shots_of_a_mixture() -> None:
    """Sampling goes over branches too: the average of a measured qubit is 0, not one branch's."""
    program = parse_program("""
program p {
  qubits q[1] at q0
  alloc q0
  unitary { h q0 }
  %b.0 : bit = measure q0
  %z.1 : real[1] = expect [Z0] shots 10000
  return z = %z.1
  return b = %b.0
}""")
    assert abs(run(program, seed=1).outputs["z"][0]) < 0.05


def test_methods_that_do_not_fit() -> None:
    noisy = straight(Channel("bit_flip", (0,), (Angle(0.1),)))
    with pytest.raises(RunError, match="bit_flip makes a mixed state"):
        run(noisy, method="statevector")
    with pytest.raises(RunError, match="no method 'tensor'"):
        run(noisy, method="tensor")


def test_maximally_mixed_qubits() -> None:
    program = parse_program("""
program p {
  qubits q[3] at q0
  alloc q0, q2 mixed
  alloc q1
  unitary { cx q0, q1 }
  %z.0 : real[4] = expect [Z0, Z1, Z0 Z1, Z2]
  return %z.0
}""")
    assert np.allclose(run(program).outputs[""], [0, 0, 1, 0])


def test_pauli_matrices_are_qiskits() -> None:
    assert np.allclose(dense(((0, "X"), (2, "Y"))), Operator(Pauli("XIY")).data)
