"""Constructs of other languages, and how they are written here."""

from __future__ import annotations

from qrlang.diagnostics.diagnostic import Diagnostic, Fix
from qrlang.gates import GATES, SUGAR
from qrlang.source import Span
from qrlang.syntax.mistake import CLOSING, GIVE_UP, ONLY_ITEMS, Edit, Explained, Mistake
from qrlang.syntax.table import table

# First words of statements elsewhere, and the way to say it here.
ELSEWHERE = {
    "def": "a circuit is written `circuit name(…) { … }`, a model `model name(…) { … }`",
    "fn": "a circuit is written `circuit name(…) { … }`, a model `model name(…) { … }`",
    "function": "a circuit is written `circuit name(…) { … }`, a model `model name(…) { … }`",
    "class": "a model is written `model Name(…) { … }`",
    "import": "names come in with `use`: `use std.ansatz.su2_ring`",
    "from": "names come in with `use`: `use std.ansatz.su2_ring`",
    "include": "names come in with `use`: `use std.ansatz.su2_ring`; the gates are always there",
    "OPENQASM": "a .qrl file has no version line",
    "gate": "a gate of your own is an `ansatz name on q: qubit[n] { … }`",
    "while": "loops are bounded: `for i in 0..n { … }`",
    "elif": "write `else if`",
    "var": "a value is named with `let`; one that changes from step to step is a `carry`",
    "qubit": "registers are declared with `qubits q[2]`",
    "qreg": "registers are declared with `qubits q[2]`",
    "creg": "a measured bit is named with `let b = measure q[0]`",
    "bit": "a measured bit is named with `let b = measure q[0]`",
    "print": "a program has no output of its own; `emit` and `return` hand values out",
    "lambda": "a reused expression is a `let`, or a `circuit`",
    "int": "a number known at compile time is `const n = 8`, or a parameter of the model",
    "float": "a number known at compile time is `const x = 0.5`, or a parameter of the model",
}


def elsewhere(m: Mistake, edit: Edit | None) -> Explained | None:
    if m.symbol(m.first) != "NAME" or m.at - m.first > 3:
        return None
    first = m.text(m.first)
    if first not in ELSEWHERE:
        return None
    diagnostic = Diagnostic(
        "E0114", f"qrl has no `{first}`", m.tokens.span(m.first), "", ELSEWHERE[first]
    )
    number = table().number
    if first == "elif":
        better = Edit(m.first, 1, (number["IF"],), m.depth)
        return diagnostic, better if m.reach(better) > m.at else GIVE_UP
    return diagnostic, GIVE_UP


def measure_arrow(m: Mistake, edit: Edit | None) -> Explained | None:
    if m.symbol(m.at) != "ARROW" or m.symbol(m.first) != "MEASURE":
        return None
    start = m.tokens.starts[m.first]
    measured = Span(m.tokens.source, start, m.tokens.ends[m.at - 1])
    fix = None
    if m.symbol(m.at + 1) == "NAME" and m.symbol(m.at + 2) != "LSQB":
        whole = Span(m.tokens.source, start, m.tokens.ends[m.at + 1])
        fix = Fix(whole, f"let {m.text(m.at + 1)} = {measured.text}")
    diagnostic = Diagnostic(
        "E0114",
        "a measured bit is named before it is measured",
        m.span,
        "no arrow here",
        f"write `let b = {measured.text}`",
        fix=fix,
    )
    return diagnostic, GIVE_UP


def colon_range(m: Mistake, edit: Edit | None) -> Explained | None:
    """`0:n`, in a loop or an index."""
    if m.symbol(m.at) != "COLON" or not m.expects("DOTDOT"):
        return None
    if m.tokens.first_on_line(m.at + 1) or m.symbol(m.at + 1) == "LBRACE":
        return None
    if m.symbol(m.first) == "FOR" and m.text(m.first + 3) == "range":
        return None  # `for i in range(n): …`: the colon ends the header
    diagnostic = Diagnostic(
        "E0128",
        "a range is written `a..b`",
        m.span,
        "",
        f"write `{m.text(m.at - 1)}..{m.text(m.at + 1)}`",
        fix=Fix(m.span, ".."),
    )
    better = Edit(m.at, 1, (table().number["DOTDOT"],), m.height)
    return diagnostic, better if m.reach(better) > m.at + 1 else GIVE_UP


def untyped_parameter(m: Mistake, edit: Edit | None) -> Explained | None:
    """`model M(n=3)`."""
    if m.symbol(m.at) != "ASSIGN" or m.symbol(m.at - 1) != "NAME" or not m.expects("COLON"):
        return None
    if not m.openers or m.symbol(m.openers[-1]) != "LPAREN" or not m.top_level:
        return None
    name, value = m.text(m.at - 1), m.text(m.at + 1)
    kind = {"INT": "int", "REAL": "real", "STRING": "string", "TRUE": "bool", "FALSE": "bool"}
    type_ = kind.get(m.symbol(m.at + 1), "int")
    diagnostic = Diagnostic(
        "E0101", "a parameter has a type", m.span, "", f"write `{name}: {type_} = {value}`"
    )
    return diagnostic, GIVE_UP


