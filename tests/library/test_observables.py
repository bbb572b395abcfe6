"""Readouts and Hamiltonians of the standard library against dense matrices."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from library_tools import check, report, std_items
from qiskit.quantum_info import SparsePauliOp
from scipy.linalg import expm

from qrlang.backends.reference import run
from qrlang.syntax import ast


def op(n: int, *terms: tuple[float, dict[int, str]]) -> np.ndarray:
    """A sum of Pauli strings by Qiskit; qubit 0 the most significant."""
    words = [("".join(t.get(i, "I") for i in range(n)), c) for c, t in terms]
    return np.asarray(SparsePauliOp.from_list(words or [("I" * n, 0)]).to_matrix())


def neighbours(n: int, ring: bool = False) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(n - 1)] + ([(n - 1, 0)] if ring and n > 2 else [])


def state(n: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    v = rng.normal(size=2**n) + 1j * rng.normal(size=2**n)
    return v / np.linalg.norm(v)


def read(text: str, psi: np.ndarray, **more: object) -> np.ndarray:
    checked, diagnostics = check(text)
    assert not [d for d in diagnostics if d.severity == "error"], report(diagnostics)
    return run(checked.models["M"].program, {"psi": psi, **more}).outputs[""]


READOUTS: dict[str, Callable[[int], list[np.ndarray]]] = {
    "each_z": lambda n: [op(n, (1, {i: "Z"})) for i in range(n)],
    "each_x": lambda n: [op(n, (1, {i: "X"})) for i in range(n)],
    "each_y": lambda n: [op(n, (1, {i: "Y"})) for i in range(n)],
    "each_xyz": lambda n: [op(n, (1, {i: p})) for i in range(n) for p in "XYZ"],
    "first_z": lambda n: [op(n, (1, {0: "Z"}))],
    "zz_line": lambda n: [op(n, (1, {i: "Z", j: "Z"})) for i, j in neighbours(n)],
    "zz_ring": lambda n: [op(n, (1, {i: "Z", j: "Z"})) for i, j in neighbours(n, True)],
    "zz_pairs": lambda n: [op(n, (1, {i: "Z", j: "Z"})) for i, j in combinations(range(n), 2)],
    "z_and_zz": lambda n: READOUTS["each_z"](n) + READOUTS["zz_pairs"](n),
    "xx_line": lambda n: [op(n, (1, {i: "X", j: "X"})) for i, j in neighbours(n)],
    "parity": lambda n: [op(n, (1, dict.fromkeys(range(n), "Z")))],
    "magnetisation": lambda n: [op(n, *((1 / n, {i: "Z"}) for i in range(n)))],
    "string_order": lambda n: [
        op(n, (1, {0: "Z", (n - 1) // 2 * 2: "Z"} | dict.fromkeys(range(1, n - 1, 2), "X")))
    ],
}


@pytest.mark.parametrize("name", READOUTS)
def test_readout(name: str) -> None:
    for n in range(3 if name == "string_order" else 2, 6):
        wanted = READOUTS[name](n)
        text = (
            f"use std.readout.{name}\nmodel M {{\n  input psi: state[{n}]\n"
            f"  target y: real[{len(wanted)}]\n  qubits q[{n}]\n  prepare psi on q\n"
            f"  return read {name}(q)\n}}\n"
        )
        psi = state(n)
        got = read(text, psi)
        assert np.allclose(got, [np.vdot(psi, o @ psi).real for o in wanted], atol=1e-12)


def test_every_readout_is_held_against_something() -> None:
    assert {f"readout.{name}" for name in READOUTS} == set(std_items(ast.ReadoutDef))


def _pairs(n: int, j: np.ndarray) -> list[tuple[float, tuple[int, int]]]:
    return list(zip(j.tolist(), combinations(range(n), 2), strict=True))


def _exchange(n: int, letters: str, c: float, ring: bool) -> list[tuple[float, dict[int, str]]]:
    return [(c, {i: p, j: p}) for i, j in neighbours(n, ring) for p in letters]


HAMILTONIANS: dict[str, tuple[Callable[[int], dict[str, int]], Callable[..., np.ndarray]]] = {
    "tfim": (
        lambda n: {"J": 1, "h": 1},
        lambda n, J, h, ring=False: op(
            n, *_exchange(n, "Z", -J[0], ring), *((-h[0], {i: "X"}) for i in range(n))
        ),
    ),
    "heisenberg": (
        lambda n: {"J": 1},
        lambda n, J, ring=False: op(n, *_exchange(n, "XYZ", J[0], ring)),
    ),
    "xxz": (
        lambda n: {"J": 1, "delta": 1},
        lambda n, J, delta, ring=False: op(
            n, *_exchange(n, "XY", J[0], ring), *_exchange(n, "Z", J[0] * delta[0], ring)
        ),
    ),
    "xy": (
        lambda n: {"J": 1},
        lambda n, J, ring=False: op(n, *_exchange(n, "XY", J[0] / 2, ring)),
    ),
    "cluster_ising": (
        lambda n: {"J": 1, "h": 1, "k": 1},
        lambda n, J, h, k: op(
            n,
            *((-J[0], {i: "Z", i + 1: "X", i + 2: "Z"}) for i in range(n - 2)),
            *((-h[0], {i: "X"}) for i in range(n)),
            *_exchange(n, "X", -k[0], False),
        ),
    ),
    "spin_glass": (
        lambda n: {"J": n * (n - 1) // 2, "h": n},
        lambda n, J, h: op(
            n,
            *((c, {i: "Z", j: "Z"}) for c, (i, j) in _pairs(n, J)),
            *((h[i], {i: "Z"}) for i in range(n)),
        ),
    ),
    "reservoir": (
        lambda n: {"J": n * (n - 1) // 2, "h": 1},
        lambda n, J, h: op(
            n,
            *((c, {i: "X", j: "X"}) for c, (i, j) in _pairs(n, J)),
            *((h[0], {i: "Z"}) for i in range(n)),
        ),
    ),
}
RINGS = ("tfim", "heisenberg", "xxz", "xy")


@pytest.mark.parametrize("name", HAMILTONIANS)
def test_hamiltonian_as_an_energy_and_as_an_evolution(name: str) -> None:
    sizes, dense = HAMILTONIANS[name]
    for n in (2, 3, 4) if name != "cluster_ising" else (3, 4):
        for ring in (False, True) if name in RINGS else (False,):
            rng = np.random.default_rng(n)
            values = {k: rng.normal(size=c) for k, c in sizes(n).items()}
            h = dense(n, **values, **({"ring": True} if ring else {}))
            given = f"({', '.join(values)})"
            params = "(ring: true)" if ring else ""
            inputs = "".join(f"  input {k}: real[{len(v)}]\n" for k, v in values.items())
            start = f"use std.hamiltonian.{name}\nuse std.readout.each_xyz\nmodel M {{\n"
            body = f"  input psi: state[{n}]\n{inputs}  qubits q[{n}]\n  prepare psi on q\n"

            energy = f"  target y: real[1]\n  return read {name}{params}{given}(q)\n"
            psi = state(n)
            got = read(f"{start}{body}{energy}}}\n", psi, **values)
            assert np.allclose(got, np.vdot(psi, h @ psi).real)

            evolve = f"  apply {name}{params}{given} for 0.7 to q\n"
            reads = f"  target y: real[{3 * n}]\n  return read each_xyz(q)\n"
            got = read(f"{start}{body}{evolve}{reads}}}\n", psi, **values)
            after = expm(-0.7j * h) @ psi
            wanted = [np.vdot(after, o @ after).real for o in READOUTS["each_xyz"](n)]
            assert np.allclose(got, wanted, atol=1e-9)


def test_every_hamiltonian_is_held_against_something() -> None:
    assert {f"hamiltonian.{name}" for name in HAMILTONIANS} == set(std_items(ast.Hamiltonian))
