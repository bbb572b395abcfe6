"""Text to tokens. Never fails: what it can't read it reports, and reads as what was meant."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

from qrlang.diagnostics.diagnostic import Diagnostic, Fix, Note
from qrlang.grammar.keywords import KEYWORDS
from qrlang.source import Source, Span
from qrlang.syntax.ast import Comment
from qrlang.syntax.table import table

# Signs of other languages and of word processors, and what they stand for here.
FOREIGN: dict[str, str] = {
    "&&": "and",
    "||": "or",
    "!": "not",
    "^": "**",
    ":=": "=",
    "+=": "<-",
    "-=": "<-",
    "*=": "<-",
    "/=": "<-",
    "=>": "->",
    "−": "-",
    "–": "-",
    "×": "*",
    "·": "*",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "←": "<-",
    "→": "->",
    "…": "...",
    "\u00a0": "",
}

_MEANING = {"and": "`and`", "or": "`or`", "not": "`not`", "**": "`**` (a power)"}


@dataclass(slots=True)
class Tokens:
    """Parallel lists, one entry for each token; the last is the end of the file."""

    source: Source
    kinds: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    # Doc comments, by the offset of the token that they stand right before.
    docs: dict[int, list[Comment]] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    # Offsets of tokens next to which something was reported: no second report there.
    damaged: set[int] = field(default_factory=set)
    # Offsets of words like `layer` that here can only start a declaration: not to be read as names.
    firm: set[int] = field(default_factory=set)
    # What a token was taken for when it was mended, by its offset.
    read_as: dict[int, str] = field(default_factory=dict)

    def text(self, i: int) -> str:
        return self.source.text[self.starts[i] : self.ends[i]]

    def span(self, i: int) -> Span:
        return Span(self.source, self.starts[i], self.ends[i])

    def first_on_line(self, i: int) -> bool:
        # Only what lies between two tokens is looked at: a line can be very long.
        gap = self.source.text[self.ends[i - 1] if i else 0 : self.starts[i]]
        line = gap.rfind("\n")
        return (line >= 0 or i == 0) and not gap[line + 1 :].strip()


_NAME, _SIGN, _COMMENT, _BAD_NUMBER, _REAL, _INT, _STRING, _BLOCK = range(1, 9)
_OPEN_BLOCK, _OPEN_STRING, _QUOTED, _HASH, _SEMICOLON, _FOREIGN = range(9, 15)
_BAD_WORD, _UNKNOWN, _END = range(15, 18)


@cache
def _pattern() -> re.Pattern[str]:
    t = table()
    name = t.patterns["NAME"]
    signs = [s for s in t.literals if not s[0].isalpha()]
    alternatives = [
        name + r"(?!\w)",
        # A sign must not be the start of a comment or of a foreign sign.
        r"(?!//|/\*|[-+*/]=|=>|:=)(?:"
        + "|".join(re.escape(s) for s in sorted(signs, key=lambda s: (-len(s), s)))
        + r")(?!(?<=[^.]\.)[0-9])",
        r"//[^\n]*+",
        # `1.`, `0x1F`, `2pi`, `.5`, `1e`
        r"(?:[0-9][0-9_]*+(?:\.[0-9][0-9_]*+)?(?:[eE][+-]?[0-9]+)?+[A-Za-z_Α-Ωα-ω][\wΑ-Ωα-ω]*+"
        r"|[0-9][0-9_]*+\.(?![.0-9])\w*+|\.[0-9]\w*+)",
        t.patterns["REAL"],
        t.patterns["INT"],
        t.patterns["STRING"],
        r"/\*[\s\S]*?\*/",
        r"/\*[\s\S]*",
        r'"(?:[^"\\\n]|\\.)*+\\?',
        r"'(?:[^'\\\n]|\\.)*+'?",
        r"#[^\n]*+",
        r";",
        "|".join(re.escape(s) for s in sorted(FOREIGN, key=len, reverse=True)),
        r"[^\W\d]\w*+",
        r"[^\w\s\"'#;()\[\]{}.,:=<>+*/%@-]+|[^\s]",
        r"\Z",
    ]
    blanks = r"[ \t\r\n\f]*+"
    return re.compile(blanks + "(?:" + "|".join(f"({a})" for a in alternatives) + ")")


def lex(source: Source) -> Tokens:
    t = table()
    text = source.text
    out = Tokens(source)
    kinds, starts, ends = out.kinds, out.starts, out.ends
    literals = t.literals
    name_kind = t.number["NAME"]
    declarations = {
        t.number[k.terminal] for k in KEYWORDS if k.role == "declaration" and not k.reserved
    }
    plain = {_REAL: t.number["REAL"], _INT: t.number["INT"], _STRING: t.number["STRING"]}
    docs: list[Comment] = []
    at = 1 if text.startswith("\ufeff") else 0
    damaged = False
    for match in _pattern().finditer(text, at):
        group = match.lastindex
        if group is None:
            continue
        start, end = match.span(group)
        if group == _NAME:
            kind = literals.get(match.group(group), name_kind)
            if kind in declarations and _starts_declaration(text, start, end):
                out.firm.add(start)
        elif group == _SIGN:
            kind = literals[match.group(group)]
        elif group in plain:
            kind = plain[group]
        elif group in (_COMMENT, _BLOCK):
            comment = _comment(source, start, end)
            if comment.own_line and _is_doc(comment.text):
                docs.append(comment)
            else:
                out.comments.append(comment)
                _mistaken_division(out, comment)
            continue
        elif group == _END:
            break
        else:
            read_as = _bad(out, group, start, end, literals)
            damaged = True
            if read_as is None:
                continue
            kind = read_as
        if docs:
            out.docs[start] = docs
            docs = []
        if damaged:
            out.damaged.add(start)
            damaged = False
        kinds.append(kind)
        starts.append(start)
        ends.append(end)
    out.comments += docs
    if damaged:
        out.damaged.add(len(text))
    kinds.append(t.eof)
    starts.append(len(text))
    ends.append(len(text))
    _fold(out)
    return out


_NAME_FOLLOWS = re.compile(r"[ \t]+([A-Za-z_Α-Ωα-ω]+)")
# What can stand between two parts of an expression, or behind one: `target and …`, `layer for …`
_GOES_ON = {k.word for k in KEYWORDS if k.role in ("operator", "clause")} | {"for", "if", "else"}


def _starts_declaration(text: str, start: int, end: int) -> bool:
    """First on its line and followed by a name: no expression looks like that."""
    line = text.rfind("\n", 0, start) + 1
    follows = _NAME_FOLLOWS.match(text, end)
    return follows is not None and follows[1] not in _GOES_ON and not text[line:start].strip()


def _is_doc(text: str) -> bool:
    return text.startswith("///") and not text.startswith("////")


def _comment(source: Source, start: int, end: int) -> Comment:
    line = source.text.rfind("\n", 0, start) + 1
    own_line = not source.text[line:start].strip()
    return Comment(Span(source, start, end), source.text[start:end].rstrip(), own_line)


_DIVISOR = re.compile(
    r"//\s*(?P<by>[0-9][0-9_.]*|[^\W\d]\w*)\s*(?P<closed>[\])}{]*)\s*(?P<more>.*)$"
)


def _mistaken_division(out: Tokens, comment: Comment) -> None:
    """Only a number, and brackets: `n // 2]`; or what would close a bracket of the code before."""
    found = None if comment.own_line else _DIVISOR.match(comment.text)
    if found is None:
        return
    number, closed = found["by"][0].isdigit(), found["closed"][:1]
    text, start = out.source.text, comment.span.start
    before = text[text.rfind("\n", 0, start) + 1 : start].rstrip()
    if not before[-1:].isalnum() and before[-1:] not in ("_", ")", "]"):
        return  # nothing to divide
    opened = {")": "(", "]": "["}.get(closed, "")
    inside = bool(opened) and before.count(opened) > before.count(closed)
    if not inside and not (number and (closed == "{" or not found["more"])):
        return
    sign = Span(comment.span.source, comment.span.start, comment.span.start + 2)
    out.diagnostics.append(
        Diagnostic(
            "W0101",
            "`//` starts a comment, it does not divide",
            comment.span,
            "this is a comment",
            f"the whole quotient is written `div`: `a div {found['by']}`",
            fix=Fix(sign, "div"),
        )
    )


def _bad(out: Tokens, group: int, start: int, end: int, literals: dict[str, int]) -> int | None:
    """Reports what can't be a token; the kind to read it as, or None to leave it out."""
    number = table().number
    span = Span(out.source, start, end)
    text = span.text
    add = out.diagnostics.append
    if group == _SEMICOLON:
        help = "a statement ends where the next one starts: leave the `;` out"
        add(Diagnostic("E0107", "qrl needs no `;`", span, "not needed", help, fix=Fix(span, "")))
        return None
    if group == _HASH:
        help = "a comment starts with `//`"
        fix = Fix(Span(out.source, start, start + 1), "//")
        out.comments.append(_comment(out.source, start, end))
        add(Diagnostic("E0113", "`#` does not start a comment", span, "", help, fix=fix))
        return None
    if group == _OPEN_BLOCK:
        sign = Span(out.source, start, start + 2)
        out.comments.append(_comment(out.source, start, end))
        help = "end it with `*/`"
        add(Diagnostic("E0106", "this comment never ends", sign, "it starts here", help))
        return None
    if group == _OPEN_STRING:
        add(
            Diagnostic(
                "E0105",
                "this text never ends",
                Span(out.source, start, start + len(text.rstrip())),
                'expected `"` before the end of the line',
                'close it with `"`; for a new line inside a text write `\\n`',
            )
        )
        return number["STRING"]
    if group == _QUOTED:
        closed = len(text) > 1 and text.endswith("'")
        inner = text[1:-1] if closed else text[1:]
        add(
            Diagnostic(
                "E0112",
                "a text stands in double quotes",
                span,
                "single quotes" if closed else "a single quote",
                'write `"…"`',
                fix=Fix(span, '"' + inner.replace('"', '\\"') + '"') if closed else None,
            )
        )
        return number["STRING"]
    if group == _BAD_NUMBER:
        # Few are ever shown: what to do instead is worked out for those only.
        few = len(out.diagnostics) < 1000
        add(_bad_number(span) if few else Diagnostic("E0126", "this is not a number", span))
        return number["REAL"] if "." in text else number["INT"]
    if group == _FOREIGN:
        meant = FOREIGN[text]
        add(_foreign(span, meant))
        return literals.get(meant)
    add(_unknown(span))
    return number["NAME"] if group == _BAD_WORD else None


