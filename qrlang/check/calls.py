"""Calls: arguments matched to what is called, definitions inlined."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from qrlang.check.arithmetic import as_tensor, numeric, viewed, want
from qrlang.check.constants import is_number, is_whole
from qrlang.check.core import EXPR, Elaborator, Scope
from qrlang.check.expressions import not_callable
from qrlang.check.spans import header
from qrlang.check.types import Declared, declared
from qrlang.check.values import (
    POISON,
    Builtin,
    Definition,
    Layer,
    LayerSpec,
    LazyWeight,
    Pending,
    Poison,
    Qubits,
    Tensor,
    describe,
)
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean, plural
from qrlang.ir.functions import FUNCTIONS as POINTWISE
from qrlang.syntax import ast


@dataclass(frozen=True, slots=True)
class Args:
    """Evaluated arguments of one call."""

    positional: tuple[tuple[ast.Expr, object], ...]
    named: Mapping[str, tuple[ast.Arg, object]]

    @property
    def poisoned(self) -> bool:
        return any(isinstance(v, Poison) for v in self.values)

    @property
    def values(self) -> list[object]:
        return [*(v for _, v in self.positional), *(v for _, v in self.named.values())]

    @property
    def by_node(self) -> dict[int, object]:
        """Each value by the `id` of the expression that it is of."""
        named = {id(arg.value): v for arg, v in self.named.values()}
        return {id(at): v for at, v in self.positional} | named


def evaluate(e: Elaborator, node: ast.Call | ast.Gate | ast.Train) -> Args | None:
    """The arguments of a call, or None if they can't be sorted."""
    positional: list[tuple[ast.Expr, object]] = []
    named: dict[str, tuple[ast.Arg, object]] = {}
    good = True
    for arg in node.args:
        value = e.eval(arg.value)
        if arg.name is None:
            if named:
                e.error(
                    "E0302",
                    arg,
                    "an argument without a name after one with a name",
                    help="named arguments come last",
                )
                good = False
            positional.append((arg.value, value))
        elif arg.name in named:
            e.error("E0302", arg, f"`{arg.name}` is given twice")
            good = False
        else:
            named[arg.name] = (arg, value)
    return Args(tuple(positional), named) if good else None


# How a thing of each kind is called, its arguments evaluated; functions and layers add theirs.
CALL: dict[type, Callable[[Elaborator, Any, ast.Call, Args], object]] = {}


def call(e: Elaborator, node: ast.Call, wanted: int | None = None) -> object:
    """`wanted` is how many numbers are needed of a layer, which evaluates its arguments itself."""
    from qrlang.check.layers import call_layer

    thing = _with_values(e, node.func) if isinstance(node.func, ast.Call) else e.eval(node.func)
    if isinstance(thing, Layer):
        return call_layer(e, thing, node, wanted)
    later = isinstance(thing, Builtin) and thing.name == "shifted"
    e.in_shifted += later
    args = evaluate(e, node)
    e.in_shifted -= later
    if args is None or isinstance(thing, Poison) or args.poisoned:
        return POISON
    handler = CALL.get(type(thing))
    return handler(e, thing, node, args) if handler else not_callable(e, node, thing)


def _with_values(e: Elaborator, node: ast.Call) -> object:
    """What is called once more. Lists are matched from the end: before the registers of a
    Hamiltonian come its values, and before those its parameters."""
    outer = node.func
    base = outer.func if isinstance(outer, ast.Call) else outer
    if not isinstance(base, (ast.Name, ast.Field)):
        return e.eval(node)
    d = e.eval(base)
    item = d.item if isinstance(d, Definition) else None
    if not isinstance(d, Definition) or not isinstance(item, ast.Hamiltonian) or not item.values:
        return e.eval(node)
    args = evaluate(e, node)
    first = evaluate(e, outer) if isinstance(outer, ast.Call) else None
    if args is None or args.poisoned or (isinstance(outer, ast.Call) and first is None):
        return POISON
    if args.positional and all(isinstance(v, Qubits) for _, v in args.positional):
        return e.eval(node)  # called already: `h(q)(q)`
    if first is not None or d.params is None:
        if d.params is not None:
            return e.eval(node)
        params = bind_params(e, item.params, d, outer if first is not None else node, first)
        if params is None:
            return POISON
        d = replace(d, params=params)
    values = match_values(e, d, node, node.args)
    if values is None:
        return POISON
    known = args.by_node
    return replace(d, values=tuple(known[id(values[p.name])] for p in item.values))


