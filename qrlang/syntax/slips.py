"""What to say about a mistake. First the slips that have a message of their own, then the rest."""

from __future__ import annotations

from typing import Literal

from qrlang.diagnostics.diagnostic import Diagnostic, Fix, Note
from qrlang.grammar.keywords import KEYWORDS, RESERVED
from qrlang.source import Span
from qrlang.syntax.foreign import (
    angle_without_parentheses,
    call_style,
    colon_block,
    colon_range,
    dashed_name,
    elsewhere,
    gate_named,
    half_a_use,
    if_as_value,
    loop_of_several,
    measure_arrow,
    part_of_a_carry,
    read_alone,
    sequence_length,
    untyped_parameter,
)
from qrlang.syntax.mistake import (
    CLOSING,
    COMPARING,
    GIVE_UP,
    ONLY_ITEMS,
    OPENING,
    SMALL_WORDS,
    SURE_STATEMENTS,
    Edit,
    Explained,
    Mistake,
    Slip,
    column,
    indent,
)
from qrlang.syntax.table import table
from qrlang.syntax.words import concepts, one_of, word


def explain(mistake: Mistake, edit: Edit | None) -> Explained:
    """The message, and a better edit than the one found, if the slip knows one."""
    for slip in _SLIPS:
        if explained := slip(mistake, edit):
            return explained
    return _general(mistake, edit), None


# --- brackets ---------------------------------------------------------------------------------


def _unclosed(m: Mistake, edit: Edit | None) -> Explained | None:
    """Something is closed too late or never."""
    if not m.openers:
        return None
    if edit is not None:
        inserted = [table().symbols[kind] for kind in edit.insert]
        if edit.remove or not inserted or not set(inserted) <= set(CLOSING):
            return None
        if len(inserted) == 1:
            opener = next(
                (i for i in reversed(m.openers) if m.symbol(i) == CLOSING[inserted[0]]), None
            )
            if opener is None:
                return None
        else:
            opener = m.openers[-1]
    elif m.symbol(m.at) == "$END":
        opener = m.openers[-1]
    else:
        return None
    if m.symbol(m.at) == "$END" or m.ends_body:
        opener = _suspect(m) or opener
    sign = OPENING[m.symbol(opener)]
    closer = {"`(`": "`)`", "`[`": "`]`", "`{`": "`}`"}[sign]
    notes = (Note(f"this {sign} is never closed", m.tokens.span(opener)),)
    fix = None
    if edit is not None and len(edit.insert) == 1 and m.symbol(m.at) != "$END":
        fix = Fix(m.gap, closer.strip("`"))
    diagnostic = Diagnostic(
        "E0102",
        f"expected {closer}, found {m.found}",
        m.span,
        f"{closer} is missing before this" if m.symbol(m.at) != "$END" else "the file ends here",
        f"close the {sign}",
        notes,
        fix,
    )
    return diagnostic, None


def _suspect(m: Mistake) -> int | None:
    """The brace that is not closed, if the indentation of the closing ones gives it away."""
    tokens = m.tokens
    open_: list[int] = []
    for i in range(m.at):
        symbol = m.symbol(i)
        if symbol == "LBRACE":
            open_.append(i)
        elif symbol == "RBRACE" and open_:
            opener = open_.pop()
            if tokens.first_on_line(i) and column(tokens, i) < indent(tokens, opener):
                return opener
    return open_[-1] if open_ else None


def _stray_closer(m: Mistake, edit: Edit | None) -> Explained | None:
    symbol = m.symbol(m.at)
    if symbol not in CLOSING:
        return None
    matching = [i for i in m.openers if m.symbol(i) == CLOSING[symbol]]
    if matching and (edit is None or edit.remove == 0):
        return None
    notes = ()
    if m.openers and m.symbol(m.openers[-1]) != CLOSING[symbol] and edit and len(edit.insert) == 1:
        opener = m.openers[-1]
        diagnostic = Diagnostic(
            "E0103",
            f"{m.found} closes no {OPENING[CLOSING[symbol]]}",
            m.span,
            f"expected {word(edit.insert[0])}",
            f"close the {OPENING[m.symbol(opener)]} first",
            (Note("this one is open", m.tokens.span(opener)),),
            Fix(m.span, word(edit.insert[0]).strip("`")),
        )
        return diagnostic, None
    diagnostic = Diagnostic(
        "E0103", f"{m.found} closes nothing", m.span, "nothing is open here", "remove it", notes
    )
    return diagnostic, None


