"""Hypothesis strategies for valid IR programs, for every test that needs "any program".

`circuits()`: qubits, one segment of the whole gate table, readouts. `programs()`: also loops,
carries, emits and classical ops. `mixed_programs()`: also measure, if, reset, noise,
post-selection. All are small: at most 4 qubits a space, and sequences of at most 4 moments
(`arguments` makes them).
"""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st

from qrlang.gates import CHANNELS, GATES
from qrlang.ir.program import (
    Alloc,
    Angle,
    ApplyMatrix,
    Channel,
    Concat,
    Const,
    Diagonal,
    Element,
    Embed,
    Evolve,
    Expect,
    Free,
    Gate,
    Gather,
    If,
    Initial,
    Last,
    LayerNorm,
    Linear,
    Loop,
    LoopCarry,
    LoopEmit,
    LoopItem,
    Measure,
    Observable,
    Op,
    Output,
    PauliString,
    Permutation,
    Pointwise,
    Pool,
    Postselect,
    Prepare,
    Probabilities,
    Program,
    Reduce,
    Register,
    Reset,
    Reshape,
    Reverse,
    Run,
    Shift,
    Softmax,
    Term,
    Unitary,
    UseWeight,
    Value,
    Weight,
)
from qrlang.ir.types import Type, real, seq

_SPECIAL = (0.0, math.pi, math.pi / 2, -math.pi / 2, math.pi / 4, 2 * math.pi, -0.0, 4 * math.pi)
_numbers = st.sampled_from(_SPECIAL) | st.floats(-7, 7, allow_subnormal=False)
_coefficients = st.sampled_from((1.0, -1.0, 0.5, 2.0)) | st.floats(-2, 2, allow_subnormal=False)


# --- parts --------------------------------------------------------------------------------------


@st.composite
def angles(draw: st.DrawFn, values: tuple[Value, ...] = ()) -> Angle:
    """A constant, or an affine sum of elements of the given real values."""
    values = tuple(v for v in values if v.type.count)
    if not values or draw(st.integers(0, 2)) == 0:
        return Angle(draw(_numbers))
    terms = []
    for _ in range(draw(st.integers(1, 2))):
        value = draw(st.sampled_from(values))
        index = draw(st.integers(0, value.type.count - 1))
        terms.append(Term(draw(_coefficients), value, index))
    return Angle(draw(st.sampled_from((0.0, 0.0, 0.3))), tuple(terms))


@st.composite
def gates(draw: st.DrawFn, qubits: tuple[int, ...], values: tuple[Value, ...] = ()) -> Gate:
    """Any gate of the table, with up to two controls."""
    names = [g.name for g in GATES.values() if g.qubits <= len(qubits)]
    spec = GATES[draw(st.sampled_from(names))]
    order = draw(st.permutations(qubits))
    most = min(2, len(qubits) - spec.qubits)
    controls = draw(st.sampled_from((0, 0, 1, 1, 2)))
    rest = order[spec.qubits : spec.qubits + min(controls, most)]
    zeros = draw(st.booleans()) if rest and draw(st.booleans()) else False
    split = len(rest) - 1 if zeros else len(rest)
    return Gate(
        spec.name,
        tuple(order[: spec.qubits]),
        tuple(draw(angles(values)) for _ in range(spec.angles)),
        tuple(rest[:split]),
        tuple(rest[split:]),
    )


@st.composite
def runs(draw: st.DrawFn, qubits: tuple[int, ...], values: tuple[Value, ...] = ()) -> Run:
    qubit = draw(st.sampled_from(qubits))
    return Run(qubit, tuple(draw(st.lists(gates((qubit,), values), min_size=1, max_size=4))))


@st.composite
def diagonals(draw: st.DrawFn, qubits: tuple[int, ...], values: tuple[Value, ...] = ()) -> Diagonal:
    masks = draw(st.lists(st.sets(st.sampled_from(qubits), min_size=1), min_size=1, max_size=4))
    return Diagonal(tuple((tuple(sorted(m)), draw(angles(values))) for m in masks))


