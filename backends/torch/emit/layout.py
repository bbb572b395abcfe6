"""Python source laid out as formatters lay it out: 88 columns, long brackets one item a line."""

from __future__ import annotations

from collections.abc import Iterator

WIDTH = 88


def fit(text: str, indent: int) -> list[str]:
    """A statement as lines. Too long: its last bracket opens, one item a line."""
    pad = " " * indent
    if len(pad) + len(text) <= WIDTH or '"""' in text:
        return [pad + text]
    span = _outer(text)
    if span is None:
        return [pad + text]
    start, end = span
    items = split(text[start + 1 : end])
    lines = [pad + text[: start + 1]]
    called = start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_)]")
    grouping = text[start] == "(" and not called  # a comma would make a tuple of it
    for item in items:
        lines += fit(item if grouping and len(items) == 1 else f"{item},", indent + 4)
    return [*lines, pad + text[end:]]


def fit_definition(name: str, arguments: list[str], result: str) -> list[str]:
    """The head of a method."""
    line = f"    def {name}({', '.join(arguments)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    return [f"    def {name}(", *(f"        {a}," for a in arguments), f"    ) -> {result}:"]


def groups(text: str) -> int:
    """How many brackets with something in them stand side by side."""
    count, rest = 0, text
    while (span := _outer(rest)) is not None:
        count, rest = count + 1, rest[: span[0]]
    return count


def _outer(text: str) -> tuple[int, int] | None:
    """The last top-level bracket that has something in it."""
    start, found = 0, None
    for i, letter, depth in _signs(text):
        if letter in "([{" and depth == 1:
            start = i
        elif letter in ")]}" and depth == 0 and i > start + 1:
            found = (start, i)
    return found


def split(text: str) -> list[str]:
    """At the commas outside of brackets and quotes."""
    parts, start = [], 0
    for i, letter, depth in _signs(text):
        if letter == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    tail = text[start:].strip()
    return [*parts, tail] if tail else parts


def _signs(text: str) -> Iterator[tuple[int, str, int]]:
    """What stands outside of quotes, each sign with how many brackets are open after it."""
    depth, quote = 0, ""
    for i, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
            yield i, letter, depth