def if_as_value(m: Mistake, edit: Edit | None) -> Explained | None:
    """`let z = if b { 1 } else { 2 }`."""
    if m.symbol(m.at) != "IF" or not m.expects("NAME", "INT") or m.starts_statement:
        return None
    end = m.at
    while m.symbol(end) not in ("", "$END"):
        end, closed = _behind_braces(m, end)
        if not closed or m.symbol(end) != "ELSE":
            break
    diagnostic = Diagnostic(
        "E0114",
        "`if` is a statement: it has no value",
        m.span,
        "",
        "`where(b, x, y)` is x where b is 1, else y",
    )
    better = Edit(m.at, end - m.at, (table().number["NAME"],), m.height)
    return diagnostic, better if m.reach(better) > end else GIVE_UP


def _behind_braces(m: Mistake, at: int) -> tuple[int, bool]:
    """Where the next block ends."""
    depth = 0
    while m.symbol(at) not in ("", "$END"):
        depth += (m.symbol(at) == "LBRACE") - (m.symbol(at) == "RBRACE")
        closes = m.symbol(at) == "RBRACE"
        at += 1
        if closes and depth <= 0:
            return at, depth == 0
    return at, False


def dashed_name(m: Mistake, edit: Edit | None) -> Explained | None:
    """`model my-model`."""
    tokens, end = m.tokens, m.at
    while (
        m.symbol(end) == "MINUS"
        and m.text(end + 1).replace("_", "").isalnum()  # words of the language, too
        and tokens.ends[end - 1] == tokens.starts[end]
        and tokens.ends[end] == tokens.starts[end + 1]
    ):
        end += 2
    if end == m.at or m.symbol(m.at - 1) != "NAME":
        return None
    name = tokens.span(m.at - 1).to(tokens.span(end - 1))
    right = name.text.replace("-", "_")
    diagnostic = Diagnostic(
        "E0101",
        "a name has no `-` in it",
        name,
        "letters, digits and `_`",
        f"write `{right}`",
        fix=Fix(name, right),
    )
    return diagnostic, Edit(m.at, end - m.at, (), m.height)


def angle_without_parentheses(m: Mistake, edit: Edit | None) -> Explained | None:
    """`rx a q[0]`: the angle was taken for the qubit."""
    if m.symbol(m.first) != "NAME" or m.first < 2 or m.tokens.first_on_line(m.first):
        return None
    start, depth = m.first - 1, 0
    while start > 0:
        depth += (m.symbol(start) in CLOSING) - (m.symbol(start) in CLOSING.values())
        if not depth and m.symbol(start) == "NAME":
            break
        start -= 1
    found = gate_named(m.text(start - 1))
    if found is None or found[0] != 1 or m.symbol(start - 1) != "NAME":
        return None
    gate, angle = m.text(start - 1), m.tokens.span(start).to(m.tokens.span(m.first - 1))
    qubits = ", ".join(f"q[{i}]" for i in range(found[1]))
    diagnostic = Diagnostic(
        "E0101",
        f"the angle of `{gate}` stands in parentheses",
        angle,
        "",
        f"write `{gate}({angle.text}) {qubits}`",
        fix=Fix(angle, f"({angle.text})"),
    )
    return diagnostic, None


def sequence_length(m: Mistake, edit: Edit | None) -> Explained | None:
    """`seq[real[2], 10]`."""
    if m.symbol(m.at) != "COMMA" or not m.openers or m.symbol(m.openers[-1] - 1) != "SEQ":
        return None
    end, depth = m.at, 0
    while m.symbol(end) not in ("", "$END", "LBRACE") and (depth or m.symbol(end) != "RSQB"):
        depth += (m.symbol(end) in CLOSING.values()) - (m.symbol(end) in CLOSING)
        end += 1
    inner = m.tokens.span(m.openers[-1] + 1).to(m.tokens.span(m.at - 1))
    diagnostic = Diagnostic(
        "E0101",
        "a sequence has no length: it may be of any",
        m.span,
        "",
        f"write `seq[{inner.text}]`",
    )
    return diagnostic, Edit(m.at, end - m.at, (), m.height)


def read_alone(m: Mistake, edit: Edit | None) -> Explained | None:
    """`read q[0]` as a statement."""
    if m.symbol(m.at) != "READ" or m.top_level or not m.starts_statement:
        return None
    return (
        Diagnostic(
            "E0101",
            "what is read is lost",
            m.span,
            "this is no statement",
            "give it a name, `let z = read …`, or hand it out, `return read …`",
        ),
        GIVE_UP,
    )


