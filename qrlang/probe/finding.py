"""What a diagnostic gives: a table, the same as data, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qrlang.plot.png import to_png
from qrlang.plot.shapes import Picture
from qrlang.plot.svg import to_svg
from qrlang.system.files import write_atomically

Cell = str | float | int


@dataclass(frozen=True)
class Finding:
    name: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    data: dict[str, Any]  # all of it, ready for JSON
    picture: Picture
    notes: Sequence[str] = field(default_factory=tuple)

    def text(self) -> str:
        cells = [list(self.head), *([shown(c) for c in row] for row in self.rows)]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.head))]
        lines = [self.title]
        for row in cells:
            first, *rest = [c.rjust(w) if k else c.ljust(w)
                            for k, (c, w) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
            lines.append("  " + "  ".join([first, *rest]).rstrip())
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)]) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """NAME.svg, and NAME.png where Pillow is there."""
        written = [folder / f"{self.name}.svg"]
        write_atomically(written[0], to_svg(self.picture))
        png = to_png(self.picture)
        if png is not None:
            written.append(folder / f"{self.name}.png")
            write_atomically(written[1], png)
        return written


def shown(cell: Cell) -> str:
    return cell if isinstance(cell, str) else f"{cell:.4g}"


def thinned(count: int, most: int = 16) -> list[int]:
    """Some of `count` steps for a table that is read: evenly spread, both ends among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(k * (count - 1) / (most - 1)) for k in range(most)})
