"""Calls: what is called, with its arguments, by the kind of thing that it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qrlang.check.binding.arguments import Args, evaluate
from qrlang.check.binding.parameters import (
    bind_params,
    declared_note,
    default_params,
    fits_parameter,
)
from qrlang.check.binding.values import match_values
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.layer_kinds import LayerKind
from qrlang.check.core.values import (
    POISON,
    Builtin,
    Definition,
    Layer,
    LayerSpec,
    Pending,
    Poison,
    Qubits,
    Tensor,
    describe,
    together,
)
from qrlang.check.functions.builtins import call_function
from qrlang.check.layers.calling import call_layer
from qrlang.check.layers.circuits import call_unbound
from qrlang.check.layers.declaring import spec
from qrlang.check.quantum.observed import observe
from qrlang.syntax import ast


def call(e: Elaborator, node: ast.Call, wanted: int | None = None) -> object:
    """`wanted` is how many numbers are needed of a layer, which evaluates its arguments itself."""
    thing = _with_values(e, node.func) if isinstance(node.func, ast.Call) else e.eval(node.func)
    if isinstance(thing, Layer):
        return call_layer(e, thing, node, wanted)
    if isinstance(thing, Builtin) and thing.name == "shifted":
        with e.inside(e.here._replace(in_shifted=True)):
            args = evaluate(e, node)
    else:
        args = evaluate(e, node)
    if args is None or isinstance(thing, Poison) or args.poisoned:
        return POISON
    handler = _CALL.get(type(thing))
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
    if args.positional and all(isinstance(together(v), Qubits) for _, v in args.positional):
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
    on_qubits = bool(given) and all(isinstance(together(v), Qubits) for v in given)
    if kind in ("readout", "Hamiltonian") and on_qubits:
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


def not_callable(e: Elaborator, node: ast.Call, thing: object) -> Poison:
    help = ""
    if isinstance(thing, Definition) and thing.kind == "ansatz":
        help = f"an ansatz acts on qubits: `apply {node.func.span.text}(…) to q`"
    elif isinstance(thing, Qubits):
        help = "qubits are indexed by brackets: `q[0]`"
    elif isinstance(thing, (Tensor, tuple)):
        help = "elements are taken by brackets: `v[0]`"
    return e.error("E0208", node.func, f"{describe(thing)} can't be called", help=help)


# How a thing of each kind is called, its arguments evaluated.
_CALL: dict[type, Callable[[Elaborator, Any, ast.Call, Args], object]] = {
    Builtin: call_function,
    Definition: call_definition,
    LayerKind: spec,
    LayerSpec: _nameless,
}
