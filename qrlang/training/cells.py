"""Classical cells, built into a program where its circuits were."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from qrlang.errors import TrainingError
from qrlang.ir.program import (
    Alloc,
    Channel,
    Concat,
    Const,
    Dropout,
    Evolve,
    Expect,
    Free,
    Gather,
    Initial,
    LayerNorm,
    Linear,
    Loop,
    LoopCarry,
    Matmul,
    Op,
    Pointwise,
    Probabilities,
    Program,
    Reduce,
    Reshape,
    Unitary,
    UseWeight,
    Value,
    Weight,
)
from qrlang.ir.said import said
from qrlang.ir.types import Type, real
from qrlang.ir.walk import defs, next_id, qubits_of, uses, walk

_STEERING = (Linear, Pointwise, Concat, Gather, Reshape, LayerNorm, Dropout, Reduce)
_QUANTUM = (Alloc, Free, Unitary, Evolve, Expect, Probabilities)


@dataclass(frozen=True, slots=True)
class Cell:
    """`step(make, x, state, prefix)`: the new state. `vectors`: how many a state has.

    A second size goes with the width: units of a layer beside the cell's input (0: none), or
    reflections; `whole` and `least` say what a plain and a smallest cell has of them.
    """

    step: Callable[[Make, Value, tuple[Value, ...] | None, str], tuple[Value, ...]]
    vectors: int = 1
    front: bool = True

    def whole(self, width: int) -> int:
        return 0 if self.front else width

    def least(self, width: int) -> int:
        return 0 if self.front else 1

    def allows(self, width: int, more: int) -> bool:
        return self.front or more <= width


@dataclass
class Make:
    """Collects ops and weights."""

    width: int
    more: int
    number: int
    weights: dict[str, Weight] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    top: list[Op] = field(default_factory=list)  # before everything else
    matrices: dict[str, Value] = field(default_factory=dict)

    def value(self, type: Type, name: str = "") -> Value:
        self.number += 1
        return Value(self.number - 1, type, name)

    def weight(self, name: str, shape: tuple[int, ...], initial: Initial) -> str:
        self.weights.setdefault(name, Weight(name, shape, initial))
        return name

    def linear(
        self, x: Value, width: int, name: str, bound: float, bias: float | None = None,
        out: Value | None = None,
    ) -> Value:  # fmt: skip
        """`bias` None: drawn like the matrix; a number: begins there."""
        spread = Initial("uniform", (-bound, bound))
        self.weight(f"{name}w", (width, x.type.count), spread)
        self.weight(f"{name}b", (width,), spread if bias is None else Initial("constant", (bias,)))
        made = out or self.value(real(width))
        self.ops.append(Linear(made, x, f"{name}w", f"{name}b"))
        return made

    def fn(self, name: str, *args: Value) -> Value:
        shape = max((a.type.shape for a in args), key=len)
        out = self.value(real(*shape))
        self.ops.append(Pointwise(out, name, args))
        return out

    def concat(self, values: Iterable[Value]) -> Value:
        values = tuple(values)
        if len(values) == 1 and values[0].type.kind == "real" and len(values[0].type.shape) == 1:
            return values[0]
        out = self.value(real(sum(v.type.count for v in values)))
        self.ops.append(Concat(out, values))
        return out

    def part(self, x: Value, k: int) -> Value:
        """The k-th stretch of `width` numbers."""
        out = self.value(real(self.width))
        indices = tuple(range(k * self.width, (k + 1) * self.width))
        self.ops.append(Gather(out, x, indices))
        return out

    def const(self, data: tuple[float, ...], *shape: int) -> Value:
        out = self.value(real(*shape))
        self.ops.append(Const(out, data))
        return out


# --- the cells ----------------------------------------------------------------------------------


def _seen(m: Make, x: Value, state: tuple[Value, ...] | None) -> Value:
    """The input beside the old hidden vector; a cell that begins anew each time has none."""
    return x if state is None else m.concat((x, state[0]))


def _rnn(m: Make, x: Value, state: tuple[Value, ...] | None, name: str) -> tuple[Value, ...]:
    bound = m.width**-0.5
    return (m.fn("tanh", m.linear(_seen(m, x, state), m.width, name, bound)),)


def _gru(m: Make, x: Value, state: tuple[Value, ...] | None, name: str) -> tuple[Value, ...]:
    bound = m.width**-0.5
    if state is None:
        gates = m.fn("sigmoid", m.linear(x, m.width, f"{name}gate_", bound))
        return (m.fn("mul", gates, m.fn("tanh", m.linear(x, m.width, name, bound))),)
    h = state[0]
    gates = m.fn("sigmoid", m.linear(m.concat((x, h)), 2 * m.width, f"{name}gate_", bound))
    keep, look = m.part(gates, 0), m.part(gates, 1)
    seen = m.concat((x, m.fn("mul", look, h)))
    new = m.fn("tanh", m.linear(seen, m.width, name, bound))
    return (m.fn("add", new, m.fn("mul", keep, m.fn("sub", h, new))),)


def _lstm(m: Make, x: Value, state: tuple[Value, ...] | None, name: str) -> tuple[Value, ...]:
    bound = m.width**-0.5
    seen = _seen(m, x, state)
    rest = m.linear(seen, 3 * m.width, name, bound)
    enter, leave = (m.fn("sigmoid", m.part(rest, k)) for k in (0, 1))
    cell = m.fn("mul", enter, m.fn("tanh", m.part(rest, 2)))
    if state is not None:
        keep = m.fn("sigmoid", m.linear(seen, m.width, f"{name}forget_", bound, bias=1.0))
        cell = m.fn("add", cell, m.fn("mul", keep, state[1]))
    return m.fn("mul", leave, m.fn("tanh", cell)), cell


def _orthogonal(m: Make, x: Value, state: tuple[Value, ...] | None, name: str) -> tuple[Value, ...]:
    bound = x.type.count**-0.5
    new = m.linear(x, m.width, name, bound, bias=0.0)
    if state is not None:
        turned = m.value(real(m.width))
        m.ops.append(Matmul(turned, _reflections(m, name), state[0]))
        new = m.fn("add", turned, new)
    # modReLU: the sign stays, the size is cut off by a trained amount.
    cut = m.value(real(m.width))
    m.ops.append(UseWeight(cut, m.weight(f"{name}cut", (m.width,), Initial("constant", (0.0,)))))
    size = m.fn("relu", m.fn("add", m.fn("abs", new), cut))
    return (m.fn("mul", m.fn("sign", new), size),)


def _reflections(m: Make, name: str) -> Value:
    """The product of reflections 1 - 2 v v' / v'v, made once a call."""
    if name in m.matrices:
        return m.matrices[name]
    here, m.ops = m.ops, m.top
    w, n = m.width, m.more
    m.weight(f"{name}mirrors", (n, w), Initial("normal", (0.0, 1.0)))
    mirrors = m.value(real(n, w))
    m.ops.append(UseWeight(mirrors, f"{name}mirrors"))
    matrix = m.const(tuple(float(i == j) for i in range(w) for j in range(w)), w, w)
    two = m.const((2.0,))
    for k in range(n):
        v = m.part(mirrors, k)
        square, image, outer = m.value(real()), m.value(real(w)), m.value(real(w, w))
        column, row = m.value(real(w, 1)), m.value(real(1, w))
        m.ops += [Matmul(square, v, v), Matmul(image, matrix, v)]
        scaled = m.fn("mul", image, m.fn("div", two, square))
        m.ops += [Reshape(column, scaled), Reshape(row, v), Matmul(outer, column, row)]
        matrix = m.fn("sub", matrix, outer)
    m.ops = here
    m.matrices[name] = matrix
    return matrix


CELLS: dict[str, Cell] = {
    "rnn": Cell(_rnn),
    "gru": Cell(_gru),
    "lstm": Cell(_lstm, vectors=2),
    "orthogonal": Cell(_orthogonal, front=False),
}


# --- the exchange -------------------------------------------------------------------------------


@dataclass
class _Space:
    """The classical state of qubits: None while it is as fresh."""

    state: tuple[Value, ...] | None = None
    pending: dict[int, Value] | None = None  # what a circuit that still has to act is driven by


class Build:
    def __init__(self, program: Program, cell: Cell, width: int, more: int) -> None:
        self.old, self.cell = program, cell
        self.make = Make(width, more, next_id(program))
        self.makers = {v.id: op for op in walk(program.body) for v in defs(op)}
        self.spaces = program.space_of
        self.readers: dict[object, str] = {}
        self.steps = 0
        self.read: set[int] = set()  # values that are readouts

    def program(self) -> Program:
        body = self._block(self.old.body, {})
        made = replace(
            self.old, body=(*self.make.top, *body), registers=(),
            weights=(*self.old.weights, *self.make.weights.values()),
        )  # fmt: skip
        return _tidied(made)

    def _block(self, ops: tuple[Op, ...], live: dict[int, _Space]) -> tuple[Op, ...]:
        outer, self.make.ops = self.make.ops, []
        for op in ops:
            self._op(op, live)
        for space in live.values():
            self._flush(space)
        made, self.make.ops = self.make.ops, outer
        return tuple(made)

    def _op(self, op: Op, live: dict[int, _Space]) -> None:
        match op:
            case Alloc():
                for s in self._touched(op):
                    live.setdefault(s, _Space())
            case Free():
                for s in self._touched(op):
                    live.pop(s, None)
            case Unitary() | Evolve():
                for s in self._touched(op):
                    space = live[s]
                    space.pending = {**(space.pending or {}), **self._drive(uses(op), s)}
            case Expect():
                self._readout(op.out, self._touched(op), op.observables, live)
            case Probabilities():
                self._readout(op.out, self._touched(op), op.qubits, live)
            case Loop():
                self._loop(op, live)
            case Channel():
                pass  # noise is the circuit's
            case Linear() if op.gain != 1.0 and self._only_read(op.x):
                self.make.ops.append(replace(op, gain=1.0))
            case _:
                if qubits_of(op) or type(op).__name__ == "If":
                    raise TrainingError(
                        f"a classical core has no {said(op)}, and {self.old.name} has",
                        "compare a model whose circuits only have gates and readouts",
                    )
                self.make.ops.append(op)

    def _touched(self, op: Op) -> list[int]:
        return list(dict.fromkeys(self.spaces[q] for q in qubits_of(op)))

    def _loop(self, op: Loop, live: dict[int, _Space]) -> None:
        m = self.make
        touched = {s for o in walk(op.body) if isinstance(o, _QUANTUM) for s in self._touched(o)}
        inner: dict[int, _Space] = {}
        links: list[tuple[int, tuple[Value, ...], tuple[Value, ...]]] = []
        for s in sorted(touched & live.keys()):
            self._flush(live[s])
            zero = (0.0,) * m.width
            before = live[s].state or tuple(
                m.const(zero, m.width) for _ in range(self.cell.vectors)
            )
            args = tuple(m.value(real(m.width), "hidden") for _ in before)
            inner[s] = _Space(args)
            links.append((s, before, args))
        body = self._block(op.body, inner)
        carries = list(op.carries)
        for s, before, args in links:
            after = inner[s].state if s in inner else None
            outs = tuple(m.value(real(m.width), "hidden") for _ in before)
            for b, a, n, o in zip(before, args, after or args, outs, strict=True):
                carries.append(LoopCarry(b, a, n, o))
            live[s].state = outs
        m.ops.append(replace(op, body=body, carries=tuple(carries)))

    def _flush(self, space: _Space) -> None:
        """One step of the cell for the circuits since the last readout."""
        if space.pending is None:
            return
        m = self.make
        self.steps += 1
        name = "core." if self.steps == 1 else f"core_{self.steps}."
        drive = list(space.pending.values())
        x = m.concat(drive) if drive else m.const((1.0,), 1)
        if self.cell.front and m.more:
            front = m.fn("relu", m.linear(x, m.more, f"{name}front_", x.type.count**-0.5))
            x = m.concat((x, front))
        space.state = self.cell.step(m, x, space.state, name)
        space.pending = None

    def _readout(
        self, out: Value, touched: list[int], what: object, live: dict[int, _Space]
    ) -> None:
        m = self.make
        states = []
        for s in touched:
            self._flush(live[s])
            held = live[s].state
            states.append(held[0] if held else m.const((0.0,) * m.width, m.width))
        key = (tuple(touched), what)
        name = self.readers.setdefault(key, f"read_{len(self.readers) + 1}.")
        x = m.concat(states)
        m.linear(x, out.type.count, name, x.type.count**-0.5, out=out)
        self.read.add(out.id)

    # --- what steers ---

    def _drive(self, values: Iterable[Value], space: int) -> dict[int, Value]:
        """What the steering layers are given, by its number."""
        found: dict[int, Value] = {}
        seen: set[int] = set()
        todo = list(values)
        while todo:
            v = todo.pop(0)
            if v.id in seen:
                continue
            seen.add(v.id)
            op = self.makers.get(v.id)
            if isinstance(op, _STEERING) and not v.type.seq:
                todo += uses(op)
            elif isinstance(op, (Expect, Probabilities)) and space in self._touched(op):
                continue
            elif not isinstance(op, (Const, UseWeight)):
                found[v.id] = v
        return found

    def _only_read(self, x: Value) -> bool:
        op = self.makers.get(x.id)
        if x.id in self.read or isinstance(op, (Expect, Probabilities)):
            return True
        if isinstance(op, (Concat, Gather, Reshape)):
            return all(self._only_read(v) for v in uses(op))
        return False


def _tidied(program: Program) -> Program:
    """Without the weights that nothing reads any more: those of steering layers."""
    named = _weights_read(program)
    return replace(program, weights=tuple(w for w in program.weights if w.name in named))


def _weights_read(program: Program) -> set[str]:
    """Those that an output depends on."""
    makers = {v.id: op for op in walk(program.body) for v in defs(op)}
    named: set[str] = set()
    seen: set[int] = set()
    todo = [o.value for o in program.outputs]
    while todo:
        v = todo.pop()
        op = makers.get(v.id)
        if v.id in seen or op is None:
            continue
        seen.add(v.id)
        if isinstance(op, Loop):
            todo += _behind(op, v)
            continue
        todo += uses(op)
        for f in ("weight", "bias", "weights"):
            named.update(_texts(getattr(op, f, None)))
    return named


def _behind(loop: Loop, v: Value) -> list[Value]:
    """What a value that a loop defines depends on directly."""
    found = [e.value for e in loop.emits if e.out == v]
    found += [i.sequence for i in loop.items if i.item == v]
    for c in loop.carries:
        if v in (c.arg, c.out):
            found += [c.initial, c.next]
    return found


def _texts(thing: object) -> tuple[str, ...]:
    if isinstance(thing, str):
        return (thing,)
    return tuple(x for x in thing if isinstance(x, str)) if isinstance(thing, tuple) else ()
