"""Columns of data, trained and frozen tensors, and how they begin."""

from __future__ import annotations

from dataclasses import replace
from math import pi, prod, sqrt

from qrlang.check.algebra.numbers import is_number
from qrlang.check.classical.tensors import as_tensor, of_value
from qrlang.check.classical.types import Declared, declared
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import (
    POISON,
    Builtin,
    Definition,
    InitialValue,
    Layer,
    LazyWeight,
    Pending,
    Poison,
    Tensor,
    describe,
)
from qrlang.check.layers.parts import uniform
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean, plural
from qrlang.ir import program as ir
from qrlang.ir.types import real
from qrlang.syntax import ast


def port(e: Elaborator, node: ast.Input | ast.Target) -> None:
    shape = declared(e, node.type)
    if shape is not None and not shape.known:
        e.error(
            "E0404",
            node.type,
            "the shape of a column of data can't be left open",
            help="say how many numbers a moment has: `seq[real[28]]`",
        )
        shape = None
    if shape is None:
        e.scope.names[node.name] = POISON
        return
    value = e.builder.value(shape.type, node.name, node.span)
    (e.draft.inputs if isinstance(node, ast.Input) else e.draft.targets).append(value)
    e.draft.names[node.name] = node.span
    e.scope.names[node.name] = of_value(value)
    e.fact(node.span, node.name, str(shape))


def param(e: Elaborator, node: ast.Param) -> None:
    name = e.here.prefix + node.name
    shape = declared(e, node.type)
    e.scope.names[node.name] = POISON
    if shape is None:
        if node.initial is not None:
            e.eval(node.initial)
        return
    if shape.kind not in ("real", "unitary") or shape.seq:
        e.error(
            "E0213",
            node.type,
            f"a tensor of numbers can't be {shape}",
            help="`real[…]`, `angle[…]` or `unitary[k]`",
        )
        return
    dims = open_shape(e, name, shape, node.span, "param")
    if dims is None:
        e.scope.names[node.name] = Pending(name, shape.lead)
        return
    if not e.fits(dims, node.type):
        return
    k = shape.size or 0
    if shape.kind == "unitary":
        if k > 6:
            e.error("E0307", node.type, f"a trained unitary of {k} qubits is over the limit of 6")
            return
        dims = (4**k,)
    frozen = node.frozen or bool(e.here.frozen)
    initial = _default_initial(shape, dims)
    if node.initial is not None:
        found = initial_of(e, node.initial, dims, k)
        if found is None:
            return
        initial = found
    weight = e.draft.weights.get(name)
    if weight is None:
        weight = ir.Weight(name, dims, initial, not frozen, k)
        e.draft.names[name] = node.span
    e.scope.names[node.name] = LazyWeight(weight)
    e.fact(
        node.span,
        node.name,
        f"{'frozen ' if frozen else ''}{shape.word}"
        + (
            f"[{', '.join(map(str, dims))}]"
            if shape.kind == "real" and dims
            else f"[{k}]"
            if k
            else ""
        ),
    )


def open_shape(
    e: Elaborator, name: str, shape: Declared, span: object, word: str
) -> tuple[int, ...] | None:
    """The dimensions of a declared tensor, `...` filled in by its use; None while unknown."""
    if shape.known:
        return shape.dims()
    hint = e.widths.hints.get(name)
    if hint is not None:
        if shape.shape == (None,):
            return (prod(hint),) if len(hint) != 1 else hint
        if len(hint) == len(shape.shape) and all(
            d is None or d == h for d, h in zip(shape.shape, hint, strict=True)
        ):
            return hint
        solved = shape.solve(prod(hint))
        if solved is not None:
            return solved
    e.widths.open.setdefault(name, (span, word))  # type: ignore[arg-type]
    return None


def _default_initial(shape: Declared, dims: tuple[int, ...]) -> ir.Initial:
    if shape.kind == "unitary":
        return ir.Initial("haar")
    if shape.word == "angle":
        return uniform(pi)
    return uniform(1 / sqrt(dims[-1] if dims else 1))


