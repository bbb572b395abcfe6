"""Loops, and every node of a body: forward, and backward as the mirror."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from qrlang.engine import nodes
from qrlang.engine.bodies import body_slots, loop_rows
from qrlang.engine.cuda.circuits import Circuits
from qrlang.engine.cuda.source import INPUT
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


class Loops(Circuits):
    def forward_node(self, node: nodes.Node) -> None:
        if getattr(node, "out", -1) in self.renamed:
            return
        match node:
            case nodes.Loop():
                self._loop(node)
            case nodes.Circuit():
                self.circuit_forward(node, read=True, report=not self.backward)
            case _:
                self.node_forward(node)

    def backward_node(self, node: nodes.Node) -> None:
        if getattr(node, "out", -1) in self.renamed:
            return
        match node:
            case nodes.Loop():
                self._loop_back(node)
            case nodes.Circuit():
                self.circuit_backward(node)
            case _:
                self.node_backward(node)

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

    @contextmanager
    def _inside(self, node: nodes.Loop) -> Iterator[str]:
        t = f"t{node.id}"
        self.around.append((node, t))
        outer = "" if len(self.around) == 1 else "before && "
        out = self.out
        if self.mapping.group < 32:
            out(f"const bool within = {outer}{t} < long{node.id};")
            extra = f" + {node.extra}" if node.extra else ""
            out(f"const bool on = {outer}{t} < long{node.id}{extra};")
            out("const bool before = on;")
        self.forget()
        yield t
        self.around.pop()

    # --- what is walked along

    def _source(self, node: nodes.Loop, view: nodes.View, t: str, r: str, rows: int) -> str:
        """Where a row of the item at moment t lies: an index."""
        moment = f"{t} - {view.shift}" if view.shift else t
        if view.reverse:
            moment = f"long{node.id} - 1 - ({moment})"
        if view.source >= 0:
            return f"(in{view.source} + moment(b, T{view.source}, {moment}) * {rows})[{r}]"
        q = -1 - view.source
        _, clock, grown = self.plan.sequences[q]
        return f"(seq{q} + moment(b, {self.whole(clock, grown)}, {moment}) * {rows})[{r}]"

    def _kept(self, node: nodes.Loop) -> int:
        return sum(rows for _, rows in loop_rows(node, self.plan))

    def _tape(self, node: nodes.Loop, t: str) -> str:
        whole = self.whole(node.clock, node.grown + node.extra)
        return f"(tape{node.id} + moment(b, {whole}, {t}) * {self._kept(node)})"

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
            with out.block("" if (k + 1) * group <= rows else f"if ({r} < {rows}u)"):
                if check:
                    out(f"if (!good({name}{k})) {check}")
                out(f"{where.format(r=r)} = {name}{k};")

    def _within(self, node: nodes.Loop, t: str) -> str:
        return "within" if self.mapping.group < 32 else f"{t} < long{node.id}"

    def _items(self, node: nodes.Loop, streams: list[Stream], t: str) -> None:
        for (view, slot), stream in zip(node.items, streams, strict=False):
            check = ""
            if not self.backward and view.source >= 0 and not self.plan.inputs[view.source].token:
                check = f"report(error, {INPUT}, {view.source}, {self.time}, b);"
            self._put(stream, t, self.value(slot, "{r}"), check)
            self.writes("v", slot, True)
        if node.flag >= 0:
            self.out(
                f"if (ln == 0) {self.value(node.flag)} = {self._within(node, t)} ? F(0) : F(1);"
            )
            self.writes("v", node.flag, True)

    # --- forward

    def _loop(self, node: nodes.Loop) -> None:
        out, i = self.out, node.id
        if not self.clean:
            self.barrier()
        with out.block(""):
            self._lengths(node)
            for c in node.carries:
                self.reads("v", c.initial, True)
                with self.rows(self.count(c.out)) as r:
                    out(f"{self.value(c.out, r)} = {self.value(c.initial, r)};")
                self.writes("v", c.out, True)
            streams = self._streams(node, False)
            self._fetch(streams, "0", True)
            self.barrier()
            out("#pragma unroll 1")
            with out.block(f"for (int t{i} = 0; t{i} < steps{i}; ++t{i})"):
                with self._inside(node) as t:
                    for c in node.carries:
                        with self.rows(self.count(c.out)) as r:
                            out(f"{self.value(c.arg, r)} = {self.value(c.out, r)};")
                        self.writes("v", c.arg, True)
                    self._items(node, streams, t)
                    self._fetch(streams, f"{t} + 1", False)
                    for inner in node.body:
                        if (
                            self.backward
                            and isinstance(inner, nodes.Circuit)
                            and not self.plan.local[inner.space]
                        ):
                            continue
                        self.forward_node(inner)
                    self._keep(node, t)
                    for c in node.carries:
                        self.reads("v", c.next, True)
                        self.reads("v", c.arg, True)
                        with self.rows(self.count(c.out)) as r:
                            out(f"if (on) {self.value(c.out, r)} = {self.value(c.next, r)};")
                        self.writes("v", c.out, True)
                    for slot, q in node.emits:
                        self._emit(slot, q, t)
                self.barrier(far=True)
            for _, q in node.emits:
                self._clear_rest(q, f"steps{i}")
        self.clean = False

    def _keep(self, node: nodes.Loop, t: str) -> None:
        if not self._kept(node):
            return
        for slot, _ in loop_rows(node, self.plan):
            self.reads("v", slot)
        with self.rows(self._kept(node)) as r, self.out.block(f"if ({self.only} && on)"):
            value = self._scatter_kept(node).format(r=r)
            self.out(f"{self._tape(node, t)}[{r}] = {value};")

    def _emit(self, slot: int, q: int, t: str) -> None:
        rows, clock, grown = self.plan.sequences[q]
        whole = self.whole(clock, grown)
        self.reads("v", slot, True)
        # Without an active sequence: zeros, as what is emitted may be an output.
        with self.rows(rows) as r, self.out.block(f"if ({self.only} && {t} < {whole})"):
            at = f"moment(b, {whole}, {t}) * {rows} + {r}"
            self.out(f"seq{q}[{at}] = on ? {self.value(slot, r)} : F(0);")
        self.writes("q", q)

    def _clear_rest(self, q: int, steps: str) -> None:
        rows, clock, grown = self.plan.sequences[q]
        whole = self.whole(clock, grown)
        self._zero(f"seq{q} + (b * {whole}) * {rows}", f"(L){steps} * {rows}", f"{whole} * {rows}")

    def _zero(self, base: str, first: str, last: str, kind: str = "F") -> None:
        out = self.out
        each = f"for (L i = {first} + (L)ln; i < {last}; i += {self.mapping.group})"
        with out.block(f"if ({self.only})"), out.rolled(each):
            out(f"({base})[i] = {kind}(0);")

    # --- backward

    def _loop_back(self, node: nodes.Loop) -> None:
        out, i = self.out, node.id
        if not self.clean:
            self.barrier()
        first = len(self.gradients)
        with out.block(""):
            self._lengths(node)
            sums = self.begin_sums(node.body)
            streams = self._streams(node, True)
            self._fetch(streams, f"steps{i} - 1", True)
            self.barrier()
            out("#pragma unroll 1")
            with out.block(f"for (int t{i} = steps{i} - 1; t{i} >= 0; --t{i})"):
                with self._inside(node) as t:
                    self._step_back(node, streams, t)
                self.barrier(far=True)
            self.clean = False
            for c in node.carries:
                self.adds(c.initial, True)
                with self.rows(self.count(c.out)) as r:
                    out(f"{self.adjoint(c.initial, r)} += {self.adjoint(c.out, r)};")
            if not self.around:
                self._fill_rest(node, first)
                self.end_sums(sums)

    def _fill_rest(self, node: nodes.Loop, first: int) -> None:
        """No gradient comes from moments after the end."""
        total = self.whole(node.clock, node.grown + node.extra)
        for g in self.gradients[first:]:
            if len(g.shape) == 3 and not g.zero:
                width = g.shape[-1].plus
                kind = "F" if g.type == "real" else "int"
                base = f"{g.name} + b * {total} * {width}"
                self._zero(base, f"(L)steps{node.id} * {width}", f"{total} * {width}", kind)

    def _step_back(self, node: nodes.Loop, streams: list[Stream], t: str) -> None:
        out = self.out
        sole, bare = self.flow.set_whole(node), self.flow.bare(node)
        self._clear_rows([s for s in body_slots(node) if s not in sole | bare])
        self.unset |= sole
        for inner in node.body:
            for _, q in inner.emits if isinstance(inner, nodes.Loop) else ():
                self.clear_adjoint_sequence(q)
        for c in node.carries:
            self.adds(c.next, True)
            self.adds(c.out, True)
            with self.rows(self.count(c.out)) as r:
                d = self.adjoint(c.out, r)
                out(f"if (on) {{ {self.adjoint(c.next, r)} += {d}; {d} = F(0); }}")
        for slot, q in node.emits:
            rows, clock, grown = self.plan.sequences[q]
            whole = self.whole(clock, grown)
            self.adds(slot, True)
            self.reads("dq", q)
            with self.rows(rows) as r:
                at = f"dseq{q}[moment(block, {whole}, {t}) * {rows} + {r}]"
                out(f"if (on) {self.adjoint(slot, r)} += {at};")
        # The step's classical part once more, from what was kept of it.
        if self._kept(node):
            self._put(streams[-1], t, self._scatter_kept(node))
            for slot, _ in loop_rows(node, self.plan):
                self.writes("v", slot)
        self._items(node, streams, t)
        self._fetch(streams, f"{t} - 1", False)
        for inner in node.body:
            if not isinstance(inner, nodes.Circuit):
                self.forward_node(inner)
        self.locals_run(node.body)
        for inner in reversed(node.body):
            self.backward_node(inner)
        assert not sole & self.unset
        for c in node.carries:
            if c.arg in bare:
                continue
            self.reads("a", c.arg, True)
            self.adds(c.out, True)
            with self.rows(self.count(c.out)) as r:
                out(f"if (on) {self.adjoint(c.out, r)} += {self.adjoint(c.arg, r)};")
        for view, slot in node.items:
            self._item_back(node, view, slot, t)

    def _scatter_kept(self, node: nodes.Loop) -> str:
        """Where row {r} of what was kept belongs."""
        place = [
            self.memory.row_of[slot] + i
            for slot, rows in loop_rows(node, self.plan)
            for i in range(rows)
        ]
        at = self.numbers(place, "{r}")
        return f"v[{at}]"

    def _clear_rows(self, slots: list[int]) -> None:
        """Adjoint rows of slots, in runs."""
        row_of = self.memory.row_of
        runs: list[list[int]] = []
        for slot in sorted(slots, key=lambda s: row_of[s]):
            at, count = row_of[slot], self.count(slot)
            if runs and runs[-1][1] == at:
                runs[-1][1] = at + count
            elif count:
                runs.append([at, at + count])
        for first, last in runs:
            with self.rows(last - first) as r:
                self.out(f"a[{first} + {r}] = F(0);")
        for slot in slots:
            self.writes("a", slot)

    def clear_adjoint_sequence(self, q: int) -> None:
        rows, clock, grown = self.plan.sequences[q]
        whole = self.whole(clock, grown)
        with self.out.rolled(f"for (L i = ln; i < {whole} * {rows}; i += {self.mapping.group})"):
            self.out(f"dseq{q}[block * {whole} * {rows} + i] = F(0);")
        self.writes("dq", q)

    def _item_back(self, node: nodes.Loop, view: nodes.View, slot: int, t: str) -> None:
        out, rows = self.out, self.count(slot)
        if view.source >= 0 and self.plan.inputs[view.source].token:
            return
        self.reads("a", slot, True)
        place = self._source(node, view, t, "{r}", rows)
        late = f" && {t} >= {view.shift}" if view.shift else ""
        if view.source >= 0:
            place = f"(d{place[1:]}"
            guard = f"if (din{view.source} && {self.only} && {self._within(node, t)}{late})"
        else:
            q = -1 - view.source
            place = f"(d{place[1:].replace('moment(b,', 'moment(block,')}"
            guard = f"if ({self._within(node, t)}{late})"
            self.reads("dq", q)
            self.writes("dq", q)
        with out.block(guard), self.rows(rows) as r:
            out(f"{place.format(r=r)} += {self.adjoint(slot, r)};")
