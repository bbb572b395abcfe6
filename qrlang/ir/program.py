"""The IR: a typed program whose batch and time are implicit.

A program is a list of ops in order. Classical ops are dataflow over `Value`s; quantum ops act on
qubits, numbered through the whole program. `Loop` is a recurrence: its body runs once for every
element of its sequences. Nothing here computes anything: `qrlang.backends.reference` is the
interpreter that defines what a program means, `ir.text` prints and parses it, `ir.verify`
says whether it is well formed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qrlang.ir.types import Type


@dataclass(frozen=True, slots=True)
class Value:
    """Defined once, by an op, a loop or an input. `name` is only for reading."""

    id: int
    type: Type
    name: str = field(default="", compare=False)


# --- angles, observables ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """`coefficient * value[index]`, the index into the flattened (row-major) value."""

    coefficient: float
    value: Value
    index: int = 0


@dataclass(frozen=True, slots=True)
class Angle:
    """An affine source of one real number: a constant plus terms. Sums of angles are angles."""

    constant: float = 0.0
    terms: tuple[Term, ...] = ()


PauliString = tuple[tuple[int, str], ...]
"""`((0, "Z"), (3, "X"))`: sorted by qubit, letters X Y Z; `()` is the identity."""

Observable = tuple[tuple[float, PauliString], ...]
"""A sum of Pauli strings with real coefficients."""


# --- what a unitary segment is made of ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate of `qrlang.gates.GATES` by its base name; `cx` is `x` with one control.

    It acts where every qubit of `controls` is 1 and every qubit of `zeros` is 0.
    """

    name: str
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()
    controls: tuple[int, ...] = ()
    zeros: tuple[int, ...] = ()
    place: int = field(default=-1, compare=False)  # where it was written: an index into `Places`

    @property
    def all_qubits(self) -> tuple[int, ...]:
        return self.controls + self.zeros + self.qubits


@dataclass(frozen=True, slots=True)
class Run:
    """Gates on one qubit, in order, to be done as one 2x2 matrix."""

    qubit: int
    gates: tuple[Gate, ...]


@dataclass(frozen=True, slots=True)
class Diagonal:
    """The product of `exp(-i angle/2 Z…Z)` over given sets of qubits: one pass over the state."""

    terms: tuple[tuple[tuple[int, ...], Angle], ...]


@dataclass(frozen=True, slots=True)
class Permutation:
    """`|x⟩ -> |A x + b⟩` over bits: a network of CNOT, X and SWAP as one index map.

    `rows[i]` are the positions in `qubits` whose parity gives the new bit of `qubits[i]`, as a bit
    mask (bit j = `qubits[j]`); bit i of `flips` inverts it.
    """

    qubits: tuple[int, ...]
    rows: tuple[int, ...]
    flips: int = 0


Element = Gate | Run | Diagonal | Permutation


# --- ops ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Op:
    """Base of all ops. Those that act on qubits say with `place` where they were written, as a
    `Gate` does: an index into `Places.gates`; readings, whose value has a place, need none."""


# Classical.


@dataclass(frozen=True, slots=True)
class Const(Op):
    out: Value
    data: tuple[float, ...]  # flattened


@dataclass(frozen=True, slots=True)
class UseWeight(Op):
    """The present value of a trained or frozen tensor."""

    out: Value
    weight: str


@dataclass(frozen=True, slots=True)
class Pointwise(Op):
    """Element by element; a scalar goes with any shape. `fn` is a name of `ir.functions`."""

    out: Value
    fn: str
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Linear(Op):
    """`gain * (W @ flat(x)) + b`. W is [out, in]."""

    out: Value
    x: Value
    weight: str
    bias: str | None = None
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Embed(Op):
    """The row of a table [vocabulary, width] for a token (a class, a bit: the same)."""

    out: Value
    token: Value
    weight: str


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """All arguments flattened, one after the other."""

    out: Value
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Gather(Op):
    """`out.flat[k] = x.flat[indices[k]]`: indexing, slicing, transposing, repeating."""

    out: Value
    x: Value
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reshape(Op):
    out: Value
    x: Value


