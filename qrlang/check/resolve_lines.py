"""What each kind of statement and expression means to names; `Resolver` walks over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qrlang.check.declared import REGISTER, declared_names
from qrlang.check.elsewhere import GATES_ELSEWHERE
from qrlang.check.gates import gate_takes, operand_count
from qrlang.check.resolve import (
    EXPRESSIONS,
    STATEMENTS,
    Block,
    Info,
    Resolver,
)
from qrlang.check.spans import header, name_span
from qrlang.diagnostics.words import did_you_mean
from qrlang.gates import CHANNELS, GATES, SUGAR
from qrlang.source import Span
from qrlang.syntax import ast


def _simple(word: str) -> Callable[[Resolver, ast.Stmt], None]:
    def handler(r: Resolver, s: ast.Stmt) -> None:
        if isinstance(s, (ast.Input, ast.Target, ast.Carry)):
            r.type(s.type)
        for name in ("initial", "value", "shots", "weak"):
            part = getattr(s, name, None)
            if part is not None:
                r.expr(part)
        r.declare(s.name, getattr(s, "kind", word), name_span(s, s.name))  # type: ignore[attr-defined]

    return handler


def _values(r: Resolver, s: ast.Stmt) -> None:
    for name in ("value", "target", "outcome", "condition"):
        part = getattr(s, name, None)
        if part is not None:
            r.expr(part)
    for operand in getattr(s, "operands", ()):
        r.expr(operand)


def _update(r: Resolver, s: ast.Update) -> None:
    r.expr(s.value)
    if r._find(s.name) is None:
        # The name, not the whole line.
        name = ast.Name(s.name, span=name_span(s, s.name))
        r.use(name, f"declare it before the step: `carry {s.name}: real[n] = 0`")
        r.report.reported_names.add((id(s.span.source), s.span.start))


def _emit(r: Resolver, s: ast.Emit) -> None:
    r.expr(s.value)


def _register_of_another_language(r: Resolver, s: ast.Gate) -> None:
    r.report.misplaced.add(id(s))
    operands = ", ".join(o.span.text for o in s.operands)
    r._error(
        "E0114",
        name_span(s, s.name),
        f"qrl has no `{s.name}`",
        f"registers are declared with `qubits {operands}`",
    )
    for name in declared_names(s):
        r.declare(name, "qubits", s.span)
        r.blocks[-1].names[name].used = True


def _gate(r: Resolver, s: ast.Gate) -> None:
    if s.name in REGISTER and not s.args and not s.modifiers:
        _register_of_another_language(r, s)
        return
    for m in s.modifiers:
        if m.arg is not None:
            r.expr(m.arg)
    for a in s.args:
        r.expr(a.value)
    for o in s.operands:
        r.expr(o)
    base, controls = SUGAR.get(s.name, (s.name, 0))
    if base in GATES:
        spec = GATES[base]
        angles, qubits = spec.angles, spec.qubits + controls
    elif s.name in CHANNELS:
        angles, qubits = CHANNELS[s.name].args, CHANNELS[s.name].qubits
    else:
        r.report.reported_names.add((id(s.span.source), s.span.start))
        _unknown_gate(r, s)
        return
    if len(s.args) != angles:
        r._error(
            "E0301",
            s.span,
            f"{gate_takes(s.name, angles)}, found {len(s.args)}",
            f"`{s.name}({', '.join('abcd'[:angles])}) …`" if angles else f"`{s.name} …`",
        )
    for m in s.modifiers:
        if m.kind in ("ctrl", "negctrl"):
            if m.arg is not None and not isinstance(m.arg, ast.Int):
                return
            qubits += 1 if m.arg is None else m.arg.value
    if len(s.operands) != qubits:
        r._error("E0502", s.span, operand_count(s, qubits), "")


def _unknown_gate(r: Resolver, s: ast.Gate) -> None:
    item = r.module.items.get(s.name)
    source = r.module.uses.get(s.name)
    if source is not None:
        r.used_imports.add(s.name)
        item = source[0].items.get(source[1])
    operands = ", ".join(o.span.text for o in s.operands)
    found = r._find(s.name)
    if isinstance(item, (ast.Ansatz, ast.AnsatzBinding)) or (found and found.word == "ansatz"):
        if found:
            found.used = True
        r._error(
            "E0208",
            s.span,
            f"`{s.name}` is an ansatz, not a gate",
            f"write `apply {s.name}(…) to {operands}`",
        )
        return
    help = GATES_ELSEWHERE.get(s.name.lower(), "")
    help = help or did_you_mean(s.name, [*GATES, *SUGAR, *CHANNELS])
    r._error(
        "E0209",
        name_span(s, s.name),
        f"there is no gate `{s.name}`",
        help or "gates are " + ", ".join(["h", "x", "rx", "ry", "rz", "cx", "cz", "swap"]) + ", …",
    )


def _apply(r: Resolver, s: ast.Apply) -> None:
    r.expr(s.callee)
    for m in s.modifiers:
        if m.arg is not None:
            r.expr(m.arg)
    for part in (s.time, s.trotter):
        if part is not None:
            r.expr(part)
    for o in s.operands:
        r.expr(o)


def _if(r: Resolver, s: ast.If) -> None:
    r.expr(s.condition)
    r.nest((s.then, s.orelse))


def _for(r: Resolver, s: ast.For) -> None:
    r.expr(s.range)
    r.nest((s.body,), [(s.var, s.span)])


def _qubits(r: Resolver, s: ast.Qubits) -> None:
    if s.initial is not None:
        r.expr(s.initial)
    for register in s.registers:
        r.expr(register.size)
        r.declare(register.name, "qubits", register.span)


def _param(r: Resolver, s: ast.Param) -> None:
    r.type(s.type)
    if s.initial is not None:
        r.expr(s.initial)
    r.declare(s.name, "frozen" if s.frozen else "param", name_span(s, s.name))


def _init(r: Resolver, s: ast.Init) -> None:
    r.expr(s.value)
    target = s.target
    base = target.base if isinstance(target, ast.Field) else target
    if isinstance(base, ast.Name) and r._find(base.id) is None:
        r.use(base)


def _step(r: Resolver, s: ast.Step) -> None:
    for e in s.sequences:
        r.expr(e)
    if s.extra is not None:
        r.expr(s.extra)
    outer, r.region = r.region, "a step"
    r.blocks.append(Block())
    for name in s.items:
        r.declare(name, "item", header(s))
    if s.flag is not None:
        r.declare(s.flag, "item", header(s))
    r._statements(s.body)
    block = r.blocks.pop()
    r._unused(block)
    r.region = outer
    for name, info in block.names.items():
        r.ended[name] = ("the step", info.span)
    # What a step of the model emits has a name after it.
    for name, span in emits_of(s.body):
        if outer == "a model" and name not in r.blocks[-1].names:
            r.blocks[-1].names[name] = Info("emit", span, True)


def emits_of(body: Iterable[ast.Stmt]) -> Iterable[tuple[str, Span]]:
    """Names that a step emits."""
    for s in body:
        if isinstance(s, ast.Emit) and s.name:
            yield s.name, s.span
        elif isinstance(s, ast.For):
            yield from emits_of(s.body)
        elif isinstance(s, ast.If):
            yield from emits_of((*s.then, *s.orelse))


def _gives_the_result(body: tuple[ast.Stmt, ...]) -> bool:
    """Whether something is emitted without a name: what the model gives at each step."""
    return any(
        (isinstance(s, ast.Emit) and not s.name)
        or (isinstance(s, ast.For) and _gives_the_result(s.body))
        or (isinstance(s, ast.If) and _gives_the_result((*s.then, *s.orelse)))
        for s in body
    )


def _recurrent(r: Resolver, s: ast.Recurrent) -> None:
    for e in s.sequences:
        r.expr(e)
    steps = [x for x in s.body if isinstance(x, ast.Step)]
    if not steps:
        r._error(
            "E0604",
            header(s),
            f"the recurrence `{s.name}` has no step",
            "say what happens at each moment: `step x { … }`",
        )
    outer, r.region = r.region, "a recurrent block"
    ended = dict(r.ended)
    block = r.block(s.body)
    r.region, r.ended = outer, ended
    r.declare(s.name, "recurrent", header(s))
    found = r.blocks[-1].names[s.name]
    found.members = block.names
    # What its step emits without a name is the result of the model.
    found.used = any(_gives_the_result(step.body) for step in steps)
    # Its registers and carries may still be used from outside; told at the end of the model.
    r.blocks[-1].names.update({f"{s.name}.{k}": v for k, v in block.names.items()})
    for name, info in block.names.items():
        r.ended[name] = (f"the recurrence `{s.name}`", info.span)


STATEMENTS.update(
    {
        ast.Let: _simple("let"),
        ast.Const: _simple("const"),
        ast.Readout: _simple("readout"),
        ast.AnsatzBinding: _simple("ansatz"),
        ast.Layer: _simple("layer"),
        ast.Input: _simple("input"),
        ast.Target: _simple("target"),
        ast.Carry: _simple("carry"),
        ast.Param: _param,
        ast.Qubits: _qubits,
        ast.Update: _update,
        ast.Emit: _emit,
        ast.Return: _values,
        ast.Gate: _gate,
        ast.Apply: _apply,
        ast.Prepare: _values,
        ast.Reset: _values,
        ast.Discard: _values,
        ast.Postselect: _values,
        ast.Require: _values,
        ast.If: _if,
        ast.For: _for,
        ast.Init: _init,
        ast.Step: _step,
        ast.Recurrent: _recurrent,
    }
)


def _call(r: Resolver, e: ast.Call) -> None:
    r.expr(e.func)
    for a in e.args:
        r.expr(a.value)


def _index(r: Resolver, e: ast.Index) -> None:
    r.expr(e.base)
    for i in e.items:
        r.expr(i)


def _range(r: Resolver, e: ast.Range) -> None:
    for part in (e.lo, e.hi, e.by):
        if part is not None:
            r.expr(part)


def _field(r: Resolver, e: ast.Field) -> None:
    r.expr(e.base)
    if isinstance(e.base, ast.Name):
        found = r._find(e.base.id)
        if found is not None and found.members is not None and e.name in found.members:
            found.members[e.name].used = True


def _list(r: Resolver, e: ast.List) -> None:
    for item in e.items:
        r.expr(item)


def _comprehension(r: Resolver, e: ast.Comprehension) -> None:
    for clause in e.clauses:
        r.expr(clause.range)
        r.blocks.append(Block())
        r.declare(clause.var, "loop", clause.span)
        if clause.condition is not None:
            r.expr(clause.condition)
    r.expr(e.element)
    del r.blocks[-len(e.clauses) :]


def _read(r: Resolver, e: ast.Read) -> None:
    r.expr(e.target)
    if e.last is not None:
        r.expr(e.last)


EXPRESSIONS.update(
    {
        ast.Name: lambda r, e: r.use(e),
        ast.Unary: lambda r, e: r.expr(e.operand),
        ast.Call: _call,
        ast.Index: _index,
        ast.Range: _range,
        ast.Field: _field,
        ast.List: _list,
        ast.Comprehension: _comprehension,
        ast.Read: _read,
        ast.Measure: lambda r, e: r.expr(e.target),
    }
)