# --- words ------------------------------------------------------------------------------------


def _misspelt(m: Mistake, edit: Edit | None) -> Explained | None:
    """A word that is almost a keyword, with which all is well if it is taken for that one."""
    number = table().number
    best: tuple[int, str, Edit] | None = None
    for at, depth in ((m.first, m.depth), (m.at, m.height)):
        if m.symbol(at) != "NAME":
            continue
        text = m.text(at)
        for keyword in KEYWORDS:
            distance = _distance(text.lower(), keyword.word)
            if distance > (1 if len(text) < 5 else 2) or len(text) < 3 or text == keyword.word:
                continue
            better = Edit(at, 1, (number[keyword.terminal],), depth)
            reached = m.reach(better)
            if reached - m.at >= 3 and (best is None or distance < best[0]):
                best = (distance, keyword.word, better)
        if best:
            break
    if best is None:
        return None
    _, meant, better = best
    if edit is not None and not edit.remove and m.reach(edit) > m.reach(better):
        return None
    span = m.tokens.span(better.at)
    diagnostic = Diagnostic(
        "E0109",
        f"`{span.text}` is no word of the language",
        span,
        "misspelt",
        f"did you mean `{meant}`?",
        fix=Fix(span, meant),
    )
    return diagnostic, better


def _distance(a: str, b: str) -> int:
    """Edits from one word to the other; two letters that changed places are one edit."""
    if abs(len(a) - len(b)) > 2:
        return 3
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def _not_controlled(m: Mistake, edit: Edit | None) -> Explained | None:
    text = m.text(m.at)
    if text not in RESERVED or m.symbol(m.at - 1) != "AT":
        return None
    what = f"`{text}` cannot be controlled, inverted or repeated"
    help = "gates and ansätze can; of anything else, a measured bit decides: `if b { … }`"
    if text == "apply":
        what, help = "`apply` stands before `@`", "write `apply ctrl @ block(w) to a, q`"
    return Diagnostic("E0507", what, m.span, "expected a gate", help), GIVE_UP


def _keyword_as_name(m: Mistake, edit: Edit | None) -> Explained | None:
    text = m.text(m.at)
    name = table().number["NAME"]
    if text not in RESERVED or name not in m.expected or m.starts_statement:
        return None
    if edit is None or edit.remove != 1 or edit.insert != (name,):
        return None
    diagnostic = Diagnostic(
        "E0108",
        f"`{text}` is a word of the language, not a name",
        m.span,
        "expected a name",
        f"choose another, for example `{text}_`",
    )
    return diagnostic, None


def _item_in_body(m: Mistake, edit: Edit | None) -> Explained | None:
    symbol = m.symbol(m.at)
    definition = symbol in ("ON", "LPAREN") and m.symbol(m.first) in ("ANSATZ", "READOUT")
    if m.top_level or m.ends_body or not (symbol in ONLY_ITEMS or definition):
        return None
    if not definition and not m.starts_statement:
        return None
    at = m.first if definition else m.at
    if definition and _back_at_margin(m):
        return _body_not_closed(m)
    diagnostic = Diagnostic(
        "E0121",
        f"`{m.text(at)}` stands in a body",
        m.tokens.span(at),
        "this belongs to the top of the file",
        "move it before the item that it stands in, or close that one's `{` first",
    )
    return diagnostic, None


def _back_at_margin(m: Mistake) -> bool:
    """Whether the statement stands as far left as the item whose body it seems to be in."""
    tokens = m.tokens
    if not m.openers or not tokens.first_on_line(m.first):
        return False
    return column(tokens, m.first) <= indent(tokens, m.openers[0])


