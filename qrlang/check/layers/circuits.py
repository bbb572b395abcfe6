"""Circuits used as layers: fresh qubits at every call, weights that belong to the layer."""

from __future__ import annotations

from collections.abc import Sequence

from qrlang.check.binding.arguments import Args
from qrlang.check.binding.parameters import default_params
from qrlang.check.binding.values import bind_value, declared_in, match_values
from qrlang.check.classical.tensors import as_tensor, viewed
from qrlang.check.classical.types import declared
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.scope import Body, Scope
from qrlang.check.core.values import POISON, Definition, Freeing, Layer, Pending, Poison, Tensor
from qrlang.check.written.spans import header
from qrlang.diagnostics import Note
from qrlang.syntax import ast


def call_circuit(e: Elaborator, layer: Layer, node: ast.Call) -> object:
    d = layer.spec
    assert isinstance(d, Definition) and isinstance(d.item, ast.Circuit)
    given = match_values(e, d, node, node.args)
    if given is None:
        return POISON
    counts = value_counts(e, d)
    values = [
        (given[p.name], e.eval(given[p.name], count))
        for p, count in zip(d.item.values, counts, strict=True)
    ]
    layer.calls += 1
    result = run_circuit(e, d, layer.name, layer.frozen, node, values)
    if isinstance(result, Tensor):
        e.fact(layer.span, layer.name, f"circuit: -> {result.type}")
    return result


def value_counts(e: Elaborator, d: Definition) -> list[int | None]:
    """How many numbers each value takes, where that is known before the call."""
    assert isinstance(d.item, ast.Circuit)
    scope = Scope(d.module)
    scope.names.update(d.params or {})
    with e.names(scope):
        shapes = [declared(e, p.type, free=True) for p in d.item.values]
    return [s.count if s is not None and s.kind == "real" else None for s in shapes]


def call_unbound(e: Elaborator, d: Definition, node: ast.Call, args: Args) -> object:
    """`vqc(4)(v)`: allowed for a circuit without weights."""
    assert isinstance(d.item, ast.Circuit)
    for statement in d.item.body:
        if isinstance(statement, (ast.Param, ast.Layer)):
            return e.error(
                "E0608",
                node,
                f"`{d.item.name}` has weights, so it needs a name before it is called",
                help=f"declare `layer f = {d.item.name}(…)`, then call `f(…)`",
                notes=[Note("a weight is declared here", statement.span)],
            )
    params = default_params(e, d, node)
    if params is None:
        return POISON
    bound = Definition(d.item, d.module, params)
    given = match_values(e, d, node, node.args)
    if given is None:
        return POISON
    known = args.by_node
    values = [(given[p.name], known[id(given[p.name])]) for p in d.item.values]
    return run_circuit(e, bound, d.item.name, False, node, values)


def run_circuit(
    e: Elaborator,
    d: Definition,
    name: str,
    frozen: bool,
    node: ast.Node,
    values: Sequence[tuple[ast.Node, object]],
) -> object:
    """Inlines a circuit: its qubits, gates and readouts, in a space of their own."""
    item = d.item
    assert isinstance(item, ast.Circuit)
    if e.here.in_if:
        return e.error(
            "E0609",
            node,
            "a circuit can't be called inside `if` on a measured bit",
            help="call it before, and choose by `where(bit, a, b)`",
        )
    scope = Scope(d.module)
    scope.names.update(d.params or {})
    if len(values) != len(item.values):
        return e.error(
            "E0301",
            node,
            f"`{item.name}` takes {len(item.values)} values, found {len(values)}",
            notes=[Note("declared here", header(item))],
        )
    good = True
    for p, (at, thing) in zip(item.values, values, strict=True):
        shape = declared_in(e, item.name, p.type, scope, node)
        good = shape is not None and bind_value(e, d, scope, p, shape, at, thing) and good
    if not good or not e.may_inline(node, d):
        return POISON
    count = e.draft.calls[name] = e.draft.calls.get(name, 0) + 1
    freeing = Freeing([])
    inside = e.here._replace(
        scope=scope,
        body=Body(freeing),
        region="circuit",
        prefix=name + ".",
        register_prefix=(name if count == 1 else f"{name}_{count}") + ".",
        frozen=frozen,
        place=e.place_of(node),
    )
    with e.inlining(node, d, inside):
        e.run(item.body)
        result = inside.body.result
        if result is None:
            result = e.error(
                "E0605",
                header(item),
                f"the circuit `{item.name}` returns nothing",
                help="end it with `return read …`",
            )
        result = _checked_result(e, item, result)
    if freeing.qubits:
        e.builder.quantum(freeing)
    return result


def _checked_result(e: Elaborator, item: ast.Circuit, result: object) -> object:
    if isinstance(result, (Poison, Pending)):
        if isinstance(result, Pending) and item.result is not None:
            expected = declared(e, item.result)
            if expected is not None and expected.known:
                e.widths.want(result, expected.dims(), item.result.span)
        return POISON if isinstance(result, Poison) else result
    t = as_tensor(e, result, item)
    if not isinstance(t, Tensor) or item.result is None:
        return t
    expected = declared(e, item.result, free=True)
    if expected is None:
        return POISON
    if expected.kind == t.type.kind and expected.kind == "real" and not t.type.seq:
        dims = expected.solve(t.type.count)
        if dims is not None:
            return viewed(t, dims)
    elif expected.known and expected.type == t.type:
        return t
    returned = next((s for s in item.body if isinstance(s, ast.Return)), None)
    return e.error(
        "E0409",
        returned.value if returned is not None else item,
        f"`{item.name}` promises {expected}, but returns {t.type}",
        notes=[Note("promised here", item.result.span)],
    )