def half_a_use(m: Mistake, edit: Edit | None) -> Explained | None:
    """`use .` or `use std.`, and the next item on the line below."""
    at = m.at - 1
    if m.symbol(m.first) != "USE" or at <= m.first or not m.tokens.first_on_line(at):
        return None
    if m.symbol(at) not in ONLY_ITEMS and m.symbol(at) not in ("ANSATZ", "READOUT"):
        return None
    diagnostic = Diagnostic(
        "E0101",
        "this `use` names nothing",
        m.tokens.span(m.first).to(m.tokens.span(at - 1)),
        "",
        "say what is used: `use std.ansatz.su2_ring`, `use .mine.block`",
    )
    return diagnostic, Edit(m.first, at - m.first, (), m.depth)


def call_style(m: Mistake, edit: Edit | None) -> Explained | None:
    """`h(q[0])` on a line of its own: what follows was taken for its qubits."""
    first = m.first
    if m.symbol(first) != "NAME" or m.symbol(first + 1) != "LPAREN" or m.top_level:
        return None
    found = gate_named(m.text(first))
    end, depth = first + 1, 0
    commas = [end]  # before each argument
    while m.symbol(end) not in ("", "$END", "LBRACE", "RBRACE"):
        depth += (m.symbol(end) in CLOSING.values()) - (m.symbol(end) in CLOSING)
        if depth == 1 and m.symbol(end) == "COMMA":
            commas.append(end)
        if not depth:
            break
        end += 1
    alone = m.symbol(end + 1) in ("RBRACE", "$END", "") or m.tokens.first_on_line(end + 1)
    if found is None or depth or not alone or m.at <= end:
        return None
    tokens = m.tokens
    stops = [*commas[1:], end]
    given = [
        tokens.source.text[tokens.starts[a + 1] : tokens.ends[b - 1]]
        for a, b in zip(commas, stops, strict=True)
        if b > a + 1
    ]
    angles, qubits = found
    if len(given) != angles + qubits:
        return None
    angle = f"({', '.join(given[:angles])})" if angles else ""
    right = f"{m.text(first)}{angle} {', '.join(given[angles:])}"
    whole = tokens.span(first).to(tokens.span(end))
    diagnostic = Diagnostic(
        "E0114",
        "a gate is not called: its qubits stand after it",
        whole,
        "",
        f"write `{right}`",
        fix=Fix(whole, right),
    )
    return diagnostic, Edit(first, end - first + 1, (), m.depth)


def gate_named(name: str) -> tuple[int, int] | None:
    """How many angles and qubits a gate has."""
    base, controls = SUGAR.get(name, (name, 0))
    spec = GATES.get(base)
    return None if spec is None else (spec.angles, spec.qubits + controls)


def colon_block(m: Mistake, edit: Edit | None) -> Explained | None:
    """`for i in 0..n:` and an indented body."""
    if m.symbol(m.at) != "COLON" or not m.expects("LBRACE") or m.symbol(m.at + 1) == "LBRACE":
        return None
    diagnostic = Diagnostic(
        "E0114", "a block stands in braces", m.span, "no colon here", "write `{ … }`"
    )
    without_header = Edit(m.first, m.at - m.first + 1, (), m.depth)
    return diagnostic, without_header if m.reach(without_header) > m.at + 1 else None


def loop_of_several(m: Mistake, edit: Edit | None) -> Explained | None:
    """`for i in 0..n, j in 0..k { … }`, `for i in 0..n if … { … }`: lists are written so."""
    if m.symbol(m.first) != "FOR" or m.symbol(m.at) not in ("COMMA", "FOR", "IF"):
        return None
    if m.openers and m.openers[-1] > m.first:
        return None  # in a bracket
    end = m.at
    while m.symbol(end) not in ("", "$END", "LBRACE", "RBRACE"):
        end += 1
    inner = "if … { … }" if m.symbol(m.at) == "IF" else "for j in 0..k { … }"
    diagnostic = Diagnostic(
        "E0101",
        "a loop has one variable, and nothing else before its braces",
        m.span,
        "",
        f"put the rest inside: `for i in 0..n {{ {inner} }}`",
    )
    better = Edit(m.at, end - m.at, (), m.height)
    return diagnostic, better if m.reach(better) > end else GIVE_UP


def part_of_a_carry(m: Mistake, edit: Edit | None) -> Explained | None:
    """`h[0] <- 0.3`."""
    if m.symbol(m.at) != "LSQB" or m.first != m.at - 1 or not m.expects("UPDATE"):
        return None
    end, depth = m.at, 0
    while m.symbol(end) not in ("", "$END", "LBRACE", "RBRACE"):
        depth += (m.symbol(end) in CLOSING.values()) - (m.symbol(end) in CLOSING)
        end += 1
        if not depth:
            break
    if m.symbol(end) not in ("UPDATE", "ASSIGN"):
        return None
    name = m.text(m.first)
    diagnostic = Diagnostic(
        "E0101",
        "a carry is given all of its next value at once",
        m.tokens.span(m.first).to(m.tokens.span(end - 1)),
        "",
        f"write `{name} <- …`, of all its numbers: `{name} <- [a, b]`, `{name} <- concat(a, b)`",
    )
    better = Edit(m.at, end + 1 - m.at, (table().number["UPDATE"],), m.height)
    return diagnostic, better if m.reach(better) > end else GIVE_UP