def _nameless(e: Elaborator, thing: LayerSpec, node: ast.Call, args: Args) -> object:
    return e.error(
        "E0608",
        node.func,
        "a layer has weights, so it needs a name before it is called",
        help="declare it: `layer f = …`, then `f(…)`",
    )


def call_definition(e: Elaborator, d: Definition, node: ast.Call, args: Args) -> object:
    """`xs(2)`, `each_z(memory)`, `vqc(4)`, `vqc(4)(v)`, `tfim(J, h)`, `su2_ring(layers)`."""
    given = [v for _, v in args.positional]
    kind = d.kind
    on_qubits = bool(given) and all(isinstance(v, Qubits) for v in given)
    if kind in ("readout", "Hamiltonian") and on_qubits:
        from qrlang.check.observed import observe

        return observe(e, d, node, args)
    if (
        isinstance(d.item, (ast.Circuit, ast.Hamiltonian))
        and d.item.values
        and not node.args
        and (d.params is None)
    ):
        params = default_params(e, d, node)  # `f()(x)`
        return POISON if params is None else replace(d, params=params)
    if kind == "Hamiltonian":
        assert isinstance(d.item, ast.Hamiltonian)
        if (
            d.item.values
            and d.values is None
            and (d.params is not None or not d.item.params or _run_time(args))
        ):
            return (
                replace(d, values=tuple(given))
                if not args.named
                else e.error(
                    "E0302",
                    node,
                    "the values of a Hamiltonian have no names here",
                    help="give them in order",
                )
            )
    if kind == "circuit" and (
        d.params is not None
        or not d.item.params
        or _run_time(args)
        or not _fit_parameters(d.item.params, args)
    ):
        from qrlang.check.circuits import call_unbound

        return call_unbound(e, d, node, args)
    if d.params is not None:
        return e.error(
            "E0301",
            node,
            f"`{d.item.name}` has its parameters already",
            notes=[declared_note(d)],
        )
    params = bind_params(e, d.item.params, d, node, args)
    return POISON if params is None else replace(d, params=params)


CALL.update({Definition: call_definition, LayerSpec: _nameless})
EXPR[ast.Call] = call


def _fit_parameters(params: tuple[ast.Parameter, ...], args: Args) -> bool:
    """Whether constants can be compile-time parameters; if not, they are values."""
    named = {p.name: p for p in params}
    given = [(p, v) for p, (_, v) in zip(params, args.positional, strict=False)]
    given += [(named[k], v) for k, (_, v) in args.named.items() if k in named]
    return len(given) == len(args.positional) + len(args.named) and all(
        fits_parameter(p.type.name, v) is not None for p, v in given
    )


def _run_time(args: Args) -> bool:
    return any(isinstance(v, (Tensor, Pending)) for v in args.values)


def declared_note(d: Definition) -> Note:
    return Note(f"`{d.item.name}` is declared here", header(d.item))


# --- parameters known at compile time ---


def fits_parameter(type_name: str, value: object) -> object:
    """The value as this type of parameter takes it; None if it does not."""
    match type_name:
        case "int":
            whole = is_whole(value)
            return value if whole and within_limits(value) else None
        case "real":
            return float(value) if is_number(value) and within_limits(value) else None
        case "bool":
            return value if isinstance(value, bool) else None
        case "string":
            return value if isinstance(value, str) else None
        case "ansatz" | "readout" | "circuit":
            return value if isinstance(value, Definition) and value.kind == type_name else None
        case "hamiltonian":
            return value if isinstance(value, Definition) and value.kind == "Hamiltonian" else None
        case "activation":
            return value if is_activation(value) else None
        case "layer":
            from qrlang.check.layers import LayerKind

            return value if isinstance(value, (LayerSpec, LayerKind, Layer)) else None
    return None


