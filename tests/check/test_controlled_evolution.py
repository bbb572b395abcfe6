"""`ctrl @` on an evolution, against matrices."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from qrlang.backends.reference import run
from qrlang.check import check_file
from qrlang.diagnostics import Diagnostic
from qrlang.ir.program import Program
from qrlang.ir.verify import verify
from qrlang.source import Source
from qrlang.syntax.parser import parse

I2, X, Z = np.eye(2), np.array([[0, 1], [1, 0]]), np.diag([1, -1])
Matrix = np.ndarray[Any, Any]

MODEL = """
hamiltonian pair on q: qubit[2] with j: real, g: real =
  j * Z(q[0]) * Z(q[1]) + g * X(q[0]) + 0.4 * X(q[1]) + 0.7 * I
model M {{
  input v: real[2]
  target y: real[16]
  qubits c[2], q[2]
  h c
  ry(0.3) q[0]
  rx(0.8) c[0]
  {line}
  h c
  return read all(c, q)
}}
"""


def kron(*parts: Matrix) -> Matrix:
    out = np.eye(1)
    for part in parts:
        out = np.kron(out, part)
    return out


def evolution(terms: list[Matrix], time: float, trotter: int) -> Matrix:
    def exponential(h: Matrix, t: float) -> Matrix:
        values, vectors = np.linalg.eigh(h)
        return (vectors * np.exp(-1j * t * values)) @ vectors.conj().T

    if not trotter:
        return exponential(sum(terms, start=np.zeros((4, 4))), time)
    step = np.eye(4)
    for term in terms:
        step = exponential(term, time / trotter) @ step
    return np.linalg.matrix_power(step, trotter)


def checked(line: str) -> tuple[Program | None, tuple[Diagnostic, ...]]:
    text = MODEL.format(line=line)
    words = [
        " * ".join(f"{p}({r})" for p, r in zip(w, ("a[0]", "a[1]", "b[0]", "b[1]"), strict=True))
        for w in product("XZ", repeat=4)
    ]
    text += f"readout all on a: qubit[2], b: qubit[2] = [{', '.join(words)}]\n"
    file, syntax = parse(Source("m.qrl", text))
    assert not syntax
    result, found = check_file(file)
    return (result.models["M"].program if result.models else None), found


@pytest.mark.parametrize("trotter", [0, 3])
@pytest.mark.parametrize(
    ("modifiers", "pattern", "sign"),
    [
        ("ctrl @ ctrl", (1, 1), 1),
        ("ctrl @ negctrl", (1, 0), 1),
        ("inv @ negctrl @ ctrl", (0, 1), -1),
        ("ctrl(2) @ pow(2)", (1, 1), 2),
    ],
)
def test_against_matrices(
    modifiers: str, pattern: tuple[int, int], sign: int, trotter: int
) -> None:
    steps = f" trotter {trotter}" if trotter else ""
    line = f"apply {modifiers} @ pair(v[0], 1.1) for v[1]{steps} to c[0], c[1], q"
    program, found = checked(line)
    assert program is not None and not found, found
    assert not verify(program)
    v = np.array([0.9, 0.6])
    terms = [v[0] * kron(Z, Z), 1.1 * kron(X, I2), 0.4 * kron(I2, X), 0.7 * np.eye(4)]
    u = evolution(terms, v[1], trotter)
    u = u.conj().T if sign < 0 else np.linalg.matrix_power(u, sign)
    whole = np.eye(16, dtype=complex)
    at = 4 * (2 * pattern[0] + pattern[1])
    whole[at : at + 4, at : at + 4] = u
    h = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    rx = np.cos(0.4) * I2 - 1j * np.sin(0.4) * X
    ry = np.array([[np.cos(0.15), -np.sin(0.15)], [np.sin(0.15), np.cos(0.15)]])
    state = kron(rx @ h, h, ry, I2) @ np.eye(16)[0]
    state = kron(h, h, I2, I2) @ whole @ state
    letters = {"X": X, "Z": Z}
    expected = [
        np.real(state.conj() @ kron(*(letters[x] for x in word)) @ state)
        for word in product("XZ", repeat=4)
    ]
    got = run(program, {"v": v}).outputs[""]
    np.testing.assert_allclose(got, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("apply ctrl @ pair(1, 1) for 1 to c[0], c[0], q[0]", "E0501"),
        ("apply ctrl(7) @ pair(1, 1) for 1 to c[0], q", "E0502"),
        ("apply pow(0.5) @ pair(1, 1) for 1 trotter 2 to q", "E0507"),
    ],
)
def test_what_is_refused(line: str, code: str) -> None:
    program, found = checked(line)
    assert program is None and [d.code for d in found] == [code]


def test_a_real_power_of_an_exact_evolution() -> None:
    half, _ = checked("apply pow(0.5) @ pair(1, 1) for v[0] to q")
    whole, _ = checked("apply pair(1, 1) for 0.5 * v[0] to q")
    assert half is not None and whole is not None and half.body == whole.body
