"""Writes C++: lines with indentation, fresh names, GF(2)-linear maps as shifts and masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Text:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.used = 0

    def __call__(self, *lines: str) -> None:
        for line in lines:
            self.lines.append("  " * self.depth + line)

    @contextmanager
    def block(self, head: str, tail: str = "") -> Iterator[None]:
        self(head + " {")
        self.depth += 1
        yield
        self.depth -= 1
        self("}" + tail)

    @contextmanager
    def rolled(self, head: str) -> Iterator[None]:
        """A loop that is not worth being unrolled."""
        self("#pragma unroll 1")
        with self.block(head):
            yield

    def fresh(self, stem: str = "t") -> str:
        self.used += 1
        return f"{stem}{self.used}"

    def let(self, kind: str, value: str, stem: str = "t") -> str:
        name = self.fresh(stem)
        self(f"const {kind} {name} = {value};")
        return name

    def rolled_all(self) -> None:
        """Every loop as a loop: a long text is compiled in half the time."""
        lines, self.lines = self.lines, []
        for line in lines:
            code = line.lstrip()
            if code.startswith("for ("):
                self.lines.append(line[: len(line) - len(code)] + "#pragma unroll 1")
            if not code.startswith("#pragma unroll"):
                self.lines.append(line)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def real(x: float) -> str:
    """A number as a constant of the kernel's type."""
    return f"F({float(x)!r})"


def linear(cols: Sequence[int], name: str) -> str:
    """The image of `name` under a linear map of bits: bit k goes to `cols[k]`. `name` has no bits
    beyond these."""
    whole = (1 << len(cols)) - 1
    cols = list(cols)
    while cols and not cols[-1]:
        cols.pop()
    if not any(cols):
        return ""
    shifts: dict[int, int] = {}
    for k, col in enumerate(cols):
        for p in range(col.bit_length()):
            if col >> p & 1:
                shifts[p - k] = shifts.get(p - k, 0) | 1 << k
    if 2 * len(shifts) <= 3 * sum(1 for c in cols if c):
        parts = []
        for by, mask in sorted(shifts.items()):
            kept = name if mask == whole else f"({name} & {mask:#x}u)"
            parts.append(f"({kept} << {by})" if by > 0 else f"({kept} >> {-by})" if by else kept)
        return "(" + " ^ ".join(parts) + ")"
    parts = [f"(0u - ({name} >> {k} & 1u) & {c:#x}u)" for k, c in enumerate(cols) if c]
    return "(" + " ^ ".join(parts) + ")"


def xor(*parts: str) -> str:
    kept = [p for p in parts if p]
    return " ^ ".join(kept) if kept else "0u"
