"""Collecting what is wrong: one mistake once, at the place the user can change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypedDict

from qrlang.diagnostics import Diagnostic, Fix, Note
from qrlang.source import Source, Span

LIMIT = 50


@dataclass(slots=True)
class Frame:
    """A definition being inlined: the line that asked for it, and with which numbers."""

    span: Span
    name: str
    numbers: Callable[[], str]


class More(TypedDict, total=False):
    """Of a message: see `Diagnostic`."""

    label: str
    help: str
    notes: Iterable[Note]
    fix: Fix | None


class Reporter:
    """Diagnostics in the order found. An unrolled line is reported once."""

    def __init__(self, library_sources: set[int], limit: int = LIMIT) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.failed = False
        self.seen: set[tuple[str, int, int, int]] = set()
        self.library_sources = library_sources
        self.limit = limit
        self.reported_names: set[tuple[int, int]] = set()  # told by the resolver
        self.misplaced: set[int] = set()  # statements that it has refused

    def child(self) -> Reporter:
        """For a trial whose findings may be dropped."""
        other = Reporter(self.library_sources, self.limit)
        other.reported_names = self.reported_names
        other.misplaced = self.misplaced
        return other

    def in_library(self, source: Source) -> bool:
        return id(source) in self.library_sources

    def error(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        label: str = "",
        help: str = "",
        notes: Iterable[Note] = (),
        fix: Fix | None = None,
        frames: tuple[Frame, ...] = (),
        numbers: Callable[[], str] | None = None,
    ) -> None:
        """`frames` are the definitions that the error is in, outermost first; `numbers` says which
        sizes and loop variables hold there."""
        self.failed = True
        if not self._new(code, span):
            return
        notes = list(notes)
        inner = numbers() if numbers else ""
        if frames and self.in_library(span.source):
            # The library is right; what was asked of it is not.
            at = next((f for f in reversed(frames) if not self.in_library(f.span.source)), None)
            if at is not None:
                where = f"in `{frames[-1].name}`" + (f", with {inner}" if inner else "")
                notes.insert(0, Note(f"{where}: {label or message}", span))
                span, label, fix = at.span, "", None
                if not self._new(code, span):
                    return
        else:
            for frame in reversed(frames):
                notes.append(
                    Note("asked for here" + (f", with {inner}" if inner else ""), frame.span)
                )
                inner = frame.numbers()
            if not frames and inner:
                notes.append(Note(f"with {inner}"))
        self._add(Diagnostic(code, message, span, label, help, tuple(notes), fix))

    def warning(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        label: str = "",
        help: str = "",
        notes: Iterable[Note] = (),
    ) -> None:
        if self._new(code, span):
            self._add(Diagnostic(code, message, span, label, help, tuple(notes)))

    def take(self, other: Reporter) -> None:
        """What another reporter found, without what is known already."""
        self.failed = self.failed or other.failed
        for d in other.diagnostics:
            if self._new(d.code, d.span):
                self._add(d)
        self.seen |= other.seen

    def _new(self, code: str, span: Span) -> bool:
        """Whether this has not been said of this place yet."""
        key = (code, id(span.source), span.start, span.end)
        if key in self.seen:
            return False
        self.seen.add(key)
        return True

    def _add(self, diagnostic: Diagnostic) -> None:
        if len(self.diagnostics) < self.limit:  # after so many, enough has been said
            self.diagnostics.append(diagnostic)
