"""Sums over parities of states: over a thread's registers, then over the lanes of its warp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from qrlang.engine.cuda.amplitudes.parities import fold, unfold
from qrlang.engine.cuda.layout.geometry import Geometry, Place
from qrlang.engine.cuda.layout.mapping import Mapping
from qrlang.engine.cuda.text import Text

PIECES = 3  # of a formula; beyond them numbers are looked up
MANY = 3  # sums of one value from which on a transform is cheaper than each by itself


@dataclass(frozen=True, slots=True)
class Part:
    """Parity masks with the same part for registers, and for threads but for lanes."""

    inner: int
    outer: int  # of the thread number
    lanes: dict[int, int]  # by the mask of lanes: which of the masks it is

    @property
    def many(self) -> bool:
        return len(self.lanes) > 1


class Sums:
    def __init__(self, mapping: Mapping, mark: str = "") -> None:
        self.mapping, self.mark = mapping, mark  # what names of this kernel have in them
        self.constants = Text()
        self.tables: dict[tuple[str, tuple[int | float, ...]], str] = {}

    def table(self, kind: str, values: Sequence[int | float]) -> str:
        """A constant array: its name."""
        key = (kind, tuple(values))
        if key not in self.tables:
            name = self.tables[key] = f"k{self.mark}{len(self.tables)}"
            text = ", ".join(repr(v) for v in values)
            self.constants(f"static __device__ const {kind} {name}[] = {{{text}}};")
        return self.tables[key]

    def chosen(self, values: Sequence[int | None], r: str) -> str:
        """values[r], where None may be anything: a formula where there is one, else a table."""
        known = [(i, v) for i, v in enumerate(values) if v is not None]
        if not known:
            return "0"
        slopes = [(y - x) // (j - i) for (i, x), (j, y) in pairwise(known)]
        found = [self._pieces(known, s) for s in (1, 0, min(slopes, default=0, key=abs))]
        step, pieces = min(found, key=lambda x: len(x[1]))
        if len(pieces) > PIECES:
            numbers = [known[0][1] if v is None else v for v in values]
            kind = "short" if max(numbers) < 1 << 15 else "int"
            return f"{self.table(kind, numbers)}[{r}]"
        (_, past), *before = pieces[::-1]
        formula, end = str(past), pieces[-1][0]
        for first, past in before:
            formula, end = f"{r} < {end}u ? {past} : {formula}", first
        if not step:
            return f"({formula})" if before else formula
        by = r if step == 1 else f"{r} * {step}"
        if before:
            return f"({by} + ({formula}))"
        return f"({formula} + {by})" if past else f"({by})"

    @staticmethod
    def _pieces(known: Sequence[tuple[int, int]], step: int) -> tuple[int, list[tuple[int, int]]]:
        """Where another line of this slope begins, and where that crosses zero."""
        pasts = [(i, v - step * i) for i, v in known]
        return step, pasts[:1] + [y for x, y in pairwise(pasts) if x[1] != y[1]]

    @property
    def warps(self) -> int:
        return max(1, self.mapping.group // 32)

    def _me(self, geometry: Geometry) -> str:
        return "tc" if geometry.chunks else "tid"

    def _odd(self, out: Text, geometry: Geometry, mask: int) -> str:
        """The parity of the thread's part of a mask, in the lowest bit."""
        me = self._me(geometry)
        if mask & (mask - 1):
            return out.let("U", f"parity({me} & {mask:#x}u)", "s")
        return out.let("U", f"{me} >> {mask.bit_length() - 1} & 1u", "s")

    def _signed(
        self, out: Text, geometry: Geometry, known: dict[int, str], mask: int, x: str
    ) -> str:
        if not mask:
            return x
        if mask not in known:
            known[mask] = self._odd(out, geometry, mask)
        return f"signed_by({known[mask]}, {x})"

    def parts(self, place: Place, masks: Sequence[int]) -> list[Part]:
        """Masks that differ in nothing but lanes are one part where they are many: a Walsh
        transform over the lanes has all their sums."""
        width = self.mapping.width
        found: dict[tuple[int, int], dict[int, int]] = {}
        out: list[Part] = []
        for number, mask in enumerate(masks):
            inner, outer = place.split(mask)
            low = outer & (width - 1)
            lanes = found.setdefault((inner, outer ^ low), {})
            if low in lanes:  # twice the same
                out.append(Part(inner, outer, {0: number}))
            else:
                lanes[low] = number
        for (inner, above), lanes in found.items():
            if len(lanes) >= MANY:
                out.append(Part(inner, above, lanes))
            else:
                out += [Part(inner, above | low, {0: n}) for low, n in lanes.items()]
        return out

    def transformed(self, out: Text, value: str) -> str:
        """Lane m has what the sum over all lanes is with the signs of the mask m."""
        by = 1
        while by < self.mapping.width:
            sign = f"ln & {by}u ? F(-1) : F(1)"
            value = out.let("F", f"FN(fma)({value}, {sign}, over({value}, {by}))")
            by *= 2
        return value

    def walsh(
        self, out: Text, geometry: Geometry, values: Sequence[str], parts: Sequence[Part]
    ) -> list[str]:
        """Of each part: Σ ± values over what this thread holds."""
        folded = fold(out, values, [p.inner for p in parts])
        known: dict[int, str] = {}
        return [self._signed(out, geometry, known, p.outer, folded[p.inner]) for p in parts]

    def weights(
        self, out: Text, geometry: Geometry, place: Place, masks: Sequence[int], given: str
    ) -> list[str]:
        """Σ_m ± given[m] for each register: the other way round."""
        known: dict[int, str] = {}
        terms: dict[int, list[str]] = {}
        width = self.mapping.width
        for part in self.parts(place, masks):
            value = f"{given}[{part.lanes[0]}]" if 0 in part.lanes else ""
            if part.many:
                at = [part.lanes.get(m, -1) for m in range(width)]
                number = out.let("int", self.chosen(at, f"(ln & {width - 1}u)"))
                value = out.let("F", f"{number} >= 0 ? {given}[{number}] : F(0)", "g")
                value = self.transformed(out, value)
            value = out.let("F", value, "g")
            x = self._signed(out, geometry, known, part.outer, value)
            terms.setdefault(part.inner, []).append(x)
        sums = {k: out.let("F", " + ".join(v)) for k, v in terms.items()}
        return unfold(out, sums, geometry.registers)

    def seats(
        self, parts: Sequence[Part], places: Sequence[int], others: Sequence[int] = ()
    ) -> tuple[list[int], list[str]]:
        """Where the sums of `collect` go: the places of those by themselves, and the place of each
        lane for every part of many and then for every 32 of the others."""
        width = self.mapping.width
        lane = f"(ln & {width - 1}u)"
        alone = [*others, *(places[p.lanes[0]] for p in parts if not p.many)]
        names = []
        for part in parts:
            if part.many:
                at = [places[part.lanes[m]] if m in part.lanes else -1 for m in range(width)]
                names.append(self.chosen(at, lane))
        for start in range(0, len(alone), width):
            row = alone[start : start + width]
            names.append(self.chosen(row + row[-1:] * (width - len(row)), lane))
        return alone, names

    def collect(
        self, out: Text, values: Sequence[str], parts: Sequence[Part], places: Sequence[int],
        count: int, others: dict[int, str] | None = None, norm: int = -1,
        seats: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """The sums of all parts over the lanes of each warp; `count` numbers to a warp in `red`,
        where each mask's place is one of `places`. `others`: what is only added, by its place.
        `norm`: the sums are values, and the first is also the norm, which lies there. `seats`: of
        these, where they have been looked up."""
        given = dict(others or {})
        alone, found = self.seats(parts, places, list(given))
        rest = iter(seats or [out.let("int", x) for x in found])
        for part, value in zip(parts, values, strict=True):
            if part.many:
                place, total = next(rest), self.transformed(out, value)
                with out.block(f"if ({place} >= 0)"):
                    self._keep(out, place, total, places[0], count, norm)
            else:
                given[places[part.lanes[0]]] = value
        self.gather(out, [given[p] for p in alone], list(rest), count, places[0], norm)

    def _keep(self, out: Text, place: str, total: str, first: int, count: int, norm: int) -> None:
        if norm >= 0 and self.mapping.group < 32:
            # Sequences that rest keep numbers that are ordinary.
            total = out.let("F", f"on ? {total} : F(1)")
        out(f"red[{self._mine(count)}{place}] = {total};")
        if norm >= 0:
            out(f"if ({place} == {first}) red[{norm}] = {total};")

    def _mine(self, count: int) -> str:
        return f"(ln >> 5) * {count}u + " if self.warps > 1 else ""

    def gather(
        self, out: Text, values: Sequence[str | None], seats: Sequence[str], count: int,
        first: int, norm: int,
    ) -> None:  # fmt: skip
        """Adds values over the lanes of each warp."""
        width = self.mapping.width
        for start, seat in zip(range(0, len(values), width), seats, strict=True):
            part = list(values[start : start + width])
            size = len(part)
            while len(part) & (len(part) - 1):
                part.append(None)
            by = 1
            while len(part) > 1:
                up = f"(ln & {by}u)"
                merged: list[str | None] = []
                for a, b in zip(part[0::2], part[1::2], strict=True):
                    if a is None:
                        merged.append(None)
                        continue
                    keep = f"({up} ? {b or 'F(0)'} : {a})"
                    send = f"({up} ? {a} : {b or 'F(0)'})"
                    merged.append(out.let("F", f"{keep} + over({send}, {by})"))
                part = merged
                by *= 2
            (total,) = part
            assert total
            while by < width:
                total = out.let("F", f"{total} + over({total}, {by})")
                by *= 2
            lane = f"(ln & {width - 1}u)"
            with out.block(f"if ({lane} < {size}u)"):
                self._keep(out, seat, total, first, count, norm)
