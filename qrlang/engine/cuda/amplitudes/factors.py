"""A layer's diagonal as each thread finds it: entries of tables, multiplied."""

from __future__ import annotations

from qrlang.engine.cuda.layout.geometry import Place
from qrlang.engine.cuda.layout.shape import Shape
from qrlang.engine.cuda.text import Text, linear, xor


class Factors:
    """The diagonal's factor for each register. What is the same for all is looked up when this is
    made, the rest where it is first needed; products are shared."""

    def __init__(self, out: Text, shape: Shape, place: Place, me: str) -> None:
        self.out, self.shape, self.place = out, shape, place
        self.bases = [
            out.let("U", xor(linear([t.entry(v) for v in place.threads], me)), "e")
            for t in shape.tables
        ]
        self.loaded: dict[tuple[int, int], str] = {}
        self.known: dict[tuple[int, ...], str] = {}
        steps = [1 << k for k in range(len(place.registers))]
        common = [not any(t.entry(place.index(j)) for j in steps) for t in shape.tables]
        self._product((0,) * (common.index(False) if False in common else len(common)))

    def of(self, j: int) -> str:
        return self._product(tuple(t.entry(self.place.index(j)) for t in self.shape.tables))

    def _product(self, entries: tuple[int, ...]) -> str:
        if not entries:
            return ""
        if entries not in self.known:
            before, q, e = self._product(entries[:-1]), len(entries) - 1, entries[-1]
            if (q, e) not in self.loaded:
                table = f"((const C*)(p + {self.shape.at_table(q)}))"
                self.loaded[q, e] = self.out.let("C", f"{table}[{self.bases[q]} ^ {e}u]", "d")
            d = self.loaded[q, e]
            self.known[entries] = self.out.let("C", f"mul({before}, {d})", "d") if before else d
        return self.known[entries]
