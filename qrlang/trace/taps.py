"""A program with taps: what it reads and computes on the way as outputs of its own.

As the instruments of `qrlang.probe`, but for all recurrences at once, and for activations too.
What differs from shot to shot (everything that comes from a measured bit) is left alone: handing it
out would keep apart branches that the program lets go of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from qrlang.draw.names import Names
from qrlang.ir.program import (
    Attend,
    CallExtern,
    Expect,
    If,
    LayerNorm,
    Linear,
    Loop,
    LoopEmit,
    Measure,
    Op,
    Output,
    Pointwise,
    Probabilities,
    Program,
    Softmax,
    SoftmaxOver,
    Value,
)
from qrlang.ir.walk import defs, map_bodies, next_id, qubits_of, uses, walk

# Functions that a layer puts on what it has added up.
ACTIVATIONS = frozenset(
    ("tanh", "sigmoid", "relu", "leaky_relu", "elu", "silu", "gelu", "softplus", "sin", "cos")
)


WIDEST = 1024  # numbers of one value that is tapped: not the scores of a whole vocabulary


@dataclass(frozen=True)
class Tap:
    group: str  # readouts, activations
    name: str
    value: int  # its number in the program
    width: int
    series: bool  # one for each moment
    function: str = ""  # that made it, of activations
    output: str = ""  # of the program with taps


@dataclass(frozen=True)
class Tapped:
    program: Program
    taps: tuple[Tap, ...]
    left_out: tuple[str, ...]  # what differs by shot, is too wide, or a sequence at each moment


def tapped(program: Program) -> Tapped:
    return _Tapping(exact(program)).run()


def exact(program: Program) -> Program:
    """The same with readouts that no shots blur: nothing is drawn by lot."""

    def change(ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return tuple(
            replace(op, shots=0)
            if isinstance(op, (Expect, Probabilities)) and op.shots
            else map_bodies(op, change)
            for op in ops
        )

    return replace(program, body=change(program.body))


class _Tapping:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = Names(program)
        self.fresh = count(next_id(program))
        self.taken: Counter[str] = Counter()
        self.taps: list[Tap] = []
        self.left_out: list[str] = []
        self.shots: set[int] = set()  # values that differ from shot to shot
        self.bits: set[int] = set()  # qubits that were touched on the condition of a bit
        self.layers: dict[int, str] = {}  # values of linear layers, by what they are called
        acts = (op for op in walk(program.body) if isinstance(op, Pointwise) and _acts(op))
        self.fed = {op.args[0].id for op in acts}  # what an activation is made from

    def run(self) -> Tapped:
        body: list[Op] = []
        outputs = list(self.program.outputs)
        for op in self.program.body:
            if isinstance(op, Loop):
                found = list(self.found(op.body, True))
                emits = []
                for tap, value in found:
                    out = Value(next(self.fresh), replace(value.type, seq=True))
                    emits.append(LoopEmit(tap.output, value, out))
                    outputs.append(Output(tap.output, out))
                self.spread(op)
                body.append(replace(op, emits=(*op.emits, *emits)))
            else:
                body.append(op)
                for tap, value in self.found((op,), False):
                    outputs.append(Output(tap.output, value))
        made = replace(self.program, body=tuple(body), outputs=tuple(outputs))
        return Tapped(made, tuple(self.taps), tuple(self.left_out))

    def found(self, ops: tuple[Op, ...], inside: bool) -> Iterator[tuple[Tap, Value]]:
        for op in ops:
            self.spread(op)
            named = self.named(op)
            if named is None:
                continue
            group, name, function, value = named
            sequences = inside and value.type.seq  # one at each moment: weights of attention
            if value.id in self.shots or value.type.count > WIDEST or sequences:
                self.left_out.append(name)
                continue
            series = inside or value.type.seq
            tap = Tap(group, self.unique(name), value.id, value.type.count, series, function,
                      f"trace_{len(self.taps)}")  # fmt: skip
            self.taps.append(tap)
            yield tap, value

    def named(self, op: Op) -> tuple[str, str, str, Value] | None:
        match op:
            case Expect() | Probabilities():
                return "readouts", self.names.of(op.out), "", op.out
            case Linear():
                layer = op.weight.rpartition(".")[0] or op.weight
                self.layers[op.out.id] = layer
                if op.out.id in self.fed:
                    return None  # what its function makes of it says more
                return "activations", layer, "linear", op.out
            case Pointwise() if _acts(op):
                layer = self.layers.get(op.args[0].id, self.names.of(op.out))
                name = layer if op.args[0].id in self.layers else op.fn
                return "activations", name, op.fn, op.out
            case Softmax() | SoftmaxOver():
                return "activations", "softmax", "softmax", op.out
            case Attend():
                layer = op.weights[0].rpartition(".")[0] if op.weights else "attention"
                return "activations", layer, "attention", op.out
            case CallExtern():
                return "activations", op.layer, "extern", op.out
            case LayerNorm():
                return "activations", op.weight.rpartition(".")[0], "layer norm", op.out
        return None

    def unique(self, name: str) -> str:
        self.taken[name] += 1
        return name if self.taken[name] == 1 else f"{name}.{self.taken[name]}"

    def spread(self, op: Op) -> None:
        """Marks what an op makes of bits."""
        if isinstance(op, Measure):
            self.shots.add(op.out.id)
        elif isinstance(op, Loop):
            for carry in op.carries:
                if carry.next.id in self.shots:
                    self.shots |= {carry.out.id, carry.arg.id}
            self.shots |= {e.out.id for e in op.emits if e.value.id in self.shots}
        elif isinstance(op, If) or qubits_of(op):
            return  # a read is the average over all shots
        elif any(v.id in self.shots for v in uses(op)):
            self.shots |= {v.id for v in defs(op)}


def _acts(op: Pointwise) -> bool:
    return op.fn in ACTIVATIONS and len(op.args) == 1
