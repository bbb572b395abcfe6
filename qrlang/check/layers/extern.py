"""Layers of the user's own, in Python."""

from __future__ import annotations

from qrlang.check.classical.tensors import as_tensor, of_value
from qrlang.check.classical.types import declared
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.scope import Scope
from qrlang.check.core.values import POISON, Definition, Layer, Pending, Poison, Tensor
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import plural
from qrlang.ir import program as ir
from qrlang.syntax import ast


def extern(e: Elaborator, layer: Layer, node: ast.Call) -> object:
    d = layer.spec
    assert isinstance(d, Definition) and isinstance(d.item, ast.Extern) and d.params is not None

    inner = Scope(d.module)
    inner.names.update(d.params)
    with e.names(inner):
        expected = [declared(e, t) for t in d.item.values]
        result = declared(e, d.item.result)
    if result is None or any(x is None for x in expected):
        return POISON
    if len(node.args) != len(expected):
        return e.error(
            "E0301",
            node,
            f"`{layer.name}` takes {plural(len(expected), 'value')}, found {len(node.args)}",
            notes=[Note("declared here", d.item.span)],
        )
    values: list[ir.Value] = []
    for arg, shape in zip(node.args, expected, strict=True):
        assert shape is not None
        if not shape.known:
            return e.error("E0404", d.item, "the shapes of an extern layer can't be left open")
        if arg.name is not None:
            return e.error("E0302", arg, f"`{layer.name}` has no argument `{arg.name}`")
        thing = e.eval(arg.value, shape.count)
        if isinstance(thing, (Poison, Pending)):
            if isinstance(thing, Pending):
                e.widths.want(thing, shape.dims(), arg.span)
            return POISON
        t = (
            thing
            if isinstance(thing, Tensor) and shape.kind != "real"
            else as_tensor(e, thing, arg.value)
        )
        if not isinstance(t, Tensor):
            return POISON
        if t.type != shape.type:
            if (
                t.type.kind == shape.kind == "real"
                and t.type.seq == shape.seq
                and t.type.count == shape.type.count
            ):
                t = Tensor(shape.type, t.value, t.elements)
            else:
                return e.error(
                    "E0409",
                    arg,
                    f"`{layer.name}` takes {shape}, found {t.type}",
                    notes=[Note("declared here", d.item.span)],
                )
        values.append(e.builder.whole(t))
    if not result.known:
        return e.error("E0404", d.item.result, "the shapes of an extern layer can't be left open")
    settings = tuple((k, v) for k, v in d.params.items() if isinstance(v, (int, float, bool, str)))
    e.draft.externs[layer.name] = ir.Extern(
        layer.name, d.item.path, settings, tuple(v.type for v in values), result.type
    )
    out = e.builder.value(result.type)
    e.builder.classical(ir.CallExtern(out, layer.name, tuple(values)))
    e.fact(
        layer.span,
        layer.name,
        f"extern layer: {', '.join(str(v.type) for v in values)} -> {result}",
    )
    return of_value(out)
