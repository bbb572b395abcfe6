"""What has happened to some qubits so far, as a circuit that grows.

The circuits of all sequences are paths in one tree: a node is what one op of the program adds to
what was there. Sequences that did the same things share the node, hence the circuit that a device
is given; only their angles differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from qrlang.hardware.device import Slot, Step, Template

When = tuple[tuple["Bit", int], ...]


@dataclass(eq=False, slots=True)
class Node:
    parent: Node | None
    steps: tuple[Step, ...]  # slots are numbered from 0 in each node
    qubits: int
    bits: int
    parameters: int  # of all steps up to here
    empty: bool  # nothing has happened yet
    whole: tuple[Step, ...] | None = None  # all steps from the beginning, once they were asked for


@dataclass(eq=False, slots=True)
class Tree:
    nodes: dict[Any, Node] = field(default_factory=dict)
    templates: dict[Any, Template] = field(default_factory=dict)
    root: Node = field(default_factory=lambda: Node(None, (), 0, 0, 0, True))

    def after(
        self, node: Node, key: Any, steps: tuple[Step, ...], own: int, qubits: int, bits: int
    ) -> Node:
        """The node that `steps` with `own` angles lead to; `key` stands for the steps."""
        found = self.nodes.get((node, key))
        if found is None:
            found = Node(node, steps, qubits, bits, node.parameters + own, node.empty and not steps)
            self.nodes[node, key] = found
        return found

    def template(
        self, node: Node, basis: tuple[tuple[int, str], ...], fold: int = 1, twirl: int = 1,
        decouple: bool = False,
    ) -> Template:  # fmt: skip
        key = (node, basis, fold, twirl, decouple)
        if key not in self.templates:
            self.templates[key] = Template(
                node.qubits, node.bits, steps_of(node), node.parameters, basis, fold,
                twirl=twirl, decouple=decouple,
            )  # fmt: skip
        return self.templates[key]


def steps_of(node: Node) -> tuple[Step, ...]:
    """All of them from the beginning, slots numbered through."""
    if node.whole is not None:
        return node.whole
    path: list[Node] = []
    at: Node | None = node
    while at is not None and at.whole is None:
        path.append(at)
        at = at.parent
    out = list(at.whole or ()) if at is not None else []
    for one in reversed(path):
        first = one.parent.parameters if one.parent else 0
        out.extend(shifted(one.steps, slots=first))
    node.whole = tuple(out)
    return node.whole


def shifted(
    steps: Iterable[Step], slots: int = 0, qubits: int = 0, bits: int = 0
) -> Iterable[Step]:
    if not (slots or qubits or bits):
        return steps
    return (
        replace(
            s,
            qubits=tuple(q + qubits for q in s.qubits),
            controls=tuple(q + qubits for q in s.controls),
            zeros=tuple(q + qubits for q in s.zeros),
            angles=tuple(Slot(a.index + slots) if isinstance(a, Slot) else a for a in s.angles),
            bit=s.bit + bits if s.bit >= 0 else -1,
            when=tuple((b + bits, value) for b, value in s.when),
        )
        for s in steps
    )


@dataclass(eq=False, slots=True)
class Bit:
    """A bit measured in a circuit. It moves when circuits are joined."""

    tape: Tape
    index: int


@dataclass(eq=False, slots=True)
class Tape:
    """The circuit of one sequence and one set of qubits that meet."""

    tree: Tree
    node: Node
    angles: list[float] = field(default_factory=list)
    wires: dict[int, int] = field(default_factory=dict)  # where the program's qubits are
    bits: list[Bit] = field(default_factory=list)
    kept: list[tuple[Bit, int]] = field(default_factory=list)  # what post-selection asks for
    ancilla: int = -1  # of weak readouts

    def add(
        self, key: Any, steps: tuple[Step, ...], angles: list[float] | None = None,
        qubits: int = 0, bits: int = 0,
    ) -> None:  # fmt: skip
        """Steps at the end; `qubits` and `bits` say how many new ones they need."""
        angles = angles or []
        node = self.node
        self.node = self.tree.after(
            node, key, steps, len(angles), node.qubits + qubits, node.bits + bits
        )
        self.angles.extend(angles)

    def new_bits(self, count: int) -> list[Bit]:
        """Numbers for bits that the next step measures."""
        first = self.node.bits
        made = [Bit(self, first + i) for i in range(count)]
        self.bits += made
        return made

    def join(self, other: Tape) -> None:
        """The other circuit becomes part of this one."""
        mine = self.node
        steps = tuple(shifted(steps_of(other.node), qubits=mine.qubits, bits=mine.bits))
        for q, wire in other.wires.items():
            self.wires[q] = wire + mine.qubits
        for bit in other.bits:
            bit.tape, bit.index = self, bit.index + mine.bits
        self.bits += other.bits
        self.kept += other.kept
        self.add(("join", other.node), steps, other.angles, other.node.qubits, other.node.bits)


def numbered(when: When) -> tuple[tuple[int, int], ...]:
    """By the numbers of the bits, which are all in one circuit now."""
    return tuple((bit.index, value) for bit, value in when)
