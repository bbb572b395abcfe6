"""Many runs of a circuit at once, each with its own angles: no fewer gates than are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from qrlang.analysis.circuits import AnyAngle, FlatGate, Product, flat_element
from qrlang.gates import GATES, pauli_matrix
from qrlang.ir import pauli
from qrlang.ir.program import Evolve, Program, Unitary
from qrlang.probe.subject import Array


def states(program: Program, theta: Array) -> Array:
    """[batch, 2^n] from |0…0⟩: the program's only register at each row of its only values."""
    n, batch = program.registers[0].size, len(theta)
    found = np.zeros((batch, 1 << n), complex)
    found[:, 0] = 1
    found = found.reshape(batch, *(2,) * n)
    for op in program.body:
        if isinstance(op, Unitary):
            for element in op.elements:
                for gate in flat_element(element):
                    found = _gate(found, gate, theta)
        elif isinstance(op, Evolve):
            found = _evolve(found, op, theta, n)
    return found.reshape(batch, -1)


def number(angle: AnyAngle, theta: Array) -> Array:
    if isinstance(angle, Product):
        return np.asarray(angle.factor * number(angle.a, theta) * number(angle.b, theta))
    found = np.full(len(theta), angle.constant)
    for term in angle.terms:
        found = found + term.coefficient * theta[:, term.index]
    return found


def _gate(states: Array, gate: FlatGate, theta: Array) -> Array:
    angles = [number(a, theta) for a in gate.angles]
    matrices = _matrices(gate.name, angles, len(theta))
    where: list[Any] = [slice(None)] * states.ndim
    for q in gate.controls:
        where[q + 1] = 1
    for q in gate.zeros:
        where[q + 1] = 0
    fixed = sorted((*gate.controls, *gate.zeros))
    axes = [q + 1 - sum(f < q for f in fixed) for q in gate.qubits]
    out = states.copy()
    part = out[tuple(where)]
    k = len(axes)
    front = np.moveaxis(part, axes, range(1, k + 1))
    shape = front.shape
    turned = (matrices @ front.reshape(len(states), 1 << k, -1)).reshape(shape)
    out[tuple(where)] = np.moveaxis(turned, range(1, k + 1), axes)
    return out


def _matrices(name: str, angles: list[Array], batch: int) -> Array:
    """[batch or 1, d, d]"""
    spec = GATES[name]
    if not angles:
        return np.array(spec.matrix(), complex)[None]
    if spec.pauli:
        half = angles[0][:, None, None] / 2
        word = np.array(pauli_matrix(spec.pauli), complex)
        return np.asarray(np.cos(half) * np.eye(len(word)) - 1j * np.sin(half) * word)
    return np.array([spec.matrix(*(float(a[k]) for a in angles)) for k in range(batch)], complex)


def _evolve(states: Array, op: Evolve, theta: Array, n: int) -> Array:
    """exp(-i t H); Trotter's steps where the program says so."""
    shape = states.shape
    rows = states.reshape(len(theta), -1, 1)
    time = number(op.time, theta)[:, None]
    words = [(number(c, theta), _word(string, n)) for c, string in op.terms]
    if op.trotter:
        for _ in range(op.trotter):
            for c, word in words:
                half = (c[:, None] * time / op.trotter)[..., None]
                rows = np.cos(half) * rows - 1j * np.sin(half) * (word @ rows)
        return np.asarray(rows).reshape(shape)
    for k in range(len(theta)):
        h = sum(c[k] * word for c, word in words)
        values, vectors = np.linalg.eigh(np.asarray(h))
        rows[k] = vectors @ (np.exp(-1j * time[k] * values)[:, None] * (vectors.conj().T @ rows[k]))
    return np.asarray(rows).reshape(shape)


def _word(string: tuple[tuple[int, str], ...], n: int) -> Array:
    return np.array(pauli_matrix(pauli.word(string, range(n))), complex)