def _body_not_closed(m: Mistake) -> Explained:
    """A definition that would be all right if the body before it had ended."""
    openers = tuple(i for i in m.openers if i < m.first)
    opener = _suspect(m) or openers[-1]
    diagnostic = Diagnostic(
        "E0102",
        f"expected `}}`, found `{m.text(m.first)}`",
        m.tokens.span(m.first),
        "`}` is missing before this",
        "close the `{`",
        (Note("this `{` is never closed", m.tokens.span(opener)),),
    )
    closing = (table().number["RBRACE"],) * len(openers)
    return diagnostic, Edit(m.first, 0, closing, m.depth)


def _statement_at_top(m: Mistake, edit: Edit | None) -> Explained | None:
    symbol = m.symbol(m.at)
    if not m.top_level or not m.starts_statement:
        return None
    starts = symbol in SURE_STATEMENTS | {"FOR", "IF", "MEASURE", "READ", "ELSE"}
    soft = symbol in ("INPUT", "TARGET", "LAYER", "ATTENTION", "PARAM", "INIT")
    gate = symbol == "NAME" and m.symbol(m.at + 1) in ("NAME", "UPDATE")
    if not (starts or soft or gate):
        return None
    help = "statements stand in the body of a `model`, a `circuit` or an `ansatz`"
    notes: tuple[Note, ...] = ()
    if m.symbol(m.at - 1) == "RBRACE":
        notes = (Note("the body before ended here: one `}` too many?", m.tokens.span(m.at - 1)),)
    if m.symbol(m.at + 1) == "ASSIGN" and gate:
        help = "a value for the whole file is a `const`"
    diagnostic = Diagnostic(
        "E0122", f"{m.found} stands outside of any body", m.span, "a statement", help, notes
    )
    return diagnostic, None


# --- signs ------------------------------------------------------------------------------------


def _equals(m: Mistake, edit: Edit | None) -> Explained | None:
    """`=`, `<-`, `:` and `==`, one for the other."""
    symbol = m.symbol(m.at)
    before = m.text(m.at - 1)
    span = m.span
    number = table().number
    if symbol == "ASSIGN" and m.symbol(m.at - 1) == "NAME" and m.expects("UPDATE"):
        better = Edit(m.at, 1, (number["UPDATE"],), m.height)
        carried = any(m.symbol(i) == "CARRY" and m.text(i + 1) == before for i in range(m.first))
        name = m.tokens.span(m.at - 1)
        if carried:
            help = f"the next value of a carry: `{before} <- …`"
            fix = Fix(span, "<-")
        else:
            help = f"a value: `let {before} = …`; the next value of a carry: `{before} <- …`"
            fix = Fix(name, f"let {before}")
        message = "a statement does not start with a name and `=`"
        return Diagnostic("E0110", message, span, "", help, fix=fix), better
    if symbol == "UPDATE" and m.expects("ASSIGN"):
        better = Edit(m.at, 1, (number["ASSIGN"],), m.height)
        help = "`=` declares; `<-`, with nothing before the name, gives a carry its next value"
        return (
            Diagnostic("E0110", "expected `=`, found `<-`", span, "", help, fix=Fix(span, "=")),
            better,
        )
    named: Edit | None = None
    if symbol == "ASSIGN" and m.symbol(m.at - 1) == "NAME" and m.expects("COLON", "RPAREN"):
        edit = named = Edit(m.at, 1, (number["COLON"],), m.height)
    if edit is None or edit.remove != 1 or len(edit.insert) != 1:
        return None
    meant = table().symbols[edit.insert[0]]
    helps = {
        ("ASSIGN", "COLON"): "a named argument is written `name: value`",
        ("ASSIGN", "EQ"): "equality is written `==`",
        ("COLON", "ASSIGN"): "a value is given with `=`",
        ("EQ", "ASSIGN"): "a value is given with `=`; `==` compares",
    }
    if (symbol, meant) not in helps:
        return None
    sign = word(edit.insert[0]).strip("`")
    return (
        Diagnostic(
            "E0110",
            f"expected `{sign}`, found {m.found}",
            span,
            "",
            helps[symbol, meant],
            fix=Fix(span, sign),
        ),
        named,
    )


