"""What may be written here: told by what stands before it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from qrlang.editor import hover, offers
from qrlang.editor.document import Document
from qrlang.editor.expected import expected
from qrlang.editor.offers import LATEST, Completion
from qrlang.editor.scopes import Brackets
from qrlang.grammar.keywords import KEYWORDS, TYPES

_TYPED = "input|target|carry|param|frozen|model|ansatz|circuit|extern|readout|hamiltonian|with|on"


def complete(document: Document, offset: int) -> list[Completion]:
    before = document.line_before(offset)
    if "//" in before or before.count('"') % 2:
        return []
    return list(_fitting(document, offset, before))


def _fitting(document: Document, offset: int, before: str) -> Iterable[Completion]:
    at = LATEST.sub("", before)
    if (m := re.match(r"\s*use\s+([.\w]*)(\{[\s\w,]*)?$", at)) is not None:
        return offers.paths(document, m[1])
    at = re.split(r"[{}]", at)[-1]
    block = hover.block_at(document, offset)
    if block is not None and block.span.text.find("{") < offset - block.span.start:
        return offers.settings(block, at)
    if (m := re.search(r"(\w+)\.$", at)) is not None:
        return offers.members(document, m[1])
    if re.match(r"\s*(train|govern)\s+$", at):
        return offers.models(document)
    if re.match(rf"\s*({_TYPED})\b.*:\s*(seq\[)?$", at) and "= " not in at.rsplit(",", 1)[-1]:
        return (Completion(t.word, "type", t.meaning) for t in (*TYPES, KEYWORDS[-1]))
    brackets = Brackets(document).around(offset)
    if not at.strip() and not _continues(document, offset, brackets):
        return offers.lines(document, offset, _body(document, brackets))
    if (m := re.match(r"\s*(?:frozen\s+)?(\w+)\s+\w+\s*=\s*$", at)) and m[1] in offers.BOUND:
        return offers.bound(document, offset, m[1])
    if re.match(r"\s*apply\s+(\w+\s*(\([\d\s]*\)\s*)?@\s*)*$", at):
        return offers.applied(document, offset)
    if re.search(r"\bread\s+$", at):
        return offers.read(document, offset)
    kind, words = expected(at)
    return (*offers.NEXT[kind](document, offset), *(offers.word(w) for w in words))


def _body(document: Document, brackets: list[tuple[int, str, int]]) -> str:
    """What the outermost brackets belong to: `model`, `ansatz`; "" if there are none."""
    if not brackets:
        return ""
    before = document.source.text[: brackets[0][0]]
    heads = re.findall(r"^\s*(model|ansatz|circuit)\b", before, re.MULTILINE)
    return heads[-1] if heads else "model"


def _continues(document: Document, offset: int, brackets: list[tuple[int, str, int]]) -> bool:
    """Whether a line goes on with what the one before began."""
    if brackets and brackets[-1][1] != "{":
        return True
    text = document.source.text[: offset - len(document.line_before(offset))].rstrip()
    return text.endswith(("=", ",", "+", "-", "*", "/", " and", " or"))