@st.composite
def permutations(draw: st.DrawFn, qubits: tuple[int, ...]) -> Permutation:
    """From a random network of CNOT, so that it is invertible."""
    order = tuple(draw(st.permutations(qubits)))
    n = len(order)
    rows = [1 << i for i in range(n)]
    if n > 1:
        for _ in range(draw(st.integers(0, 6))):
            a, b = draw(st.permutations(range(n)))[:2]
            rows[a] ^= rows[b]
    return Permutation(order, tuple(draw(st.permutations(rows))), draw(st.integers(0, 2**n - 1)))


def elements(qubits: tuple[int, ...], values: tuple[Value, ...] = ()) -> st.SearchStrategy[Element]:
    """Mostly gates; also what passes fuse them to."""
    plain = gates(qubits, values)
    return st.one_of(
        plain, plain, plain, runs(qubits, values), diagonals(qubits, values), permutations(qubits)
    )


@st.composite
def strings(draw: st.DrawFn, qubits: tuple[int, ...], least: int = 1) -> PauliString:
    chosen = sorted(draw(st.sets(st.sampled_from(qubits), min_size=least, max_size=3)))
    return tuple((q, draw(st.sampled_from("XYZ"))) for q in chosen)


@st.composite
def observables(draw: st.DrawFn, qubits: tuple[int, ...]) -> Observable:
    """One Pauli string, or a sum of some."""
    if draw(st.booleans()):
        return ((1.0, draw(strings(qubits))),)
    terms = draw(st.lists(st.tuples(_coefficients, strings(qubits, 0)), min_size=1, max_size=3))
    return tuple(terms)


# --- whole programs -----------------------------------------------------------------------------


