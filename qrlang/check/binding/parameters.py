"""Parameters known at compile time: fitted to their types, matched to a definition's."""

from __future__ import annotations

import math

from qrlang.check.algebra.numbers import is_number, is_whole
from qrlang.check.binding.arguments import Args
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.layer_kinds import LayerKind
from qrlang.check.core.scope import Scope
from qrlang.check.core.values import POISON, Builtin, Definition, Layer, LayerSpec, Poison, describe
from qrlang.check.written.spans import header
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean, plural
from qrlang.ir.functions import FUNCTIONS as POINTWISE
from qrlang.syntax import ast


def declared_note(d: Definition) -> Note:
    return Note(f"`{d.item.name}` is declared here", header(d.item))


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
            with e.inside(e.here._replace(scope=inside, region="const")):
                value = fits_parameter(p.type.name, e.eval(p.default))
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
