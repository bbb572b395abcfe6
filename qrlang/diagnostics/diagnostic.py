"""A diagnostic is data: somebody else renders it (text, JSON, an editor)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from qrlang.source import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Note:
    """More to say: at a place of its own (`span`), or about the whole (`None`)."""

    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit that a tool may apply: replace `span` by `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong, where, and the way out.

    `message` says what is wrong in one line (what was expected and what was found), `label`
    stands under the caret, `help` is the way out. `code` has a page: `qrlc explain CODE`.
    """

    code: str
    message: str
    span: Span
    label: str = ""
    help: str = ""
    notes: tuple[Note, ...] = ()
    fix: Fix | None = None

    @property
    def severity(self) -> Severity:
        return "warning" if self.code.startswith("W") else "error"


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(d.severity == "error" for d in diagnostics)
