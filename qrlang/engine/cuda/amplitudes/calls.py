"""Device functions of a kernel: each is written once, and called wherever it is needed.

A function takes the thread's place (`ln` in the block's group, `tid` in the sequence), where the
home is (`h` in shared memory; P, P2 and Q, Q2 in global memory, from the first to the second),
where the layer's parameters are and where sums go (`own`, `sums`, in bytes of shared memory), and
whether the sequence is on its way (`on`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qrlang.engine.cuda.amplitudes.sums import Sums
from qrlang.engine.cuda.layout.geometry import Geometry
from qrlang.engine.cuda.layout.mapping import Mapping
from qrlang.engine.cuda.text import Text

APART = 2  # register bits from which on a layer is a function of its own
MOST_COPIES = 6


class Calls(Sums):
    def __init__(self, mapping: Mapping, mark: str = "") -> None:
        super().__init__(mapping, mark)
        self.functions: dict[tuple[object, ...], tuple[str, Text]] = {}
        self.calls: dict[str, int] = {}

    def sync(self, out: Text, near: bool = True) -> None:
        m = self.mapping
        if m.cluster and not near:
            out("meet_cluster();")
        else:
            out("__syncwarp();" if m.group <= 32 else "__syncthreads();")

    # A barrier in two halves, where blocks share a state: what a thread does in between hides its
    # latency. Others have done with what they had to read when the second half is over.

    def arrive(self, out: Text, g: Geometry) -> None:
        if g.fetches:
            out("__cluster_barrier_arrive();")
        else:
            self.sync(out)

    def wait(self, out: Text, g: Geometry) -> None:
        if g.fetches:
            out("__cluster_barrier_wait();")

    def _function(
        self,
        kind: str,
        geometry: Geometry,
        key: tuple[object, ...],
        write: Callable[[Text], None],
        extra: str = "",
    ) -> str:
        """The name of a function, written if it is new. What is the same for every thread of a
        block is not handed over: registers are for amplitudes."""
        m = self.mapping
        key = (kind, geometry.bits, geometry.slots, geometry.home, *key)
        found = self.functions.get(key)
        if found is None:
            name = f"{kind}{self.mark}{len(self.functions)}"
            body = Text()
            given = ["U ln"]
            if m.cluster:
                given.append("U tid")
            if not m.shared:
                given.append("C* P, C* P2, C* Q, C* Q2")
            elif m.sequences > 1:
                given.append("U h")
            given += ["U own", "U sums"]
            if m.group < 32:
                given.append("bool on")
            with body.block(f"{name}({', '.join(given)}{extra})"):
                body("extern __shared__ __align__(16) char smem[];")
                if not m.cluster:
                    body("const U tid = ln;")
                if m.sequences == 1:  # in global memory: where tiles lie
                    body(f"const U h = {geometry.home if m.shared else 0}u;")
                body("const F* const p = (const F*)(smem + own);")
                body("F* const red = (F*)(smem + sums);")
                write(body)
            found = self.functions[key] = (name, body)
        self.calls[found[0]] = self.calls.get(found[0], 0) + 1
        return found[0]

    def call(self, name: str, space: int, own: str, sums: str, *more: str) -> str:
        m, given = self.mapping, ["ln"]
        if m.cluster:
            given.append("tid")
        if not m.shared:
            given += [f"P{space}", f"P{space}x", f"Q{space}", f"Q{space}x"]
        elif m.sequences > 1:
            given.append(f"h{space}")
        given += [own, sums]
        if m.group < 32:
            given.append("on")
        return f"{name}({', '.join((*given, *more))});"

    def text(self) -> str:
        parts = []
        for name, body in self.functions.values():
            # Calls keep what the rest of a step has in registers away from the amplitudes.
            apart = self.mapping.registers >= APART or self.calls[name] > MOST_COPIES
            how = "__noinline__" if apart else "__forceinline__"
            parts.append(f"__device__ {how} void {body.text()}")
        return self.constants.text() + "".join(parts)

    @contextmanager
    def walk(self, out: Text, geometry: Geometry) -> Iterator[None]:
        """Over the chunks of a thread."""
        if not geometry.chunks:
            with out.block(""):
                yield
            return
        out("#pragma unroll 1")
        with out.block(f"for (U ch = 0; ch < {1 << geometry.chunks}u; ++ch)"):
            out(f"const U tc = tid | ch << {geometry.threads};")
            yield

    @contextmanager
    def _if_on(self, out: Text) -> Iterator[None]:
        if self.mapping.group >= 32:
            yield
            return
        with out.block("if (on)"):
            yield

    def total(self, out: Text, number: str, count: int) -> str:
        """One of the sums, over all warps and blocks: to the same bits in every block, as blocks
        are added in pairs, pairs in pairs."""
        if self.warps == 1 and not self.mapping.cluster:
            return self._own(out, f"red[{number}]")
        parts = []
        for k in range(1 << self.mapping.cluster):
            far = "red"
            if k:
                far = out.fresh("far")
                mapped = f"__cluster_map_shared_rank(red, rank ^ {k}u)"
                out(f"const F* const {far} = (const F*){mapped};")
            parts.append(self._own(out, "F(0)"))
            out("#pragma unroll")
            with out.block(f"for (U w = 0; w < {self.warps}u; ++w)"):
                out(f"{parts[-1]} += {far}[w * {count}u + {number}];")
        while len(parts) > 1:
            pairs = zip(parts[0::2], parts[1::2], strict=True)
            parts = [self._own(out, f"{x} + {y}") for x, y in pairs]
        return parts[0]

    def _own(self, out: Text, value: str) -> str:
        name = out.fresh("sum")
        out(f"F {name} = {value};")
        return name
