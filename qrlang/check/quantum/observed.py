"""Readouts and Hamiltonians on registers: what can be read."""

from __future__ import annotations

from qrlang.check.binding.arguments import Args
from qrlang.check.binding.operands import bind_registers
from qrlang.check.binding.parameters import declared_note, default_params
from qrlang.check.binding.values import bind_value, declared_in
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.scope import Scope
from qrlang.check.core.values import (
    POISON,
    Definition,
    Observable,
    Pending,
    Poison,
    Probs,
    Qubits,
    Readout,
    Tensor,
    describe,
    together,
)
from qrlang.diagnostics.words import plural
from qrlang.syntax import ast


def observe(e: Elaborator, d: Definition, node: ast.Node, args: Args) -> object:
    """A readout or a Hamiltonian on registers: an observable, or a list of them."""
    params = default_params(e, d, node)
    if params is None:
        return POISON
    operands = []
    for at, given in args.positional:
        value = together(given)
        if not isinstance(value, Qubits):
            return e.error("E0208", at, f"expected a register, found {describe(value)}")
        operands.append(value)
    if args.named:
        first = next(iter(args.named.values()))[0]
        return e.error("E0302", first, "registers are given in order, without names")
    return observed(e, d, params, operands, node)


def observed(
    e: Elaborator, d: Definition, params: dict[str, object], operands: list[Qubits], node: ast.Node
) -> object:
    item = d.item
    assert isinstance(item, (ast.ReadoutDef, ast.Hamiltonian))
    scope = Scope(d.module)
    scope.names.update(params)
    if not bind_registers(e, d, scope, operands, node):
        return POISON
    if isinstance(item, ast.Hamiltonian) and item.values:
        if d.values is None:
            return e.error(
                "E0301",
                node,
                f"`{item.name}` needs its values: " + ", ".join(f"`{p.name}`" for p in item.values),
                notes=[declared_note(d)],
            )
        if len(d.values) != len(item.values):
            return e.error(
                "E0301",
                node,
                f"`{item.name}` takes {plural(len(item.values), 'value')}, found {len(d.values)}",
                notes=[declared_note(d)],
            )
        shapes = [declared_in(e, item.name, p.type, scope, node) for p in item.values]
        for p, shape, value in zip(item.values, shapes, d.values, strict=True):
            if shape is None or not bind_value(e, d, scope, p, shape, node, value):
                return POISON
    if not e.may_inline(node, d):
        return POISON
    with e.inlining(node, d, e.here._replace(scope=scope, region="readout")):
        result = e.eval(item.body)
        if isinstance(result, Poison):
            return result
        return readable(e, result, item.body, hamiltonian=isinstance(item, ast.Hamiltonian))


def readable(e: Elaborator, thing: object, at: ast.Node, hamiltonian: bool = False) -> object:
    """Something that can be read: an observable, a list of them (spliced), or a distribution."""
    if isinstance(thing, Readout):
        return thing.value
    if isinstance(thing, Observable) or (isinstance(thing, Probs) and not hamiltonian):
        return thing
    if isinstance(thing, tuple) and not hamiltonian:
        out: list[object] = []
        for part in thing:
            found = readable(e, part, at)
            if isinstance(found, Poison):
                return POISON
            if isinstance(found, Probs):
                return e.error(
                    "E0208",
                    at,
                    "a distribution can't be an element of a readout",
                    help="read it on its own: `read probs(q)`",
                )
            out.extend(found) if isinstance(found, tuple) else out.append(found)
        if not out:
            return e.error("E0311", at, "an empty readout")
        return tuple(out)
    if isinstance(thing, Definition) and thing.kind in ("readout", "Hamiltonian"):
        return e.error(
            "E0208",
            at,
            f"{describe(thing)} is of a register, and this names none",
            help=f"`{thing.item.name}(q)`",
        )
    what = "an observable" if hamiltonian else "a readout"
    help = "observables are made of `X(q[i])`, `Y(q[i])`, `Z(q[i])` and `I`"
    if isinstance(thing, Qubits):
        help = "a register is read by a readout: `read each_z(q)`, `read Z(q[0])`, `read probs(q)`"
    elif isinstance(thing, (Tensor, Pending)):
        help = "it is a value already: leave `read` out" if not hamiltonian else help
    return e.error("E0208", at, f"expected {what}, found {describe(thing)}", help=help)
