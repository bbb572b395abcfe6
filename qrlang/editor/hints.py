"""What the compiler inferred of a line, shown behind it: there it moves no columns."""

from __future__ import annotations

import re

from qrlang.editor.document import Document

_WORD = re.compile(r"^(readout|layer|controller|attention|circuit|carry): ")


def hints(document: Document) -> list[tuple[int, str]]:
    """Where a line ends, and what: `36 → 64 → 48, relu`. What the line says itself is left out."""
    text = document.source.text
    found: dict[int, list[str]] = {}
    for at, (_, fact) in document.facts.items():
        shown = _WORD.sub("", fact)
        if _plain(shown) not in _plain(document.line(at)):
            end = text.find("\n", at)
            line = found.setdefault(end if end >= 0 else len(text), [])
            line.append(shown.replace("->", "→"))
    return [(end, ",  ".join(line)) for end, line in sorted(found.items())]


def _plain(text: str) -> str:
    return "".join(text.split()).replace("qubit[", "[")
