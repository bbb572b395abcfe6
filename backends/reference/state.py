"""The state of the qubits of one space: a vector, or a density matrix.

Big-endian: the qubit with the lowest number is the most significant bit. The array has one axis
of length 2 for each qubit, a density matrix first those of its rows, then those of its columns.
States are normalised and never changed in place, so that branches can share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrlang.backends.reference.errors import RunError

Array = NDArray[Any]

_LARGEST = 1 << 26  # complex numbers in one state: 1 GiB
_PRODUCT = 1e-20  # what two parts may share and still count as a product

_PAULI: dict[str, Array] = {
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]], complex),
    "Z": np.array([[1, 0], [0, -1]], complex),
}


def act(
    array: Array,
    matrix: Array,
    axes: Sequence[int],
    ones: Sequence[int] = (),
    zeros: Sequence[int] = (),
) -> Array:
    """A matrix on some axes, where the axes `ones` are at 1 and `zeros` at 0."""
    if ones or zeros:
        where: list[Any] = [slice(None)] * array.ndim
        for axis in ones:
            where[axis] = 1
        for axis in zeros:
            where[axis] = 0
        fixed = sorted([*ones, *zeros])
        inner = [axis - sum(f < axis for f in fixed) for axis in axes]
        out = array.copy()
        out[tuple(where)] = act(array[tuple(where)], matrix, inner)
        return out
    k = len(axes)
    tensor = matrix.reshape((2,) * (2 * k))
    moved = np.tensordot(tensor, array, axes=(range(k, 2 * k), axes))
    return np.moveaxis(moved, range(k), axes)


def act_pauli(array: Array, string: Sequence[tuple[int, str]]) -> Array:
    """Letters on axes."""
    for axis, letter in string:
        array = act(array, _PAULI[letter], (axis,))
    return array


@dataclass(frozen=True, slots=True)
class State:
    qubits: tuple[int, ...]  # sorted
    array: Array
    pure: bool = True

    @property
    def _axes(self) -> dict[int, int]:
        return {q: i for i, q in enumerate(self.qubits)}

    def _with(self, array: Array) -> State:
        return State(self.qubits, array, self.pure)

    def flat(self) -> Array:
        """The vector, or the matrix."""
        size = 1 << len(self.qubits)
        return self.array.reshape((size,) if self.pure else (size, size))

    def mixed(self) -> State:
        """The same as a density matrix."""
        if not self.pure:
            return self
        _check_size(2 * len(self.qubits))
        return State(self.qubits, np.multiply.outer(self.array, self.array.conj()), False)

    def can_mix(self) -> bool:
        """Whether there is room for it as a density matrix."""
        return not self.pure or 1 << 2 * len(self.qubits) <= _LARGEST

    # --- what acts on it ------------------------------------------------------------------------

    def apply(
        self,
        matrix: Array,
        qubits: Sequence[int],
        ones: Sequence[int] = (),
        zeros: Sequence[int] = (),
    ) -> State:
        """A unitary, or one Kraus operator."""
        at = self._axes
        groups = [[at[q] for q in group] for group in (qubits, ones, zeros)]
        array = act(self.array, matrix, *groups)
        if not self.pure:
            n = len(self.qubits)
            array = act(array, matrix.conj(), *([axis + n for axis in g] for g in groups))
        return self._with(array)

    def apply_diagonal(self, phases: Array) -> State:
        """One number for each basis state, as an array that broadcasts to the vector's axes."""
        trailing = (1,) * (self.array.ndim - len(self.qubits))
        array = self.array * phases.reshape(phases.shape + trailing)
        return self._with(array if self.pure else array * phases.conj())

    def apply_pauli(self, string: Sequence[tuple[int, str]]) -> State:
        """`P rho P`."""
        at, n = self._axes, len(self.qubits)
        array = act_pauli(self.array, [(at[q], letter) for q, letter in string])
        if not self.pure:
            # conj(P) on the columns: only Y changes, by its sign.
            array = act_pauli(array, [(at[q] + n, letter) for q, letter in string])
            if sum(letter == "Y" for _, letter in string) % 2:
                array = -array
        return self._with(array)

    def permute(self, source: Array, qubits: Sequence[int]) -> State:
        """Basis state k of `qubits` takes the amplitude of basis state `source[k]`."""
        at, n, k = self._axes, len(self.qubits), len(qubits)
        array = self.array
        for offset in (0,) if self.pure else (0, n):
            axes = [at[q] + offset for q in qubits]
            front = np.moveaxis(array, axes, range(k))
            shape = front.shape
            moved = front.reshape((1 << k, -1))[source].reshape(shape)
            array = np.moveaxis(moved, range(k), axes)
        return self._with(array)

    def channel(self, kraus: Sequence[Array], qubits: Sequence[int]) -> State:
        state = self.mixed()
        parts = [state.apply(k, qubits).array for k in kraus]
        return state._with(np.sum(parts, axis=0))

    def dephase(self, string: Sequence[tuple[int, str]], factor: float) -> State:
        """Coherence between the two values of a Pauli string is multiplied by `factor`."""
        state = self.mixed()
        flipped = state.apply_pauli(string).array
        return state._with((1 + factor) / 2 * state.array + (1 - factor) / 2 * flipped)

    # --- qubits come and go ---------------------------------------------------------------------

    def add(self, qubits: Sequence[int], part: Array) -> State:
        """New qubits in the given vector or density matrix (as one axis a qubit)."""
        k, n = len(qubits), len(self.qubits)
        pure = part.ndim == k
        state = self if self.pure and pure else self.mixed()
        if not state.pure and pure:
            part = np.multiply.outer(part, part.conj())
        _check_size((n + k) * (1 if state.pure else 2))
        order = np.argsort([*self.qubits, *qubits])
        array = np.multiply.outer(state.array, part)
        axes = list(order)
        if not state.pure:
            # outer gives rows, columns, new rows, new columns.
            rows = [i if i < n else i + n for i in order]
            axes = [*rows, *(r + (n if r < n else k) for r in rows)]
        return State(tuple(sorted([*self.qubits, *qubits])), array.transpose(axes), state.pure)

    def remove(self, qubits: Sequence[int]) -> State:
        """Traced out. A vector stays one when the qubits are not entangled with the rest."""
        at, n, k = self._axes, len(self.qubits), len(qubits)
        rest = tuple(q for q in self.qubits if q not in set(qubits))
        if self.pure:
            front = np.moveaxis(self.array, [at[q] for q in qubits], range(k))
            parts = front.reshape((1 << k, -1))
            weights = np.sum(np.abs(parts) ** 2, axis=1)
            best = parts[np.argmax(weights)] / np.sqrt(np.max(weights))
            left = parts - np.outer(parts @ best.conj(), best)
            if np.sum(np.abs(left) ** 2) < _PRODUCT:
                return State(rest, best.reshape((2,) * (n - k)))
            _check_size(2 * (n - k))
            rho = np.tensordot(parts, parts.conj(), axes=(0, 0))
            return State(rest, rho.reshape((2,) * (2 * (n - k))), False)
        array = self.array
        alive = list(self.qubits)
        for q in qubits:
            axis = alive.index(q)
            array = np.trace(array, axis1=axis, axis2=axis + len(alive))
            alive.pop(axis)
        return State(rest, array, False)

    # --- what is read from it -------------------------------------------------------------------

    def expectation(self, string: Sequence[tuple[int, str]]) -> float:
        at = self._axes
        array = act_pauli(self.array, [(at[q], letter) for q, letter in string])
        if self.pure:
            return float(np.vdot(self.array, array).real)
        size = 1 << len(self.qubits)
        return float(np.trace(array.reshape((size, size))).real)

    def probabilities(self, qubits: Sequence[int]) -> Array:
        """The distribution over the basis states of `qubits`, in the order given."""
        n = len(self.qubits)
        if self.pure:
            all_of_them = np.abs(self.array) ** 2
        else:
            size = 1 << n
            all_of_them = np.diagonal(self.array.reshape((size, size))).real.reshape((2,) * n)
        at = self._axes
        axes = [at[q] for q in qubits]
        kept = all_of_them.sum(axis=tuple(i for i in range(n) if i not in axes))
        ranks = [sorted(axes).index(axis) for axis in axes]
        flat: Array = np.clip(kept.transpose(ranks).reshape(-1), 0.0, None)
        return flat / flat.sum()

    def project(self, qubits: Sequence[int], bits: Sequence[int]) -> tuple[float, State | None]:
        """The probability of these bits, and the state after they were found."""
        at, n = self._axes, len(self.qubits)
        array = np.zeros_like(self.array)
        where: list[Any] = [slice(None)] * array.ndim
        for q, bit in zip(qubits, bits, strict=True):
            where[at[q]] = bit
            if not self.pure:
                where[at[q] + n] = bit
        array[tuple(where)] = self.array[tuple(where)]
        if self.pure:
            probability = float(np.sum(np.abs(array) ** 2))
        else:
            probability = float(np.trace(array.reshape((1 << n, 1 << n))).real)
        if probability < 1e-15:
            return 0.0, None
        return probability, self._with(array / (np.sqrt(probability) if self.pure else probability))


def empty(pure: bool) -> State:
    """No qubits yet."""
    return State((), np.ones((), complex), pure)


def zeros(k: int) -> Array:
    """|0…0⟩ of k qubits, one axis each."""
    vector = np.zeros((2,) * k, complex)
    vector[(0,) * k] = 1
    return vector


def maximally_mixed(k: int) -> Array:
    _check_size(2 * k)
    return (np.eye(1 << k, dtype=complex) / (1 << k)).reshape((2,) * (2 * k))


def _check_size(axes: int) -> None:
    if 1 << axes > _LARGEST:
        raise RunError(
            f"a state of 2^{axes} numbers is too large for the reference interpreter "
            f"(at most 2^{_LARGEST.bit_length() - 1}: 26 qubits pure, 13 mixed)"
        )
