"""A segment as alternating layers: phases and permutations of basis states, then everything else.

Whatever is ready goes into the layer: gates on other qubits never hold one another up. Phases
and permutations together are "parity phases, then a linear map over bits": exact, in any number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qrlang.analysis.turns import gate_rotations
from qrlang.gates import GATES
from qrlang.ir.program import Angle, Diagonal, Element, Gate, Permutation
from qrlang.ir.walk import qubits_of
from qrlang.passes.angles import TAU, add, is_multiple, scaled, wrapped
from qrlang.passes.base import Elements

_WIDEST = 3  # a controlled phase on k qubits is 2^k - 1 parity phases


def is_phase(element: Element) -> bool:
    """A diagonal that parity phases can say."""
    if isinstance(element, Diagonal):
        return True
    return (
        isinstance(element, Gate)
        and GATES[element.name].diagonal
        and len(element.all_qubits) <= _WIDEST
    )


def is_map(element: Element) -> bool:
    """An affine map of the bits."""
    if isinstance(element, Permutation):
        return True
    if not isinstance(element, Gate):
        return False
    controls = len(element.controls) + len(element.zeros)
    return (element.name == "x" and controls <= 1) or (element.name == "swap" and not controls)


def layered(elements: Elements, flows: Callable[[Element], bool]) -> list[Element]:
    """The segment with all that `flows` takes gathered into as few elements as the order allows;
    as it was, if that makes none fewer."""
    best = list(elements)
    while True:
        found = _layered(tuple(best), flows)
        if len(found) >= len(best):
            return best
        best = found


def _layered(elements: Elements, flows: Callable[[Element], bool]) -> list[Element]:
    lines: dict[int, list[int]] = {}
    touching = [qubits_of(e) for e in elements]
    for i in range(len(elements) - 1, -1, -1):
        for q in touching[i]:
            lines.setdefault(q, []).append(i)  # reversed: the last is next
    kinds = [flows(e) for e in elements]
    waiting = [len(qubits) for qubits in touching]  # qubits on which it is not next yet
    ready: tuple[list[int], list[int]] = ([], [])

    def arrive(q: int) -> None:
        if lines[q]:
            i = lines[q][-1]
            waiting[i] -= 1
            if not waiting[i]:
                ready[kinds[i]].append(i)

    for q in sorted(lines):
        arrive(q)
    out: list[Element] = []
    while ready[0] or ready[1]:
        layer = _Layer()
        for kind in (True, False):
            # In the order written, so that a second run finds the same.
            while ready[kind]:
                ready[kind].sort()
                batch = ready[kind].copy()
                ready[kind].clear()
                for i in batch:
                    if kind:
                        layer.add(elements[i])
                    else:
                        out.append(elements[i])
                    for q in touching[i]:
                        lines[q].pop()
                    for q in touching[i]:
                        arrive(q)
            if kind:
                out.extend(layer.elements())
    return out


class _Layer:
    """Parity phases of the bits as they come in, then bits -> rows * bits + flips."""

    def __init__(self) -> None:
        self.phases: dict[int, Angle] = {}  # by parity: a mask over qubit numbers
        self.rows: dict[int, int] = {}  # what each qubit becomes, if not itself
        self.flips = 0
        self.phase_sources: list[Element] = []
        self.map_sources: list[Element] = []
        self.mapped_first = False  # some phase came after some map

    def add(self, element: Element) -> None:
        if is_map(element):
            self.map_sources.append(element)
            self._map(element)
            return
        self.phase_sources.append(element)
        self.mapped_first |= bool(self.map_sources)
        if isinstance(element, Diagonal):
            for mask, angle in element.terms:
                self._phase(mask, angle)
        else:
            assert isinstance(element, Gate)
            for word, angle, _ in gate_rotations(element):
                self._phase([q for q, _ in word], angle)

    def _row(self, q: int) -> int:
        return self.rows.get(q, 1 << q)

    def _phase(self, qubits: Iterable[int], angle: Angle) -> None:
        mask = minus = 0
        for q in qubits:
            mask ^= self._row(q)
            minus ^= self.flips >> q & 1
        _add_phase(self.phases, mask, scaled(angle, -1.0) if minus else angle)

    def _map(self, element: Element) -> None:
        rows, flips = self.rows, self.flips
        if isinstance(element, Permutation):
            before = {q: self._row(q) for q in element.qubits}
            for i, q in enumerate(element.qubits):
                row = 0
                flip = element.flips >> i & 1
                for j, source in enumerate(element.qubits):
                    if element.rows[i] >> j & 1:
                        row ^= before[source]
                        flip ^= flips >> source & 1
                rows[q] = row
                self.flips = self.flips & ~(1 << q) | flip << q
            return
        assert isinstance(element, Gate)
        if element.name == "swap":
            a, b = element.qubits
            rows[a], rows[b] = self._row(b), self._row(a)
            if (flips >> a ^ flips >> b) & 1:
                self.flips ^= 1 << a | 1 << b
            return
        (target,) = element.qubits
        flip = 1
        for control in (*element.controls, *element.zeros):
            rows[target] = self._row(target) ^ self._row(control)
            flip = flips >> control & 1 ^ len(element.zeros)
        self.flips ^= flip << target

    def elements(self) -> list[Element]:
        permutation = self.permutation()
        before = _diagonal(self.phases)
        if permutation is None:
            return self._phases_alone(before)
        moved: list[Element] = [permutation]
        if len(self.map_sources) == 1 and isinstance(self.map_sources[0], Gate):
            moved = [self.map_sources[0]]
        if before is None:
            return moved
        if len(self.phase_sources) == 1:
            # A single phase stays as it was written, on its side of the map.
            one = self.phase_sources[0]
            if isinstance(one, Gate) and len(self.map_sources) == 1:
                return [*moved, one] if self.mapped_first else [one, *moved]
        after = _diagonal(self._after(permutation))
        assert after is not None
        if _weight(after) <= _weight(before):
            return [*moved, after]
        return [before, *moved]

    def _phases_alone(self, diagonal: Diagonal | None) -> list[Element]:
        if diagonal is None:
            return []
        if len(self.phase_sources) == 1 and not self.map_sources:
            return [self.phase_sources[0]]
        return [diagonal]

    def permutation(self) -> Permutation | None:
        changed = {q for q, row in self.rows.items() if row != 1 << q}
        support = set(changed)
        for q in changed:
            row = self.rows[q]
            while row:
                low = row & -row
                support.add(low.bit_length() - 1)
                row ^= low
        support.update(q for q in range(self.flips.bit_length()) if self.flips >> q & 1)
        if not support:
            return None
        qubits = tuple(sorted(support))
        position = {q: i for i, q in enumerate(qubits)}
        rows, flips = [], 0
        for i, q in enumerate(qubits):
            row = self._row(q)
            rows.append(sum(1 << position[p] for p in qubits if row >> p & 1))
            flips |= (self.flips >> q & 1) << i
        return Permutation(qubits, tuple(rows), flips)

    def _after(self, permutation: Permutation) -> dict[int, Angle]:
        """The phases in terms of the bits that come out."""
        inverse = inverse_rows(permutation)
        qubits = permutation.qubits
        whole = {
            q: sum(1 << qubits[j] for j in range(len(qubits)) if inverse[i] >> j & 1)
            for i, q in enumerate(qubits)
        }
        out: dict[int, Angle] = {}
        for mask, angle in self.phases.items():
            moved, rest = 0, mask
            while rest:
                low = rest & -rest
                moved ^= whole.get(low.bit_length() - 1, low)
                rest ^= low
            minus = (moved & self.flips).bit_count() & 1
            _add_phase(out, moved, scaled(angle, -1.0) if minus else angle)
        return out


def inverse_rows(permutation: Permutation) -> list[int]:
    """The linear part of the inverse map."""
    k = len(permutation.rows)
    rows = [row | 1 << k + i for i, row in enumerate(permutation.rows)]
    for column in range(k):
        pivot = next(r for r in range(column, k) if rows[r] >> column & 1)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for r in range(k):
            if r != column and rows[r] >> column & 1:
                rows[r] ^= rows[column]
    return [row >> k for row in rows]


def _add_phase(phases: dict[int, Angle], mask: int, angle: Angle) -> None:
    known = phases.get(mask)
    phases[mask] = angle if known is None else add(known, angle)


def _diagonal(phases: dict[int, Angle]) -> Diagonal | None:
    """Whole turns are global phases, and so is the empty parity."""
    terms = [
        (mask_qubits(mask), wrapped(angle, 2 * TAU))
        for mask, angle in phases.items()
        if mask and not is_multiple(angle, TAU)
    ]
    terms.sort(key=lambda term: (len(term[0]), term[0]))
    return Diagonal(tuple(terms)) if terms else None


def mask_qubits(mask: int) -> tuple[int, ...]:
    return tuple(q for q in range(mask.bit_length()) if mask >> q & 1)


def _weight(diagonal: Diagonal) -> int:
    return sum(len(mask) for mask, _ in diagonal.terms)


def as_permutation(element: Element) -> Permutation:
    """A gate that is an affine map, as one."""
    if isinstance(element, Permutation):
        return element
    layer = _Layer()
    layer.add(element)
    found = layer.permutation()
    return found if found is not None else Permutation((), (), 0)
