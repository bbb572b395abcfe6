"""Products of weights with rows, 16 bytes of both at once where they lie like that: a row of the
weight to a thread, or to some lanes together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from qrlang.engine.cuda.kernel.frame import Frame

BESIDE = 4  # rows of a product that a thread has at once
STRAIGHT = 16  # pieces of a row up to which there is no loop
HELD = 4  # pieces of weights that a thread reads ahead; the others come while it adds
RESIDENT = 40  # numbers of weights that a thread keeps for all steps
FEW_LANES = 64  # threads of a sequence up to which those without a row do another's once more


@dataclass(frozen=True, slots=True)
class Weight:
    """Where the weight of a row and a column of a product lies, and how many lanes share a row."""

    base: str
    across: int
    along: int
    lanes: int
    wide: bool  # does a row lie in a row, from where a piece of 16 bytes may be read

    def at(self, row: str) -> str:
        """The first weight of a row."""
        return f"{self.base}[{row}{f' * {self.across}u' if self.across != 1 else ''}]"


@dataclass(slots=True)
class Run:
    """Columns of a product of which the slot's rows lie in a row, by pieces of 16 bytes."""

    column: int
    at: int
    steps: int
    wide: bool  # may the weight be read like that too
    held: list[list[str]] = field(default_factory=list)  # the first ones, of every row


@dataclass(slots=True)
class Product:
    w: Weight
    many: int
    kind: str
    start: str
    rounds: int
    j: str = ""  # which of the lanes of a row this is
    resident: bool = False  # are its weights in registers for all steps
    runs: list[Run] = field(default_factory=list)
    singles: list[tuple[int, int]] = field(default_factory=list)  # other columns, with their rows
    there: list[str] = field(default_factory=list)  # rows of each sequence
    # Of each row that a thread has at once:
    rows: list[str] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    sums: list[list[str]] = field(default_factory=list)  # of every sequence
    guards: list[str] = field(default_factory=list)


