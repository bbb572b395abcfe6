"""Tokens of the IR's text form."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

NAME = r"[^\W\d]\w*(?:\.\w+)*"

_TOKEN = re.compile(
    rf"""
      (?P<space>\s+|//[^\n]*)
    | (?P<value>%(?:{NAME}\.)?\d+)
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<name>{NAME})
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<symbol>->|\.\.|[()\[\]{{}},:=+\-*^!@])
    """,
    re.VERBOSE,
)
_PLAIN = re.compile(rf"{NAME}\Z")
_LONGEST_NUMBER = 400  # digits; no float and no useful integer needs more


class IRSyntaxError(Exception):
    """Text that is not IR. `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # value number name string symbol end
    text: str
    at: int  # offset in the text


def position(text: str, at: int) -> tuple[int, int]:
    """Line and column of an offset, from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise IRSyntaxError(f"unexpected character {text[at]!r}", *position(text, at))
        kind = match.lastgroup or ""
        if kind in ("number", "value") and len(match[0]) > _LONGEST_NUMBER:
            raise IRSyntaxError("this number is too long", *position(text, at))
        if kind != "space":
            found.append(Token(kind, match[0], at))
        at = match.end()
    found.append(Token("end", "end of text", at))
    return found


def quoted(name: str) -> str:
    """A name as it stands in the text: bare when it can be, else as a string."""
    return name if is_plain(name) else json.dumps(name)


def is_plain(name: str) -> bool:
    return _PLAIN.match(name) is not None
