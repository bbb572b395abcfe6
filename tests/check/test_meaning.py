"""What a program computes, against the same written in NumPy by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from check_programs import PROGRAMS

from qrlang.backends.reference import run
from qrlang.check import check_file
from qrlang.ir.program import Program
from qrlang.ir.types import Type
from qrlang.source import Source
from qrlang.syntax.parser import parse


def program(text: str) -> Program:
    file, _ = parse(Source("case.qrl", text))
    checked, found = check_file(file)
    assert not [d for d in found if d.severity == "error"], found
    (model,) = checked.models.values()
    return model.program


def value(text: str, **inputs: Any) -> np.ndarray:
    return run(program(f"model M() {{ {text} }}"), inputs).outputs[""]


X = np.array([[0.3, -1.2, 0.7], [2.0, 0.1, -0.4]])
V = np.array([0.5, -0.25, 1.5])
SIGMOID = 1 / (1 + np.exp(-V))
SOFTMAX = np.exp(V) / np.exp(V).sum()

CLASSICAL = {
    "matmul(x, v)": X @ V,
    "transpose(x)": X.T,
    "reshape(x, 3, 2)[2, 1]": X.reshape(3, 2)[2, 1],
    "x[1]": X[1],
    "x[.., 1]": X[:, 1],
    "x[0, 1..]": X[0, 1:],
    "x[0..2, 0..3 by 2]": X[:, ::2],
    "v[[2, 0, 2]]": V[[2, 0, 2]],
    "2 * v - v / 4 + 1": 2 * V - V / 4 + 1,
    "1 - v ** 2": 1 - V**2,
    "1 / (v + 3)": 1 / (V + 3),
    "-v * v": -V * V,
    "v[0] * v[1] + v[2] / 2 - 1": V[0] * V[1] + V[2] / 2 - 1,
    "sin(v[1] * v[1] + 0.5)": np.sin(V[1] ** 2 + 0.5),
    "[sin(2 * v[i] + 1) for i in 0..3]": np.sin(2 * V + 1),
    "[v[0], 2 * v[2], 1]": np.array([V[0], 2 * V[2], 1]),
    "softmax(v)": SOFTMAX,
    "sigmoid(v)": SIGMOID,
    "normalize(v)": V / np.linalg.norm(V),
    "[sum(v), mean(v), max(v), min(v), prod(v), norm(v)]": np.array(
        [V.sum(), V.mean(), V.max(), V.min(), V.prod(), np.linalg.norm(V)]
    ),
    "dot(v, x[0])": V @ X[0],
    "outer(v, x[0])": np.outer(V, X[0]),
    "concat(x, v, 4)": np.concatenate([X.ravel(), V, [4]]),
    "glu(concat(v, 1))": np.array([V[0] / (1 + np.exp(-V[2])), V[1] / (1 + np.exp(-1))]),
    "clamp(v, -0.1, 1)": V.clip(-0.1, 1),
    "where(v, 1, 0)": (V > 0.5).astype(float),
    "minimum(v, 0.2)": np.minimum(V, 0.2),
    "push(x, v)": np.stack([X[1], V]),
    "sum([v[i] * x[0, i] for i in 0..3])": V @ X[0],
    "[i * i for i in 0..4 if i != 2]": np.array([0, 1, 9]),
    "flatten(x) + zeros(6) + ones(6)": X.ravel() + 1,
    "relu(v - 1) + abs(v)": np.maximum(V - 1, 0) + abs(V),
    "(7 div 2) * v + (7 % 4)": 3 * V + 3,
}


@pytest.mark.parametrize("expression", CLASSICAL)
def test_expressions(expression: str) -> None:
    found = value(f"input x: real[2, 3]  input v: real[3]  return {expression}", x=X, v=V)
    np.testing.assert_allclose(found, CLASSICAL[expression], atol=1e-12)


S = np.array([[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]])
SEQUENCES = {
    "last(s)": S[-1],
    "last(s, 2)": S[1:],
    "last(reversed(s))": S[0],
    "last(shifted(s))": S[1],
    "mean(s)": S.mean(0),
    "sum(s)": S.sum(0),
    "max(s)": S.max(0),
}


@pytest.mark.parametrize("expression", SEQUENCES)
def test_sequences(expression: str) -> None:
    found = value(f"input s: seq[real[2]]  return {expression}", s=S)
    np.testing.assert_allclose(found, SEQUENCES[expression], atol=1e-12)


def test_carries_are_updated_in_order() -> None:
    text = """
    input s: seq[real[2]]
    carry c: real[2] = 1
    carry h: real[2] = 0
    step t in s { c <- 0.5 * c + t  h <- h + c }
    return concat(h, c)"""
    c, h = np.ones(2), np.zeros(2)
    for t in S:
        c = 0.5 * c + t
        h = h + c
    np.testing.assert_allclose(value(text, s=S), np.concatenate([h, c]))


def test_attention_over_a_window_is_that_over_a_sequence() -> None:
    for kind in ("dot", "scaled"):
        text = f"""
        input s: seq[real[2]]
        input q: real[2]
        carry past: real[3, 2] = 0
        attention look = {kind}
        step t in s {{ past <- push(past, t) }}
        return concat(look(q, over: past), look(q, over: s))"""
        q = np.array([0.7, -1.1])
        found = value(text, s=S, q=q)
        scores = S @ q / (np.sqrt(2) if kind == "scaled" else 1)
        weights = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(found, np.tile(weights @ S, 2), atol=1e-12)


@pytest.mark.parametrize("kind", ["bilinear", "additive(5)"])
def test_trained_attention_agrees_on_window_and_sequence(kind: str) -> None:
    text = f"""
    input s: seq[real[2]]
    input q: real[3]
    carry past: real[3, 2] = 0
    attention look = {kind}
    step t in s {{ past <- push(past, t) }}
    return concat(look(q, over: past), look(q, over: s))"""
    found = value(text, s=S, q=np.array([0.7, -1.1, 0.2]))
    np.testing.assert_allclose(found[:2], found[2:], atol=1e-12)


PAULI = {
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1.0, -1.0]),
}


def test_observables_and_gates() -> None:
    a = np.array([0.4, 1.1, -0.7])
    found = value(
        """
        input a: angle[3]
        qubits q[2]
        rx(a[0]) q[0]
        ctrl @ ry(a[1]) q[0], q[1]
        inv @ rz(a[2]) q[1]
        return read [Z(q[0]), X(q[0]) * Y(q[1]), 0.5 * Z(q[1]) - 2 * X(q[1]) + 3]""",
        a=a,
    )

    def rotation(letter: str, angle: float) -> np.ndarray:
        return np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULI[letter]

    one = np.eye(2)
    controlled = np.kron(np.diag([1, 0]), one) + np.kron(np.diag([0, 1]), rotation("Y", a[1]))
    psi = np.zeros(4)
    psi[0] = 1
    state = (
        np.kron(one, rotation("Z", -a[2])) @ controlled @ np.kron(rotation("X", a[0]), one) @ psi
    )
    observables = [
        np.kron(PAULI["Z"], one),
        np.kron(PAULI["X"], PAULI["Y"]),
        0.5 * np.kron(one, PAULI["Z"]) - 2 * np.kron(one, PAULI["X"]) + 3 * np.eye(4),
    ]
    expected = [(state.conj() @ o @ state).real for o in observables]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_block_and_its_inverse_are_nothing() -> None:
    found = value(
        """
        input a: angle[4]
        qubits q[2], c[1]
        h q
        h c
        apply pow(3) @ block(a) to q
        apply inv @ pow(3) @ block(a) to q
        apply ctrl @ block(a) to c, q
        apply inv @ ctrl @ block(a) to c, q
        return read [X(q[0]), X(q[1]), X(c[0])] }
        ansatz block on q: qubit[n] with a: angle[4] {
          u(a[0], a[1], a[2]) q[0]  iswap q[0], q[1]  sx q[1]  xx_plus_yy(a[3]) q[1], q[0]
          r(a[1], a[2]) q[1]  t q[0]
        """,
        a=np.array([0.3, -0.8, 1.9, 0.5]),
    )
    np.testing.assert_allclose(found, 1, atol=1e-10)


def test_a_hamiltonian_with_run_time_coefficients_is_read_by_its_terms() -> None:
    text = """
    hamiltonian field on q: qubit[n] with J: real, h: real[n] =
      J * Z(q[0]) * Z(q[1]) + sum([h[i] * X(q[i]) for i in 0..n])
    model M() { input J: real  input h: real[2]  qubits q[2]  ry(0.4) q[0]  cx q[0], q[1]
      return read field(J, h)(q) }"""
    found = run(program(text), {"J": 1.7, "h": [0.3, -0.2]}).outputs[""]
    # ⟨ZZ⟩ = 1, ⟨X0⟩ = ⟨X1⟩ = 0 on cos|00⟩ + sin|11⟩
    np.testing.assert_allclose(found, 1.7, atol=1e-12)


def test_extra_steps_see_the_flag_and_zeros() -> None:
    text = """
    input s: seq[real[2]]
    carry seen: real[2] = 0
    carry flags: real = 0
    step t in s then 2 as ended { seen <- seen + t  flags <- flags + ended }
    return concat(seen, flags)"""
    np.testing.assert_allclose(value(text, s=S), [*S.sum(0), 2])


def numbers(kind: Type, rng: np.random.Generator) -> Any:
    def moment() -> Any:
        if kind.kind in ("token", "class"):
            return int(rng.integers(kind.size))
        if kind.kind == "unitary":
            size = 2**kind.size
            return np.linalg.qr(rng.normal(size=(size, size)))[0]
        if kind.kind == "state":
            v = rng.normal(size=2**kind.size)
            return v / np.linalg.norm(v)
        return rng.uniform(0.1, 0.9, kind.shape)

    return np.array([moment() for _ in range(3)]) if kind.seq else moment()


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_runs(name: str) -> None:
    found = program(PROGRAMS[name])
    rng = np.random.default_rng(1)
    inputs = {v.name: numbers(v.type, rng) for v in found.inputs}
    targets = {v.name: numbers(v.type, rng) for v in found.targets}
    externs = {e.name: lambda x: np.asarray(x)[:3] for e in found.externs}
    result = run(found, inputs, targets, externs=externs).outputs[""]
    assert np.all(np.isfinite(result))
