"""A circuit as the emitted module holds it: text, read once, and the passes it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, reduce
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qrlang.backends.torch.circuits import text as gate_text
from qrlang.backends.torch.circuits.fuse import (
    Block,
    ControlledBlock,
    DiagonalBlock,
    Fused,
    MatrixBlock,
    PermutationBlock,
    Placed,
    fuse,
    subspace,
)
from qrlang.backends.torch.circuits.matrices import Constants, complex_of, gate_matrices
from qrlang.backends.torch.ops import broadcast_shapes
from qrlang.gates import GATES
from qrlang.ir.walk import qubits_of

_EYE = np.eye(2)


class Circuit:
    """Gates on `n` qubits. `angles(theta=…)` turns vectors into all its angles, `matrix(…)` gives
    the matrix of one of its blocks; the states in `state.py` and `reversible.py` apply them."""

    def __init__(self, n: int, text: str) -> None:
        self.n = n
        self.text = text
        self.elements, values = gate_text.parse(text)
        self.names = tuple(v.name for v in values)
        self.fused: Fused = fuse(n, self.elements)
        self.blocks: list[Block] = self.fused.blocks
        self._angles = _AngleTable(self.names, self.fused)
        self._singles = _Singles(self.blocks)
        self._constants = Constants()
        self._traces: dict[int, np.ndarray[Any, Any]] = {}

    def __repr__(self) -> str:
        return f"circuit({self.n}, {self.text!r})"

    @property
    def touches(self) -> dict[int, int]:
        """How many gates touch each qubit."""
        out: dict[int, int] = {}
        for element in self.elements:
            for q in qubits_of(element):
                out[q] = out.get(q, 0) + 1
        return out

    @property
    def count(self) -> int:
        """How many angles it has."""
        return len(self.fused.angles)

    def angles(self, given: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """All angles, [..., count]. `given[name]` is [..., size]; `like` says dtype and device."""
        if set(given) != set(self.names):
            raise TypeError(
                f"the circuit's angles come from {', '.join(self.names) or 'no vectors'}; "
                f"given: {', '.join(given) or 'none'}"
            )
        return self._angles(given, like)

    def singles(self, angles: Tensor) -> Tensor:
        """The products of the one-qubit gates, run by run: [..., runs, 2, 2]."""
        return self._singles(angles, self._constants)

    def products(self, singles: Tensor) -> dict[int, Tensor]:
        """The matrices of the blocks that are products of one-qubit gates, by the block's place;
        those of equal size at once."""
        out: dict[int, Tensor] = {}
        for places, runs in self._products:
            eye = self._constants.get("I", _EYE, singles)
            every = torch.cat([singles, eye.expand(*singles.shape[:-3], 1, 2, 2)], -3)
            index = self._constants.get(("runs", places), runs, singles, torch.int64)
            parts = every[..., index, :, :].unbind(-3)
            made = parts[0]
            for one in parts[1:]:
                made = _kron(made, one)
            out.update(zip(places, made.unbind(-3), strict=True))
        return out

    @cached_property
    def _products(self) -> list[tuple[tuple[int, ...], np.ndarray[Any, Any]]]:
        """Places of product blocks of one size, and the run on each of their qubits."""
        by_size: dict[int, tuple[list[int], list[list[int]]]] = {}
        none = len(self._singles.runs)
        for place, block in enumerate(self.blocks):
            runs = self.runs_of(block)
            if runs is not None:
                places, rows = by_size.setdefault(len(block.qubits), ([], []))
                places.append(place)
                rows.append([runs.get(q, none) for q in block.qubits])
        return [(tuple(p), np.array(r)) for p, r in by_size.values()]

    def traces(self, k: int, like: Tensor) -> Tensor:
        """[4^k, 4k]: from a matrix on k qubits to its 2x2 traces over all qubits but one."""
        table = self._traces.get(k)
        if table is None:
            row, column = np.divmod(np.arange(4**k), 2**k)
            table = np.zeros((4**k, k, 2, 2))
            for q in range(k):
                at = k - 1 - q
                same = (row ^ column) & ~(1 << at) == 0
                table[np.nonzero(same)[0], q, row[same] >> at & 1, column[same] >> at & 1] = 1
            table = self._traces[k] = table.reshape(4**k, 4 * k)
        return self._constants.get(("traces", k), table, like)

    def runs_of(self, block: Block) -> dict[int, int] | None:
        """The run on each qubit of a block that is a product of one-qubit gates."""
        if not isinstance(block, MatrixBlock):
            return None
        plan = self._singles.plan[id(block)]
        return plan[0] if len(plan) == 1 and isinstance(plan[0], dict) else None

    def matrix(self, block: MatrixBlock, angles: Tensor, singles: Tensor) -> Tensor:
        """The matrix of a block, [..., 2^k, 2^k]."""
        out: Tensor | None = None
        for item in self._singles.plan[id(block)]:
            if isinstance(item, dict):
                step = self._kron(block, item, singles)
            else:
                step = self._embedded(block, item, angles)
            out = step if out is None else step @ out
        assert out is not None
        return out

    def _kron(self, block: MatrixBlock, runs: dict[int, int], singles: Tensor) -> Tensor:
        eye = self._constants.get("I", _EYE, singles)
        return reduce(_kron, (singles[..., runs[q], :, :] if q in runs else eye
                              for q in block.qubits))  # fmt: skip

    def _embedded(self, block: MatrixBlock, placed: Placed, angles: Tensor) -> Tensor:
        """One gate as a matrix on all qubits of its block."""
        gate, k = placed.gate, len(block.qubits)
        at = {q: i for i, q in enumerate(block.qubits)}
        rows = subspace(
            k,
            tuple(at[q] for q in gate.qubits),
            tuple(at[q] for q in gate.controls),
            tuple(at[q] for q in gate.zeros),
        )
        inner = np.full(2**k, -1)
        rest = np.full(2**k, -1)
        for j, row in enumerate(rows):
            inner[row] = j
            rest[row] = np.arange(len(row))
        here = (inner >= 0) & (inner[:, None] >= 0) & (rest == rest[:, None])
        key = (id(placed), "embed")
        like = complex_of(angles.dtype)
        small = self.gate_matrix(placed, angles)
        pick = self._constants.get((*key, 0), np.maximum(inner, 0), angles, torch.int64)
        mask = self._constants.get((*key, 1), here, angles, like)
        other = self._constants.get((*key, 2), np.diag(inner < 0), angles, like)
        return small[..., pick[:, None], pick[None, :]] * mask + other

    def gate_matrix(self, placed: Placed, angles: Tensor) -> Tensor:
        """One gate on its own qubits, [..., d, d]."""
        own = angles[..., list(placed.angles)].unsqueeze(-2)
        return gate_matrices(placed.gate.name, own)[..., 0, :, :]

    def phases(self, block: DiagonalBlock, angles: Tensor) -> Tensor:
        """The diagonal, [..., 2^n]."""
        phase = self.phase(block, angles)
        return torch.complex(torch.cos(phase), torch.sin(phase))

    def phase(self, block: DiagonalBlock, angles: Tensor) -> Tensor:
        """Its phases in radians."""
        constant = self._constants.get((id(block), 0), block.constant, angles)
        phase = constant
        if block.index:
            slopes = self._constants.get((id(block), 1), np.stack(block.slopes), angles)
            phase = angles[..., block.index] @ slopes + constant
        return phase

    def source(self, block: PermutationBlock, like: Tensor, inverse: bool = False) -> Tensor:
        index = np.argsort(block.source) if inverse else block.source
        return self._constants.get((id(block), inverse), index, like, torch.int64)

    def rows(self, block: ControlledBlock, like: Tensor) -> Tensor:
        return self._constants.get((id(block), "rows"), block.rows, like, torch.int64)


class _AngleTable:
    """All angles of a circuit from its vectors, in a few operations."""

    def __init__(self, names: tuple[str, ...], fused: Fused) -> None:
        self.names = names
        self.angles = fused.angles
        self.constant = np.array([a.constant for a in fused.angles])
        self.simple = all(len(a.terms) == 1 for a in fused.angles)
        self.factor = np.array([a.terms[0].coefficient for a in fused.angles if a.terms])
        self.scaled = bool((self.factor != 1).any())
        self.moved = bool(self.constant.any())
        self.needed = dict.fromkeys(names, 0)  # numbers of each vector
        for term in (t for a in fused.angles for t in a.terms):
            name = term.value.name
            self.needed[name] = max(self.needed[name], term.index + 1)
        self._found: dict[tuple[int, ...], Any] = {}
        self._constants = Constants()

    def __call__(self, given: Mapping[str, Tensor], like: Tensor) -> Tensor:
        constant = self._constants.get("constant", self.constant, like)
        if not self.names:
            return constant
        vectors = [given[name] for name in self.names]
        if any(v.dtype != like.dtype for v in vectors):
            vectors = [v.to(like.dtype) for v in vectors]
        sizes = [v.shape[-1] for v in vectors]
        for name, size in zip(self.names, sizes, strict=True):
            if size < self.needed[name]:  # a layer that somebody has put in place of ours
                raise ValueError(f"`{name}` is {size} numbers, and {self.needed[name]} are needed")
        start = dict(zip(self.names, accumulate(sizes, initial=0), strict=False))
        if len(vectors) > 1:
            lead = broadcast_shapes(*(v.shape[:-1] for v in vectors))
            vectors = [v.expand(*lead, v.shape[-1]) for v in vectors]
        everything = torch.cat(vectors, -1) if len(vectors) > 1 else vectors[0]
        key = tuple(sizes)
        if self.simple:
            where = self._where(key, start)
            out = everything
            if where is not None:
                index = self._constants.get(("index", key), where, like, torch.int64)
                out = everything.index_select(-1, index)
            if self.scaled:
                out = out * self._constants.get("factor", self.factor, like)
            return out + constant if self.moved else out
        weights = np.zeros((sum(sizes), len(self.angles)))
        for j, angle in enumerate(self.angles):
            for term in angle.terms:
                weights[start[term.value.name] + term.index, j] += term.coefficient
        return everything @ self._constants.get(("weights", key), weights, like) + constant

    def _where(self, sizes: tuple[int, ...], start: Mapping[str, int]) -> Any:
        """The element for each angle; None if they are all elements in order."""
        if sizes not in self._found:
            where = [start[a.terms[0].value.name] + a.terms[0].index for a in self.angles]
            plain = where == list(range(sum(sizes)))
            self._found[sizes] = None if plain else np.array(where)
        return self._found[sizes]


class _Singles:
    """Products of one-qubit gates, all runs of equal length at once.

    `plan[id(block)]` lists what to multiply, in order: {qubit: number of a run}, or a gate on
    several qubits.
    """

    def __init__(self, blocks: list[Block]) -> None:
        self.gates: list[Placed] = []
        self.runs: list[list[int]] = []  # each: positions in `gates`
        self.plan: dict[int, list[dict[int, int] | Placed]] = {}
        for block in blocks:
            if isinstance(block, MatrixBlock):
                self.plan[id(block)] = self._split(block)
        order = sorted(range(len(self.gates)), key=lambda i: self.gates[i].gate.name)
        self.position = {old: new for new, old in enumerate(order)}
        self.groups: list[tuple[str, list[tuple[int, ...]]]] = []
        for i in order:
            placed = self.gates[i]
            if not self.groups or self.groups[-1][0] != placed.gate.name:
                self.groups.append((placed.gate.name, []))
            self.groups[-1][1].append(placed.angles)
        self.lengths = sorted({len(run) for run in self.runs})
        by_length = sorted(range(len(self.runs)), key=lambda r: len(self.runs[r]))
        self.order = {run: place for place, run in enumerate(by_length)}
        for items in self.plan.values():
            for item in items:
                if isinstance(item, dict):
                    for q in item:
                        item[q] = self.order[item[q]]

    def _split(self, block: MatrixBlock) -> list[dict[int, int] | Placed]:
        items: list[dict[int, int] | Placed] = []
        open_runs: dict[int, int] = {}
        for placed in block.gates:
            if len(placed.gate.all_qubits) > 1:
                if open_runs:
                    items.append(open_runs)
                    open_runs = {}
                items.append(placed)
                continue
            (qubit,) = placed.gate.qubits
            if qubit not in open_runs:
                open_runs[qubit] = len(self.runs)
                self.runs.append([])
            self.runs[open_runs[qubit]].append(len(self.gates))
            self.gates.append(placed)
        if open_runs:
            items.append(open_runs)
        return items

    def __call__(self, angles: Tensor, constants: Constants) -> Tensor:
        if not self.gates:
            return angles.new_zeros(0, 2, 2, dtype=complex_of(angles.dtype))
        made = []
        for name, index in self.groups:
            k = GATES[name].angles
            if k == 0:
                own = angles.new_zeros(len(index), 0)
            else:
                flat = constants.get((name, "angles"), np.array(index).ravel(), angles, torch.int64)
                own = angles.index_select(-1, flat).unflatten(-1, (len(index), k))
            made.append(gate_matrices(name, own))
        lead = broadcast_shapes(*(m.shape[:-3] for m in made))
        every = torch.cat([m.expand(*lead, *m.shape[-3:]) for m in made], -3)
        products = []
        for length in self.lengths:
            runs = [r for r in self.runs if len(r) == length]
            product = None
            for j in range(length):
                where = np.array([self.position[r[j]] for r in runs])
                index = constants.get(("run", length, j), where, angles, torch.int64)
                step = every.index_select(-3, index)
                product = step if product is None else step @ product
            assert product is not None
            products.append(product)
        return torch.cat(products, -3) if len(products) > 1 else products[0]


def _kron(a: Tensor, b: Tensor) -> Tensor:
    """Of matrices, b on a qubit."""
    size = 2 * a.shape[-1]
    product = a[..., :, None, :, None] * b[..., None, :, None, :]
    return product.reshape(*product.shape[:-4], size, size)


def circuit(n: int, text: Any) -> Circuit:
    """A circuit on `n` qubits, from its text."""
    return Circuit(n, text)