def _chained(m: Mistake, edit: Edit | None) -> Explained | None:
    if m.symbol(m.at) not in COMPARING or not m.expects("AND"):
        return None
    better = Edit(m.at, 1, (table().number["AND"],), m.height)
    diagnostic = Diagnostic(
        "E0123",
        "comparisons do not chain",
        m.span,
        "a second comparison",
        "write `a < b and b < c`",
    )
    return diagnostic, better


# --- statements -------------------------------------------------------------------------------


def _juxtaposed(m: Mistake, edit: Edit | None) -> Explained | None:
    """`su2_ring layers`: a name right behind a value, taken for a gate."""
    if m.symbol(m.first) != "NAME" or not 0 < m.at - m.first < 3 or m.top_level:
        return None
    if m.tokens.first_on_line(m.first) or m.symbol(m.first - 1) not in ("NAME", "RPAREN", "RSQB"):
        return None
    if m.symbol(m.at) in ("ASSIGN", "UPDATE"):
        return None
    if m.symbol(m.first - 1) == "NAME" and m.tokens.first_on_line(m.first - 1):
        return _took_next_line(m), None
    name, before = m.text(m.first), m.text(m.first - 1)
    help = "between two values stands an operator or a `,`"
    if m.symbol(m.first - 1) == "NAME":
        help = f"arguments stand in parentheses: `{before}({name})`"
    span = m.tokens.span(m.first)
    label = "this does not go on with what stands before it"
    return Diagnostic("E0101", f"unexpected `{name}`", span, label, help), None


def _took_next_line(m: Mistake) -> Diagnostic:
    """`rz(a)` and `h q` below it: the first gate took `h` for its qubit."""
    at = m.first - 2
    if m.symbol(at) == "RPAREN":
        depth = 0
        while at > 0:
            depth += (m.symbol(at) == "RPAREN") - (m.symbol(at) == "LPAREN")
            at -= 1
            if not depth:
                break
    gate = m.text(at)
    if not m.tokens.first_on_line(at) and m.symbol(at - 1) in ("NAME", "RPAREN", "RSQB"):
        label = "this does not go on with what stands before it"
        help = f"arguments stand in parentheses: `{m.text(at - 1)}({gate})`"
        return Diagnostic("E0101", f"unexpected `{gate}`", m.tokens.span(at), label, help)
    end = m.tokens.ends[m.first - 2]
    return Diagnostic(
        "E0101",
        f"expected the qubits that gate `{gate}` acts on, found the end of the line",
        Span(m.tokens.source, end, end),
        "expected a qubit or a register",
        f"write `{gate}{'(…)' if m.symbol(m.first - 2) == 'RPAREN' else ''} q[0]`; "
        + (
            "qubits stand behind the gate, not in parentheses"
            if gate_named(gate)
            else f"a value needs a name or a use: `let y = {gate}(…)`"
        ),
    )


def _gate_operands(m: Mistake, edit: Edit | None) -> Explained | None:
    """A gate, or a call as a statement, with nothing to act on."""
    if m.symbol(m.first) != "NAME" or m.at == m.first or m.top_level:
        return None
    if not m.expects("NAME") or m.expects("INT"):
        return None
    gate = m.text(m.first)
    if m.at == m.first + 1 and m.expects("UPDATE"):
        if edit is not None and table().symbols[edit.insert[0] if edit.insert else 0] == "UPDATE":
            return None
        help = f"write `{gate} q[0]`; for a value, `let {gate} = …`"
        if m.symbol(m.at) == "DOT":
            help = f"gates have no module before them: `{m.text(m.at + 1).lower()} q[0]`"
    elif m.symbol(m.at - 1) == "RPAREN":
        help = f"write `{gate}(…) q[0]`; a value needs a name or a use: `let y = {gate}(…)`"
    else:
        return None
    give_up: Literal["give up"] | None = None
    if m.symbol(m.at) == "COLON":
        help = f"to declare a value, write `carry {gate}: …` or `param {gate}: …`"
        give_up = GIVE_UP
    diagnostic = Diagnostic(
        "E0101",
        f"expected the qubits that gate `{gate}` acts on, found {m.found}",
        m.span,
        "expected a qubit or a register",
        help,
    )
    return diagnostic, give_up


