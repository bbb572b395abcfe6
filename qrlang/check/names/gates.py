"""Gate lines: whether there is such a gate, and whether it is given as much as it takes."""

from __future__ import annotations

from qrlang.check.names.expressions import expr
from qrlang.check.names.scopes import Names
from qrlang.check.written.declared import REGISTER, declared_names
from qrlang.check.written.elsewhere import GATES_ELSEWHERE
from qrlang.check.written.gates import gate_takes, operand_count
from qrlang.check.written.spans import name_span
from qrlang.diagnostics.words import did_you_mean
from qrlang.gates import CHANNELS, GATES, SUGAR
from qrlang.syntax import ast


def _register_of_another_language(r: Names, s: ast.Gate) -> None:
    r.report.misplaced.add(id(s))
    operands = ", ".join(o.span.text for o in s.operands)
    r.error(
        "E0114",
        name_span(s, s.name),
        f"qrl has no `{s.name}`",
        f"registers are declared with `qubits {operands}`",
    )
    for name in declared_names(s):
        r.declare(name, "qubits", s.span)
        r.blocks[-1].names[name].used = True


def gate_line(r: Names, s: ast.Gate) -> None:
    if s.name in REGISTER and not s.args and not s.modifiers:
        _register_of_another_language(r, s)
        return
    for m in s.modifiers:
        if m.arg is not None:
            expr(r, m.arg)
    for a in s.args:
        expr(r, a.value)
    for o in s.operands:
        expr(r, o)
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
        r.error(
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
        r.error("E0502", s.span, operand_count(s, qubits), "")


def _unknown_gate(r: Names, s: ast.Gate) -> None:
    item = r.module.item(s.name)
    if r.module.uses.get(s.name) is not None:
        r.used_imports.add(s.name)
    operands = ", ".join(o.span.text for o in s.operands)
    found = r.find(s.name)
    if isinstance(item, (ast.Ansatz, ast.AnsatzBinding)) or (found and found.word == "ansatz"):
        if found:
            found.used = True
        r.error(
            "E0208",
            s.span,
            f"`{s.name}` is an ansatz, not a gate",
            f"write `apply {s.name}(…) to {operands}`",
        )
        return
    help = GATES_ELSEWHERE.get(s.name.lower(), "")
    help = help or did_you_mean(s.name, [*GATES, *SUGAR, *CHANNELS])
    r.error(
        "E0209",
        name_span(s, s.name),
        f"there is no gate `{s.name}`",
        help or "gates are " + ", ".join(["h", "x", "rx", "ry", "rz", "cx", "cz", "swap"]) + ", …",
    )
