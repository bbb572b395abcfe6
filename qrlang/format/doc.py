"""Layouts: a text that may stand on one line or on several, whichever fits (after Wadler)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concat:
    parts: tuple[Layout, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """On one line if it fits, else broken at each of its own `Line`s."""

    body: Layout


@dataclass(frozen=True, slots=True)
class Indent:
    body: Layout


@dataclass(frozen=True, slots=True)
class Line:
    """A new line in a broken group, `flat` in one that fits."""

    flat: str = " "


@dataclass(frozen=True, slots=True)
class Hard:
    """Always a new line: what holds it can't be flat."""


@dataclass(frozen=True, slots=True)
class Fill:
    """As many parts on each line as fit."""

    parts: tuple[Layout, ...]  # each with the separator that follows it


@dataclass(frozen=True, slots=True)
class IfBroken:
    text: str


Layout = str | Concat | Group | Indent | Line | Hard | Fill | IfBroken

SOFT = Line("")
SPACE = Line(" ")
HARD = Hard()


def concat(*parts: Layout) -> Concat:
    return Concat(parts)


def flat(layout: Layout) -> str | None:
    """The text on one line; None if it can't be on one."""
    out: list[str] = []
    todo: list[Layout] = [layout]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, (Concat, Fill)):
            last = isinstance(part, Fill)
            for i, inner in enumerate(reversed(part.parts)):
                if last and i:
                    todo.append(" ")
                todo.append(inner)
        elif isinstance(part, (Group, Indent)):
            todo.append(part.body)
        elif isinstance(part, Line):
            out.append(part.flat)
        elif isinstance(part, Hard):
            return None
    return "".join(out)


def render(layout: Layout, width: int, indent: int) -> list[str]:
    """The lines; the first is not indented (its place is the caller's), the others are."""
    lines: list[str] = []
    line: list[str] = []
    column = indent
    todo: list[tuple[int, bool, Layout]] = [(indent, True, layout)]

    def new_line(to: int) -> None:
        nonlocal line, column
        lines.append("".join(line).rstrip())
        line = [" " * to]
        column = to

    while todo:
        level, broken, part = todo.pop()
        if isinstance(part, str):
            line.append(part)
            column += len(part)
        elif isinstance(part, Concat):
            todo += [(level, broken, p) for p in reversed(part.parts)]
        elif isinstance(part, Indent):
            todo.append((level + 2, broken, part.body))
        elif isinstance(part, Group):
            text = flat(part)
            if text is not None and column + len(text) + _rest(todo) <= width:
                todo.append((level, False, text))
            else:
                todo.append((level, True, part.body))
        elif isinstance(part, Line):
            if broken:
                new_line(level)
            else:
                line.append(part.flat)
                column += len(part.flat)
        elif isinstance(part, Hard):
            new_line(level)
        elif isinstance(part, Fill):
            for i, inner in enumerate(part.parts):
                text = flat(inner) or ""
                if i and column + 1 + len(text) > width:
                    new_line(level)
                elif i:
                    line.append(" ")
                    column += 1
                line.append(text)
                column += len(text)
        elif broken:  # IfBroken
            line.append(part.text)
            column += len(part.text)
    lines.append("".join(line).rstrip())
    return lines


def _rest(todo: list[tuple[int, bool, Layout]]) -> int:
    """The width of what follows on the same line, up to the next possible break."""
    width = 0
    stack = [(broken, part) for _, broken, part in todo[-12:]]
    while stack:
        broken, part = stack.pop()
        if isinstance(part, str):
            width += len(part)
        elif isinstance(part, Concat):
            stack += [(broken, p) for p in reversed(part.parts)]
        elif isinstance(part, Indent):
            stack.append((broken, part.body))
        elif isinstance(part, Group):
            # A group that follows may break at its first line.
            stack.append((True, part.body))
        elif isinstance(part, Line):
            if broken:
                return width
            width += len(part.flat)
        elif isinstance(part, IfBroken):
            width += len(part.text) if broken else 0
        else:
            return width
    return width
