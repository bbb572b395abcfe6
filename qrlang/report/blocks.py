"""A page as blocks, written as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()  # columns of numbers


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Image:
    path: str
    text: str


Block = Heading | Paragraph | Table | Code | Image


def markdown(blocks: Iterable[Block]) -> str:
    return "\n".join(_markdown(b) for b in blocks)


def _markdown(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}\n"
        case Paragraph():
            return f"{block.text}\n"
        case Image():
            return f"![{block.text}]({block.path})\n"
        case Code():
            fence = "```"
            while fence in block.text:
                fence += "`"
            return f"{fence}\n{block.text.rstrip()}\n{fence}\n"
    rule = ["---:" if k in block.right else "---" for k in range(len(block.head))]
    lines = [block.head, rule, *block.rows]
    cells = [[c.replace("|", "\\|").replace("\n", " ") for c in line] for line in lines]
    return "".join("| " + " | ".join(line) + " |\n" for line in cells)


_STYLE = """body { font: 15px/1.5 Helvetica, Arial, sans-serif; max-width: 60em; margin: 2em auto;
padding: 0 1em; color: #24292f } table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: 2px 10px; border-bottom: 1px solid #d8dee4; text-align: left }
.n { text-align: right; font-variant-numeric: tabular-nums }
pre { background: #f6f8fa; padding: 1em; overflow-x: auto } img { max-width: 100% }"""


def html(title: str, blocks: Iterable[Block]) -> str:
    body = "\n".join(_html(b) for b in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n{body}\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p>{escape(block.text)}</p>"
        case Image():
            return f'<p><img src="{escape(block.path)}" alt="{escape(block.text)}"></p>'
        case Code():
            return f"<pre>{escape(block.text.rstrip())}</pre>"

    def row(cells: Sequence[str], tag: str) -> str:
        inner = "".join(
            f"<{tag}{' class=n' if k in block.right else ''}>{escape(c)}</{tag}>"
            for k, c in enumerate(cells)
        )
        return f"<tr>{inner}</tr>"

    rows = "\n".join(row(r, "td") for r in block.rows)
    return f"<table>\n{row(block.head, 'th')}\n{rows}\n</table>"
