"""Steps and recurrences, and what they hand out."""

from __future__ import annotations

from qrlang.check.arithmetic import as_tensor, of_value
from qrlang.check.builder import LoopDraft
from qrlang.check.core import STMT, Elaborator
from qrlang.check.expressions import integer
from qrlang.check.spans import header
from qrlang.check.values import (
    POISON,
    Carry,
    Freeing,
    Pending,
    Poison,
    Qubits,
    Recurrence,
    Tensor,
    describe,
)
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import plural
from qrlang.ir import program as ir
from qrlang.ir.types import real, seq
from qrlang.syntax import ast

# --- results ---


def _result(e: Elaborator, node: ast.Emit | ast.Return) -> Tensor | None:
    value = e.eval(node.value)
    if isinstance(value, Poison):
        return None
    if isinstance(value, Pending):
        e.output_pending = True
        return None
    if isinstance(value, Tensor) and value.type.kind in ("token", "class", "bit"):
        return value
    word = "emit" if isinstance(node, ast.Emit) else "return"
    t = as_tensor(e, value, node.value, f"a value to {word}")
    return t if isinstance(t, Tensor) else None


def emit(e: Elaborator, node: ast.Emit) -> None:
    t = _result(e, node)
    if e.region != "step" or not e.loops:
        e.error(
            "E0601",
            node,
            "`emit` belongs in a step: it hands out a value at each moment",
            help="`return` hands out a value at the end",
        )
        return
    loop = e.loops[-1]
    if e.in_if:
        e.error(
            "E0609",
            node,
            "`emit` can't stand inside `if` on a measured bit",
            help="`emit where(bit, a, b)`",
        )
        return
    name = node.name or ""
    if name in loop.emitted:
        e.error(
            "E0603",
            node,
            f"`{name}` is emitted twice in one step" if name else "a step emits its output twice",
            help="put the values together: `emit concat(a, b)`",
        )
        return
    if t is None:
        loop.emitted[name] = POISON
        if not name:
            e.outputs.append((POISON, node.span))
        return
    if t.type.seq:
        e.error(
            "E0406",
            node.value,
            f"one moment is emitted at a time, found a whole sequence, {t.type}",
        )
        loop.emitted[name] = POISON
        if not name:
            e.outputs.append((POISON, node.span))
        return
    value = e.builder.whole(t)
    out = e.builder.value(seq(value.type), name, node.span)
    e.builder.like(value, out)
    loop.emits.append(ir.LoopEmit(name, value, out))
    loop.emitted[name] = of_value(out)
    if not name:
        e.outputs.append((of_value(out), node.span))


def return_(e: Elaborator, node: ast.Return) -> None:
    if e.region == "circuit":
        e.result = e.eval(node.value)
        return
    t = _result(e, node)
    if e.region != "model":
        e.error(
            "E0601",
            node,
            f"`return` can't stand in {_region(e.region)}",
            help="`emit` hands out a value at each step",
        )
        return
    e.outputs.append((POISON if t is None else t, node.span))


def _region(region: str) -> str:
    return {"ansatz": "an ansatz", "step": "a step", "recurrent": "a recurrent block"}.get(
        region, "here"
    )


# --- steps and recurrences ---


def step(e: Elaborator, node: ast.Step) -> None:
    if e.region == "recurrent":
        sequences = e.pending_sequences
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
            + ("`step a, b { … }`" if e.region == "recurrent" else "`step a, b in xs, ys { … }`"),
        )
        sequences = None
    name = e.prefix.rstrip(".") if e.region == "recurrent" else "step"
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
    b = e.builder
    carries = e.carries[-1]
    starts = [b.whole(c.now) if isinstance(c.now, Tensor) else None for c in carries]
    if name:
        e.names.setdefault(name, node.span)
    body = b.open()
    items: list[ir.LoopItem] = []
    outer, region = e.inner(), e.region
    e.region = "step"
    for item, sequence in zip(node.items, sequences or [], strict=False):
        assert sequence.value is not None
        value = b.value(sequence.type.item, item, node.span)
        if sequence.value.id in b.readouts:
            b.readouts.add(value.id)
        items.append(ir.LoopItem(sequence.value, value))
        e.scope.names[item] = of_value(value)
    for item in node.items:
        e.scope.names.setdefault(item, POISON)
    flag = None
    if node.flag is not None:
        flag = b.value(real(), node.flag, node.span)
        e.scope.names[node.flag] = of_value(flag)
    draft = LoopDraft(name, tuple(items), body, extra, flag)
    arguments: list[ir.Value | None] = []
    for c, start in zip(carries, starts, strict=True):
        arg = b.value(start.type, c.name, c.span) if start is not None else None
        arguments.append(arg)
        if arg is not None:
            c.now = of_value(arg)
        c.open = True
    e.loops.append(draft)
    e.fresh = set()
    freeing = Freeing([])
    e.endings.append(freeing)
    e.carries.append([])
    last, e.last_loop = e.last_loop, None
    e.block(node.body)
    e.last_loop = last
    e.carries.pop()
    e.endings.pop()
    e.loops.pop()
    e.scope, e.region = outer, region
    nexts = [b.whole(c.now) if isinstance(c.now, Tensor) else None for c in carries]
    body.flush()
    if freeing.qubits:
        body.ops.append(freeing)
    b.close()
    e.fresh = set()
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
    e.last_loop = draft
    if region != "recurrent":
        for emitted, found in draft.emitted.items():
            if emitted:
                e.scope.names.setdefault(emitted, found)


def recurrent(e: Elaborator, node: ast.Recurrent) -> None:
    sequences = sequences_of(e, node.sequences)
    found = Recurrence(e.prefix + node.name, node.span)
    found.span = header(node)
    saved = (e.prefix, e.register_prefix, e.region, e.pending_sequences, e.last_loop)
    e.prefix = e.register_prefix = e.prefix + node.name + "."
    e.region, e.pending_sequences = "recurrent", sequences
    e.last_loop = None
    outer = e.inner()
    e.names[found.name] = found.span
    freeing = Freeing([])
    e.endings.append(freeing)
    e.carries.append([])
    e.block(node.body)
    inside = e.scope.names
    e.carries.pop()
    e.endings.pop()
    e.scope = outer
    emits = e.emitted()
    e.prefix, e.register_prefix, e.region, e.pending_sequences, e.last_loop = saved
    for name, thing in inside.items():
        if isinstance(thing, Qubits):
            found.members[name] = thing
        elif isinstance(thing, Carry):
            found.members[name] = thing.now
        elif isinstance(thing, Poison):
            found.members[name] = thing
    found.members.update({k: v for k, v in emits.items() if k})
    e.scope.names[node.name] = found
    e.builder.quantum(freeing)


STMT.update({ast.Emit: emit, ast.Return: return_, ast.Step: step, ast.Recurrent: recurrent})
