"""The programs on the pages of the codes."""

from __future__ import annotations

from qrlang.diagnostics.catalogue import page


def examples(code: str) -> dict[str, str]:
    """The blocks of a page: `{"Bad": …, "Good": …}`, those that it has."""
    found: dict[str, str] = {}
    section, block = "", None
    for line in page(code).splitlines(keepends=True):
        if block is not None:
            if line.startswith("```"):
                found[section], block = block, None
            else:
                block += line
        elif line.startswith("## "):
            section = line[3:].strip()
        elif line.startswith("```qrl"):
            block = ""
    return found