class _Builder:
    """What has been declared and defined so far."""

    def __init__(self, draw: st.DrawFn, qubits: int, fused: bool) -> None:
        self.draw = draw
        self.fused = fused
        self.count = 0
        self.weights: list[Weight] = []
        self.registers: list[Register] = []
        self.reals: list[Value] = []  # visible, of one moment
        self.bits: list[Value] = []  # visible, measured
        self.most = qubits

    def some(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self.draw(strategy)

    def chance(self, one_in: int = 2) -> bool:
        return bool(self.draw(st.integers(0, one_in - 1)) == 0)

    def value(self, kind: Type, name: str = "") -> Value:
        self.count += 1
        value = Value(self.count - 1, kind, name)
        if kind.kind == "real" and not kind.seq:
            self.reals.append(value)
        return value

    def weight(self, *shape: int, unitary: int = 0) -> str:
        name = f"w{len(self.weights)}"
        kinds = [Initial("uniform", (-1.0, 1.0)), Initial("normal", (0.0, 0.5))]
        if unitary:
            kinds.append(Initial("haar"))
        self.weights.append(
            Weight(name, shape, self.some(st.sampled_from(kinds)), self.chance(), unitary)
        )
        return name

    def register(self, least: int = 1, space: int = 0) -> tuple[int, ...]:
        start = sum(r.size for r in self.registers)
        size = self.some(st.integers(least, self.most))
        self.registers.append(Register(f"r{len(self.registers)}", start, size, space))
        return tuple(range(start, start + size))

    def segment(self, qubits: tuple[int, ...], most: int = 8) -> Unitary:
        one = elements if self.fused else gates
        values = tuple(self.reals[-4:])
        return Unitary(tuple(self.some(st.lists(one(qubits, values), min_size=1, max_size=most))))

    def read(self, qubits: tuple[int, ...], name: str = "z") -> Expect:
        found = tuple(self.some(st.lists(observables(qubits), min_size=1, max_size=3)))
        return Expect(self.value(real(len(found)), name), found)

    def classical(self) -> list[Op]:
        """A few ops on what is visible, each of which others may use."""
        found: list[Op] = []
        for _ in range(self.some(st.integers(0, 3))):
            x = self.some(st.sampled_from(self.reals)) if self.reals else None
            if x is None or x.type.count == 0:
                return found
            found.append(self._classical(x))
        return found

    def _classical(self, x: Value) -> Op:
        shape = x.type.shape
        vector = [LayerNorm, Softmax] if shape else []
        kind = self.some(
            st.sampled_from([Pointwise, Linear, Concat, Gather, Reduce, Const, Reshape, *vector])
        )
        match kind.__name__:
            case "Linear":
                n = self.some(st.integers(1, 3))
                weight = self.weight(n, x.type.count)
                bias = self.weight(n) if self.chance() else None
                gain = self.some(st.sampled_from((1.0, 16.0)))
                return Linear(self.value(real(n)), x, weight, bias, gain)
            case "Concat":
                y = self.some(st.sampled_from(self.reals))
                return Concat(self.value(real(x.type.count + y.type.count)), (x, y))
            case "Gather":
                indices = self.some(st.lists(st.integers(0, x.type.count - 1), max_size=4))
                return Gather(self.value(real(len(indices))), x, tuple(indices))
            case "Reduce":
                fn = self.some(st.sampled_from(("sum", "mean", "max", "min", "norm", "prod")))
                last = bool(shape) and self.chance()
                return Reduce(self.value(real(*(shape[:-1] if last else ()))), fn, x, last)
            case "Const":
                return Const(self.value(real(2)), (self.some(_numbers), self.some(_numbers)))
            case "Reshape":
                return Reshape(self.value(real(x.type.count, 1)), x)
            case "LayerNorm":
                scale, shift = self.weight(shape[-1]), self.weight(shape[-1])
                return LayerNorm(self.value(real(*shape)), x, scale, shift)
            case "Softmax":
                return Softmax(self.value(real(*shape)), x)
        fn = self.some(
            st.sampled_from(("sin", "cos", "tanh", "sigmoid", "atan", "neg", "add", "mul", "sub"))
        )
        if fn in ("add", "mul", "sub"):
            same = [v for v in self.reals if v.type.shape in (shape, ())]
            return Pointwise(self.value(real(*shape)), fn, (x, self.some(st.sampled_from(same))))
        return Pointwise(self.value(real(*shape)), fn, (x,))

    def layer(self, space: int) -> list[Op]:
        """A circuit as a layer: fresh qubits, a readout, and their end."""
        qubits = self.register(space=space)
        ops: list[Op] = [Alloc(qubits), self.segment(qubits, 4), self.read(qubits)]
        return [*ops, Free(qubits)]

    def evolution(self, qubits: tuple[int, ...]) -> Evolve:
        values = tuple(self.reals[-3:])
        terms = self.some(
            st.lists(st.tuples(angles(values), strings(qubits)), min_size=1, max_size=3)
        )
        time = Angle(self.some(st.sampled_from((0.0, 0.5, -1.0))))
        return Evolve(tuple(terms), time, self.some(st.sampled_from((0, 0, 1, 3))))

    def matrix(self, qubits: tuple[int, ...]) -> list[Op]:
        """A trained unitary on some qubits."""
        order = tuple(self.some(st.permutations(qubits)))
        k = min(len(order), self.some(st.integers(1, 2)))
        value = self.value(Type("unitary", (), k))
        weight = self.weight(4**k, unitary=k)
        rest = order[k : k + self.some(st.integers(0, 1))]
        return [
            UseWeight(value, weight),
            ApplyMatrix(order[:k], value, self.chance(), rest if self.chance() else (), ()),
        ]

    def disturb(self, qubits: tuple[int, ...]) -> list[Op]:
        """Something that mixes, measures or selects."""
        qubit = self.some(st.sampled_from(qubits))
        match self.some(st.sampled_from(("measure", "measure", "reset", "noise", "select"))):
            case "reset":
                return [Reset((qubit,))]
            case "noise":
                return [self.noise(qubits)]
            case "select":
                # After the noise every outcome can happen.
                noise = Channel("depolarizing", (qubit,), (Angle(0.3),))
                bit = self.some(st.integers(0, 1))
                return [noise, Postselect(self.value(real()), (qubit,), (bit,))]
        bit = self.value(Type("bit"), "b")
        self.bits.append(bit)
        condition = self.some(st.sampled_from(self.bits))  # this one, or an older one
        then: list[Op] = [self.segment(qubits, 3)]
        if self.chance(3):
            then.insert(0, self.nested(qubits))
        orelse: list[Op] = [self.segment(qubits, 2)] if self.chance() else []
        ops: list[Op] = [Measure(bit, (qubit,)), If(condition, 0, tuple(then), tuple(orelse))]
        if self.chance(3):  # the bit as a number
            ops.append(Pointwise(self.value(real(), "s"), "neg", (bit,)))
        return ops

    def nested(self, qubits: tuple[int, ...]) -> Op:
        """What may stand in a branch besides gates."""
        if self.chance():
            return Reset((self.some(st.sampled_from(qubits)),))
        return If(self.some(st.sampled_from(self.bits)), 0, (self.segment(qubits, 2),))

    def noise(self, qubits: tuple[int, ...]) -> Channel:
        spec = CHANNELS[
            self.some(st.sampled_from([c for c in CHANNELS if CHANNELS[c].qubits <= len(qubits)]))
        ]
        order = tuple(self.some(st.permutations(qubits)))[: spec.qubits]
        args = [Angle(self.some(st.floats(0, 1 / spec.args))) for _ in range(spec.args)]
        return Channel(spec.name, order, tuple(args))

    def loop(self, memory: tuple[int, ...], sequences: list[Value], mixed: bool) -> list[Op]:
        """A recurrence over some of the sequences, and what goes on with what it emits."""
        before, bits = list(self.reals), list(self.bits)
        ops: list[Op] = []
        items = []
        for sequence in sequences:
            items.append(LoopItem(sequence, self.value(sequence.type.item, "x")))
        flag = self.value(real(), "flag") if self.chance(4) else None
        carry = None
        if self.chance():
            size = self.some(st.integers(1, 2))
            start = self.value(real(size))
            ops.append(Const(start, tuple(self.some(_numbers) for _ in range(size))))
            carry = (start, self.value(real(size), "h"))
            before.append(start)
        body: list[Op] = []
        for item in items:
            if item.item.type.kind == "token":
                width = self.some(st.integers(1, 2))
                table = self.weight(item.item.type.size, width)
                body.append(Embed(self.value(real(width), "e"), item.item, table))
        body.append(self.read(memory))
        body += self.classical()
        if self.chance(3):
            body += self.layer(space=1 + len(self.registers))
        if mixed:
            body += self.disturb(memory)
        body.append(self.segment(memory))
        if self.chance(4):
            body.append(self.evolution(memory))
        body.append(self.read(memory, "r"))
        body += self.classical()
        inside = [v for v in self.reals if v not in before and v is not flag and v.type.count]
        emitted = self.some(st.sampled_from(inside))
        carries: tuple[LoopCarry, ...] = ()
        if carry is not None:
            start, arg = carry
            new = self.value(arg.type)
            body.append(Linear(new, emitted, self.weight(new.type.count, emitted.type.count)))
        self.reals, self.bits = before, bits
        if carry is not None:
            carries = (LoopCarry(start, arg, new, self.value(arg.type, "last")),)
        out = self.value(seq(emitted.type), "seen")
        emits = (LoopEmit("seen", emitted, out),)
        extra = self.some(st.sampled_from((0, 0, 1)))
        return [*ops, Loop("step", tuple(items), carries, tuple(body), emits, extra, flag)]

    def over_time(self, sequence: Value) -> Op:
        match self.some(st.sampled_from(("pool", "last", "reverse", "shift"))):
            case "pool":
                fn = self.some(st.sampled_from(("mean", "sum", "max")))
                return Pool(self.value(sequence.type.item), fn, sequence)
            case "last":
                k = self.some(st.integers(1, 6))
                return Last(self.value(real(k, *sequence.type.shape)), sequence, k)
            case "reverse":
                return Reverse(self.value(sequence.type), sequence)
        return Shift(self.value(sequence.type), sequence)


@st.composite
def circuits(draw: st.DrawFn, qubits: int = 4, fused: bool = True) -> Program:
    """One segment from |0…0⟩ with angles from constants, inputs and weights, and readouts.

    `fused`: also with runs, diagonals and permutations, which no front end writes.
    """
    b = _Builder(draw, qubits, fused)
    x = b.value(real(2), "x")
    ops: list[Op] = []
    if b.chance():
        ops.append(UseWeight(b.value(real(2), "w"), b.weight(2)))
    memory = b.register()
    ops.append(Alloc(memory))
    segment = b.segment(memory, 12)
    read = b.read(memory)
    return Program(
        "circuit",
        inputs=(x,),
        weights=tuple(b.weights),
        registers=tuple(b.registers),
        body=(*ops, segment, read),
        outputs=(Output("", read.out),),
    )


@st.composite
def programs(draw: st.DrawFn, qubits: int = 3, fused: bool = True, mixed: bool = False) -> Program:
    """A program with recurrences, layers and classical ops. Only with `mixed` its state is."""
    b = _Builder(draw, qubits, fused)
    x = b.value(real(2), "x")
    rows = b.value(seq(real(2)), "rows")
    words = b.value(seq(Type("token", (), 3)), "words")
    memory = b.register()
    ops: list[Op] = [Alloc(memory, mixed and b.chance(6))]
    if b.chance(4) and not ops[0].mixed:  # type: ignore[attr-defined]
        amplitudes = b.value(real(1 << len(memory)))
        ops.append(Linear(amplitudes, x, b.weight(amplitudes.type.count, 2)))
        ops.append(Prepare(memory, amplitudes))
    ops += b.classical()
    ops.append(b.segment(memory, 6))
    if b.chance(4):
        ops += b.matrix(memory)
    if b.chance():
        ops.append(UseWeight(b.value(real(2), "w"), b.weight(2)))
    outputs: list[Output] = []
    if mixed:
        ops += b.disturb(memory)
    if not b.chance(4):
        sequences = b.some(st.sampled_from(([rows], [words], [rows, words])))
        ops += b.loop(memory, sequences, mixed)
        seen = ops[-1].emits[0].out  # type: ignore[attr-defined]
        outputs.append(Output("seen", seen))
        after = b.over_time(seen)
        ops.append(after)
        outputs.append(Output("after", after.out))  # type: ignore[attr-defined]
    ops += b.classical()
    ops.append(b.segment(memory, 4))
    if b.chance(4):
        some = memory[: b.some(st.integers(1, len(memory)))]
        found = b.value(real(1 << len(some)), "p")
        ops.append(Probabilities(found, some))
        outputs.append(Output("p", found))
    if mixed and b.chance(3):
        bit = b.value(Type("bit"), "end")
        ops.append(Measure(bit, memory[:1]))
        outputs.append(Output("end", bit))
    ops.append(b.read(memory))
    outputs.append(Output("", b.reals[-1]))
    return Program(
        "any",
        settings=(("n", len(memory)),),
        inputs=(x, rows, words),
        weights=tuple(b.weights),
        registers=tuple(b.registers),
        body=tuple(ops),
        outputs=tuple(outputs),
    )


def mixed_programs(qubits: int = 3, fused: bool = True) -> st.SearchStrategy[Program]:
    """Programs that measure, reset, select and have noise."""
    return programs(qubits, fused, mixed=True)


def arguments(program: Program, seed: int = 0, length: int = 3) -> dict[str, Any]:
    """Inputs for a program, sequences of the given length, the same for the same seed."""
    import numpy as np

    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for value in program.inputs:
        kind = value.type
        times = (length,) if kind.seq else ()
        match kind.kind:
            case "token" | "class":
                found[value.name] = rng.integers(0, kind.size, times)
            case "bit":
                found[value.name] = rng.integers(0, 2, times + kind.shape)
            case "real":
                found[value.name] = rng.normal(size=times + kind.shape)
            case "state":
                size = (*times, 1 << kind.size)
                vectors = rng.normal(size=size) + 1j * rng.normal(size=size)
                norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
                found[value.name] = vectors / norms
            case "unitary":
                size = (*times, 1 << kind.size, 1 << kind.size)
                q, _ = np.linalg.qr(rng.normal(size=size) + 1j * rng.normal(size=size))
                found[value.name] = q
    return found
