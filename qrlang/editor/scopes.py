"""Which names hold at a place of a text, told by its brackets: the text may be half written."""

from __future__ import annotations

from bisect import bisect_right

from qrlang.editor.document import Document
from qrlang.editor.names import Symbol, names
from qrlang.source import Span
from qrlang.syntax.tokens import tokens

# Declared before the braces that they hold in; the latter do not hold before these.
HEADS = ("parameter", "register", "value", "width", "item", "loop")
INSIDE = ("item", "loop")
_PAIRS = {"RBRACE": "{", "RSQB": "[", "RPAREN": "("}


class Brackets:
    """The pairs of brackets of a text."""

    def __init__(self, document: Document) -> None:
        self.end = len(document.source.text)
        self.pairs: list[tuple[int, str, int]] = []  # where each opens, and closes
        waiting: list[tuple[int, str]] = []
        for kind, text, span in tokens(document.source):
            if text in ("{", "[", "("):
                waiting.append((span.start, text))
            elif waiting and waiting[-1][1] == _PAIRS.get(kind):
                self.pairs.append((*waiting.pop(), span.start))
        self.pairs = sorted([*self.pairs, *((at, kind, self.end) for at, kind in waiting)])
        self.braces = [at for at, kind, _ in self.pairs if kind == "{"]

    def around(self, offset: int) -> list[tuple[int, str, int]]:
        """Those that are open there, outermost first."""
        return [x for x in self.pairs if x[0] < offset <= x[2]]

    def next_brace(self, offset: int) -> tuple[int, int]:
        at = bisect_right(self.braces, offset)
        if at == len(self.braces):
            return self.end, self.end
        opened = self.braces[at]
        return opened, next(close for start, _, close in self.pairs if start == opened)

    def scope(self, symbol: Symbol, place: Span) -> tuple[int, int]:
        """Between which offsets a name holds that is declared at a place."""
        around = self.around(place.start)
        if symbol.word == "loop" and around and around[-1][1] == "[":
            return around[-1][0], around[-1][2]  # `[Z(q[i]) for i in 0..n]`
        if symbol.word in HEADS:
            opened, closed = self.next_brace(place.start)
            return (opened if symbol.word in INSIDE else place.end), closed
        closed = next((x[2] for x in reversed(around) if x[1] == "{"), self.end)
        return max(place.end, symbol.declared.end if symbol.declared else 0), closed


def visible(document: Document, offset: int) -> dict[str, Symbol]:
    """What lines have declared, by name; inner ones hide outer ones."""
    found: dict[str, Symbol] = {}
    right = document.right if document.made.broken else None
    for d in (right, document) if right is not None else (document,):
        brackets = Brackets(d)
        at = _same_place(document.source.text, d.source.text, offset)
        for w in names(d):
            if w.symbol.word and w.symbol.place == w.span:
                start, end = brackets.scope(w.symbol, w.span)
                if start <= at <= end:
                    found[w.symbol.name] = w.symbol
    return found


def _same_place(text: str, other: str, offset: int) -> int:
    """Where an offset of a text is in another one, of which it is what has become."""
    if text is other:
        return offset
    behind = _alike(text[offset:][::-1], other[::-1])
    if behind == len(text) - offset:
        return len(other) - behind
    return min(offset, _alike(text, other))


def _alike(a: str, b: str) -> int:
    """How many letters both begin with."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
