"""What there is to draw of a circuit: items on wires, in columns. No characters, no pixels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from qrlang.analysis.circuits import Circuit, FlatGate, flat_element, pauli_rotation, product
from qrlang.draw.labels import Labels, number, signed
from qrlang.draw.repeats import repeated
from qrlang.ir.program import (
    Alloc,
    ApplyMatrix,
    Channel,
    Evolve,
    Expect,
    Free,
    If,
    Measure,
    Observable,
    Op,
    Postselect,
    Prepare,
    Probabilities,
    Register,
    Reset,
    Unitary,
)

_LISTED = 48  # letters of a list of observables
_NO_SUBSCRIPTS = dict.fromkeys(range(0x2080, 0x208A))


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands on one wire: a box with a text, or a sign."""

    kind: str  # box control open target cross read meter noise state
    text: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """Marks on wires (by row), joined by a line if there are several."""

    marks: tuple[tuple[int, Mark], ...]
    joined: bool = True
    reads: str = ""  # the name of a readout: its marks give a classical value
    tall: str = ""  # one box over all rows, with this text

    @property
    def rows(self) -> tuple[int, int]:
        rows = [row for row, _ in self.marks]
        return min(rows), max(rows)

    @property
    def shape(self) -> object:
        """What stays the same when a layer is repeated: all but the numbers of the angles."""
        marks = ((row, m.kind, m.text.translate(_NO_SUBSCRIPTS)) for row, m in self.marks)
        return tuple(marks), self.tall


@dataclass(slots=True)
class Frame:
    """A block with a caption around it: `if b`, `× 4`."""

    caption: str
    body: list[Part]
    folded: bool = False  # layers that differ in the numbers of their angles


Part = Item | Frame


@dataclass(slots=True)
class Scene:
    title: str
    wires: list[str]
    gaps: set[int]  # rows after which another register begins
    parts: list[Part]
    labels: Labels
    begins: list[str]  # at the left end of each wire: "|0⟩", or "" for what was left in it
    repeats: bool
    caption: str = ""


_NAMES = {"id": "I", "sdg": "S†", "tdg": "T†", "sx": "√X", "sxdg": "√X†", "iswap": "iSW",
          "iswapdg": "iSW†", "xx_plus_yy": "XX+YY", "p": "P", "u": "U", "r": "R"}  # fmt: skip


def gate_name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    if name in ("rxx", "ryy", "rzz"):
        return name[1:].upper()
    return name.capitalize() if name.startswith("r") else name.upper()