# `glu` takes two numbers for each that it gives.
ACTIVATIONS = (*(f.name for f in POINTWISE.values() if f.args == 1 and f.name != "neg"), "glu")


def within_limits(value: object) -> bool:
    """Whether a number from outside is one that could be written in a file."""
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]
    except OverflowError:
        return False


def is_activation(value: object) -> bool:
    return isinstance(value, Builtin) and value.name in ACTIVATIONS


def bind_params(
    e: Elaborator,
    params: tuple[ast.Parameter, ...],
    d: Definition,
    node: ast.Node,
    args: Args | None,
) -> dict[str, object] | None:
    """Values of the compile-time parameters, defaults filled in; None if wrong."""
    item = d.item
    given: dict[str, tuple[ast.Node, object]] = {}
    good = True
    if args is not None:
        if len(args.positional) > len(params):
            extra = args.positional[len(params)][0]
            e.error(
                "E0301",
                extra,
                f"`{item.name}` takes {plural(len(params), 'parameter')}, "
                f"found {len(args.positional)}",
                notes=[declared_note(d)],
            )
            good = False
        for p, (at, value) in zip(params, args.positional, strict=False):
            given[p.name] = (at, value)
        for name, (arg, value) in args.named.items():
            if name in given:
                e.error("E0302", arg, f"`{name}` is given twice")
                good = False
            elif all(p.name != name for p in params):
                e.error(
                    "E0302",
                    arg,
                    f"`{item.name}` has no parameter `{name}`",
                    help=did_you_mean(name, [p.name for p in params])
                    or (f"it has {', '.join(p.name for p in params)}" if params else ""),
                    notes=[declared_note(d)],
                )
                good = False
            else:
                given[name] = (arg.value, value)
    values: dict[str, object] = {}
    outer = e.scope
    inside = Scope(d.module)
    for p in params:
        if p.name in given:
            where, value = given[p.name]
            fitted = fits_parameter(p.type.name, value)
            if isinstance(value, Poison):
                good = False
            elif fitted is None:
                e.error(
                    "E0312",
                    where,
                    f"`{p.name}` of `{item.name}` is {_article(p.type.name)}, "
                    f"found {describe(value)}",
                    notes=[Note(f"`{p.name}` is declared here", p.span)],
                )
                good = False
            value = POISON if fitted is None else fitted
        elif p.default is not None:
            e.scope, region, e.region = inside, e.region, "const"
            value = fits_parameter(p.type.name, e.eval(p.default))
            e.scope, e.region = outer, region
            if value is None:
                value = POISON
                good = False
        else:
            e.error(
                "E0301",
                node,
                f"`{item.name}` needs `{p.name}`, {_article(p.type.name)}",
                help=f"give it: `{item.name}({p.name}: …)`",
                notes=[Note(f"`{p.name}` is declared here", p.span)],
            )
            good = False
            value = POISON
        values[p.name] = inside.names[p.name] = value
    return values if good else None


def _article(type_name: str) -> str:
    return ("an " if type_name[:1] in tuple("aeio") else "a ") + type_name


def default_params(e: Elaborator, d: Definition, node: ast.Node) -> dict[str, object] | None:
    """The parameters given, or the defaults."""
    if d.params is not None:
        return dict(d.params)
    return bind_params(e, d.item.params, d, node, None)


# --- registers ---


