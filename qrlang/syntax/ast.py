"""The syntax tree: what was written, each node with its place. Names are not yet resolved.

Equality ignores spans, so that "the tree is the same" can be asked of two layouts of one text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qrlang.source import Source, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    span: Span = field(compare=False, repr=False)


# --- expressions ------------------------------------------------------------------------------


class Expr(Node):
    """Any expression."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Name(Expr):
    id: str


@dataclass(frozen=True, slots=True)
class Int(Expr):
    value: int


@dataclass(frozen=True, slots=True)
class Real(Expr):
    value: float
    text: str  # as written, for the formatter


@dataclass(frozen=True, slots=True)
class Bool(Expr):
    value: bool


@dataclass(frozen=True, slots=True)
class Str(Expr):
    value: str


@dataclass(frozen=True, slots=True)
class Unary(Expr):
    op: str  # "-" "not"
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """Long sums lean to the left, thousands deep: go down `left` in a loop, not by recursion."""

    op: str  # + - * / // (written `div`) % ** == != < <= > >= and or
    left: Expr
    right: Expr

    @property
    def continues(self) -> bool:
        """Whether this is one more link of a chain: `a + b - c` continues `a + b`."""
        left = self.left
        return type(left) is Binary and _CHAINS.get(self.op, -1) == _CHAINS.get(left.op)

    def __eq__(self, other: object) -> bool:
        a: object = self
        b = other
        while type(a) is Binary and type(b) is Binary:
            if a is b:
                return True
            if a.op != b.op or a.right != b.right:
                return False
            a, b = a.left, b.left
        return type(a) is not Binary and type(b) is not Binary and a == b

    def __hash__(self) -> int:
        return hash((self.op, self.right))


# Operators of one strength make a chain with one another.
_CHAINS = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "and": 3, "or": 4}


@dataclass(frozen=True, slots=True)
class Arg(Node):
    """An argument of a call: `64`, or `lr: 1e-3`."""

    value: Expr
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Call(Expr):
    func: Expr
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Range(Expr):
    """`lo..hi` (half-open), `lo..hi by k`. Also a slice in an index; there ends may be absent."""

    lo: Expr | None
    hi: Expr | None
    by: Expr | None = None


@dataclass(frozen=True, slots=True)
class Index(Expr):
    """`a[i]`, `theta[l, i, 0]`, `v[1..3]`."""

    base: Expr
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Field(Expr):
    """`encoder.keys`."""

    base: Expr
    name: str


