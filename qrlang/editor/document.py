"""A text that is being written, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from difflib import SequenceMatcher
from functools import cached_property

from qrlang.check.library import Library, Module
from qrlang.check.names.resolver import Resolver
from qrlang.check.names.scopes import Mention
from qrlang.check.report import Reporter
from qrlang.check.written.spans import place_of
from qrlang.diagnostics import Diagnostic
from qrlang.driver import Compilation
from qrlang.source import Source, Span
from qrlang.syntax import ast


class Document:
    """One version of a text. While a line is half written, what the last version that was right
    knew of the others holds; so it does while this one is checked `aside`, in another thread."""

    def __init__(
        self, name: str, text: str, before: Document | None = None, aside: bool = False
    ) -> None:
        self.made = Compilation.of_bytes(name, text.encode("utf-8", "replace"))
        self._before = before.right if before is not None else None
        self._inferred = self._checked = not aside

    def check(self) -> None:
        """What takes long of a long text."""
        _ = self.made.checked
        self._inferred = True
        _ = self.made.diagnostics
        self._checked = True

    @property
    def right(self) -> Document | None:
        """The last version of which all models are right, and known."""
        models = [i.name for i in self.file.items if isinstance(i, ast.Model)]
        if self.made.broken or not self._inferred:
            return self._before
        if not self.made.checked.models.keys() >= set(models):
            return self._before
        self._before = None  # nobody asks for it any more
        return self

    @property
    def source(self) -> Source:
        return self.made.source

    @property
    def file(self) -> ast.File:
        return self.made.file

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What is wrong, as far as is known."""
        return self.made.diagnostics if self._checked else self.made.syntax

    @cached_property
    def _resolved(self) -> tuple[Module, list[Mention]]:
        library = Library()
        module = library.main(self.file)
        library.follow(module, lambda *_: None)
        resolver = Resolver(module, Reporter(library.sources))
        with suppress(RecursionError):  # nested too deeply, which is said
            resolver.run()
        return module, resolver.names.mentions

    @property
    def module(self) -> Module:
        return self._resolved[0]

    @property
    def mentions(self) -> list[Mention]:
        return self._resolved[1]

    @property
    def facts(self) -> Mapping[int, tuple[Span, str]]:
        """What was inferred about what lines declare, by where its name begins: the name, and
        `controller: 36 -> 64 -> 48, relu`."""
        return self._own if self.right is self else self._moved

    @cached_property
    def _own(self) -> dict[int, tuple[Span, str]]:
        found = {}
        for model in self.made.checked.models.values():
            for fact in model.facts:
                place = place_of(fact.name.rpartition(".")[2], fact.span)
                if place is not None and place.source is self.source:
                    found[place.start] = place, fact.text
        return found

    @cached_property
    def _moved(self) -> dict[int, tuple[Span, str]]:
        """Of lines that are as they were."""
        right = self.right
        if right is None:
            return {}
        then, now = ([d.line(at) for at in d.source.line_starts] for d in (right, self))
        same = SequenceMatcher(None, then, now, autojunk=False).get_matching_blocks()
        here = {a + i: b + i for a, b, size in same for i in range(size)}
        found = {}
        for at, (known, text) in right.facts.items():
            line = here.get(right.source.line_column(at)[0] - 1)
            if line is not None:
                start = self.source.line_starts[line]
                end = start + len(self.source.line_text(line + 1))
                place = place_of(known.text, Span(self.source, start, end))
                if place is not None:
                    found[place.start] = place, text
        return found

    def fact(self, place: Span) -> str:
        """Of a name where it is declared; "" if nothing is known."""
        return self.facts[place.start][1] if place.start in self.facts else ""

    def line(self, offset: int) -> str:
        """That an offset is in, without what is around it."""
        number, _ = self.source.line_column(offset)
        return " ".join(self.source.line_text(number).split())

    def line_before(self, offset: int) -> str:
        """Of the line that an offset is in: what stands before it."""
        return self.source.text[self.source.text.rfind("\n", 0, offset) + 1 : offset]
