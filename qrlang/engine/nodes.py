"""What a plan is made of: what one pass over a batch does, in operations that every machine has.

Classical values are *slots*: so many rows, each row one number per sequence of the batch. The
circuit is brought to one normal form, `Layer`: an index map of the amplitudes, then one diagonal
`exp(-i/2 Σ a_m Z_m)`, then real rotations exp(-i b/2 Y) on different qubits. Every gate of the
table becomes layers; all readouts become parities `Z_m`. The diagonal and the map at the end of a
step cross into the next one, where they merge with what begins it.

The backward pass is the mirror: the nodes in reverse order, each with its adjoint; layers are
undone on state and costate, never stored. What a printer keeps of each step are the carries and
the readouts; the rest of the step's classical part is computed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qrlang.engine.gf2 import Affine as IndexMap


@dataclass(frozen=True, slots=True)
class Refusal:
    """The engine cannot run the program; `reason` is a sentence without a full stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """`constant + Σ coefficient * slot[row]`."""

    constant: float = 0.0
    terms: tuple[tuple[float, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """Base of what a body is made of."""


@dataclass(frozen=True, slots=True)
class Rows(Node):
    """Sparse affine rows: angles, gathers, concatenations, sums, constants."""

    out: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Copy(Node):
    """`out[to + i] = source[first + i]` for `count` rows: the dense case of `Rows`."""

    out: int
    parts: tuple[tuple[int, int, int, int], ...]  # (to, source, first, count)


@dataclass(frozen=True, slots=True)
class Map(Node):
    """A pointwise function; a slot of one row goes with any other."""

    out: int
    fn: str
    args: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Linear(Node):
    """`gain * (W @ x) + b`; weights by their index in the plan, -1 for none."""

    out: int
    x: int
    weight: int
    bias: int = -1
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Matmul(Node):
    """[m, k] times [k, n], all of them values."""

    out: int
    a: int
    b: int
    m: int
    k: int
    n: int


@dataclass(frozen=True, slots=True)
class WeightRows(Node):
    """The numbers of a weight as a slot."""

    out: int
    weight: int


@dataclass(frozen=True, slots=True)
class Embed(Node):
    """Row `x[0]` of a table."""

    out: int
    x: int
    weight: int
    width: int


@dataclass(frozen=True, slots=True)
class Dropout(Node):
    """Rows set to zero by lot, the others divided by 1 - p. `number` tells it from others: with
    the seed, the moment, the sequence and the row it decides, so going back draws the same."""

    out: int
    x: int
    p: float
    number: int


@dataclass(frozen=True, slots=True)
class Layer:
    """|x⟩ -> |map x⟩, then the diagonal, then the rotations; angles are rows of a slot."""

    map: IndexMap
    terms: tuple[tuple[int, int], ...]  # (parity mask over index bits, row)
    rotations: tuple[tuple[int, int], ...]  # (index bit, row)


@dataclass(frozen=True, slots=True)
class Circuit(Node):
    """What happens to one space without a classical operation in between.

    `reset` >= 0 begins at that basis state. `masks`: parities read at the end into `out`
    (unnormalised sums; the first is the empty parity, the squared norm).
    """

    space: int
    reset: int
    angles: int
    layers: tuple[Layer, ...]
    masks: tuple[int, ...] = ()
    out: int = -1
    renormalise: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """How a loop walks along a sequence: `source` is an input (>= 0) or `-1 - emit slot`."""

    source: int
    reverse: bool = False
    shift: int = 0
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Carry:
    initial: int
    arg: int
    next: int
    out: int


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """`body` once for every moment of `clock` (the input whose lengths rule) and for `grown` more
    (what the sequences walked along have beyond it), then `extra` times with items zero."""

    id: int
    clock: int
    grown: int
    items: tuple[tuple[View, int], ...]
    carries: tuple[Carry, ...]
    emits: tuple[tuple[int, int], ...]  # (slot in the body, sequence slot)
    body: tuple[Node, ...]
    extra: int = 0
    flag: int = -1


@dataclass(frozen=True, slots=True)
class Input:
    """A program input. `clock` numbers the inputs that are sequences by their own lengths."""

    name: str
    rows: int
    token: bool
    seq: bool
    size: int = 0  # of a token: how many there are


@dataclass(frozen=True, slots=True)
class PlannedWeight:
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlannedOutput:
    """`slot` of the outermost body, or a sequence slot."""

    name: str
    slot: int
    rows: int
    seq: bool
    clock: int = -1
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A space as a recurrence leaves it: what its memory holds, then a map, then a diagonal."""

    space: int
    map: IndexMap
    masks: tuple[int, ...]
    angles: int  # a slot


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    inputs: tuple[Input, ...]
    loads: tuple[tuple[int, int], ...]  # (input, slot): inputs that are not sequences
    weights: tuple[PlannedWeight, ...]
    slots: tuple[int, ...]  # rows of each
    outer: int  # slots below this are of the outermost body
    sequences: tuple[tuple[int, int, int], ...]  # rows, clock, extra of each sequence slot
    spaces: tuple[int, ...]  # qubits of each
    local: tuple[bool, ...]  # is the space begun anew inside a loop
    body: tuple[Node, ...]
    outputs: tuple[PlannedOutput, ...]
    notes: tuple[str, ...] = field(default=())
    kept: tuple[Kept, ...] = ()  # of a segment: the states that go on after it
    given: bool = False  # they lie there when it begins

    @property
    def circuits(self) -> tuple[Circuit, ...]:
        found: list[Circuit] = []

        def visit(nodes: tuple[Node, ...]) -> None:
            for node in nodes:
                if isinstance(node, Circuit):
                    found.append(node)
                elif isinstance(node, Loop):
                    visit(node.body)

        visit(self.body)
        return tuple(found)

    def number_of(self, circuit: Circuit) -> int:
        return next(i for i, c in enumerate(self.circuits) if c is circuit)