@dataclass(frozen=True, slots=True)
class List(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Clause(Node):
    """`for i in 0..n if condition` of a comprehension."""

    var: str
    range: Expr
    condition: Expr | None = None


@dataclass(frozen=True, slots=True)
class Comprehension(Expr):
    """`[Z(q[i]) for i in 0..n]`; several clauses nest from left to right."""

    element: Expr
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Read(Expr):
    """`read z`, `read z over last 4`."""

    target: Expr
    last: Expr | None = None


@dataclass(frozen=True, slots=True)
class Measure(Expr):
    """`measure q[1]`: collapses; the value is a bit, or one bit for each qubit."""

    target: Expr


# --- types ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hole(Node):
    """`...` as a dimension: inferred from the use."""


@dataclass(frozen=True, slots=True)
class TypeExpr(Node):
    """`real[28]`, `seq[token[vocab]]`, `angle[layers, n, 3]`, `int`, `qubit[n]`."""

    name: str
    dims: tuple[Expr | Hole, ...] = ()
    element: TypeExpr | None = None  # of seq


# --- statements -------------------------------------------------------------------------------


class Stmt(Node):
    """Anything that stands on a line of a body: declarations too."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Let(Stmt):
    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Update(Stmt):
    """`h <- value`: the next value of a carry."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Emit(Stmt):
    """`emit value` (the model's output at this step), `emit keys = value`."""

    value: Expr
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Return(Stmt):
    value: Expr


@dataclass(frozen=True, slots=True)
class Modifier(Node):
    """`inv @`, `ctrl @`, `ctrl(2) @`, `negctrl @`, `pow(3) @`."""

    kind: str  # inv ctrl negctrl pow
    arg: Expr | None = None


@dataclass(frozen=True, slots=True)
class Gate(Stmt):
    """`rz(theta[0]) q[i]`, `ctrl @ x q[0], q[1]`, `depolarizing(0.01) q[0]`."""

    name: str
    args: tuple[Arg, ...]
    operands: tuple[Expr, ...]
    modifiers: tuple[Modifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Apply(Stmt):
    """`apply evolve(theta) to memory`; `apply tfim(J, h) for t trotter 8 to memory`;
    `apply u to q` for a unitary that is a value."""

    callee: Expr
    operands: tuple[Expr, ...]
    modifiers: tuple[Modifier, ...] = ()
    time: Expr | None = None
    trotter: Expr | None = None


@dataclass(frozen=True, slots=True)
class Prepare(Stmt):
    """`prepare v on q`: amplitudes from a vector of 2^k numbers, or a state that is a value."""

    value: Expr
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Reset(Stmt):
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Discard(Stmt):
    """A bare `measure q`: collapses, and nobody keeps the bit. `value` is the `Measure`."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Postselect(Stmt):
    """`postselect q[0] == 0`: keep the runs with this outcome, renormalised."""

    target: Expr
    outcome: Expr


@dataclass(frozen=True, slots=True)
class If(Stmt):
    """On a measured bit: in the circuit. On a constant: at compile time."""

    condition: Expr
    then: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...] = ()


@dataclass(frozen=True, slots=True)
class For(Stmt):
    var: str
    range: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Require(Stmt):
    """`require n >= 2, "a ring needs two qubits"`: checked at compile time."""

    condition: Expr
    message: str


# --- declarations inside a model, a recurrent block or a circuit --------------------------------


@dataclass(frozen=True, slots=True)
class Input(Stmt):
    name: str
    type: TypeExpr


@dataclass(frozen=True, slots=True)
class Target(Stmt):
    name: str
    type: TypeExpr


@dataclass(frozen=True, slots=True)
class Register(Node):
    name: str
    size: Expr


@dataclass(frozen=True, slots=True)
class Qubits(Stmt):
    """`qubits inlet[1], memory[n]`, `qubits memory[n] = encoder.memory`, `… = mixed`."""

    registers: tuple[Register, ...]
    initial: Expr | None = None


@dataclass(frozen=True, slots=True)
class Readout(Stmt):
    """`readout z = each_z(memory)`, `… shots 1000`, `… weak 0.2`."""

    name: str
    value: Expr
    shots: Expr | None = None
    weak: Expr | None = None


@dataclass(frozen=True, slots=True)
class AnsatzBinding(Stmt):
    """`ansatz evolve = su2_ring(layers)`."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Layer(Stmt):
    """`layer head = linear(10)`, `controller steer = mlp(64, tanh)`,
    `attention look = additive(128)`, and each of them after `frozen`."""

    kind: str  # layer controller attention
    name: str
    value: Expr
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Param(Stmt):
    """`param w: angle[3]` (trained), `frozen w: angle[...] = uniform(-pi, pi)` (never trained)."""

    name: str
    type: TypeExpr
    initial: Expr | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Carry(Stmt):
    """`carry h: real[n] = 0`: a classical value kept from step to step."""

    name: str
    type: TypeExpr
    initial: Expr | None = None


@dataclass(frozen=True, slots=True)
class Const(Stmt):
    """`const depth = 2 * n`. Also at the top of a file."""

    name: str
    value: Expr
    doc: str = field(default="", compare=True)


@dataclass(frozen=True, slots=True)
class Init(Stmt):
    """`init steer.b2 = uniform(-pi, pi)`: the initial value of a layer's tensor."""

    target: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Step(Stmt):
    """`step row in rows then 3 as tail { … }`; inside `recurrent … over …` just `step w { … }`.

    `then k` runs k further steps after the sequence has ended, the input being zero; the flag
    named after `as` is 0 during the sequence and 1 afterwards.
    """

    items: tuple[str, ...]
    sequences: tuple[Expr, ...]
    body: tuple[Stmt, ...]
    extra: Expr | None = None
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class Recurrent(Stmt):
    """`recurrent decoder over shifted(words) { … step w { … } }`."""

    name: str
    sequences: tuple[Expr, ...]
    body: tuple[Stmt, ...]


# --- items: what stands at the top of a file ------------------------------------------------------


class Item(Node):
    """Anything at the top of a file (a `Const` and an `AnsatzBinding` too)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class UseName(Node):
    name: str
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Use(Item):
    """`use std.ansatz.su2_ring`, `use std.readout.{each_z, each_x as xs}`, `use .mine.block`.

    The last part of the path is the item's name; `use .mine.block` looks beside this file.
    """

    path: tuple[str, ...]  # without the item: ("mine",) for `use .mine.block`, relative=True
    names: tuple[UseName, ...]
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A compile-time parameter: `n: int = 8`."""

    name: str
    type: TypeExpr
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class RegisterParam(Node):
    """`on q: qubit[n]`: `n` is bound to the width of what is given (or must equal it)."""

    name: str
    size: Expr | None  # None: a single qubit, `q: qubit`


@dataclass(frozen=True, slots=True)
class ValueParam(Node):
    """`with theta: angle[layers, n, 3]`, and the arguments of a circuit."""

    name: str
    type: TypeExpr


@dataclass(frozen=True, slots=True)
class Ansatz(Item):
    name: str
    params: tuple[Parameter, ...]
    registers: tuple[RegisterParam, ...]
    values: tuple[ValueParam, ...]
    body: tuple[Stmt, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class ReadoutDef(Item):
    """`readout zz_ring on q: qubit[n] = [Z(q[i]) * Z(q[(i + 1) % n]) for i in 0..n]`."""

    name: str
    params: tuple[Parameter, ...]
    registers: tuple[RegisterParam, ...]
    body: Expr
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Hamiltonian(Item):
    """`hamiltonian tfim on q: qubit[n] with J: real, h: real = sum([…]) + …`."""

    name: str
    params: tuple[Parameter, ...]
    registers: tuple[RegisterParam, ...]
    values: tuple[ValueParam, ...]
    body: Expr
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Circuit(Item):
    """A circuit used as a layer: fresh qubits at every call, trainable angles of its own."""

    name: str
    params: tuple[Parameter, ...]
    values: tuple[ValueParam, ...]
    result: TypeExpr | None
    body: tuple[Stmt, ...]
    doc: str = ""


# What is written out wherever it is used.
Definition = Ansatz | ReadoutDef | Hamiltonian | Circuit


@dataclass(frozen=True, slots=True)
class Extern(Item):
    """`extern layer tt(rank: int = 4): real[784] -> real[8] = "mypkg.layers:TensorTrain"`.

    Never imported by check, fmt or compile; only by a target that runs it.
    """

    name: str
    params: tuple[Parameter, ...]
    values: tuple[TypeExpr, ...]
    result: TypeExpr
    path: str
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Model(Item):
    name: str
    params: tuple[Parameter, ...]
    body: tuple[Stmt, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Setting(Node):
    """A line of a train or govern block: `optimizer = adam(lr: 1e-3)`."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Train(Item):
    """`train QRNN { … }`, `train QRNN(n: 10) { … }`."""

    model: str
    args: tuple[Arg, ...]
    settings: tuple[Setting, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Govern(Item):
    """`govern QRNN { … }`."""

    model: str
    settings: tuple[Setting, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A `//` or `/* */` comment: kept beside the tree, for the formatter."""

    span: Span
    text: str
    own_line: bool  # nothing but blanks before it on its line


@dataclass(frozen=True, slots=True)
class File:
    source: Source = field(compare=False, repr=False)
    items: tuple[Item | Const | AnsatzBinding, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False)
    # Names on lines that could not be read: they may be declared there.
    lost: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
