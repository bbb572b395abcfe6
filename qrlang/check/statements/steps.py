"""Steps and recurrences."""

from __future__ import annotations

from qrlang.check.classical.tensors import of_value
from qrlang.check.classical.whole import integer
from qrlang.check.core.blocks import LoopDraft
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.scope import Body, Scope
from qrlang.check.core.values import (
    POISON,
    Carry,
    Freeing,
    Poison,
    Qubits,
    Recurrence,
    Tensor,
    describe,
)
from qrlang.check.written.spans import header
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import plural
from qrlang.ir import program as ir
from qrlang.ir.types import real
from qrlang.syntax import ast


def step(e: Elaborator, node: ast.Step) -> None:
    if e.here.region == "recurrent":
        sequences = e.here.body.sequences
        if node.sequences:
            e.error(
                "E0601",
                node,
                "the sequence of a recurrent block stands after `over`",
                help=f"write `step {', '.join(node.items)} {{ … }}`",
            )
            return
    else:
        if not node.sequences:
            e.error(
                "E0607", node, "a step of a model needs a sequence", help="`step row in rows { … }`"
            )
            return
        sequences = sequences_of(e, node.sequences)
    extra = 0
    if node.extra is not None:
        number = integer(e, node.extra, "the number of further steps")
        if number is not None and not 0 <= number <= 10_000:
            e.error("E0311", node.extra, f"further steps are 0 to 10000, found {number}")
            number = None
        extra = number or 0
    if sequences is not None and len(node.items) != len(sequences):
        e.error(
            "E0607",
            node,
            f"{plural(len(sequences), 'sequence')}, but {plural(len(node.items), 'name')} "
            "for its moments"
            if len(sequences) == 1
            else f"{plural(len(sequences), 'sequence')}, but {plural(len(node.items), 'name')}",
            help="one name for each: "
            + (
                "`step a, b { … }`"
                if e.here.region == "recurrent"
                else "`step a, b in xs, ys { … }`"
            ),
        )
        sequences = None
    name = e.here.prefix.rstrip(".") if e.here.region == "recurrent" else "step"
    run(e, node, name, sequences, extra)


def sequences_of(e: Elaborator, nodes: tuple[ast.Expr, ...]) -> list[Tensor] | None:
    found: list[Tensor] = []
    good = True
    for node in nodes:
        thing = e.eval(node)
        if isinstance(thing, Tensor) and thing.type.seq:
            found.append(thing)
            continue
        good = False
        if not isinstance(thing, Poison):
            help = "declare it as one: `input rows: seq[real[28]]`"
            if isinstance(thing, (range, int)):
                help = "`for i in 0..n { … }` runs over numbers, at compile time"
            e.error(
                "E0406", node, f"a step runs over a sequence, found {describe(thing)}", help=help
            )
    return found if good else None


def run(
    e: Elaborator, node: ast.Step, name: str, sequences: list[Tensor] | None, extra: int
) -> None:
    b, outer = e.builder, e.here
    carries = outer.body.carries
    starts = [b.whole(c.now) if isinstance(c.now, Tensor) else None for c in carries]
    if name:
        e.draft.names.setdefault(name, node.span)
    freeing = Freeing([])
    body = Body(freeing)
    with b.nested() as block:
        with e.inside(outer._replace(region="step", body=body)), e.block() as scope:
            items = _moments(e, node, sequences or [], scope)
            flag = None
            if node.flag is not None:
                flag = b.value(real(), node.flag, node.span)
                scope.names[node.flag] = of_value(flag)
            draft = body.writing = LoopDraft(name, items, block, extra, flag)
            arguments = [_opened(e, c, start) for c, start in zip(carries, starts, strict=True)]
            with e.qubits.many_times():
                e.run(node.body)
        nexts = [b.whole(c.now) if isinstance(c.now, Tensor) else None for c in carries]
        if freeing.qubits:
            b.quantum(freeing)
    e.qubits.fresh.clear()
    for c, start, arg, next_ in zip(carries, starts, arguments, nexts, strict=True):
        c.open = False
        if not c.updated:
            e.error(
                "E0407",
                c.span,
                f"the carry `{c.name}` is never updated",
                help=f"update it in the step: `{c.name} <- …`; one that stays is a `let`",
                notes=[Note("this step should update it", header(node))],
            )
        if start is None or arg is None or next_ is None:
            c.now = POISON
            continue
        out = b.value(start.type, c.name, c.span)
        draft.carries.append(ir.LoopCarry(start, arg, next_, out))
        c.now = of_value(out)
    b.quantum(draft)
    outer.body.finished = draft
    if outer.region != "recurrent":
        for emitted, found in draft.emitted.items():
            if emitted:
                e.scope.names.setdefault(emitted, found)


def _moments(
    e: Elaborator, node: ast.Step, sequences: list[Tensor], scope: Scope
) -> tuple[ir.LoopItem, ...]:
    """The names that a step gives to the moments of its sequences."""
    b = e.builder
    items: list[ir.LoopItem] = []
    for item, sequence in zip(node.items, sequences, strict=False):
        assert sequence.value is not None
        value = b.value(sequence.type.item, item, node.span)
        b.like(sequence.value, value)
        items.append(ir.LoopItem(sequence.value, value))
        scope.names[item] = of_value(value)
    for item in node.items:
        scope.names.setdefault(item, POISON)
    return tuple(items)


def _opened(e: Elaborator, c: Carry, start: ir.Value | None) -> ir.Value | None:
    """What a carry is at the beginning of a step, in which it can be updated."""
    c.open = True
    if start is None:
        return None
    argument = e.builder.value(start.type, c.name, c.span)
    c.now = of_value(argument)
    return argument


def recurrent(e: Elaborator, node: ast.Recurrent) -> None:
    sequences = sequences_of(e, node.sequences)
    found = Recurrence(e.here.prefix + node.name, header(node))
    e.draft.names[found.name] = found.span
    freeing = Freeing([])
    inside = e.here._replace(
        region="recurrent",
        body=Body(freeing, sequences=sequences),
        prefix=found.name + ".",
        register_prefix=found.name + ".",
    )
    with e.inside(inside), e.block() as scope:
        e.run(node.body)
    for name, thing in scope.names.items():
        if isinstance(thing, (Qubits, Poison)):
            found.members[name] = thing
        elif isinstance(thing, Carry):
            found.members[name] = thing.now
    found.members.update({k: v for k, v in inside.body.emitted().items() if k})
    e.scope.names[node.name] = found
    e.builder.quantum(freeing)
