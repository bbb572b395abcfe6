"""What all of a kernel's parts share: the text, the threads' places, barriers where needed.

Rows of a sequence are worked on by its group of threads, row r by thread r of the group wherever
that goes ("own"). Who reads what others have written since the last barrier puts one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qrlang.engine import nodes
from qrlang.engine.bodies import walk_nodes
from qrlang.engine.cuda.amplitudes.layers import Layers
from qrlang.engine.cuda.kernel import functions
from qrlang.engine.cuda.kernel.flow import Flow
from qrlang.engine.cuda.layout.mapping import Mapping
from qrlang.engine.cuda.layout.memory import Memory, geometries
from qrlang.engine.cuda.layout.shape import Shape
from qrlang.engine.cuda.source import Argument, Dim, Reduction
from qrlang.engine.cuda.text import Text
from qrlang.engine.nodes import Plan
from qrlang.engine.renamed import renamed

HELD = 32  # bytes of a thread's real parts up to which there are registers for more


class Frame:
    out: Text
    layers: Layers
    memory: Memory
    backward: bool

    def __init__(self, plan: Plan, mapping: Mapping) -> None:
        self.plan, self.mapping = plan, mapping
        self.circuits = plan.circuits
        self.loops = [n for n in walk_nodes(plan.body) if isinstance(n, nodes.Loop)]
        self.renamed = renamed(plan)
        # Sequences that share a warp walk on, with zeros, when they are over: these functions of
        # theirs are not to become infinite, as all lanes add to what all sequences give.
        self.guarded = functions.UNSAFE if mapping.group < 32 else ()
        self.flow = Flow(plan, self.renamed, self.guarded)
        self.resident: dict[int, Any] = {}  # products whose weights stay in registers
        self.unset: set[int] = set()  # slots whose adjoint the next to add to it sets
        self.gradients: list[Argument] = []
        self.reductions: list[Reduction] = []
        self.pending: dict[tuple[str, int], bool] = {}
        self.clean = True
        self.around: list[tuple[nodes.Loop, str]] = []  # loops, with the name of the moment
        self.turn = 0  # which half of `red` comes next

    def begin(self, backward: bool) -> None:
        """One of the two kernels."""
        self.out, self.backward = Text(), backward
        self.layers = Layers(self.mapping, "_b" if backward else "")
        self.geometries = geometries(self.plan, self.mapping, backward)
        self.shapes = [
            [Shape.of(x, self.geometries[c.space]) for x in c.layers] for c in self.circuits
        ]
        self.memory = Memory(self.plan, self.mapping, backward, self.geometries, self.shapes)

    # --- barriers

    def barrier(self, far: bool = False) -> None:
        self.layers.sync(self.out, near=not far)
        self.pending.clear()
        self.clean = True

    def forget(self) -> None:
        """What has been computed from the thread's number is computed again from here on, where a
        layer needs all registers for amplitudes. With few of them it stays for all steps."""
        if self.mapping.size << self.mapping.registers <= HELD:
            return
        for _, name, value in self.places():
            if name != "block" or self.plan.sequences:
                self.out(f"{name} = anew({value});")

    def places(self) -> list[tuple[str, str, str]]:
        """Which thread of its group this is, which of its sequence, which sequence: (type, name,
        value), from what the hardware knows."""
        m = self.mapping
        mine = f"threadIdx.x % {m.group}u" if m.sequences > 1 else "threadIdx.x"
        at, block = f"blockIdx.x / {1 << m.cluster}u" if m.cluster else "blockIdx.x", "blockIdx.x"
        if m.sequences > 1:
            el = f"threadIdx.x / {m.group}u"
            block = f"blockIdx.x * {m.sequences}u + {el}"
            at = f"({block} < (U)B ? {block} : (U)B - 1u)"
        tid = f"ln | rank << {m.threads - m.cluster}" if m.cluster else "ln"
        return [("U", "ln", mine), ("U", "tid", tid), ("L", "b", at), ("L", "block", block)]

    @property
    def alone(self) -> str:
        """Does this thread's block write, of a sequence of which it is known that it is there."""
        return "rank == 0" if self.mapping.cluster else "true"

    def reads(self, kind: str, slot: int, own: bool = False) -> None:
        if slot in self.renamed:
            for s in {s for s, _ in self.renamed[slot]}:
                self.reads(kind, s)
            return
        written = self.pending.get((kind, slot))
        if written is not None and not (own and written):
            self.barrier()

    def writes(self, kind: str, slot: int, own: bool = False) -> None:
        self.clean = False
        if slot in self.renamed:
            for s, _ in self.renamed[slot]:
                self.pending[(kind, s)] = False
            return
        self.pending[(kind, slot)] = own

    def adds(self, slot: int, own: bool = False) -> None:
        """Adds to adjoint rows."""
        self.reads("a", slot, own)
        self.writes("a", slot, own)

    def how(self, slot: int) -> str:
        """Adds to all adjoint rows of a slot, or sets them."""
        if slot not in self.unset:
            return "+="
        self.unset.remove(slot)
        return "="

    # --- rows

    def addresses(self, slot: int) -> list[int]:
        """Where the rows of a slot are among those of the sequence."""
        row_of = self.memory.row_of
        if slot in self.renamed:
            return [row_of[s] + k for s, k in self.renamed[slot]]
        return [row_of[slot] + i for i in range(self.count(slot))]

    def value(self, slot: int, row: int | str = 0) -> str:
        return self._row("v", slot, row)

    def adjoint(self, slot: int, row: int | str = 0) -> str:
        return self._row("a", slot, row)

    def _row(self, kind: str, slot: int, row: int | str) -> str:
        at = self.addresses(slot)
        return f"{kind}[{at[row]}]" if isinstance(row, int) else self.at(kind, at, row)

    def at(self, kind: str, at: Sequence[int], row: str) -> str:
        """kind[at[row]]: what is known goes into the address."""
        if not at:
            return f"{kind}[0]"  # of no rows at all, as of a circuit without angles: never reached
        step = at[1] - at[0] if len(at) > 1 else 1
        if step > 0 and list(at) == list(range(at[0], at[0] + step * len(at), step)):
            return f"({kind} + {at[0]})[{row}{f' * {step}' if step > 1 else ''}]"
        return f"{kind}[{self.numbers(at, row)}]"

    def numbers(self, values: Sequence[int | None], r: str) -> str:
        """values[r], where None may be anything: a formula where there is one."""
        return self.layers.chosen(values, r)

    def count(self, slot: int) -> int:
        return self.plan.slots[slot]

    @contextmanager
    def rows(self, count: int, first: str = "ln") -> Iterator[str]:
        """For each row, by the thread whose own it is."""
        out = self.out
        group = self.mapping.group
        r = out.fresh("r")
        if count <= group:
            with out.block(f"if ({first} < {count}u)" if count < group else ""):
                out(f"const U {r} = {first};")
                yield r
            return
        if count > 4 * group:
            with out.rolled(f"for (U {r} = {first}; {r} < {count}u; {r} += {group}u)"):
                yield r
            return
        k = out.fresh("round")
        out("#pragma unroll")
        with out.block(f"for (U {k} = 0; {k} < {-(-count // group)}u; ++{k})"):
            out(f"const U {r} = {first} + {k} * {group}u;")
            with out.block(
                f"if ({k} < {count // group}u || {r} < {count}u)" if count % group else ""
            ):
                yield r

    @property
    def only(self) -> str:
        """Does this thread's block write what all blocks of a cluster know."""
        # A warp of a sequence that is not there does not walk along it.
        walks = self.mapping.cluster or (self.around and self.mapping.group >= 32)
        return self.alone if walks else "real"

    # --- the moment

    @property
    def time(self) -> str:
        return f"(L){self.around[-1][1]}" if self.around else "-1LL"

    def gradient(self, width: int, kind: str = "real") -> tuple[int, str]:
        """A buffer with a row for every sequence and moment: its number, and where the row is."""
        number = len(self.gradients)
        shape = [Dim(0, "batch")]
        goal = f"(g{number} + b * {width})"
        if self.around:
            loop, t = self.around[0]
            extra = loop.grown + loop.extra
            shape.append(Dim(extra, "time", loop.clock))
            goal = f"at_moment(g{number}, b, T{loop.clock} + {extra}, {t}, {width})"
        shape.append(Dim(width))
        self.gradients.append(Argument("gradient", f"g{number}", number, kind, tuple(shape)))
        return number, goal
