"""A diagnostic is data: somebody else renders it (text, JSON, an editor)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from qrlang.source import Span

Severity = Literal["error", "warning"]


_LONG = re.compile(r"`[^`]{121,}`")


def clipped(text: str) -> str:
    """A quotation from the program is there to be recognised: not in full, if it is long."""
    if len(text) <= 120:
        return text
    return _LONG.sub(lambda m: f"{m[0][:70]} … {m[0][-30:]}", text)


@dataclass(frozen=True, slots=True)
class Note:
    """More to say: at a place of its own (`span`), or about the whole (`None`)."""

    text: str
    span: Span | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clipped(self.text))


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

    def __post_init__(self) -> None:
        for name in ("message", "label", "help"):
            object.__setattr__(self, name, clipped(getattr(self, name)))

    @property
    def severity(self) -> Severity:
        return "warning" if self.code.startswith("W") else "error"


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(d.severity == "error" for d in diagnostics)