def _bad_number(span: Span) -> Diagnostic:
    text = span.text
    fix = None
    if text.endswith(".") and text.count(".") == 1:
        help = f"write `{text}0`"
        fix = Fix(span, text + "0")
    elif text.startswith("."):
        help = f"write `0{text}`"
        fix = Fix(span, "0" + text)
    elif match := re.match(r"([0-9][0-9_]*(?:\.[0-9_]+)?)([A-Za-z_Α-Ωα-ω]\w*)\Z", text):
        digits, rest = match.groups()
        if digits == "0" and rest[0] in "xXbBoO" and rest[1:].isalnum():
            help = "numbers are decimal"
        elif rest in ("j", "i"):
            help = "numbers are real"
        elif rest[0] in "eE":
            help = "an exponent needs digits: `1e-3`"
        else:
            help = f"a product needs its `*`: `{digits} * {rest}`"
            fix = Fix(span, f"{digits} * {rest}")
    else:
        help = "a number is written `12`, `0.5` or `1e-3`"
    return Diagnostic("E0126", f"`{text}` is not a number", span, "not a number", help, fix=fix)


def _foreign(span: Span, meant: str) -> Diagnostic:
    text = span.text
    if meant == "<-" and text != "←":
        return Diagnostic(
            "E0110",
            f"there is no `{text}`",
            span,
            "not an update",
            f"a carry gets its next value with `<-`: `h <- h {text[0]} …`",
        )
    if text == ":=":
        help = "a `let`, a `const` and a declaration use `=`; the next value of a carry `<-`"
        return Diagnostic("E0110", "there is no `:=`", span, "", help, fix=Fix(span, "="))
    if text == "\u00a0":
        help = "replace it by a plain blank"
        return Diagnostic("E0104", "a no-break space", span, "", help, fix=Fix(span, " "))
    written = _MEANING.get(meant, f"`{meant}`")
    fix = Fix(span, meant + " " if text == "!" else meant)
    return Diagnostic("E0111", f"there is no `{text}`", span, "", f"write {written}", fix=fix)