@dataclass(frozen=True, slots=True)
class Reduce(Op):
    """`fn` in sum mean max min norm prod; over the last axis, or over everything."""

    out: Value
    fn: str
    x: Value
    last_axis: bool = False


@dataclass(frozen=True, slots=True)
class Matmul(Op):
    """Matrix times vector, matrix times matrix, or the dot product of two vectors."""

    out: Value
    a: Value
    b: Value


@dataclass(frozen=True, slots=True)
class Softmax(Op):
    """Over the last axis."""

    out: Value
    x: Value


@dataclass(frozen=True, slots=True)
class LayerNorm(Op):
    out: Value
    x: Value
    weight: str
    bias: str


@dataclass(frozen=True, slots=True)
class Dropout(Op):
    """Only while training; the reference and every target treat it as the identity."""

    out: Value
    x: Value
    p: float


@dataclass(frozen=True, slots=True)
class CallExtern(Op):
    """A layer of the user's, in Python. `layer` names an `Extern` of the program."""

    out: Value
    layer: str
    args: tuple[Value, ...]


# On whole sequences.


@dataclass(frozen=True, slots=True)
class Shift(Op):
    """One moment later, beginning with `start` (a token number, or zeros): teacher forcing."""

    out: Value
    x: Value
    start: int = 0


@dataclass(frozen=True, slots=True)
class Reverse(Op):
    """Backwards in time, each sequence within its own length."""

    out: Value
    x: Value


@dataclass(frozen=True, slots=True)
class Last(Op):
    """The last `count` moments, oldest first, as one tensor [count, …]; zeros before the start."""

    out: Value
    x: Value
    count: int


@dataclass(frozen=True, slots=True)
class Pool(Op):
    """`fn` in mean sum max over time."""

    out: Value
    fn: str
    x: Value


@dataclass(frozen=True, slots=True)
class SoftmaxOver(Op):
    """Softmax over time of a sequence of scalars (within the sequence's own length)."""

    out: Value
    x: Value


@dataclass(frozen=True, slots=True)
class WeightedSum(Op):
    """Sum over time of `weights[t] * values[t]`."""

    out: Value
    weights: Value
    values: Value


@dataclass(frozen=True, slots=True)
class Attend(Op):
    """Soft attention of a query over a sequence.

    score(q, k): dot `q·k`; scaled `q·k / sqrt(d)`; bilinear `q·(W k)` with W = weights[0];
    additive `v·tanh(A q + B k + b)` with (A, B, b, v) = weights.
    """

    out: Value
    score: str
    query: Value
    keys: Value
    values: Value
    weights: tuple[str, ...] = ()


# Quantum.


@dataclass(frozen=True, slots=True)
class Alloc(Op):
    """Fresh qubits in |0…0⟩, or maximally mixed."""

    qubits: tuple[int, ...]
    mixed: bool = False
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Free(Op):
    """The end of these qubits' life: traced out."""

    qubits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unitary(Op):
    """A segment of the circuit, in order."""

    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Evolve(Op):
    """`exp(-i time H)`, H the sum of coefficient * Pauli string.

    trotter 0: exact. trotter k: k equal steps, each the product of the terms' exponentials in
    order.
    """

    terms: tuple[tuple[Angle, PauliString], ...]
    time: Angle
    trotter: int = 0
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class ApplyMatrix(Op):
    """A unitary that is a value (data, or a trained one), on qubits in big-endian order."""

    qubits: tuple[int, ...]
    matrix: Value
    adjoint: bool = False
    controls: tuple[int, ...] = ()
    zeros: tuple[int, ...] = ()
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Prepare(Op):
    """Amplitudes (normalised first) or a state that is a value, on qubits that are |0…0⟩."""

    qubits: tuple[int, ...]
    amplitudes: Value
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Expect(Op):
    """Expectation values; does not disturb the state. `out` is real[len(observables)].

    Exact; or sampled with `shots`; or by the weak ancilla scheme with strength `weak`, which does
    disturb. `settings`: indices of observables that are measured together (filled by a pass).
    """

    out: Value
    observables: tuple[Observable, ...]
    shots: int = 0
    weak: float = 0.0
    settings: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Probabilities(Op):
    """The distribution over the basis states of `qubits` (big-endian): real[2^k]."""

    out: Value
    qubits: tuple[int, ...]
    shots: int = 0


