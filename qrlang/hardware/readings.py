"""What is asked about a circuit, and how the answer follows from bits.

A quantity is asked of the shots in which the bits of `when` have their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qrlang.analysis.settings import together
from qrlang.hardware.device import Bits, DeviceError, Floats

if TYPE_CHECKING:
    from qrlang.hardware.mitigation import Confusion

Cond = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Word:
    """The expectation of a Pauli word: letters on qubits."""

    string: tuple[tuple[int, str], ...]
    when: Cond = ()
    kept: Cond = ()


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of some qubits, the first the most significant."""

    qubits: tuple[int, ...]
    when: Cond = ()
    kept: Cond = ()


@dataclass(frozen=True, slots=True)
class BitMean:
    """`1 - 2 bit` of a bit that was measured inside, on average."""

    bit: int
    when: Cond = ()
    kept: Cond = ()


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the shots with `kept` also have `when`."""

    when: Cond
    kept: Cond = ()


@dataclass(frozen=True, slots=True)
class Patterns:
    """Every combination of some inner bits that occurs: its bits, then its share of the shots."""

    bits: tuple[int, ...]
    when: Cond = ()
    kept: Cond = ()


Quantity = Word | Distribution | BitMean | Share | Patterns


def made_up(q: Quantity) -> Floats:
    """An answer of the right shape, where nobody has been asked."""
    if isinstance(q, Distribution):
        return np.full(1 << len(q.qubits), 0.5 ** len(q.qubits))
    if isinstance(q, Patterns):
        return np.array([*(0.0 for _ in q.bits), 1.0])
    return np.zeros(1)


def settings(quantities: Sequence[Quantity]) -> list[tuple[tuple[tuple[int, str], ...], list[int]]]:
    """The fewest bases in which all of it can be measured, and what each is for."""
    words: dict[tuple[tuple[int, str], ...], list[int]] = {}
    rest: list[int] = []
    for i, q in enumerate(quantities):
        if isinstance(q, Word):
            words.setdefault(q.string, []).append(i)
        elif isinstance(q, Distribution):
            words.setdefault(tuple((x, "Z") for x in sorted(q.qubits)), []).append(i)
        else:
            rest.append(i)  # any basis will do
    found: list[tuple[tuple[tuple[int, str], ...], list[int]]] = []
    for group in together(list(words)):
        basis: dict[int, str] = {}
        for word in group:
            basis.update(word)
        turned = tuple((q, p) for q, p in sorted(basis.items()) if p != "Z")
        found.append((turned, sorted(i for word in group for i in words[word])))
    if not found:
        return [((), rest)]
    found.sort(key=lambda s: s[1])
    found[0][1].extend(rest)
    return found


def evaluate(
    quantities: Sequence[Quantity], bits: Bits, weights: Floats | None, qubits: int,
    inner: Sequence[int] = (), confusion: Confusion | None = None,
) -> list[list[Floats]]:  # fmt: skip
    """For each row, the quantities. `bits` [rows or 1, shots, columns], `weights` [rows, shots]
    or None for shots that all count the same. `inner`: the columns of the inner bits, if they are
    not the ones after the qubits. `confusion`: how the qubits are misread, to be undone."""
    rows = len(bits) if weights is None else len(weights)

    def column(bit: int) -> int:
        return inner[bit] if inner else qubits + bit

    def counts(bit: int, value: int) -> Any:
        """Of each shot, whether the bit is that."""
        seen = bits[:, :, column(bit)]
        if confusion is None or bit not in confusion.inner:
            return seen == value
        return confusion.share(seen, bit, value)

    def mask(cond: Cond) -> Any:
        keep: Any = 1.0
        for bit, value in cond:
            keep = keep * counts(bit, value)
        return keep if weights is None else weights * keep

    def mean(numbers: Any, cond: Cond, kept: Cond) -> Floats:
        if weights is None and not cond and not kept:
            plain: Floats = np.asarray(numbers, float).mean(axis=1)
            return plain
        w = np.broadcast_to(mask((*cond, *kept)), (rows, bits.shape[1]))
        total = w.sum(axis=1)
        if kept and np.any(total <= 0):
            raise DeviceError(
                "post-selection has left no shots", "take more of them: --shots, or select less"
            )
        value = (w * numbers).sum(axis=1) / np.where(total > 0, total, np.inf)
        if confusion is None:
            return np.asarray(value)
        # Some shots count less than nothing: with few that are left, a mean would be anything.
        found = np.broadcast_to(numbers, w.shape)
        return np.asarray(np.clip(value, found.min(axis=1), found.max(axis=1)))

    out: list[list[Floats]] = [[] for _ in range(rows)]
    for q in quantities:
        match q:
            case Word():
                signs: Any = 1.0
                if confusion is None:
                    odd = np.zeros(bits.shape[:2], np.uint8)
                    for wire, _ in q.string:
                        odd = odd ^ bits[:, :, wire]
                    signs = 1.0 - 2.0 * odd
                else:
                    for wire, _ in q.string:
                        signs = signs * confusion.value(bits[:, :, wire].astype(float), wire)
                found: Any = mean(signs, q.when, q.kept)[:, None]
            case BitMean():
                found = mean(1.0 - 2.0 * counts(q.bit, 1), q.when, q.kept)[:, None]
            case Share():
                hit: Any = np.ones(bits.shape[:2])
                for bit, value in q.when:
                    hit = hit * counts(bit, value)
                found = np.clip(mean(hit, (), q.kept)[:, None], 0.0, 1.0)
            case Distribution():
                number = np.zeros(bits.shape[:2], np.int64)
                for wire in q.qubits:
                    number = 2 * number + bits[:, :, wire]
                w = np.broadcast_to(mask((*q.when, *q.kept)), (rows, bits.shape[1]))
                number = np.broadcast_to(number, w.shape)
                table = np.zeros((rows, 1 << len(q.qubits)))
                for r in range(rows):
                    table[r] = np.bincount(number[r], w[r], 1 << len(q.qubits))
                total = table.sum(axis=1, keepdims=True)
                if q.kept and np.any(total <= 0):
                    raise DeviceError("post-selection has left no shots", "take more: --shots")
                found = table / np.where(total > 0, total, np.inf)
                if confusion is not None:
                    found = confusion.distribution(found, q.qubits)
            case Patterns():
                w = np.broadcast_to(mask((*q.when, *q.kept)), (rows, bits.shape[1]))
                columns = [column(b) for b in q.bits]
                found = [
                    _patterns(bits[min(r, len(bits) - 1)][:, columns], w[r], q.bits, confusion)
                    for r in range(rows)
                ]
        for r in range(rows):
            out[r].append(np.asarray(found[r], float))
    return out


def _patterns(bits: Bits, w: Floats, names: tuple[int, ...], confusion: Confusion | None) -> Floats:
    alive = w != 0
    if w.sum() <= 0:
        raise DeviceError("post-selection has left no shots", "take more: --shots")
    kinds, which = np.unique(bits[alive], axis=0, return_inverse=True)
    share = np.bincount(which.ravel(), w[alive]) / w[alive].sum()
    if confusion is not None:
        shares = {tuple(map(int, k)): float(x) for k, x in zip(kinds, share, strict=True)}
        confusion.patterns(shares, names)
        ordered = sorted(shares.items())
        kinds, share = np.array([k for k, _ in ordered]), np.array([x for _, x in ordered])
    flat: Floats = np.concatenate([kinds.astype(float), share[:, None]], axis=1).ravel()
    return flat
