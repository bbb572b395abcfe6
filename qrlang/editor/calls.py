"""The call that is being written: what it takes, and which of that comes next."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qrlang.check.core.layer_kinds import LAYERS
from qrlang.check.functions.builtins import FUNCTIONS
from qrlang.editor import hover
from qrlang.editor.document import Document
from qrlang.source import Span
from qrlang.syntax import ast

_CALLED = re.compile(r"(\w+)\s*$")


@dataclass(frozen=True)
class Call:
    text: str  # `mlp(hidden: width, activation: activation = relu, …)`
    doc: str
    parts: tuple[str, ...]  # of the text: its arguments
    at: int  # which of them is being written; -1: none


def call_at(document: Document, offset: int) -> Call | None:
    opened = _open(document.line_before(offset))
    if opened is None:
        return None
    before, inside = opened
    called = _CALLED.search(before)
    if called is None:
        return None
    found = _described(document, called[1], offset - len(inside) - 1)
    if found is None:
        return None
    text, doc = found
    parts = tuple(_split(text[text.find("(") + 1 : text.rfind(")")]))
    given = _split(inside)
    name = re.match(r"\s*(\w+)\s*:", given[-1]) if given else None
    named = [i for i, p in enumerate(parts) if name and re.match(rf"{name[1]}\b", p)]
    at = named[0] if named else len(given) - 1
    return Call(text, doc, parts, at if at < len(parts) else -1)


def argument_at(document: Document, offset: int) -> tuple[str, Span] | None:
    """What is said of an argument where it is named: `hidden: width`, and where that stands."""
    word = hover.word_at(document, offset)
    if word is None or not re.match(r"\s*:", document.source.text[word.end :]):
        return None
    call = call_at(document, word.end)
    for part in call.parts if call is not None else ():
        if re.match(rf"{word.text}\s*:", part):
            return f"```qrl\n{part}\n```", word
    return None


def _described(document: Document, name: str, end: int) -> tuple[str, str] | None:
    block = hover.block_at(document, end)
    if block is not None:
        for spec in hover.settings_of(block).values():
            if spec.choices is not None and spec.choices.get(name):
                return hover.call(name, spec.choices[name]), ""
    # By its name: the line may be half written.
    item = document.module.item(name)
    if isinstance(item, ast.Definition) and item.params:
        return f"{name}({', '.join(p.span.text for p in item.params)})", item.doc
    if name in FUNCTIONS and not re.search(rf"attention\s+\w+\s*=\s*{name}$",
                                           document.line_before(end)):  # fmt: skip
        call, _, doc = FUNCTIONS[name].doc.partition("): ")
        return f"{call})", doc
    if name in LAYERS:
        return hover.layer_call(LAYERS[name]), LAYERS[name].doc
    return None


def _open(text: str) -> tuple[str, str] | None:
    """What stands before the innermost bracket that is open, and behind it."""
    depth = 0
    for i in range(len(text) - 1, -1, -1):
        if text[i] in ")]":
            depth += 1
        elif text[i] in "([":
            if depth == 0:
                return (text[:i], text[i + 1 :]) if text[i] == "(" else None
            depth -= 1
    return None


def _split(text: str) -> list[str]:
    """At commas outside brackets."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [p.strip() for p in parts] if text.strip() else []