class Products(Frame):
    def _lane_sum(self, name: str, lanes: int) -> None:
        by = 1
        while by < lanes:
            self.out(f"{name} += over({name}, {by});")
            by *= 2

    def _weight(self, w: int, many: int, width: int, turned: bool = False) -> Weight:
        """A weight of so many rows; turned round, a product goes over its columns."""
        held = self.memory.weights
        if (w, turned) in held:
            at, stride = held[w, turned]
            lanes = self.memory.lanes(width, many) if turned else self.memory.lanes(many, width)
            return Weight(f"((const F*)(smem + {at}))", stride, 1, lanes, True)
        base, stride = f"w{w}", width
        if (w, False) in held:
            at, stride = held[w, False]
            base = f"((const F*)(smem + {at}))"
        count, inner = (width, many) if turned else (many, width)
        lanes = self.memory.lanes(count, inner, cycles=8 if (w, False) in held else 56)
        across, along = (1, stride) if turned else (stride, 1)
        return Weight(base, across, along, lanes, False)

    def own(self, w: Weight) -> bool:
        """Does a row's own thread do it."""
        return w.lanes == 1 and self.memory.abreast == 1

    def _lying(self, slot: int) -> list[tuple[int, int, int]]:
        """A slot as pieces that lie in a row: (first row, how many, where the first is)."""
        found: list[list[int]] = []
        for i, at in enumerate(self.addresses(slot)):
            if found and found[-1][2] + found[-1][1] == at:
                found[-1][1] += 1
            else:
                found.append([i, 1, at])
        return [(a, b, c) for a, b, c in found]

    def _product(
        self, w: Weight, many: int, slot: int, kind: str, start: str = ""
    ) -> Product:  # fmt: skip
        """For each of `many` rows: start + Σ_i weight of i times row i of a slot. Writes what does
        not need the slot: weights are the same in every step, and come before the barrier."""
        p = self._planned(w, many, slot, kind, start)
        if self.memory.threads <= FEW_LANES and p.rounds <= self._most:
            self._rows_of(p, self._lane)
        return self._begun(p)

    def _begun(self, p: Product) -> Product:
        memory = self.memory
        if memory.abreast > 1:
            past = memory.adjoint if p.kind == "a" else 0
            p.there = [self.out.let("F* const", f"{x} + {past}", "near") for x in self._near()]
        self._begin_sums(p)
        return p

    def _begin_sums(self, p: Product) -> None:
        for start in p.starts[len(p.sums) :]:
            p.sums.append([self.out.fresh("s") for _ in p.there])
            for name in p.sums[-1]:
                self.out(f"V {name} = begun({start});")

    def _planned(self, w: Weight, many: int, slot: int, kind: str, start: str) -> Product:
        piece, threads = self.memory.piece, self.memory.threads
        p = Product(w, many, kind, start, -(-many * w.lanes // threads), there=[kind])
        for column, count, at in self._lying(slot):
            ahead = min(count, -at % piece)
            steps = (count - ahead) // piece
            if steps:
                wide = w.wide and (at - column) % piece == 0
                p.runs.append(Run(column + ahead, at + ahead, steps, wide))
            done = range(ahead, ahead + steps * piece)
            p.singles += [(column + i, at + i) for i in range(count) if i not in done]
        return p

    def reside(self, p: Product) -> int:
        """How many registers the weights of a product need; 0 if they cannot stay there."""
        lanes, memory = p.w.lanes, self.memory
        whole = all(run.steps % lanes == 0 for run in p.runs)
        if memory.abreast == 1 or p.rounds > self._most or p.singles or not whole:
            return 0
        return p.rounds * (1 + sum(run.steps // lanes for run in p.runs) * memory.piece)

    @property
    def _lane(self) -> str:
        return "ln" if self.memory.abreast == 1 else "(threadIdx.x & 31u)"

    @property
    def _most(self) -> int:
        """Rows that a thread has at once."""
        return max(1, BESIDE // self.memory.abreast)

    def _near(self) -> list[str]:
        """Rows of each sequence of a warp."""
        size = self.memory.stride * self.mapping.size
        many = self.memory.abreast
        first = f"{self.memory.own}u + (threadIdx.x >> 5) * {many * size}u"
        return [f"(F*)(smem + {first} + {j * size}u)" for j in range(many)]

    def _rows_of(self, p: Product, first: str, within: bool = False) -> None:
        """Which rows of a product a thread has; one beyond the last does the last once more."""
        out, w, threads = self.out, p.w, self.memory.threads
        if w.lanes > 1:
            p.j = out.let("U", f"{first} % {w.lanes}u", "j")
            first = f"{first} / {w.lanes}u"
        for k in range(min(p.rounds, self._most)):
            o = f"{first} + {k * threads}u" if k else first
            whole = within or ((k + 1) * threads <= p.many * w.lanes and p.rounds <= self._most)
            p.guards.append("" if whole else f"{o} < {p.many}u")
            p.rows.append(
                out.let("U", o if whole else f"{o} < {p.many}u ? {o} : {p.many - 1}u", "o")
            )
            p.bases.append(out.let("F* const", f"{w.base} + {p.rows[-1]} * {w.across}u", "row"))
            begin = p.start.format(o=p.rows[-1]) if p.start else "F(0)"
            if p.start and w.lanes > 1:
                begin = f"{p.j} == 0 ? {begin} : F(0)"
            p.starts.append(out.let("F", begin, "start"))
        if threads > FEW_LANES:
            return
        # Sequences that share a warp hide each other's waits, and need the registers.
        ahead = HELD // len(p.rows) if self.memory.abreast == 1 else 0
        room = RESIDENT if p.resident else ahead
        for run in p.runs:
            while len(run.held) < min(room, run.steps // w.lanes):
                i = self._turn(p, str(len(run.held)))
                run.held.append([out.let("V", self._piece(w, run, x, i), "held") for x in p.bases])
            room -= len(run.held)

    def _piece(self, w: Weight, run: Run, base: str, i: str) -> str:
        if run.wide:
            return f"((const V*)({base} + {run.column}))[{i}]"
        past = f"{run.column * w.along} + ({i}) * {self.memory.piece * w.along}u"
        return f"apart({base} + {past}, {w.along}u)"

    @staticmethod
    def _turn(p: Product, q: str) -> str:
        return f"{q} * {p.w.lanes}u + {p.j}" if p.w.lanes > 1 else q

    def _multiply(self, p: Product, done: Callable[[str, str], None]) -> None:
        """Then `done(row, sum)` by one thread. A thread with several rows reads the slot once for
        them."""
        out, threads = self.out, self.memory.threads
        if p.rows:
            self._sum_up(p, done)
        elif p.rounds <= self._most:
            few = p.w.lanes == 1 and p.many < threads  # whole warps have nothing to do
            with out.block(f"if ({self._lane} < {p.many}u)" if few else ""):
                self._rows_of(p, self._lane, few)
                self._begin_sums(p)
                self._sum_up(p, done)
        else:
            r, step = out.fresh("r"), self._most * threads
            with out.rolled(f"for (U {r} = {self._lane}; {r} < {p.many}u; {r} += {step}u)"):
                self._rows_of(p, r)
                self._begin_sums(p)
                self._sum_up(p, done)

    def _sum_up(self, p: Product, done: Callable[[str, str], None]) -> None:
        out, lanes = self.out, p.w.lanes
        for run in p.runs:
            self._pieces(p, run)
        for k, (column, at) in enumerate(p.singles):
            with out.block(f"if ({p.j} == {k % lanes}u)") if lanes > 1 else nullcontext():
                for base, sums in zip(p.bases, p.sums, strict=True):
                    for s, there in zip(sums, p.there, strict=True):
                        weight = f"{base}[{column * p.w.along}]"
                        out(f"{s}.{'xy'[k % 2]} += {weight} * {there}[{at}];")
        for o, sums, guard in zip(p.rows, p.sums, p.guards, strict=True):
            totals = [out.fresh("s") for _ in sums]
            for s, total in zip(sums, totals, strict=True):
                out(f"F {total} = total({s});")
                self._lane_sum(total, lanes)
            if lanes > 1:
                guard = f"{guard} && {p.j} == 0" if guard else f"{p.j} == 0"
            with out.block(f"if ({guard})") if guard else nullcontext():
                if len(totals) == 1:
                    done(o, totals[0])
                    continue
                for total, near in zip(totals, self._near(), strict=True):
                    with out.block(""):
                        out(f"F* const v = {near};")
                        if self.backward:
                            out(f"F* const a = v + {self.memory.adjoint};")
                        done(o, total)

    def _pieces(self, p: Product, run: Run) -> None:
        """Some columns of a product, pieces of them in turn to the lanes of a row."""
        out, w, held = self.out, p.w, len(run.held)
        turns = -(-run.steps // w.lanes)
        for q, weights in enumerate(run.held):
            for k, there in enumerate(p.there):
                x = out.let("V", f"((const V*)({there} + {run.at}))[{self._turn(p, str(q))}]", "x")
                for sums, weight in zip(p.sums, weights, strict=True):
                    out(f"along({sums[k]}, {weight}, {x});")
        if held == turns:
            return
        out("#pragma unroll" if turns <= STRAIGHT else "#pragma unroll 4")
        with out.block(f"for (U q = {held}; q < {turns}u; ++q)"):
            i = out.let("U", self._turn(p, "q"), "i")
            whole = run.steps // w.lanes
            guard = f"if (q < {whole}u || {i} < {run.steps}u)" if run.steps % w.lanes else ""
            with out.block(guard) if guard else nullcontext():
                values = [f"((const V*)({there} + {run.at}))[{i}]" for there in p.there]
                values = [out.let("V", x, "x") for x in values]
                for base, sums in zip(p.bases, p.sums, strict=True):
                    weight = out.let("V", self._piece(w, run, base, i), "y")
                    for s, x in zip(sums, values, strict=True):
                        out(f"along({s}, {weight}, {x});")
