"""What a name stands for where an expression uses it, and what a recurrence gives by name."""

from __future__ import annotations

from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import (
    POISON,
    Carry,
    Layer,
    LazyWeight,
    Poison,
    Qubits,
    Recurrence,
    Tensor,
    describe,
    release,
)
from qrlang.check.standard import library_hint
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.syntax import ast


def name(e: Elaborator, node: ast.Name) -> object:
    thing = e.lookup(node.id)
    if thing is None:
        return unknown(e, node)
    if isinstance(thing, Carry):
        return thing.now
    if isinstance(thing, Qubits):
        return alive(e, thing, node)
    if type(thing) is LazyWeight:
        return use_weight(e, thing)
    if type(thing) is Tensor and thing.value in e.draft.targets and not e.here.in_shifted:
        return leaked(e, node, thing)
    return thing


def unknown(e: Elaborator, node: ast.Name) -> Poison:
    """The elaborator met a name that stands for nothing."""
    told = (id(node.span.source), node.span.start) in e.report.reported_names
    if told or node.id in e.scope.module.file.lost:
        e.report.failed = True
        return POISON
    words = {*e.language.builtins, *e.scope.module.items, *e.scope.module.uses}
    for scope in e.scope.chain():
        words |= set(scope.names)
    return e.error(
        "E0201",
        node,
        f"unknown name `{node.id}`",
        help=did_you_mean(node.id, words) or library_hint(node.id),
    )


def leaked(e: Elaborator, node: ast.Name, target: Tensor) -> Poison:
    """What is to be found out can't be what it is found out from."""
    if target.type.seq:
        help = (
            f"`shifted({node.id})` is what came before each moment; for a sequence that is given, "
            f"declare an `input`"
        )
    else:
        help = f"leave it out; if the model is given `{node.id}`, declare it as an `input`"
    said = next(v for v in e.draft.targets if v == target.value)
    span = e.draft.names.get(said.name)
    return e.error(
        "E0610",
        node,
        f"the target `{node.id}` can't take part in its own prediction",
        label="nobody knows this when the model is used",
        help=help,
        notes=[Note(f"`{node.id}` is declared here", span)] if span else [],
    )


def use_weight(e: Elaborator, lazy: LazyWeight) -> Tensor:
    e.draft.weights.setdefault(lazy.weight.name, lazy.weight)
    value = e.builder.weight(lazy.weight)
    return Tensor(value.type, value)


def alive(e: Elaborator, q: Qubits, node: ast.Node) -> Qubits | Poison:
    for r in q.registers:
        if r.ended:
            notes = [Note(r.ended, r.ended_at)] if r.ended_at else []
            return e.error(
                "E0504",
                node,
                f"the qubits of `{r.name}` can't be used here: {r.ended}",
                help="qubits can't be copied: use the register they moved to, or declare another",
                notes=notes,
            )
    return q


def field(e: Elaborator, node: ast.Field) -> object:
    base = e.eval(node.base)
    if isinstance(base, Poison):
        return POISON
    if isinstance(base, Recurrence):
        found = base.members.get(node.name)
        if found is None:
            help = did_you_mean(node.name, base.members)
            if not help:
                help = (
                    f"`{base.name}` gives " + ", ".join(f"`{m}`" for m in base.members)
                    if base.members
                    else f"give it a name there: `emit {node.name} = …`"
                )
            return e.error(
                "E0211",
                node,
                f"`{base.name}` has no `{node.name}`",
                help=help,
                notes=[Note(f"`{base.name}` is declared here", base.span)],
            )
        if isinstance(found, Qubits):
            for r in found.registers:
                release(r)  # somebody wants these qubits after their block
            return alive(e, found, node)
        return found
    if isinstance(base, Layer):
        return e.error(
            "E0211",
            node,
            f"the weights of `{base.name}` can't be read here",
            help=f"`init {base.name}.{node.name} = …` sets how they begin",
        )
    return e.error("E0211", node, f"{describe(base)} has no `{node.name}`")
