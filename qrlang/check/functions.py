"""The one table of functions that the language has built in."""

from __future__ import annotations

import math
from collections.abc import Callable

from qrlang.check.arithmetic import (
    MANY_TERMS,
    as_tensor,
    combine,
    constant,
    numeric,
    of_value,
    pointwise,
)
from qrlang.check.arithmetic import binary as binary_operator
from qrlang.check.calls import CALL, Args
from qrlang.check.constants import Wrong, checked, is_number
from qrlang.check.core import Elaborator
from qrlang.check.observables import IDENTITY, pauli, sum_observables
from qrlang.check.values import (
    POISON,
    Builtin,
    InitialValue,
    Mixed,
    Observable,
    Pending,
    Poison,
    Probs,
    Qubits,
    Register,
    Tensor,
    describe,
    together,
)
from qrlang.diagnostics.words import did_you_mean, plural
from qrlang.ir import program as ir
from qrlang.ir.functions import FUNCTIONS as POINTWISE
from qrlang.syntax import ast

Handler = Callable[[Elaborator, ast.Call, Args], object]
FUNCTIONS: dict[str, Handler] = {}
DOCS: dict[str, str] = {}
CONSTANTS: dict[str, object] = {
    "pi": math.pi,
    "tau": math.tau,
    "I": IDENTITY,
    "mixed": Mixed(),
    "haar": InitialValue("haar", ()),
}


def builtin(name: str) -> object | None:
    """What a name that nobody declared stands for."""
    if name in FUNCTIONS:
        return Builtin(name)
    if name in CONSTANTS:
        return CONSTANTS[name]
    from qrlang.check.layers import LAYERS

    return LAYERS.get(name)


def builtin_names() -> list[str]:
    from qrlang.check.layers import LAYERS

    return [*FUNCTIONS, *CONSTANTS, *LAYERS]


def define(
    name: str,
    least: int,
    most: int,
    named: tuple[str, ...],
    doc: str,
    handler: Callable[[Elaborator, ast.Call, list[tuple[ast.Expr, object]]], object],
) -> None:
    """Adds a function of `least` to `most` arguments; those in `named` may be given by name, and
    come after the others."""

    def checked_handler(e: Elaborator, node: ast.Call, args: Args) -> object:
        given = list(args.positional)
        for key, (arg, value) in args.named.items():
            if key not in named:
                return e.error(
                    "E0302",
                    arg,
                    f"`{name}` has no argument `{key}`",
                    help=did_you_mean(key, named) or doc,
                )
            place = most - len(named) + named.index(key)
            if len(given) != place:
                return e.error("E0302", arg, f"`{key}` of `{name}` is out of order", help=doc)
            given.append((arg.value, value))
        if not least <= len(given) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            if most > 1000:
                expected = f"at least {least}"
            return e.error(
                "E0301",
                node,
                f"`{name}` takes {expected} "
                f"{'argument' if expected == '1' else 'arguments'}, found {len(given)}",
                help=doc,
            )
        return handler(e, node, given)

    FUNCTIONS[name] = checked_handler
    DOCS[name] = doc