def _one_value(m: Mistake, edit: Edit | None) -> Explained | None:
    if m.symbol(m.at) != "COMMA" or m.symbol(m.first) not in ("RETURN", "EMIT", "LET"):
        return None
    if any(i > m.first for i in m.openers):
        return None
    keyword = m.text(m.first)
    if keyword == "let":
        help = "one name at a time: `let a = …  let b = …`"
    else:
        help = f"one value at a time; several go into a list: `{keyword} [a, b]`"
    diagnostic = Diagnostic("E0101", f"`{keyword}` takes one value", m.span, "a second one", help)
    return diagnostic, None


def _how_read(m: Mistake, edit: Edit | None) -> Explained | None:
    """`readout z = … shots 100 weak 0.2`, `read z shots 100`: what is behind was taken for a
    statement."""
    word = m.text(m.first)
    if word not in ("shots", "weak") or m.at != m.first + 1 or m.tokens.first_on_line(m.first):
        return None
    at = m.first
    while at and not m.tokens.first_on_line(at):
        at -= 1
    line = {m.symbol(i) for i in range(at, m.first)}
    if "READOUT" in line:
        message = "a readout is of shots or weak, not both"
        help = "leave one out: a weak readout is its mean over all shots"
    elif "READ" in line:
        message = f"`{word}` belongs to a readout, not to the reading"
        help = f"name one, `readout z = … {word} {m.text(m.at)}`, and `read z`"
    else:
        return None
    return Diagnostic("E0101", message, m.tokens.span(m.first), "", help), GIVE_UP


def _extern_type(m: Mistake, edit: Edit | None) -> Explained | None:
    if m.symbol(m.at) != "ASSIGN" or m.symbol(m.first) != "EXTERN" or not m.expects("COLON"):
        return None
    diagnostic = Diagnostic(
        "E0127",
        "an extern layer needs its type",
        m.span,
        "expected `:` and the type",
        'write `extern layer f: real[784] -> real[8] = "package.module:Name"`; '
        "the compiler never looks into Python code",
    )
    return diagnostic, None


def _use_list(m: Mistake, edit: Edit | None) -> Explained | None:
    if m.symbol(m.first) != "USE" or m.symbol(m.at) not in ("STAR", "COMMA") or m.openers:
        return None
    help = "say what is used, several names in braces: `use std.readout.{each_z, each_x}`"
    return Diagnostic("E0101", f"unexpected {m.found} in a `use`", m.span, "", help), GIVE_UP


# --- the rest ---------------------------------------------------------------------------------


def _small_word(m: Mistake, edit: Edit | None) -> Explained | None:
    """`to`, `on`, `over`, `in` left out, or another word in its place."""
    if edit is None or len(edit.insert) != 1 or table().symbols[edit.insert[0]] not in SMALL_WORDS:
        return None
    missing = word(edit.insert[0]).strip("`")
    if edit.remove:
        label, fix = "", Fix(m.span, missing)
        help = f"write `{missing}` instead"
    else:
        label, fix = f"`{missing}` is missing before this", Fix(m.gap, f" {missing}")
        help = f"write `{missing} {m.text(m.at)}`"
    message = f"expected `{missing}`, found {m.found}"
    help = _NEEDS.get((m.symbol(m.first), missing.upper()), help)
    return Diagnostic("E0120", message, m.span, label, help, fix=fix), None