class _Builder:
    def __init__(self, circuit: Circuit, labels: Labels) -> None:
        self.row = {q: i for i, q in enumerate(circuit.qubits)}
        self.labels = labels
        self.wires = wires(circuit.registers)

    def parts(self, ops: tuple[Op, ...]) -> Iterator[Part]:
        for op in ops:
            yield from self.op(op)

    def op(self, op: Op) -> Iterator[Part]:
        match op:
            case Unitary():
                for element in op.elements:
                    for gate in flat_element(element):
                        yield self.gate(gate)
            case Evolve():
                yield from self.evolve(op)
            case Reset():
                for q in op.qubits:
                    yield self.single(q, Mark("state", "|0⟩"))
            case Measure():
                name = self.labels.names.of(op.out)
                for i, q in enumerate(op.qubits):
                    part = f"{name}[{i}]" if len(op.qubits) > 1 else name
                    yield self.single(q, Mark("meter", f"M {part}"))
            case Postselect():
                for q, outcome in zip(op.qubits, op.bits, strict=True):
                    yield self.single(q, Mark("state", f"⟨{outcome}|"))
            case Channel():
                args = ",".join(self.labels.angle(a) for a in op.args)
                yield self.on(op.qubits, "noise", f"{op.name} {args}")
            case Prepare():
                yield self.tall(op.qubits, f"prepare {op.amplitudes.name or 'values'}")
            case ApplyMatrix():
                name = (op.matrix.name or "U") + ("†" if op.adjoint else "")
                yield self.tall(op.qubits, name, op.controls, op.zeros)
            case Expect():
                yield self.expect(op)
            case Probabilities():
                item = self.on(op.qubits, "read", "p")
                yield Item(item.marks, reads=self.labels.names.of(op.out))
            case If():
                bit = self.labels.names.of(op.condition)
                if op.condition.type.count > 1:
                    bit += f"[{op.index}]"
                if op.then:
                    yield Frame(f"if {bit}", list(self.parts(op.then)))
                if op.orelse:
                    yield Frame(f"if not {bit}", list(self.parts(op.orelse)))
            case Alloc() | Free():
                pass

    def single(self, q: int, mark: Mark) -> Item:
        return Item(((self.row[q], mark),))

    def on(self, qubits: tuple[int, ...], kind: str, text: str) -> Item:
        """The text on the first wire, its first word on the others."""
        short = text.split(" ", maxsplit=1)[0]
        marks = [(self.row[q], Mark(kind, text if i == 0 else short)) for i, q in enumerate(qubits)]
        return Item(tuple(sorted(marks, key=lambda m: m[0])))

    def tall(
        self,
        qubits: tuple[int, ...],
        text: str,
        controls: tuple[int, ...] = (),
        zeros: tuple[int, ...] = (),
    ) -> Item:
        marks = [(self.row[q], Mark("box")) for q in qubits]
        marks += [(self.row[q], Mark("control")) for q in controls]
        marks += [(self.row[q], Mark("open")) for q in zeros]
        return Item(tuple(sorted(marks, key=lambda m: m[0])), tall=text)

    def gate(self, gate: FlatGate) -> Item:
        marks: list[tuple[int, Mark]] = []
        marks += [(self.row[q], Mark("control")) for q in gate.controls]
        marks += [(self.row[q], Mark("open")) for q in gate.zeros]
        controlled = bool(marks)
        angles = ",".join(self.labels.angle(a) for a in gate.angles)
        name = gate_name(gate.name)
        if gate.name == "swap":
            marks += [(self.row[q], Mark("cross")) for q in gate.qubits]
        elif gate.name == "x" and controlled:
            marks.append((self.row[gate.qubits[0]], Mark("target")))
        elif gate.name == "z" and controlled:
            marks.append((self.row[gate.qubits[0]], Mark("control")))
        elif gate.name == "rzx":
            for q, letter in zip(gate.qubits, ("Z", f"X {angles}"), strict=True):
                marks.append((self.row[q], Mark("box", letter)))
        else:
            first = min(gate.qubits, key=lambda q: self.row[q])
            for q in gate.qubits:
                text = f"{name} {angles}".strip() if q == first else name
                marks.append((self.row[q], Mark("box", text)))
        return Item(tuple(sorted(marks, key=lambda m: m[0])))

    def evolve(self, op: Evolve) -> Iterator[Part]:
        """A Trotter step in a frame with its count; an exact evolution as one box."""
        if op.trotter:
            step: list[Part] = []
            for coefficient, string in op.terms:
                angle = product(2 / op.trotter, coefficient, op.time)
                step += [self.gate(g) for g in pauli_rotation(string, angle)]
            yield from [Frame(f"× {op.trotter}", step)] if op.trotter > 1 else step
            return
        qubits = tuple(sorted({q for _, string in op.terms for q, _ in string}))
        if qubits:
            yield self.tall(qubits, f"exp(−i{self.labels.angle(op.time)}H)")

    def expect(self, op: Expect) -> Item:
        name = self.labels.names.of(op.out)
        letters: dict[int, str] = {}
        rows: set[int] = set()
        plain = True
        for observable in op.observables:
            for _, string in observable:
                rows.update(self.row[q] for q, _ in string)
                plain = plain and len(observable) == 1 and len(string) == 1
                for q, p in string:
                    have = letters.setdefault(self.row[q], "")
                    if p not in have:
                        letters[self.row[q]] = have + p
        how = f" {op.shots} shots" if op.shots else f" weak {op.weak:g}" if op.weak else ""
        kind = "" if plain else observable_kind(op.observables)
        first = min(rows, default=0)
        marks = {
            r: Mark("read", f"⟨{kind}⟩" if kind and r == first else f"⟨{letters[r]}⟩") for r in rows
        }
        if not plain and not kind:  # of several kinds: which they are
            name += f" = {self.listed(op.observables)}"
        return Item(tuple(sorted(marks.items())), joined=not plain, reads=name + how)

    def listed(self, observables: tuple[Observable, ...]) -> str:
        """`Z0, X2, Z0·Z1`: as many as go on a line, by number of the wire or by its name."""
        several = len({name.partition("[")[0] for name in self.wires}) > 1

        def word(letter: str, q: int) -> str:
            row = self.row[q]
            return f"{letter}({self.wires[row]})" if several else f"{letter}{row}"

        said: list[str] = []
        for k, observable in enumerate(observables):
            text = ""
            for factor, string in observable:
                product = "·".join(word(p, q) for q, p in string)
                text += signed(factor, product, first=not text)
            said.append(text if len(text) <= _LISTED else f"a sum of {len(observable)}")
            if sum(map(len, said)) > _LISTED:
                return ", ".join([*said, "…"] if k + 1 < len(observables) else said)
        return ", ".join(said)


