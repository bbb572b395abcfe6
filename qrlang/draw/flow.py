"""The classical side, condensed: which layers lie between what is read and the angles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from qrlang.analysis.circuits import Circuit
from qrlang.draw.names import Names
from qrlang.ir.program import (
    Attend,
    CallExtern,
    Channel,
    Const,
    Embed,
    Evolve,
    Expect,
    If,
    LayerNorm,
    Linear,
    Loop,
    Measure,
    Op,
    Postselect,
    Probabilities,
    Program,
    Unitary,
    UseWeight,
    Value,
)
from qrlang.ir.walk import defs, qubits_of, uses


@dataclass(slots=True)
class Node:
    """A layer: its name, what it is in a few words, the names of what goes in."""

    name: str
    detail: str = ""
    inputs: dict[str, None] = field(default_factory=dict)
    widths: list[int] = field(default_factory=list)
    loop: str = ""  # the recurrence that it is in; "" outside of all


@dataclass(slots=True)
class Flow:
    nodes: dict[str, Node]
    origins: dict[int, frozenset[str]]  # of each value: names of layers and sources
    sources: dict[str, str]  # inputs, readouts, carries, weights: what each is
    results: list[tuple[str, tuple[str, ...]]]  # what leaves: a name and where it comes from
    carried: list[tuple[str, tuple[str, ...]]]  # what goes into the next step

    def from_(self, values: Iterable[Value]) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for value in values:
            names.update(dict.fromkeys(sorted(self.origins.get(value.id, ()))))
        return tuple(names)


def flow(program: Program, found: tuple[Circuit, ...], names: Names) -> Flow:
    """Of the whole program; names are those of the text."""
    return _Flow(program, found, names).run()


class _Flow:
    def __init__(self, program: Program, found: tuple[Circuit, ...], names: Names) -> None:
        self.names = names
        self.loop = ""  # the recurrence that is walked through
        self.program = program
        self.flow = Flow({}, {}, {}, [], [])
        self.shapes = {w.name: w.shape for w in program.weights}
        # Circuits whose qubits are fresh in a step are layers, and so nodes.
        self.layer_of = {
            q: c.name for c in found if c.fresh and c.loop is not None for q in c.qubits
        }

    def run(self) -> Flow:
        for value in self.program.inputs:
            self.source(value, str(value.type))
        self.body(self.program.body)
        for output in self.program.outputs:
            self.flow.results.append((output.name or "result", self.flow.from_([output.value])))
        return self.flow

    def source(self, value: Value, what: str) -> None:
        name = self.names.of(value)
        self.flow.sources.setdefault(name, what)
        self.flow.origins[value.id] = frozenset({name})

    def body(self, ops: tuple[Op, ...]) -> None:
        for op in ops:
            self.op(op)

    def op(self, op: Op) -> None:
        origins = self.flow.origins
        match op:
            case Loop():
                for item in op.items:
                    self.source(item.item, str(item.item.type))
                if op.flag:
                    self.source(op.flag, "1 after the end of the sequence, else 0")
                for carry in op.carries:
                    self.source(carry.arg, f"{carry.arg.type}, from the step before")
                self.loop = op.name
                self.body(op.body)
                self.loop = ""
                for carry in op.carries:
                    origins[carry.out.id] = origins.get(carry.arg.id, frozenset())
                    name = self.names.of(carry.arg)
                    self.flow.carried.append((name, self.flow.from_([carry.next])))
                for emit in op.emits:
                    origins[emit.out.id] = origins.get(emit.value.id, frozenset())
            case If():
                self.body((*op.then, *op.orelse))
            case UseWeight():
                shape = self.shapes.get(op.weight, ())
                self.flow.sources.setdefault(op.weight, f"weights {list(shape)}")
                origins[op.out.id] = frozenset({op.weight})
            case Const():
                origins[op.out.id] = frozenset()
            case Expect() | Probabilities() | Measure() | Postselect():
                self.readout(op)
            case Linear() | Embed() | LayerNorm() | Attend() | CallExtern():
                self.layer(op)
            case Unitary() | Evolve() | Channel():
                self.quantum(op)
            case _:
                names = self.flow.from_(uses(op))
                for value in defs(op):
                    origins[value.id] = frozenset(names)

    def node(self, name: str, detail: str = "") -> Node:
        return self.flow.nodes.setdefault(name, Node(name, detail, loop=self.loop))

    def quantum(self, op: Op) -> None:
        """Angles of a circuit that is a layer are what goes into it."""
        qubits = qubits_of(op)
        if qubits and (name := self.layer_of.get(qubits[0])):
            node = self.node(name, "circuit")
            own = f"{name}."  # its weights go without saying
            given = [n for n in self.flow.from_(uses(op)) if not n.startswith(own)]
            node.inputs.update(dict.fromkeys(given))

    def readout(self, op: Expect | Probabilities | Measure | Postselect) -> None:
        qubits = qubits_of(op)
        layer = self.layer_of.get(qubits[0]) if qubits else None
        if layer:
            self.node(layer, "circuit")
            self.flow.origins[op.out.id] = frozenset({layer})
        else:
            self.source(op.out, f"{op.out.type}, read")

    def layer(self, op: Linear | Embed | LayerNorm | Attend | CallExtern) -> None:
        if isinstance(op, CallExtern):
            name = op.layer
        else:
            weights = op.weights if isinstance(op, Attend) else (op.weight,)
            name = weights[0].rsplit(".", 1)[0] if weights else "attention"
        node = self.node(name)
        names = [n for n in self.flow.from_(uses(op)) if n != name]
        node.inputs.update(dict.fromkeys(names))
        match op:
            case Linear():
                rows, cols = self.shapes[op.weight]
                if not node.widths:
                    node.widths.append(cols)
                if node.widths[-1] == cols:
                    node.widths.append(rows)
                node.detail = " → ".join(map(str, node.widths))
            case Embed():
                node.detail = "table " + " × ".join(map(str, self.shapes[op.weight]))
            case Attend():
                node.detail = f"{op.score} attention"
            case CallExtern():
                node.detail = "Python"
            case LayerNorm():
                node.detail = "layer norm"
        self.flow.origins[op.out.id] = frozenset({name})


def legend(flow: Flow, letters: Mapping[int, str], values: Mapping[int, Value]) -> list[str]:
    """`θ: steer(row, z) → real[12]` for each letter."""
    lines = []
    for key, letter in letters.items():
        value = values[key]
        names = flow.from_([value])
        source = ", ".join(name_of(flow, n) for n in names) or "constants"
        if len(names) == 1 and value.name in (names[0], names[0].rsplit(".", 1)[-1]):
            lines.append(f"{letter} = {source}  {value.type}")
        else:
            own = f"{value.name}  " if value.name else ""
            lines.append(f"{letter} = {own}{value.type} from {source}")
    return lines


def name_of(flow: Flow, name: str) -> str:
    node = flow.nodes.get(name)
    return f"{name}({', '.join(node.inputs)})" if node else name
