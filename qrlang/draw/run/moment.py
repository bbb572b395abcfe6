"""One moment of a run as it is drawn: what happened on the lines, and in the classical net.

Plain numbers; `qrlang.trace.replay` computes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BEFORE = ", before"  # a column of what the moment before has left


@dataclass(frozen=True)
class Vertex:
    """Something on lines of travel. Rows count from the top of its circuit."""

    kind: str  # gate, entangler, blob, read, measure, mark, noise
    name: str
    rows: tuple[int, ...]  # what it acts on
    controls: tuple[int, ...] = ()
    zeros: tuple[int, ...] = ()  # controls that act at 0
    angles: tuple[float, ...] = ()
    role: str = ""  # where the angles come from: trained, layer, data, readout, frozen, constant
    source: str = ""  # the weight or layer that they come from
    slope: float | None = None  # the loss by its angle, where it is trained itself
    made: float = 0.0  # entanglement that it made, in bits; below 0: that it undid
    values: tuple[float, ...] = ()  # of a reading; of a measurement the chance of 1

    @property
    def all_rows(self) -> tuple[int, ...]:
        return (*self.controls, *self.zeros, *self.rows)


@dataclass(frozen=True)
class Branch:
    """What happens only if a measured bit says so, and how often it does."""

    caption: str
    chance: float
    parts: tuple[Part, ...]


Part = Vertex | Branch


@dataclass(frozen=True)
class Lines:
    """A circuit: lines of travel, and what is on them."""

    name: str
    caption: str
    wires: tuple[str, ...]
    gaps: frozenset[int]  # rows after which another register begins
    begins: tuple[str, ...]
    goes_on: bool  # the qubits live on in the next moment
    parts: tuple[Part, ...]
    entropies: tuple[float, ...]  # of each qubit at the end


@dataclass(frozen=True)
class Column:
    """Numbers of the classical side that belong together: a layer's, an input, a reading."""

    key: str
    kind: str  # input, read, layer, angles, output
    name: str
    values: tuple[float, ...]
    shares: tuple[float, ...]  # the same from 0 to 1
    loop: str = ""
    function: str = ""
    range: tuple[float, float] = (0.0, 1.0)  # what 0 and 1 are
    slope: float | None = None  # the norm of the loss by its weights


@dataclass(frozen=True)
class Link:
    """Between columns. `weights`: from which number to which, and how strong; none: all to all,
    in a way that is no plain sum."""

    source: str
    target: str
    weights: tuple[tuple[int, int, float], ...] = ()


@dataclass(frozen=True)
class Moment:
    model: str
    about: str  # n = 4, hidden = 16
    step: int
    steps: int
    epoch: int
    sample: str  # which record is shown
    place: str  # which moment of it
    loss: float | None  # of the update
    rate: float
    norm: float | None  # of the gradient
    optimizer: str
    answer: str  # what the model says, and what is true
    lines: tuple[Lines, ...]
    columns: tuple[Column, ...]
    links: tuple[Link, ...]
    steers: tuple[tuple[str, str], ...]  # a column and the circuit whose angles it makes
    reads: tuple[tuple[str, str], ...]  # a circuit and the column of what is read there
    carried: tuple[tuple[str, str], ...] = ()  # columns, from this moment into the next
    notes: tuple[str, ...] = field(default=())
