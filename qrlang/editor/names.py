"""Every name of a text, and what it stands for: to go there, to find the others, to rename."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from qrlang.check.functions.builtins import BUILTINS
from qrlang.check.library import Module
from qrlang.check.names.scopes import Info
from qrlang.check.written.spans import name_span, place_of
from qrlang.editor.document import Document
from qrlang.grammar.keywords import KEYWORDS
from qrlang.source import Span
from qrlang.syntax import ast
from qrlang.syntax.tokens import tokens

_NAME = re.compile(r"[A-Za-z_Α-ΡΣ-Ωα-ω][A-Za-z0-9_Α-ΡΣ-Ωα-ω]*")
WORDS = frozenset(k.word for k in KEYWORDS)
RESERVED = frozenset(k.word for k in KEYWORDS if k.reserved)


@dataclass(frozen=True, eq=False)
class Symbol:
    """What a name stands for. One that lines declare has a `word` for what it is, an item has its
    node and its file; a word of the language has neither, and no place."""

    name: str
    place: Span | None = None
    word: str = ""
    declared: Span | None = None  # the lines' declaration
    item: ast.Node | None = None
    module: Module | None = None


@dataclass(frozen=True)
class Written:
    """A name where it is written."""

    span: Span
    symbol: Symbol


@lru_cache(maxsize=4)
def names(document: Document) -> list[Written]:
    """In the order of the text, each place once; what has no name yet has no place."""
    written = (w for w in _Names(document).all() if w.symbol.name)
    found = {w.span.start: w for w in written if w.span.source is document.source}
    return [found[k] for k in sorted(found)]


def name_at(document: Document, offset: int) -> Written | None:
    """The name that an offset is in, or just behind."""
    inside = (w for w in names(document) if w.span.start <= offset <= w.span.end)
    return next(inside, None)


def occurrences(document: Document, symbol: Symbol) -> list[Span]:
    """In this text, the declaration too."""
    spans = {w.span.start: w.span for w in names(document) if same(w.symbol, symbol)}
    if symbol.place is not None and symbol.place.source is document.source:
        spans.setdefault(symbol.place.start, symbol.place)
    return [spans[k] for k in sorted(spans)]


def same(a: Symbol, b: Symbol) -> bool:
    if a.place is None or b.place is None:
        return a.place is b.place and a.name == b.name
    return a.place.source.name == b.place.source.name and a.place.start == b.place.start


def why_not_renamed(document: Document, symbol: Symbol, new: str) -> str:
    """What keeps a name from being another; "" if nothing does."""
    if symbol.place is None:
        return f"`{symbol.name}` is a word of the language"
    if symbol.place.source is not document.source:
        return f"`{symbol.name}` is declared in {symbol.place.source.name}"
    if not _NAME.fullmatch(new) or new in RESERVED:
        return f"`{new}` cannot be a name"
    if new in BUILTINS:
        return f"`{new}` is a word of the language"
    if any(w.span.text == new for w in names(document)):
        return f"`{new}` is the name of something else here"
    if document.made.broken:
        known = {w.span.start for w in names(document)}
        for kind, text, span in tokens(document.source):
            if kind == "NAME" and text == symbol.name and span.start not in known:
                line, _ = document.source.line_column(span.start)
                return f"line {line} is half written: what `{text}` is in it cannot be told yet"
    elif new in WORDS and Document("", renamed(document, symbol, new)).made.broken:
        return f"`{new}` is a word of the language, and would be read as that"
    return ""


def renamed(document: Document, symbol: Symbol, new: str) -> str:
    text = document.source.text
    for span in reversed(occurrences(document, symbol)):
        text = text[: span.start] + new + text[span.end :]
    return text


def path_of(module: Module) -> Path | None:
    """The file that a module was read from."""
    return module.folder and module.folder / Path(module.file.source.name).name


class _Names:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.module = document.module
        self.items = {
            name: self._item(self.module, name, item) for name, item in self.module.items.items()
        }
        self.uses = {
            name: self._item(source[0], source[1], source[0].items[source[1]])
            for name, source in self.module.uses.items()
            if source is not None and source[1] in source[0].items
        }
        self.declared: dict[int, Symbol] = {}

    def all(self) -> Iterator[Written]:
        yield from self._items()
        for m in self.document.mentions:
            span = place_of(m.name, m.span)
            if span is None:
                continue
            if m.info is None:
                symbol = self._known(m.name)
            else:
                symbol = self.declared.setdefault(id(m.info), self._declared(m.name, m.info))
            if symbol is not None:
                yield Written(span, symbol)
                if symbol.word and symbol.place is not None:
                    yield Written(symbol.place, symbol)

    def _items(self) -> Iterator[Written]:
        for item in self.document.file.items:
            if isinstance(item, ast.Use):
                for use in item.names:
                    symbol = self.uses.get(use.alias or use.name)
                    place = place_of(use.name, use.span)
                    if symbol is not None and place is not None:
                        yield Written(place, symbol)
            elif isinstance(item, (ast.Train, ast.Govern)):
                place = place_of(item.model, item.span)
                if item.model in self.items and place is not None:
                    yield Written(place, self.items[item.model])
            elif (name := getattr(item, "name", None)) in self.items:
                yield Written(name_span(item, name), self.items[name])

    def _known(self, name: str) -> Symbol | None:
        found = self.items.get(name) or self.uses.get(name)
        if found is None and name in BUILTINS:
            found = Symbol(name)
        return found

    @staticmethod
    def _item(module: Module, name: str, item: ast.Node) -> Symbol:
        return Symbol(name, name_span(item, name), item=item, module=module)

    @staticmethod
    def _declared(name: str, info: Info) -> Symbol:
        return Symbol(name, place_of(name, info.span) or info.span, info.word, info.span)
