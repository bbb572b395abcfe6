"""Every code there is. A code is a page in `pages/`: its title, why, a bad and a good example."""

from __future__ import annotations

from functools import cache
from pathlib import Path

PAGES = Path(__file__).parent / "pages"


@cache
def codes() -> tuple[str, ...]:
    """All codes: errors by number, then warnings."""
    return tuple(sorted(path.stem for path in PAGES.glob("[EW]*.md")))


def page(code: str) -> str:
    """The Markdown of a code's page."""
    return (PAGES / f"{code}.md").read_text(encoding="utf-8")


@cache
def title(code: str) -> str:
    """What a code means, in a line."""
    with (PAGES / f"{code}.md").open(encoding="utf-8") as file:
        return file.readline().partition(":")[2].strip()


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