def bind_registers(
    e: Elaborator, d: Definition, scope: Scope, operands: list[Qubits], node: ast.Node
) -> bool:
    """Registers of a definition stand for what is given; widths are bound or must agree."""
    assert isinstance(d.item, (ast.Ansatz, ast.ReadoutDef, ast.Hamiltonian))
    registers = d.item.registers
    if len(registers) == 1 and len(operands) > 1:
        joined = tuple(q for o in operands for q in o.qubits)
        seen = tuple({id(r): r for o in operands for r in o.registers}.values())
        operands = [Qubits(joined, seen)]
    if len(operands) != len(registers):
        names = ", ".join(r.name for r in registers)
        e.error(
            "E0503",
            node,
            f"`{d.item.name}` acts on {plural(len(registers), 'register')} ({names}), "
            f"found {len(operands)}",
            notes=[declared_note(d)],
        )
        return False
    every = [q for o in operands for q in o.qubits]
    if len(set(every)) != len(every):
        twice = next(q for q in every if every.count(q) > 1)
        e.error(
            "E0501",
            node,
            f"`{d.item.name}` is given {qubit_name(e, twice)} twice",
            help="a qubit can't be copied: give each once",
        )
        return False
    for r, given in zip(registers, operands, strict=True):
        width = len(given.qubits)
        size: object = 1
        if isinstance(r.size, ast.Name) and r.size.id not in scope.names:
            scope.names[r.size.id] = width
            size = width
        elif r.size is not None:
            outer, e.scope = e.scope, scope
            size = e.eval(r.size)
            e.scope = outer
            if isinstance(size, Poison):
                return False
        if size != width:
            shown = r.size.span.text if r.size is not None else "1"
            e.error(
                "E0503",
                node,
                f"`{r.name}` of `{d.item.name}` has {size} qubits here"
                + (f" ({shown})" if shown != str(size) else "")
                + f", found {width}",
                notes=[Note(f"`{r.name}` is declared here", r.span)],
            )
            return False
        scope.names[r.name] = given
    return True


def qubit_name(e: Elaborator, q: int) -> str:
    """`memory[2]`, as the user knows it."""
    if q < len(e.register_of):
        r = e.registers[e.register_of[q]]
        return f"`{r.name}[{q - r.start}]`"
    return f"qubit {q}"


# --- values given at run time ---


def wanting(e: Elaborator, node: ast.Expr, count: int | None) -> object:
    """The value of an expression of which so many numbers are needed."""
    if isinstance(node, ast.Call) and count is not None:
        outer, e.builder.span = e.builder.span, node.span
        result = call(e, node, count)
        e.builder.span = outer
        return result
    return e.eval(node)


def bind_values(
    e: Elaborator, d: Definition, scope: Scope, node: ast.Node, args: tuple[ast.Arg, ...]
) -> bool:
    """`with` values of an ansatz, arguments of a circuit: evaluated, matched, and shaped."""
    item = d.item
    assert isinstance(item, (ast.Ansatz, ast.Hamiltonian, ast.Circuit))
    given = match_values(e, d, node, args)
    if given is None:
        return False
    good = True
    for p in item.values:
        shape = declared_in(e, item.name, p.type, scope, node)
        if shape is None:
            good = False
            continue
        arg = given[p.name]
        thing = wanting(e, arg, shape.count)
        good = bind_value(e, d, scope, p, shape, arg, thing) and good
    return good


def declared_in(
    e: Elaborator, name: str, type_: ast.TypeExpr, scope: Scope, node: ast.Node
) -> Declared | None:
    """A type of a definition, at the sizes it is asked for here."""
    frame = e.frame(node, name)
    outer, e.scope = e.scope, scope
    e.report.frames.append(frame)
    shape = declared(e, type_, free=True)
    e.report.frames.pop()
    e.scope = outer
    return shape