@dataclass(frozen=True, slots=True)
class Measure(Op):
    """Collapses. `out` is a bit, or a bit for each qubit."""

    out: Value
    qubits: tuple[int, ...]
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Reset(Op):
    qubits: tuple[int, ...]
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Postselect(Op):
    """Keeps the branch where the qubits have these bits, renormalised; `out`: its probability."""

    out: Value
    qubits: tuple[int, ...]
    bits: tuple[int, ...]
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Channel(Op):
    """A noise channel of `qrlang.gates.CHANNELS`."""

    name: str
    qubits: tuple[int, ...]
    args: tuple[Angle, ...]
    place: int = field(default=-1, compare=False)


# Control.


@dataclass(frozen=True, slots=True)
class If(Op):
    """On a measured bit (element `index` of `condition`). No value leaves it."""

    condition: Value
    index: int
    then: tuple[Op, ...]
    orelse: tuple[Op, ...] = ()
    place: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class LoopItem:
    sequence: Value
    item: Value  # bound in the body; zeros in the extra steps


@dataclass(frozen=True, slots=True)
class LoopCarry:
    """Kept from step to step: `arg` in the body, `next` computed there, `out` afterwards."""

    initial: Value
    arg: Value
    next: Value
    out: Value


@dataclass(frozen=True, slots=True)
class LoopEmit:
    """`value` of each step, collected as the sequence `out`."""

    name: str
    value: Value
    out: Value


@dataclass(frozen=True, slots=True)
class Loop(Op):
    """A recurrence. Runs over the sequences in step, then `extra` steps with items zero.

    `flag` (real scalar) is 0 during the sequence and 1 in the extra steps.
    """

    name: str
    items: tuple[LoopItem, ...]
    carries: tuple[LoopCarry, ...]
    body: tuple[Op, ...]
    emits: tuple[LoopEmit, ...] = ()
    extra: int = 0
    flag: Value | None = None


# --- the program --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Initial:
    """How a weight begins: uniform(lo, hi), normal(mean, sd), constant(c), orthogonal(gain),
    identity, haar (a unitary), values(…)."""

    kind: str
    args: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor of numbers: trained, or frozen. A trained unitary has `unitary_qubits` k: its
    numbers are the 4^k coefficients of exp(-i Σ c_P P) in the order of the Pauli words."""

    name: str
    shape: tuple[int, ...]
    initial: Initial
    trained: bool = True
    unitary_qubits: int = 0


@dataclass(frozen=True, slots=True)
class Extern:
    """A user's layer: `path` is "module:Class", `settings` its compile-time arguments."""

    name: str
    path: str
    settings: tuple[tuple[str, int | float | bool | str], ...]
    inputs: tuple[Type, ...]
    result: Type


@dataclass(frozen=True, slots=True)
class Register:
    """Qubits `start … start+size-1`. Registers of one `space` may interact; different spaces
    never do and are simulated apart."""

    name: str
    start: int
    size: int
    space: int = 0

    @property
    def qubits(self) -> range:
        return range(self.start, self.start + self.size)


@dataclass(frozen=True, slots=True)
class Output:
    name: str  # "" for the model's own result
    value: Value


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    settings: tuple[tuple[str, int | float | bool | str], ...] = ()
    inputs: tuple[Value, ...] = ()
    targets: tuple[Value, ...] = ()
    weights: tuple[Weight, ...] = ()
    externs: tuple[Extern, ...] = ()
    registers: tuple[Register, ...] = ()
    body: tuple[Op, ...] = ()
    outputs: tuple[Output, ...] = ()

    @property
    def space_of(self) -> dict[int, int]:
        """By qubit."""
        return {q: r.space for r in self.registers for q in r.qubits}

    @property
    def spaces(self) -> dict[int, tuple[int, ...]]:
        """The qubits of each."""
        found: dict[int, tuple[int, ...]] = {}
        for q, space in sorted(self.space_of.items()):
            found[space] = (*found.get(space, ()), q)
        return found
