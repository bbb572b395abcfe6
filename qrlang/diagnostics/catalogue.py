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