_GOOD_LETTER = re.compile("[A-Za-z0-9_Α-ΡΣ-Ωα-ω]")


def _unknown(span: Span) -> Diagnostic:
    shown = []
    for char in dict.fromkeys(_GOOD_LETTER.sub("", span.text)):
        shown.append(f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}")
    more = " …" if len(shown) > 3 else ""
    what = "character" if len(shown) == 1 else "characters"
    label = "" if span.text.isprintable() else "an invisible or broken character"
    if span.text[0].isalpha():
        help = "names are made of Latin and Greek letters, digits and `_`"
    elif '"' in span.text or "“" in span.text or "”" in span.text:
        help = 'a text stands in straight double quotes: `"…"`'
    else:
        help = "remove it"
    return Diagnostic("E0104", f"unexpected {what} {', '.join(shown[:3])}{more}", span, label, help)


def _fold(out: Tokens) -> None:
    """A habit is one mistake: of all `;`, of all `#`, only the first is reported."""
    for code, what in (("E0107", "`;`"), ("E0113", "`#`")):
        same = [d for d in out.diagnostics if d.code == code]
        if len(same) < 2:
            continue
        first = same[0]
        note = Note(f"{len(same) - 1} more {what} in this file")
        folded = Diagnostic(
            first.code, first.message, first.span, first.label, first.help, (note,), first.fix
        )
        kept = [d for d in out.diagnostics if d is first or d.code != code]
        out.diagnostics = [folded if d is first else d for d in kept]