def observable_kind(observables: tuple[Observable, ...]) -> str:
    """`ZZ` if they are all of one kind and it is short, else nothing."""
    kinds = {tuple("".join(p for _, p in s) for _, s in o) for o in observables}
    kind = kinds.pop() if len(kinds) == 1 else ()
    return "+".join(w or "1" for w in kind) if 0 < len(kind) <= 3 else ""


def wires(registers: Sequence[Register]) -> list[str]:
    return [f"{r.name}[{i}]" for r in registers for i in range(r.size)]


def scene(circuit: Circuit, title: str, labels: Labels, fold: bool = False) -> Scene:
    builder = _Builder(circuit, labels)
    parts = [p for p in builder.parts(circuit.ops) if isinstance(p, Frame) or p.marks]
    ends = list(itertools.accumulate(register.size for register in circuit.registers))
    return Scene(
        title,
        builder.wires,
        {end - 1 for end in ends[:-1]},
        folded(parts) if fold else parts,
        labels,
        circuit.begins,
        circuit.loop is not None and not circuit.fresh,
    )


def folded(parts: list[Part]) -> list[Part]:
    """Repeated layers once, in a frame that says how often."""
    if not all(isinstance(p, Item) for p in parts):
        return parts
    start, period, times = repeated([p.shape for p in parts if isinstance(p, Item)])
    if (times - 1) * period < 4:
        return parts
    frame = Frame(f"× {times}", parts[start : start + period], folded=True)
    return [*parts[:start], frame, *parts[start + period * times :]]


# --- columns --------------------------------------------------------------------------------------

Width = TypeVar("Width", int, float)


@dataclass(slots=True)
class Column:
    """Items side by side in time, on different wires; or the edge of a frame."""

    items: list[Item] = field(default_factory=list)
    opens: str = ""
    closes: bool = False


def columns(parts: list[Part], rows: int) -> list[Column]:
    """Each item as early as the wires that it covers allow."""
    out: list[Column] = []

    def place(parts: list[Part]) -> None:
        floor = len(out)
        free = [floor] * rows
        for part in parts:
            if isinstance(part, Frame):
                out.append(Column(opens=part.caption))
                place(part.body)
                out.append(Column(closes=True))
                free = [len(out)] * rows
                continue
            low, high = part.rows
            if part.reads:
                high = rows - 1  # its value goes down, past the wires below
            at = max(free[low : high + 1])
            while len(out) <= at:
                out.append(Column())
            out[at].items.append(part)
            free[low : high + 1] = [at + 1] * (high + 1 - low)

    place(parts)
    return out


def make_room(
    cols: list[Column], widths: list[Width], gap: Width, letter: Width, margin: Width
) -> None:
    """A frame is at least as wide as its caption."""
    stack: list[int] = []
    for i, column in enumerate(cols):
        if column.opens:
            stack.append(i)
        elif column.closes:
            first = stack.pop()
            inside = sum(widths[first : i + 1]) + gap * (i - first)
            widths[i] += max(0, len(cols[first].opens) * letter + margin - inside)


def panels(
    cols: list[Column], widths: Sequence[float], gap: float, room: float
) -> list[tuple[int, int]]:
    """Ranges of columns that fit beside one another; as few as can be, and about equally wide."""
    found = _filled(cols, widths, gap, room)
    low, high = room / 2, room
    if len(found) > 1:
        for _ in range(8):  # the least room that takes no more panels
            middle = (low + high) / 2
            if len(_filled(cols, widths, gap, middle)) > len(found):
                low = middle
            else:
                high = middle
    return _filled(cols, widths, gap, high)


def _filled(
    cols: list[Column], widths: Sequence[float], gap: float, room: float
) -> list[tuple[int, int]]:
    found, low, used = [], 0, 0.0
    for i, w in enumerate(widths):
        if i > low and used + w + gap > room:
            cut = i - 1 if cols[i - 1].opens and i - 1 > low else i  # no frame around nothing
            found.append((low, cut))
            low, used = cut, sum(widths[cut:i]) + gap * (i - cut)
        used += w + gap
    return [*found, (low, len(widths))]


__all__ = [
    "Column",
    "Frame",
    "Item",
    "Labels",
    "Mark",
    "Scene",
    "columns",
    "number",
    "panels",
    "scene",
]
