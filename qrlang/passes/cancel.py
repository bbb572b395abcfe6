"""Cancel inverses, merge turns about the same axis, drop what does nothing."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.ir.program import Element, Gate, Program
from qrlang.ir.walk import qubits_of
from qrlang.passes.base import Elements, rewrite
from qrlang.passes.families import combine, letters, simplified

_ROUNDS = 20


@dataclass(frozen=True)
class Cancel:
    """`depth`: how many gates on a qubit it looks back past, as long as they commute."""

    depth: int = 64
    name: str = "cancel"
    doc: str = (
        "Cancels inverse gates, merges rotations about the same axis (past gates that commute) and "
        "drops gates that do nothing."
    )

    def run(self, program: Program) -> Program:
        return rewrite(program, self._segment)

    def _segment(self, elements: Elements) -> Elements:
        for _ in range(_ROUNDS):
            changed = _sandwiches(_once(elements, self.depth))
            if changed == elements:
                break
            elements = changed
        return elements


def _once(elements: Elements, depth: int) -> Elements:
    out: list[Element | None] = []
    on: dict[int, list[int]] = {}  # for each qubit, the elements on it, in order
    axes: list[dict[int, str]] = []

    def append(element: Element, mine: dict[int, str]) -> None:
        for q in mine:
            on.setdefault(q, []).append(len(out))
        out.append(element)
        axes.append(mine)

    for element in elements:
        if not isinstance(element, Gate):
            append(element, _blocking(element))
            continue
        for gate in simplified(element):
            mine = letters(gate)
            partner = _partner(gate, mine, out, on, axes, depth)
            if partner < 0:
                append(gate, mine)
                continue
            merged = combine(_gate(out[partner]), gate)
            assert merged is not None
            out[partner] = merged[0] if merged else None
            if merged:
                axes[partner] = letters(merged[0])
            else:
                for q in mine:
                    on[q].remove(partner)
    return tuple(e for e in out if e is not None)


def _gate(element: Element | None) -> Gate:
    assert isinstance(element, Gate)
    return element


def _blocking(element: Element) -> dict[int, str]:
    return dict.fromkeys(qubits_of(element), "*")


def _partner(
    gate: Gate,
    mine: dict[int, str],
    out: list[Element | None],
    on: dict[int, list[int]],
    axes: list[dict[int, str]],
    depth: int,
) -> int:
    """The latest gate that this one combines with, all between commuting with it; -1: none."""
    common: set[int] | None = None
    for q, axis in mine.items():
        found: set[int] = set()
        for steps, index in enumerate(reversed(on.get(q, ()))):
            other = out[index]
            if steps >= depth:
                break
            # Only gates on the very same qubits can combine.
            if isinstance(other, Gate) and axes[index].keys() == mine.keys():
                found.add(index)
            if axes[index][q] != axis or axis == "*":
                break
        common = found if common is None else common & found
        if not common:
            return -1
    for index in sorted(common or (), reverse=True):
        if combine(_gate(out[index]), gate) is not None:
            return index
    return -1


def _sandwiches(elements: Elements) -> Elements:
    """h x h -> z and the like, also where the middle gate has controls elsewhere."""
    out: list[Element | None] = []
    on: dict[int, list[int]] = {}
    for element in elements:
        qubits = tuple(letters(element)) if isinstance(element, Gate) else tuple(_blocking(element))
        if isinstance(element, Gate) and _is_h(element):
            (q,) = element.qubits
            line = on.get(q, [])
            if len(line) >= 2:
                first, middle = out[line[-2]], out[line[-1]]
                turned = _turned(middle, q) if isinstance(first, Gate) and _is_h(first) else None
                if turned is not None:
                    out[line[-2]] = None
                    out[line[-1]] = turned
                    on[q] = [*line[:-2], line[-1]]
                    continue
        for q in qubits:
            on.setdefault(q, []).append(len(out))
        out.append(element)
    return tuple(e for e in out if e is not None)


def _is_h(gate: Gate) -> bool:
    return gate.name == "h" and not gate.controls and not gate.zeros


_TURNED = {"x": "z", "z": "x", "rx": "rz", "rz": "rx", "sx": "s", "s": "sx", "sdg": "sxdg",
           "sxdg": "sdg"}  # fmt: skip


def _turned(gate: Element | None, q: int) -> Gate | None:
    """h gate h on qubit q as one gate, if there is a name for it (exactly, so controls may be)."""
    if not isinstance(gate, Gate) or gate.name not in _TURNED:
        return None
    if gate.qubits != (q,):
        if gate.name != "z" or q not in gate.controls:
            return None
        # The qubits of a controlled z are all alike: make this one the target.
        controls = tuple(gate.qubits[0] if c == q else c for c in gate.controls)
        gate = Gate("z", (q,), (), controls, gate.zeros, gate.place)
    return Gate(_TURNED[gate.name], gate.qubits, gate.angles, gate.controls, gate.zeros, gate.place)
