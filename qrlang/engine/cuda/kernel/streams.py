"""What a loop reads from global memory in each step: fetched a step ahead, then put into rows."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.engine import nodes
from qrlang.engine.bodies import loop_rows
from qrlang.engine.cuda.kernel.circuits import Circuits
from qrlang.engine.cuda.text import real

AHEAD = 4  # numbers that a thread fetches a step ahead


@dataclass(frozen=True, slots=True)
class Stream:
    """Numbers from global memory: `place` where `inside`, else `other`; of `{t}` and `{r}`."""

    name: str
    rows: int
    inside: str
    place: str
    other: str

    def at(self, t: str, r: str, guard: str = "") -> str:
        inside = f"{guard} && {self.inside}" if guard else self.inside
        return f"fetched({inside}, &{self.place}, {self.other})".format(t=t, r=r)


class Streams(Circuits):
    # --- lengths

    def whole(self, clock: int, grown: int) -> str:
        return f"(T{clock} + {grown})" if grown else f"T{clock}"

    def _lengths(self, node: nodes.Loop) -> None:
        """`len`: of this sequence with what it has grown; `steps`: of all that walk together."""
        out, i = self.out, node.id
        c = node.clock
        out(f"const int long{i} = real ? (int)(n{c} ? n{c}[b] : T{c}) + {node.grown} : -(1 << 24);")
        out(f"int steps{i} = long{i} + {node.extra};")
        by = self.mapping.group
        while by < 32:
            with out.block(""):
                out(f"const int other = __shfl_xor_sync(0xffffffffu, steps{i}, {by});")
                out(f"steps{i} = other > steps{i} ? other : steps{i};")
            by *= 2

    # --- what is walked along

    def _source(self, node: nodes.Loop, view: nodes.View, t: str, r: str, rows: int) -> str:
        """Where a row of the item at moment t lies: an index."""
        moment = f"{t} - {view.shift}" if view.shift else t
        if view.reverse:
            moment = f"long{node.id} - 1 - ({moment})"
        if view.source >= 0:
            return f"at_moment(in{view.source}, b, T{view.source}, {moment}, {rows})[{r}]"
        q = -1 - view.source
        _, clock, grown = self.plan.sequences[q]
        return f"at_moment(seq{q}, b, {self.whole(clock, grown)}, {moment}, {rows})[{r}]"

    def _kept(self, node: nodes.Loop) -> int:
        return sum(rows for _, rows in loop_rows(node, self.plan))

    def _tape(self, node: nodes.Loop, t: str) -> str:
        whole = self.whole(node.clock, node.grown + node.extra)
        return f"at_moment(tape{node.id}, b, {whole}, {t}, {self._kept(node)})"

    def _streams(self, node: nodes.Loop, back: bool) -> list[Stream]:
        """What comes from global memory in each step, of a walk forward or back. A walk does not
        ask whether it is past the end that it does not come from, nor a whole warp where it
        began."""
        found = []
        checked = not back or self.mapping.group < 32
        begun = ["{t} >= 0"] if back else []
        for k, (view, slot) in enumerate(node.items):
            rows = self.count(slot)
            inside = [*begun, *([f"{{t}} < long{node.id}"] if checked or node.extra else [])]
            other = "F(0)"
            if view.shift:
                other = f"({' && '.join(inside)} ? {real(view.start)} : F(0))"
                inside.append(f"{{t}} >= {view.shift}")
            place = self._source(node, view, "{t}", "{r}", rows)
            found.append(Stream(f"i{node.id}_{k}_", rows, " && ".join(inside), place, other))
        if back and self._kept(node):
            inside = [*begun, *([f"{{t}} < long{node.id} + {node.extra}"] if checked else [])]
            place = f"{self._tape(node, '{t}')}[{{r}}]"
            found.append(
                Stream(f"k{node.id}_", self._kept(node), " && ".join(inside), place, "F(1)")
            )
        return found

    def _fetch(self, streams: list[Stream], t: str, new: bool) -> None:
        """Starts loading what the step at moment t needs."""
        out, group = self.out, self.mapping.group
        for x in streams:
            if x.rows > AHEAD * group:
                continue
            for k in range(-(-x.rows // group)):
                r = f"(ln + {k * group}u)" if k else "ln"
                guard = "" if (k + 1) * group <= x.rows else f"{r} < {x.rows}u"
                out(f"{'F ' if new else ''}{x.name}{k} = {x.at(f'({t})', r, guard)};")

    def _put(self, stream: Stream, t: str, where: str, check: str = "") -> None:
        """What was fetched, into rows. `where` has `{r}`; `check` tells of numbers not finite."""
        out, group = self.out, self.mapping.group
        name, rows = stream.name, stream.rows
        if rows > AHEAD * group:
            with self.rows(rows) as r:
                out(f"const F x = {stream.at(t, r)};")
                if check:
                    out(f"if (!good(x)) {check}")
                out(f"{where.format(r=r)} = x;")
            return
        for k in range(-(-rows // group)):
            r = f"(ln + {k * group}u)" if k else "ln"
            if check:  # where there are no rows there is zero
                out(f"if (!good({name}{k})) {check}")
            with out.block("" if (k + 1) * group <= rows else f"if ({r} < {rows}u)"):
                out(f"{where.format(r=r)} = {name}{k};")

    def _scatter_kept(self, node: nodes.Loop) -> str:
        """Where row {r} of what was kept belongs."""
        place = [
            self.memory.row_of[slot] + i
            for slot, rows in loop_rows(node, self.plan)
            for i in range(rows)
        ]
        return self.at("v", place, "{r}")
