"""How a kernel begins and ends: who works on what, what is read at first and written at last."""

from __future__ import annotations

from math import prod

from qrlang.engine.cuda.kernel.states import States
from qrlang.engine.cuda.source import INPUT


class Ends(States):
    def _buffers(self, s: int) -> list[str]:
        """States in global memory beside what is saved."""
        if self.backward:
            return ["P", "Px", "Q", "Qx"]
        return ["P", "Px"] if self.plan.local[s] else ["Px"]

    def _begin(self) -> None:
        out, m, memory = self.out, self.mapping, self.memory
        group, count = m.group, m.sequences
        out("extern __shared__ __align__(16) char smem[];")
        out(f"const U el = {f'threadIdx.x / {group}u' if count > 1 else '0'};")
        if m.cluster:
            out("const U rank = __clusterRelativeBlockRank();")
        out(*(f"{kind} {name} = {value};" for kind, name, value in self.places()))
        out(f"const bool real = {'block < B' if count > 1 else 'true'};")
        out(f"const bool on = {'real' if group < 32 else 'true'}, before = on;")
        out(f"const U mine = {memory.own}u + el * {memory.stride * m.size}u;")
        out("F* const own = (F*)(smem + mine);")
        if memory.rows_shared:
            out("F* const v = own;")
        else:
            out(f"F* const v = vg + block * {memory.row_stride};")
        if self.backward:
            out(f"F* const a = v + {memory.adjoint};")
        for s, g in enumerate(self.geometries):
            if m.shared:
                size = g.bytes * (2 if self.backward else 1)
                out(f"const U h{s} = {memory.homes[s]}u + el * {size}u;")
                continue
            size = 1 << g.bits
            for x in ("P", "Px", "Q", "Qx"):
                if x in self._buffers(s):
                    base = f"{x}g{s}"
                elif x == "P":
                    base = f"st{s}"
                else:
                    base = ""
                name = f"{x[0]}{s}{x[1:]}"
                value = f"(C*){base} + b * {size}" if base else "0"
                out(f"C* {name} = {value};")
        self._load_weights()
        if self.geometries:
            spaces = len(self.geometries)
            out(f"if (ln < {spaces}u) own[{memory.norms} + ln] = F(1);")
            out(f"if (ln == 0) v[{memory.zero}] = F(0);")
        out("__syncthreads();")

    def _load_weights(self) -> None:
        """All at once as far as registers go: each load takes long."""
        out, block = self.out, self.mapping.block
        for w in dict.fromkeys(w for w, _ in self.memory.weights):
            shape = self.plan.weights[w].shape
            width = prod(shape[1:])
            total = shape[0] * width
            rounds = -(-total // block)
            out("#pragma unroll" if rounds <= 8 else "#pragma unroll 4")
            with out.block(f"for (U k = 0; k < {rounds}u; ++k)"):
                out(f"const U i = threadIdx.x + k * {block}u;")
                with out.block(f"if (k < {total // block}u || i < {total}u)"):
                    out(f"const F x = w{w}[i];")
                    for turned in (False, True):
                        if (w, turned) not in self.memory.weights:
                            continue
                        place, stride = self.memory.weights[w, turned]
                        row, column = f"i / {width}u", f"i % {width}u"
                        if turned:
                            row, column = column, row
                        where = f"{row} * {stride}u + {column}"
                        out(f"((F*)(smem + {place}))[{where}] = x;")

    def _forward(self) -> None:
        out, plan = self.out, self.plan
        self.take_given()
        for i, slot in plan.loads:
            token = plan.inputs[i].token
            with self.rows(self.count(slot)) as r:
                out(f"const F x = (F)in{i}[b * {plan.inputs[i].rows} + {r}];")
                if not token:
                    out(f"if (!good(x)) report(error, {INPUT}, {i}, -1LL, b);")
                out(f"{self.value(slot, r)} = x;")
            self.writes("v", slot, True)
        for node in plan.body:
            self.forward_node(node)
        if not self.clean:
            self.barrier()
        for i, y in enumerate(plan.outputs):
            if y.seq:
                whole = self.whole(y.clock, y.extra)
                total = f"{whole} * {y.rows}"
                with (
                    out.block(f"if ({self.only})"),
                    out.rolled(f"for (L i = ln; i < {total}; i += {self.mapping.group})"),
                ):
                    out(f"out{i}[b * {total} + i] = seq{y.slot}[b * {total} + i];")
            else:
                with self.rows(y.rows) as r, out.block(f"if ({self.only})"):
                    out(f"out{i}[b * {y.rows} + {r}] = {self.value(y.slot, r)};")
        outer = self.memory.outer
        if outer:
            with self.rows(outer) as r, out.block(f"if ({self.only})"):
                out(f"rows0[b * {outer} + {r}] = v[{r}];")
        for s in range(len(plan.spaces)):
            if not plan.local[s]:
                self.save(s)
        self.leave()
        if self.mapping.cluster:
            self.barrier(far=True)

    def _backward(self) -> None:
        out, plan = self.out, self.plan
        outer = self.memory.outer
        if outer:
            with self.rows(outer) as r:
                out(f"v[{r}] = rows0[b * {outer} + {r}];", f"a[{r}] = F(0);")
            self.clean = False
            for slot in range(plan.outer):
                self.writes("v", slot)
                self.writes("a", slot)
        for s in range(len(plan.spaces)):
            self.restore(s)
        for q in range(len(plan.sequences)):
            self.clear_adjoint_sequence(q)
        for i, y in enumerate(plan.outputs):
            if not y.seq:
                self.adds(y.slot, True)
            with out.block(f"if (dout{i})"):
                if y.seq:
                    total = f"{self.whole(y.clock, y.extra)} * {y.rows}"
                    with out.rolled(f"for (L i = ln; i < {total}; i += {self.mapping.group})"):
                        out(f"dseq{y.slot}[block * {total} + i] += dout{i}[b * {total} + i];")
                else:
                    with self.rows(y.rows) as r:
                        out(f"{self.adjoint(y.slot, r)} += dout{i}[b * {y.rows} + {r}];")
        self.barrier(far=True)
        self.locals_run(plan.body)
        for node in reversed(plan.body):
            self.backward_node(node)
        if not self.clean:
            self.barrier()
        for i, slot in plan.loads:
            if plan.inputs[i].token:
                continue
            with out.block(f"if (din{i} && {self.only})"), self.rows(self.count(slot)) as r:
                out(f"din{i}[b * {plan.inputs[i].rows} + {r}] = {self.adjoint(slot, r)};")
        if self.mapping.cluster:
            self.barrier(far=True)
