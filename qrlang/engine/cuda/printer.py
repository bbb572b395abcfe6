"""A plan as CUDA C++: `forward` and `backward`, each one launch for a whole batch."""

from __future__ import annotations

from qrlang.engine import nodes
from qrlang.engine.bodies import walk_nodes
from qrlang.engine.cuda.kernel.ends import Ends
from qrlang.engine.cuda.layout.mapping import Mapping, choose
from qrlang.engine.cuda.prelude import prelude
from qrlang.engine.cuda.source import (
    BATCH,
    BLOCKS,
    Argument,
    KernelSpec,
    Shape,
    Source,
    fixed,
    time,
)
from qrlang.engine.nodes import Plan, Refusal

__all__ = ["emit", "write"]

LONG = 1200  # lines of a kernel beyond which none of its own loops is unrolled

_TYPES = {"real": "F", "int64": "L", "int32": "int", "byte": "char"}


def emit(plan: Plan, batch: int, dtype: str = "float32", arch: int = 90) -> Source | Refusal:
    """The text and its kernels for a batch of about this size: any other runs too."""
    mapping = choose(plan, batch, dtype, arch)
    return mapping if isinstance(mapping, Refusal) else write(plan, mapping)


def write(plan: Plan, mapping: Mapping) -> Source:
    """The text depends on nothing else: callers keep what they compiled by (plan, mapping)."""
    return Printer(plan, mapping).print()


class Printer(Ends):
    def print(self) -> Source:
        forward, first = self._kernel(False)
        backward, second = self._kernel(True)
        return Source(
            prelude(self.mapping.dtype), (forward, backward), self.mapping.dtype,
            self.mapping.arch, first, second, tuple(self.reductions), self.random,
        )  # fmt: skip

    @property
    def random(self) -> bool:
        return any(isinstance(n, nodes.Dropout) for n in walk_nodes(self.plan.body))

    def _kernel(self, backward: bool) -> tuple[str, KernelSpec]:
        m = self.mapping
        self.begin(backward)
        self.pending.clear()
        self.sums = {}
        self.clean = True
        out = self.out
        out.depth = 1
        self._begin()
        if backward:
            self._backward()
        else:
            self._forward()
        if len(out.lines) > LONG:
            out.rolled_all()
        body = out.text()
        name = "backward" if backward else "forward"
        arguments = tuple(self._arguments())
        listed = ",\n    ".join(self._declared(a) for a in arguments)
        dims = f"__cluster_dims__({1 << m.cluster}, 1, 1) " if m.cluster else ""
        held = m.held(backward, self.memory.bytes)
        bounds = f"__launch_bounds__({m.block}{f', {held}' if held else ''})"
        head = f'extern "C" __global__ void {dims}{bounds} {name}(\n    {listed})'
        spec = KernelSpec(name, m.block, m.sequences, 1 << m.cluster, self.memory.bytes, arguments)
        return f"{self.layers.text()}{head} {{\n{body}}}\n", spec

    # --- arguments

    def _arguments(self) -> list[Argument]:
        plan, out = self.plan, [Argument("batch", "B", type="int64")]
        for i, x in enumerate(plan.inputs):
            if x.seq:
                out.append(Argument("time", f"T{i}", i, "int64"))
        if self.random:
            out.append(Argument("seed", "seed", type="int64"))
        for i, x in enumerate(plan.inputs):
            out.append(Argument("input", f"in{i}", i, "int64" if x.token else "real"))
            if x.seq:
                out.append(Argument("lengths", f"n{i}", i, "int64"))
        out += [Argument("weight", f"w{i}", i) for i in range(len(plan.weights))]
        out += self._saved()
        out += self._workspace()
        if not self.backward:
            for i, y in enumerate(plan.outputs):
                lead = (BATCH, time(y.clock, y.extra)) if y.seq else (BATCH,)
                out.append(Argument("output", f"out{i}", i, shape=(*lead, fixed(y.rows))))
            out += self.kept_arguments()
            out.append(Argument("error", "error", type="int64"))
            return out
        for i, y in enumerate(plan.outputs):
            lead = (BATCH, time(y.clock, y.extra)) if y.seq else (BATCH,)
            out.append(Argument("output_gradient", f"dout{i}", i, shape=(*lead, fixed(y.rows))))
        for i, x in enumerate(plan.inputs):
            if not x.token:
                out.append(Argument("input_gradient", f"din{i}", i, zero=True))
        return out + self.gradients

    def _declared(self, a: Argument) -> str:
        if a.scalar:
            return f"const L {a.name}"
        kind = _TYPES[a.type]
        read = a.kind in ("input", "lengths", "weight", "output_gradient", "state")
        if read:
            return f"const {kind}* __restrict__ {a.name}"
        return f"{kind}* {a.name}"

    def _saved(self) -> list[Argument]:
        found: list[tuple[str, Shape]] = [("rows0", (BATCH, fixed(max(1, self.memory.outer))))]
        for s, g in enumerate(self.geometries):
            if not self.plan.local[s]:
                found.append((f"st{s}", (BATCH, fixed(2 << g.bits))))
        for loop in self.loops:
            kept = self._kept(loop)
            if kept:
                whole = time(loop.clock, loop.grown + loop.extra)
                found.append((f"tape{loop.id}", (BATCH, whole, fixed(kept))))
        for q, (rows, clock, grown) in enumerate(self.plan.sequences):
            found.append((f"seq{q}", (BATCH, time(clock, grown), fixed(rows))))
        return [Argument("saved", name, i, shape=shape) for i, (name, shape) in enumerate(found)]

    def _workspace(self) -> list[Argument]:
        count = fixed(self.mapping.sequences)
        found: list[tuple[str, Shape]] = []
        if not self.memory.rows_shared:
            found.append(("vg", (BLOCKS, count, fixed(self.memory.row_stride))))
        if self.backward:
            for q, (rows, clock, grown) in enumerate(self.plan.sequences):
                found.append((f"dseq{q}", (BLOCKS, count, time(clock, grown), fixed(rows))))
        if not self.mapping.shared:
            for s, g in enumerate(self.geometries):
                for x in self._buffers(s):
                    found.append((f"{x}g{s}", (BATCH, fixed(2 << g.bits))))
        return [Argument("workspace", name, i, shape=x) for i, (name, x) in enumerate(found)]