# What the statement that starts with the one word needs where the other is expected.
_NEEDS = {
    ("APPLY", "TO"): "an ansatz acts on registers: `apply … to q`",
    ("PREPARE", "ON"): "a state is prepared on registers: `prepare … on q`",
    ("RECURRENT", "OVER"): "a recurrence runs over a sequence: `recurrent encoder over source`",
    ("REQUIRE", "COMMA"): 'a condition has a message: `require n >= 2, "…"`',
    ("QUBITS", "LSQB"): "a register has a size: `qubits q[2]`",
    ("INPUT", "COLON"): "an input has a type: `input x: seq[real]`",
    ("TARGET", "COLON"): "a target has a type: `target y: real`",
    ("PARAM", "COLON"): "a param has a type: `param w: angle[3]`",
    ("CARRY", "COLON"): "a carry has a type: `carry h: real[n] = 0`",
    ("ANSATZ", "ON"): "an ansatz acts on registers: `ansatz name on q: qubit[n] { … }`",
    ("READOUT", "ON"): "a readout is of registers: `readout name on q: qubit[n] = …`",
    ("ANSATZ", "COLON"): "registers and angles have types: `on q: qubit[n] with w: angle[n]`",
    ("READOUT", "COLON"): "a register has a type: `on q: qubit[n]`",
    ("HAMILTONIAN", "COLON"): "registers and values have types: `on q: qubit[n] with J: real`",
    ("CIRCUIT", "COLON"): "an argument has a type: `v: real[n]`",
    ("MODEL", "COLON"): "a parameter has a type: `n: int = 4`",
    ("CIRCUIT", "LPAREN"): "a circuit has arguments: `circuit name(v: real[n]) -> real[n] { … }`",
}


def _general(m: Mistake, edit: Edit | None) -> Diagnostic:
    notes: tuple[Note, ...] = ()
    help = ""
    fix = None
    parts = concepts(m.expected)
    label = ""
    if edit is not None and not edit.remove and len(edit.insert) == 1 and len(parts) > 1:
        sign = word(edit.insert[0])
        if sign.startswith("`"):
            parts = [sign]
    if edit is not None and len(edit.insert) == 1 and word(edit.insert[0]).startswith("`"):
        sign = word(edit.insert[0]).strip("`")
        if edit.remove:
            fix = Fix(m.span, sign)
            help = f"write `{sign}` instead"
        else:
            gap = " " if sign in ("{", "=", "<-", "==") or sign.isalpha() else ""
            fix = Fix(m.gap, gap + sign)
            label = f"`{sign}` is missing before this"
            help = f"put `{sign}` here"
    elif m.starts_statement and m.at > m.first:
        label = "this neither goes on with what stands before it nor starts something new"
    elif m.symbol(m.at) == "ELSE":
        help = "an `else` follows the `}` of its `if`"
    elif m.text(m.at) in RESERVED and "a name" in parts and m.span.end > m.span.start:
        help = f"`{m.text(m.at)}` is a word of the language and can't be a name"
    for (first, missing), text in _NEEDS.items():
        if m.symbol(m.first) == first and m.expects(missing) and not m.starts_statement:
            help = text
    expected = one_of(parts)
    if label.startswith("this neither"):
        expected = ""
    message = f"expected {expected}, found {m.found}" if expected else f"unexpected {m.found}"
    return Diagnostic("E0101", message, m.span, label, help, notes, fix)


_SLIPS: tuple[Slip, ...] = (
    elsewhere,
    measure_arrow,
    call_style,
    loop_of_several,
    part_of_a_carry,
    if_as_value,
    half_a_use,
    colon_range,
    untyped_parameter,
    sequence_length,
    dashed_name,
    angle_without_parentheses,
    read_alone,
    _extern_type,
    _use_list,
    _equals,
    _chained,
    _misspelt,
    _item_in_body,
    _statement_at_top,
    colon_block,
    _one_value,
    _how_read,
    _not_controlled,
    _keyword_as_name,
    _unclosed,
    _stray_closer,
    _small_word,
    _juxtaposed,
    _gate_operands,
)
