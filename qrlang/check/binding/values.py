"""The values that an ansatz, a Hamiltonian or a circuit is given at run time."""

from __future__ import annotations

from math import prod

from qrlang.check.binding.parameters import declared_note
from qrlang.check.classical.tensors import as_tensor, numeric, viewed
from qrlang.check.classical.types import Declared, declared
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.scope import Scope
from qrlang.check.core.values import POISON, Definition, LazyWeight, Pending, Poison, Tensor
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean, plural
from qrlang.syntax import ast


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
        thing = e.eval(arg, shape.count)
        good = bind_value(e, d, scope, p, shape, arg, thing) and good
    return good


def declared_in(
    e: Elaborator, name: str, type_: ast.TypeExpr, scope: Scope, node: ast.Node
) -> Declared | None:
    """A type of a definition, at the sizes it is asked for here."""
    with e.inside(e.here._replace(scope=scope, frames=e.asked(node, name))):
        return declared(e, type_, free=True)


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
            e.widths.want(thing, shape.dims(), at.span)
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