def function(
    name: str, least: int, most: int | None = None, named: tuple[str, ...] = (), *, doc: str
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    def decorate(handler: Callable[..., object]) -> Callable[..., object]:
        define(name, least, least if most is None else most, named, doc, handler)
        return handler

    return decorate


Given = list[tuple[ast.Expr, object]]
MANY = 100_000


def tensor_of(e: Elaborator, given: tuple[ast.Expr, object]) -> Tensor | Pending | Poison:
    at, thing = given
    t = as_tensor(e, thing, at)
    if isinstance(t, Tensor) and not numeric(e, t, at):
        return POISON
    return t


# --- pointwise ---


def _pointwise(name: str) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        at, x = given[0]
        return pointwise(e, node, name, x, at)

    return handler


def _pair(name: str) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        (at_a, a), (at_b, b) = given
        if is_number(a) and is_number(b):
            return min(a, b) if name == "minimum" else max(a, b)
        x, y = tensor_of(e, given[0]), tensor_of(e, given[1])
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            return POISON
        return combine(e, node, name, x, y, (at_a, at_b))

    return handler


for _f in POINTWISE.values():
    if _f.args == 1 and _f.name != "neg":
        define(_f.name, 1, 1, (), f"{_f.name}(x): {_f.doc}", _pointwise(_f.name))
for _name in ("minimum", "maximum"):
    define(_name, 2, 2, (), f"{_name}(x, y): {POINTWISE[_name].doc}", _pair(_name))


@function("where", 3, doc="where(x, y, z): y where x is above 0.5, else z")
def _where(e: Elaborator, node: ast.Call, given: Given) -> object:
    ts = [tensor_of(e, g) for g in given]
    tensors = [t for t in ts if isinstance(t, Tensor)]
    if len(tensors) != 3:
        return POISON
    shapes = {t.type.shape for t in tensors if t.type.shape}
    if len(shapes) > 1:
        return e.error(
            "E0401",
            node,
            "shapes don't match: " + ", ".join(str(t.type) for t in tensors),
            help="a scalar goes with any shape; otherwise all need the same",
        )
    e.count_op(node)
    b = e.builder
    bits = all(t.type.kind == "bit" for t in tensors)
    return of_value(
        b.pointwise("where", *[(b.whole if bits else b.real_whole)(t) for t in tensors])
    )


@function("clamp", 3, doc="clamp(x, lo, hi): x, kept between lo and hi")
def _clamp(e: Elaborator, node: ast.Call, given: Given) -> object:
    low = _pair("maximum")(e, node, given[:2])
    return _pair("minimum")(e, node, [(node, low), given[2]])


@function("glu", 1, doc="glu(x): the first half of x times the sigmoid of the second")
def _glu(e: Elaborator, node: ast.Call, given: Given) -> object:
    t = tensor_of(e, given[0])
    if not isinstance(t, Tensor):
        return POISON
    n = t.type.count
    if n % 2:
        return e.error("E0401", given[0][0], f"`glu` needs an even width, found {t.type}")
    return of_value(e.builder.glu(e.builder.real_whole(t)))


# --- whole numbers and lists, at compile time ---


def _integral(name: str, f: Callable[[float], int], doc: str) -> None:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        at, x = given[0]
        if not is_number(x):
            return e.error(
                "E0303", at, f"`{name}` needs a number known at compile time, found {describe(x)}"
            )
        try:
            return checked(f(x))
        except (Wrong, ValueError, OverflowError):
            return e.error("E0309", node, f"`{name}` of {x} is not a number")

    define(name, 1, 1, (), f"{name}(x): {doc}, at compile time", handler)


_integral("floor", math.floor, "the next whole number below")
_integral("ceil", math.ceil, "the next whole number above")
_integral("round", round, "the nearest whole number, of two the even one")
_integral("log2", math.log2, "the logarithm to base 2")  # type: ignore[arg-type]


@function("len", 1, doc="len(x): how many elements, qubits or rows x has")
def _len(e: Elaborator, node: ast.Call, given: Given) -> object:
    at, x = given[0]
    if isinstance(x, (tuple, range, str)):
        return len(x)
    if isinstance(x, Qubits):
        return len(x.qubits)
    if isinstance(x, Tensor) and x.type.shape and not x.type.seq:
        return x.type.shape[0]
    return e.error("E0310", at, f"{describe(x)} has no length")


# --- reductions ---


def _reduction(name: str) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        if len(given) > 1:
            items = tuple(v for _, v in given)
            at: ast.Node = node
        else:
            at, thing = given[0]
            if isinstance(thing, Pending):
                return constant(0.0)
            if isinstance(thing, Tensor):
                return _reduce(e, node, name, thing, at)
            if not isinstance(thing, (tuple, range)):
                return e.error(
                    "E0310",
                    at,
                    f"`{name}` works on lists, tensors and sequences, found {describe(thing)}",
                )
            items = tuple(thing)
        if not items:
            if name in ("sum", "prod"):
                return 0 if name == "sum" else 1
            return e.error("E0311", at, f"`{name}` of an empty list")
        return _of_list(e, node, name, items, at)

    return handler


def _of_list(
    e: Elaborator, node: ast.Call, name: str, items: tuple[object, ...], at: ast.Node
) -> object:
    if all(is_number(i) for i in items):
        numbers = [i for i in items if isinstance(i, (int, float))]
        try:
            match name:
                case "sum":
                    return checked(sum(numbers))
                case "mean":
                    return checked(sum(numbers) / len(numbers))
                case "prod":
                    return checked(math.prod(numbers))
                case "norm":
                    return checked(math.hypot(*numbers))
            return max(numbers) if name == "max" else min(numbers)
        except (Wrong, OverflowError):
            return e.error("E0309", node, "the result is too large")
    if any(isinstance(i, Observable) for i in items):
        observables = [i for i in items if isinstance(i, Observable)]
        if name not in ("sum", "prod"):
            return e.error(
                "E0310", at, f"`{name}` can't take observables", help="`sum` and `prod` can"
            )
        if name == "sum" and len(observables) == len(items):
            return sum_observables(observables)
        result: object = items[0]
        link = ast.Binary("+" if name == "sum" else "*", node, node, span=node.span)
        for item in items[1:]:
            result = binary_operator(e, link, result, item)
        return result
    e.tick(node, len(items))
    if (
        name == "sum"
        and len(items) <= MANY_TERMS
        and all(is_number(i) or isinstance(i, Tensor) for i in items)
    ):
        # Scalars stay affine, so that a sum can be an angle; tensors are added one by one.
        total = items[0]
        for item in items[1:]:
            total = binary_operator(e, ast.Binary("+", node, node, span=node.span), total, item)
        return total
    t = as_tensor(e, items, at)
    if not isinstance(t, Tensor):
        return t
    return _reduce(e, node, name, t, at)


def _reduce(e: Elaborator, node: ast.Call, name: str, t: Tensor, at: ast.Node) -> object:
    if t.type.seq:
        if name not in ("sum", "mean", "max"):
            return e.error(
                "E0406",
                at,
                f"`{name}` can't run over a sequence",
                help="`mean`, `sum` and `max` can",
            )
        if t.type.kind != "real":
            numeric(e, Tensor(t.type.item, t.value), at)
            return POISON
        assert t.value is not None
        out = e.builder.value(t.type.item)
        if name != "sum":
            e.builder.like(t.value, out)
        e.builder.classical(ir.Pool(out, name, t.value))
        return of_value(out)
    if not numeric(e, t, at):
        return POISON
    e.count_op(node)
    return of_value(e.builder.reduce(name, e.builder.real_whole(t), False))


for _name, _doc in {
    "sum": "the sum of a list or of a tensor; of a sequence, over its moments",
    "mean": "the mean of a list or of a tensor; of a sequence, over its moments",
    "max": "the largest number of a list or of a tensor; of a sequence, over its moments",
    "min": "the smallest number of a list or of a tensor",
    "norm": "the root of the sum of the squares of a list or of a tensor",
    "prod": "the product of a list or of a tensor",
}.items():
    define(_name, 1, MANY, (), f"{_name}(x): {_doc}", _reduction(_name))


# --- observables ---


def _pauli(letter: str) -> Callable[..., object]:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        at, q = given[0]
        if not isinstance(q, Qubits):
            return e.error("E0208", at, f"`{letter}` needs a qubit, found {describe(q)}")
        if len(q.qubits) != 1:
            return e.error(
                "E0503",
                at,
                f"`{letter}` is of one qubit, found {len(q.qubits)}",
                help=f"one for each: `[{letter}({at.span.text}[i]) for i in 0..{len(q.qubits)}]`",
            )
        return pauli(letter, q.qubits[0])

    return handler


for _name in "XYZ":
    define(_name, 1, 1, (), f"{_name}(q): the Pauli matrix {_name} on a qubit", _pauli(_name))


@function("probs", 1, MANY, doc="probs(q): the distribution over the basis states of a register")
def _probs(e: Elaborator, node: ast.Call, given: Given) -> object:
    qubits: list[int] = []
    registers: list[Register] = []
    for at, thing in given:
        q = together(thing)
        if not isinstance(q, Qubits):
            return e.error("E0208", at, f"`probs` needs qubits, found {describe(q)}")
        qubits.extend(q.qubits)
        registers.extend(q.registers)
    if len(set(qubits)) != len(qubits):
        return e.error("E0501", node, "`probs` is given the same qubit twice")
    if len(qubits) > 24:
        return e.error(
            "E0307",
            node,
            f"a distribution over {plural(len(qubits), 'qubit')} has more than 2^24 numbers",
        )
    return Probs(Qubits(tuple(qubits), tuple(registers)))


# --- how tensors begin ---


def _initial(name: str, least: int, most: int, defaults: tuple[float, ...], doc: str) -> None:
    def handler(e: Elaborator, node: ast.Call, given: Given) -> object:
        numbers: list[float] = []
        for at, x in given:
            if not is_number(x):
                return e.error(
                    "E0303",
                    at,
                    f"`{name}` takes numbers known at compile time, found {describe(x)}",
                )
            numbers.append(float(x))
        numbers += defaults[len(numbers) :]
        if name == "uniform" and numbers[0] > numbers[1]:
            return e.error("E0311", node, f"`uniform` from {numbers[0]:g} down to {numbers[1]:g}")
        if name == "normal" and numbers[1] < 0:
            return e.error("E0311", node, "a standard deviation can't be negative")
        return InitialValue(name, tuple(numbers))

    define(name, least, most, (), doc, handler)


_initial("uniform", 2, 2, (), "uniform(lo, hi): a tensor begins evenly between lo and hi")
_initial(
    "normal",
    0,
    2,
    (0.0, 1.0),
    "normal(mean, sd): a tensor begins with a normal distribution; 0 and 1 if left out",
)
_initial("constant", 1, 1, (), "constant(c): all numbers of a tensor begin as c")
_initial(
    "orthogonal",
    0,
    1,
    (1.0,),
    "orthogonal(gain): a matrix begins orthogonal, times gain; 1 if left out",
)


def _call(e: Elaborator, thing: Builtin, node: ast.Call, args: Args) -> object:
    return FUNCTIONS[thing.name](e, node, args)


CALL[Builtin] = _call