def initial_of(
    e: Elaborator, node: ast.Expr, dims: tuple[int, ...], unitary: int = 0
) -> ir.Initial | None:
    """How a tensor begins: a distribution, a number, or all its numbers.

    `unitary`: of so many qubits, whose numbers these are; 0 if they are just numbers."""
    value = e.eval(node)
    if isinstance(value, Poison):
        return None
    shown = f"unitary[{unitary}]" if unitary else str(real(*dims))
    if isinstance(value, InitialValue):
        if value.kind == "haar" and not unitary:
            e.error(
                "E0208",
                node,
                f"`haar` draws a unitary, and this is {shown}",
                help="`uniform(lo, hi)`, `normal(mean, sd)`, `orthogonal(gain)`, or a number",
            )
            return None
        return ir.Initial(value.kind, value.args)
    if isinstance(value, Builtin) and value.name == "identity":
        return ir.Initial("identity")
    if isinstance(value, Builtin) and value.name == "orthogonal":
        return ir.Initial("orthogonal", (1.0,))
    if isinstance(value, Builtin) and value.name == "normal":
        return ir.Initial("normal", (0.0, 1.0))
    if is_number(value):
        return ir.Initial("constant", (float(value),))
    if isinstance(value, Pending):
        e.error("E0303", node, "a tensor begins with constants, found a run-time value")
        return None
    t = as_tensor(e, value, node, "an initial value")
    if not isinstance(t, Tensor):
        return None
    if t.value is not None or any(a.terms for a in t.elements):
        e.error(
            "E0303",
            node,
            f"a tensor begins with constants, found {describe(t)}",
            help="`uniform(lo, hi)`, `normal(mean, sd)`, a number, or a list of numbers",
        )
        return None
    if len(t.elements) != prod(dims):
        e.error(
            "E0401",
            node,
            f"{shown} has {plural(prod(dims), 'number')}, found {len(t.elements)}",
            help="give as many numbers, or one for all",
        )
        return None
    return ir.Initial("values", tuple(a.constant for a in t.elements))


def init(e: Elaborator, node: ast.Init) -> None:
    target = node.target
    if isinstance(target, ast.Field) and isinstance(target.base, ast.Name):
        base = e.lookup(target.base.id)
        part = "." + target.name
    elif isinstance(target, ast.Name):
        base, part = e.lookup(target.id), ""
    else:
        e.error("E0208", target, "`init` sets a tensor of a layer", help="`init steer.b2 = 0`")
        return
    if isinstance(base, Poison):
        return
    if base is None:
        e.eval(target.base if isinstance(target, ast.Field) else target)
        return
    if isinstance(base, LazyWeight) and not part:
        name = base.weight.name
    elif isinstance(base, Layer) and part:
        name = base.name + part
    else:
        help = ""
        if isinstance(base, Layer):
            help = f"name the tensor: `init {base.name.rpartition('.')[2]}.w = …`"
        e.error("E0208", target, f"`init` sets a tensor, found {describe(base)}", help=help)
        return
    value = e.eval(node.value)
    if not isinstance(value, Poison):
        first = e.draft.inits.get(name)
        if first is not None and first[0] is not node:
            e.error(
                "E0202",
                node,
                f"`{target.span.text}` begins twice",
                notes=[Note("the first is here", first[0].span)],
                help="leave one of them out",
            )
            return
        # The shape is known once the layer has been called: checked at the end.
        e.draft.inits[name] = (node, e.scope, base)


def finish_inits(e: Elaborator) -> None:
    """Gives tensors the initial values that `init` lines ask for."""
    for name, (node, scope, base) in e.draft.inits.items():
        with e.names(scope):
            weight = e.draft.weights.get(name)
            if weight is None:
                _no_tensor(e, node, name, base)
                continue
            initial = initial_of(e, node.value, weight.shape, weight.unitary_qubits)
            if initial is not None:
                e.draft.weights[name] = replace(weight, initial=initial)


def _no_tensor(e: Elaborator, node: ast.Init, name: str, base: object) -> None:
    layer, _, part = name.rpartition(".")
    parts = [n.rpartition(".")[2] for n in e.draft.weights if n.rpartition(".")[0] == layer]
    if not parts and not _without_tensors(base):
        return  # the layer is never called, which is warned of, or its call is wrong
    e.error(
        "E0211",
        node.target,
        f"`{layer}` has no tensor `{part}`",
        help=did_you_mean(part, parts)
        or (f"it has {', '.join(parts)}" if parts else "it has none"),
    )


def _without_tensors(layer: object) -> bool:
    """Whether there is nothing in a layer that could begin as anything."""
    if not isinstance(layer, Layer):
        return False
    if isinstance(layer.spec, Definition):
        return layer.spec.kind == "layer"  # in Python: its tensors are its own
    return not layer.spec.kind.tensors