def match_values(
    e: Elaborator, d: Definition, node: ast.Node, args: tuple[ast.Arg, ...]
) -> dict[str, ast.Expr] | None:
    """Which argument is for which value."""
    item = d.item
    assert isinstance(item, (ast.Ansatz, ast.Hamiltonian, ast.Circuit))
    names = [p.name for p in item.values]
    given: dict[str, ast.Expr] = {}
    for k, arg in enumerate(args):
        name = arg.name or (names[k] if k < len(names) else None)
        if name is None:
            e.error(
                "E0301",
                arg,
                f"`{item.name}` takes {plural(len(names), 'value')}"
                + (f" ({', '.join(names)})" if names else "")
                + f", found {len(args)}",
                notes=[declared_note(d)],
            )
            return None
        if name not in names:
            e.error(
                "E0302",
                arg,
                f"`{item.name}` has no value `{name}`",
                help=did_you_mean(name, names) or f"it has {', '.join(names)}",
                notes=[declared_note(d)],
            )
            return None
        if name in given:
            e.error("E0302", arg, f"`{name}` is given twice")
            return None
        given[name] = arg.value
    missing = [n for n in names if n not in given]
    if missing:
        e.error(
            "E0301",
            node,
            f"`{item.name}` needs {', '.join(f'`{m}`' for m in missing)}",
            help=f"give the values: `{item.name}({', '.join(names)})`",
            notes=[declared_note(d)],
        )
        return None
    return given


def bind_value(
    e: Elaborator,
    d: Definition,
    scope: Scope,
    p: ast.ValueParam,
    shape: Declared,
    at: ast.Node,
    thing: object,
) -> bool:
    """Checks one value against its declaration and names it in the definition."""
    name = d.item.name
    declared_here = Note(f"`{p.name}` is declared here", p.span)
    if isinstance(thing, Poison):
        scope.names[p.name] = POISON
        return False
    if isinstance(thing, Pending):
        if shape.count is not None:
            want(e, thing, shape.dims(), at)
        scope.names[p.name] = POISON
        return False
    t = as_tensor(e, thing, at, f"{p.type.name} values for `{p.name}`")
    if not isinstance(t, Tensor):
        return False
    if shape.kind in ("token", "class", "state", "unitary"):
        if (
            t.type.kind != shape.kind
            or t.type.seq
            or (shape.size is not None and t.type.size != shape.size)
        ):
            e.error(
                "E0409",
                at,
                f"`{p.name}` of `{name}` is {shape}, found {t.type}",
                notes=[declared_here],
            )
            return False
        scope.names[p.name] = t
        return True
    if not numeric(e, t, at):
        return False
    count = prod(t.type.shape)
    dims = shape.solve(count)
    if dims is None:
        _wrong_count(e, d, p, shape, at, t, declared_here)
        return False
    for dim, size in zip(shape.shape, dims, strict=True):
        if isinstance(dim, str):
            scope.names[dim] = size
    scope.names[p.name] = viewed(t, dims) if t.type.kind == "real" or t.type.shape != dims else t
    return True


def _wrong_count(
    e: Elaborator,
    d: Definition,
    p: ast.ValueParam,
    shape: Declared,
    at: ast.Node,
    t: Tensor,
    declared_here: Note,
) -> None:
    count = prod(t.type.shape)
    expected = shape.count
    name = d.item.name
    written = p.type.span.text
    if isinstance(d.item, ast.Circuit):
        e.error(
            "E0409",
            at,
            f"`{p.name}` of `{name}` is {shape}, found {t.type}",
            help="a layer between them makes the width right: `layer f = linear(…)`",
            notes=[declared_here],
        )
        return
    help = ""
    word = p.type.name
    if isinstance(at, ast.Name) and isinstance(e.lookup(at.id), LazyWeight) and expected:
        help = f"declare it with as many: `{at.id}: {word}[{expected}]`, or `{word}[...]`"
    elif expected is not None and count == 1 and d.item.params and t.value is None:
        help = (
            f"the last brackets hold the values; parameters come before: "
            f"`{name}({at.span.text})(…)`"
        )
    e.error(
        "E0403",
        at,
        f"`{name}` takes {expected if expected is not None else written} "
        f"{'angle' if p.type.name == 'angle' else 'number'}{'' if expected == 1 else 's'} for "
        f"`{p.name}`, found {count}",
        label=f"{t.type}",
        help=help
        or (
            "a controller infers its width: `controller steer = mlp(64)`"
            if p.type.name == "angle"
            else ""
        ),
        notes=[
            Note(
                f"`{p.name}` is declared here as {written}"
                + (f" = {expected} numbers" if expected is not None else ""),
                p.span,
            )
        ],
    )
