"""Loops, and every node of a body: forward, and backward as the mirror."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qrlang.engine import nodes
from qrlang.engine.bodies import body_slots, loop_rows
from qrlang.engine.cuda.kernel.streams import AHEAD, Stream, Streams
from qrlang.engine.cuda.source import INPUT


class Loops(Streams):
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

    def _held(
        self, node: nodes.Loop, c: nodes.Carry, kind: str, new: bool = False
    ) -> Iterator[tuple[str, str]]:  # fmt: skip
        """Of each row of a carry: (row, what holds it from step to step). That is a register of the
        thread whose own it is; of long carries it is the row itself."""
        out, group, count = self.out, self.mapping.group, self.count(c.out)
        if count > AHEAD * group:
            with self.rows(count) as r:
                yield r, self._row(kind, c.out, r)
            return
        for j in range(-(-count // group)):
            name = f"c{node.id}_{node.carries.index(c)}_{j}"
            if new:
                out(f"F {name} = F(0);")
            r = f"(ln + {j * group}u)" if j else "ln"
            with out.block(f"if ({r} < {count}u)" if (j + 1) * group > count else ""):
                yield r, name

    # --- forward

    def _loop(self, node: nodes.Loop) -> None:
        out, i = self.out, node.id
        if not self.clean:
            self.barrier()
        with out.block(""):
            self._lengths(node)
            for c in node.carries:
                self.reads("v", c.initial, True)
                for r, held in self._held(node, c, "v", new=True):
                    out(f"{held} = {self.value(c.initial, r)};")
            self.begin_weights(node.body)
            streams = self._streams(node, False)
            self._fetch(streams, "0", True)
            self.barrier()
            out("#pragma unroll 1")
            with out.block(f"for (int t{i} = 0; t{i} < steps{i}; ++t{i})"):
                with self._inside(node) as t:
                    for c in node.carries:
                        for r, held in self._held(node, c, "v"):
                            out(f"{self.value(c.arg, r)} = {held};")
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
                        for r, held in self._held(node, c, "v"):
                            out(f"if (on) {held} = {self.value(c.next, r)};")
                    for slot, q in node.emits:
                        self._emit(slot, q, t)
                self.barrier(far=True)
            for c in node.carries:
                for r, held in self._held(node, c, "v"):
                    out(f"{self.value(c.out, r)} = {held};")
                self.writes("v", c.out, True)
            for _, q in node.emits:
                self._clear_rest(q, f"steps{i}")
        self.clean = False

    def _keep(self, node: nodes.Loop, t: str) -> None:
        if not self._kept(node):
            return
        for slot, _ in loop_rows(node, self.plan):
            self.reads("v", slot)
        with self.rows(self._kept(node)) as r, self.out.block(f"if ({self.alone} && on)"):
            value = self._scatter_kept(node).format(r=r)
            self.out(f"{self._tape(node, t)}[{r}] = {value};")

    def _emit(self, slot: int, q: int, t: str) -> None:
        rows, clock, grown = self.plan.sequences[q]
        whole = self.whole(clock, grown)
        self.reads("v", slot, True)
        # Without an active sequence: zeros, as what is emitted may be an output.
        with self.rows(rows) as r, self.out.block(f"if ({self.only} && {t} < {whole})"):
            at = f"at_moment(seq{q}, b, {whole}, {t}, {rows})"
            self.out(f"{at}[{r}] = on ? {self.value(slot, r)} : F(0);")
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
            for c in node.carries:
                self.reads("a", c.out, True)
                for r, held in self._held(node, c, "a", new=True):
                    out(f"{held} = {self.adjoint(c.out, r)};")
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
                for r, held in self._held(node, c, "a"):
                    out(f"{self.adjoint(c.initial, r)} += {held};")
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
        (sole, done), bare = self.flow.set_whole(node), self.flow.bare(node)
        slots = [s for s in body_slots(node) if s not in bare]
        places = [(s, k) for s in slots for k in range(self.count(s))]
        self._clear_rows([x for x in places if x not in done])
        self.unset |= sole
        for inner in node.body:
            for _, q in inner.emits if isinstance(inner, nodes.Loop) else ():
                self.clear_adjoint_sequence(q)
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
        for c in node.carries:
            self.adds(c.next, True)
            for r, held in self._held(node, c, "a"):
                out(f"if (on) {{ {self.adjoint(c.next, r)} += {held}; {held} = F(0); }}")
        for slot, q in node.emits:
            rows, clock, grown = self.plan.sequences[q]
            whole = self.whole(clock, grown)
            self.adds(slot, True)
            self.reads("dq", q)
            with self.rows(rows) as r:
                at = f"at_moment(dseq{q}, block, {whole}, {t}, {rows})[{r}]"
                out(f"if (on) {self.adjoint(slot, r)} += {at};")
        self.locals_run(node.body)
        for inner in reversed(node.body):
            self.backward_node(inner)
        assert not sole & self.unset
        for c in node.carries:
            if c.arg in bare:
                continue
            self.reads("a", c.arg, True)
            for r, held in self._held(node, c, "a"):
                out(f"if (on) {held} += {self.adjoint(c.arg, r)};")
        for view, slot in node.items:
            self._item_back(node, view, slot, t)

    def _clear_rows(self, places: list[tuple[int, int]]) -> None:
        """Adjoint rows, in runs."""
        runs: list[list[int]] = []
        for at in sorted(self.memory.row_of[s] + k for s, k in places):
            if runs and runs[-1][1] == at:
                runs[-1][1] += 1
            else:
                runs.append([at, at + 1])
        for first, last in runs:
            with self.rows(last - first) as r:
                self.out(f"(a + {first})[{r}] = F(0);")
        for slot in {s for s, _ in places}:
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
            place = place.replace("(in", "(din")
            # Who alone writes to an input's gradient need not read it: it waits for nothing.
            views = [v for x in self.loops for v, _ in x.items if v.source == view.source]
            how = "=" if len(views) == 1 and len(self.around) == 1 else "+="
            guard = f"if (din{view.source} && {self.alone} && {self._within(node, t)}{late})"
        else:
            q = -1 - view.source
            place, how = place.replace(f"seq{q}, b,", f"dseq{q}, block,"), "+="
            guard = f"if ({self._within(node, t)}{late})"
            self.reads("dq", q)
            self.writes("dq", q)
        with out.block(guard), self.rows(rows) as r:
            out(f"{place.format(r=r)} {how} {self.adjoint(slot, r)};")
