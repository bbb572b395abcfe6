"""A kernel: a plan made into code for this processor, called on arrays."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qrlang.engine import nodes
from qrlang.engine.bodies import walk_nodes
from qrlang.engine.cpu import machine, team
from qrlang.engine.cpu.asm import Format, Machine
from qrlang.engine.cpu.made import Made, better_together
from qrlang.engine.cpu.memory import Memory, Pool
from qrlang.engine.cpu.printer import ANGLE
from qrlang.engine.cpu.threads import default_threads, in_parallel
from qrlang.engine.nodes import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

GRAIN = 1_000_000  # vector operations that are worth a thread: a quarter of a millisecond


class NotFinite(ValueError):
    """An input or an angle that is NaN or infinite."""


@dataclass(slots=True)
class Saved:
    """What a forward call keeps for its backward one."""

    memory: Memory
    made: Made
    words: dict[str, int]
    arrays: list[Array]  # kept alive: the kernel has their addresses
    inputs: list[Array]
    batch: int
    blocks: int
    pool: Pool

    def __del__(self) -> None:
        self.pool.give(self.memory)


class Kernel:
    """`forward` and `backward` for any batch and length, on `threads` threads of its own."""

    def __init__(
        self, plan: Plan, size: int, host: Machine, threads: int = 0, layout: str = ""
    ) -> None:
        import numpy as np

        self.plan = plan
        self.fmt = Format(host, size)
        self.threads = threads or default_threads()
        self.asked = bool(threads or os.environ.get("QRLANG_THREADS"))
        self.dtype = np.dtype(np.float32 if size == 4 else np.float64)
        self.wanted = layout
        self._made: dict[bool, Made] = {}
        self.lock = threading.Lock()
        self.loops = [n for n in walk_nodes(plan.body) if isinstance(n, nodes.Loop)]
        self.random = any(isinstance(n, nodes.Dropout) for n in walk_nodes(plan.body))
        self.pool = Pool()
        self.work: list[Memory] = []
        self.work_size = 0

    def made(self, together: bool) -> Made:
        """The code in the batch layout, or in the state layout."""
        if together not in self._made:
            self._made[together] = Made(self.plan, self.fmt, together)
        return self._made[together]

    def main(self) -> Made:
        """What large batches run on, if nothing has run yet."""
        if not self._made:
            self._for(1 << 10, 1)
        return next(iter(self._made.values()))

    @property
    def from_cache(self) -> bool:
        return self.main().from_cache

    @property
    def made_in(self) -> float:
        """Seconds."""
        return self.main().made_in

    # --- one call

    def _for(self, batch: int, threads: int) -> Made:
        if self.wanted:
            return self.made(self.wanted == "batch")
        return self.made(better_together(self.plan, self.fmt.lanes, batch, threads))

    def _useful(self, words: dict[str, int], batch: int) -> int:
        """As many threads as have something to do for longer than it takes to wake them."""
        if self.asked or self.threads == 1:
            return self.threads

        def vectors(body: tuple[nodes.Node, ...]) -> float:
            total = 0.0
            for node in body:
                match node:
                    case nodes.Loop():
                        steps = words[f"T{node.clock}"] + node.grown + node.extra
                        total += steps * vectors(node.body)
                    case nodes.Circuit():
                        n = max(self.plan.spaces[node.space], self.fmt.lane_bits)
                        total += len(node.layers) * (8 * n + 22) * (1 << n) / self.fmt.lanes
                    case nodes.Linear():
                        size = self.plan.slots[node.x] * self.plan.slots[node.out]
                        total += 3 * size / self.fmt.lanes
            return total

        return max(1, min(self.threads, int(batch * vectors(self.plan.body) / GRAIN)))

    def _call(
        self, made: Made, words: dict[str, int], blocks: int, back: bool, gradients: list[Memory]
    ) -> None:
        ctx = (ctypes.c_int64 * len(made.layout.words))(*[words[x] for x in made.layout.words])
        where = ctypes.addressof(ctx)
        together = self._team(made, words, blocks)
        parts = together if together > 1 else min(words["threads"], blocks)
        errors = [(ctypes.c_int64 * 8)() for _ in range(parts)]
        if made.team:
            self._introduce(made, together, parts)
        function = made.run_backward if back else made.run_forward

        def part(i: int) -> None:
            first, last = blocks * i // parts, blocks * (i + 1) // parts
            if together > 1:
                first, last = 0, blocks
            gradient = gradients[i].address if gradients else 0
            error = ctypes.addressof(errors[i])
            function(where, self.work[i].address, gradient, error, first, last)

        in_parallel(parts, part)
        for error in errors:
            if error[0]:
                self.work = []
                raise NotFinite(self._words_for(made, *error[:4]))

    def _team(self, made: Made, words: dict[str, int], blocks: int) -> int:
        """How many threads share each sequence."""
        if not made.team or blocks >= words["threads"]:
            return 1
        return min(words["threads"], team.MOST)

    def _introduce(self, made: Made, together: int, parts: int) -> None:
        """Tells each thread of a team where the shared memory is, and who it is."""
        place = made.layout.work
        for i in range(parts):
            shared = self.work[0 if together > 1 else i].address
            here = self.work[i].address
            words = (ctypes.c_int64 * 8).from_address(here + place["own"])
            own = {
                team.SHARED: shared,
                team.NUMBER: i if together > 1 else 0,
                team.COUNT: together,
                team.TICKET: 0,
                team.COUNTER: shared + place["own"] + 56,
                team.MEETING: shared + place["meeting"],
                team.SPARE: here + place["spare"],
            }
            for at, value in own.items():
                words[at // 8] = value
            words[7] = 0

    def _words_for(self, made: Made, kind: int, number: int, step: int, element: int) -> str:
        when = f"step {step}" if step >= 0 else "outside the recurrence"
        if kind == ANGLE:
            circuit, layer = number >> 16, number & 0xFFFF
            what = f"an angle of layer {layer} of {made.circuits[circuit].name or 'the circuit'}"
        else:
            what = f"input `{self.plan.inputs[number].name or number}`"
        return f"{what} is NaN or infinite at {when} (sequence {element} of the batch)"

    def _need_work(self, size: int) -> None:
        if size > self.work_size or len(self.work) < self.threads:
            self.work_size = max(size, self.work_size)
            self.work = [Memory(self.work_size) for _ in range(self.threads)]

    def forward(
        self,
        inputs: Sequence[Array],
        weights: Sequence[Array],
        lengths: Sequence[Array | None] | None = None,
        seed: int | None = None,
        states: Sequence[Array] = (),
    ) -> tuple[list[Array], Saved]:
        """Inputs [B, T, …] or [B, …] in the plan's order; tokens int64. Arrays that are already
        contiguous and of the kernel's type are used where they are. `seed`: for what is drawn.
        `states`: of a plan that goes on from them."""
        import numpy as np

        plan = self.plan
        if self.random and seed is None:
            raise ValueError("the model drops out by lot: it needs a seed")
        words: dict[str, int] = {"seed": (seed or 0) & (1 << 63) - 1}
        arrays: list[Array] = []
        batch = len(inputs[0]) if inputs else 1
        kept = []
        for i, (spec, given) in enumerate(zip(plan.inputs, inputs, strict=True)):
            x = np.ascontiguousarray(given, np.int64 if spec.token else self.dtype)
            if len(x) != batch:
                raise ValueError(f"input `{spec.name}` has a batch of {len(x)}, not {batch}")
            if x.size != batch * spec.rows * (x.shape[1] if spec.seq else 1):
                raise ValueError(f"input `{spec.name}` has shape {x.shape}")
            arrays.append(x)
            kept.append(x)
            words[f"in{i}"], words[f"din{i}"] = x.ctypes.data, 0
            words[f"in{i}_t"] = spec.rows * x.itemsize if spec.seq else 0
            words[f"in{i}_b"] = x.nbytes // max(1, batch)
            if spec.seq:
                words[f"T{i}"] = x.shape[1]
                own = lengths[i] if lengths is not None else None
                words[f"len{i}"] = 0
                if own is not None:
                    own = np.ascontiguousarray(own, np.int64)
                    if own.shape != (batch,) or own.min() < 1 or own.max() > x.shape[1]:
                        raise ValueError("lengths must be between 1 and the length of the batch")
                    arrays.append(own)
                    words[f"len{i}"] = own.ctypes.data
        self._check_tokens(kept)
        self._check_times(words)
        for i, (w, given) in enumerate(zip(plan.weights, weights, strict=True)):
            x = np.ascontiguousarray(given, self.dtype)
            if x.shape != w.shape:
                raise ValueError(f"weight `{w.name}` has shape {x.shape}, not {w.shape}")
            arrays.append(x)
            words[f"w{i}"] = x.ctypes.data
        outputs = []
        for i, out in enumerate(plan.outputs):
            shape = (batch, words[f"T{out.clock}"] + out.extra, out.rows) if out.seq else (
                batch, out.rows
            )  # fmt: skip
            y = np.empty(shape, self.dtype)
            outputs.append(y)
            words[f"out{i}"], words[f"dout{i}"] = y.ctypes.data, 0
            words[f"out{i}_t"] = out.rows * y.itemsize
            words[f"out{i}_b"] = y.nbytes // max(1, batch)
        words["threads"] = self._useful(words, batch)
        made = self._for(batch, words["threads"])
        blocks, stride, work = made.lay_out(words, batch)
        memory = self.pool.take(stride * blocks)
        words["saved"] = memory.address
        saved = Saved(memory, made, words, arrays, kept, batch, blocks, self.pool)
        if plan.given:
            from qrlang.engine.cpu import carried

            carried.give(self, saved, states)
        with self.lock:
            self._need_work(work)
            self._call(made, words, blocks, False, [])
        return outputs, saved

    def _check_times(self, words: dict[str, int]) -> None:
        """Sequences that one loop walks along are equally long."""
        for loop in self.loops:
            whole = words[f"T{loop.clock}"] + loop.grown
            for view, _ in loop.items:
                clock, grown = view.source, 0
                if view.source < 0:
                    _, clock, grown = self.plan.sequences[-1 - view.source]
                if words[f"T{clock}"] + grown != whole:
                    names = (
                        f"`{self.plan.inputs[loop.clock].name}`, `{self.plan.inputs[clock].name}`"
                    )
                    raise ValueError(f"{names}: walked along together, and not equally long")

    def _check_tokens(self, inputs: list[Array]) -> None:
        for i, size in self._vocabularies().items():
            x = inputs[i]
            if x.size and (x.min() < 0 or x.max() >= size):
                raise ValueError(
                    f"input `{self.plan.inputs[i].name}` has tokens outside 0 … {size - 1}"
                )

    def _vocabularies(self) -> dict[int, int]:
        """How many tokens each input of tokens can hold."""
        return {i: x.size for i, x in enumerate(self.plan.inputs) if x.token}

    def backward(
        self, saved: Saved, grads: Sequence[Array | None], inputs: bool = False
    ) -> tuple[list[Array], list[Array | None]]:
        """Gradients of the weights, and of the inputs that are real numbers if asked for."""
        import numpy as np

        plan = self.plan
        words = dict(saved.words)
        alive = []
        for i, given in enumerate(grads):
            if given is not None:
                d = np.ascontiguousarray(given, self.dtype)
                alive.append(d)
                words[f"dout{i}"] = d.ctypes.data
        given_back: list[Array | None] = [None] * len(plan.inputs)
        if inputs:
            for i, (spec, x) in enumerate(zip(plan.inputs, saved.inputs, strict=True)):
                if not spec.token:
                    given_back[i] = out = np.zeros(x.shape, self.dtype)
                    words[f"din{i}"] = out.ctypes.data
        made = saved.made
        _, _, work = made.lay_out(words, saved.batch)
        words["saved"] = saved.memory.address
        together = self._team(made, words, saved.blocks)
        parts = max(together, min(words["threads"], saved.blocks))
        size = max(64, made.layout.gradient_size)
        gradients = [self.pool.take(size) for _ in range(parts)]
        for g in gradients:
            ctypes.memset(g.address, 0, size)
        with self.lock:
            self._need_work(work)
            self._call(made, words, saved.blocks, True, gradients)
        # In a team everyone has all of it.
        totals = self._gather(made, gradients[:1] if together > 1 else gradients)
        for g in gradients:
            self.pool.give(g)
        return totals, given_back

    def _gather(self, made: Made, gradients: list[Memory]) -> list[Array]:
        """Adds what the threads have, always in the same order."""
        import numpy as np

        out = [np.zeros(w.shape, self.dtype) for w in self.plan.weights]
        lanes = self.fmt.lanes
        for name, (offset, count) in made.layout.gradients.items():
            kind = name.rstrip("0123456789")
            i = int(name[len(kind) :])
            shape = self.plan.weights[i].shape
            for memory in gradients:
                raw = memory.array(self.dtype, count, offset)
                if kind == "dense":
                    part = raw.reshape(shape[0], -1)[:, : int(np.prod(shape[1:]))]
                elif kind == "rows":
                    part = raw.reshape(-1, lanes).sum(1)
                else:
                    part = raw
                out[i] += part.reshape(shape)
        return out


def kernel(
    plan: Plan, dtype: str = "float32", threads: int = 0, vectors: str = "", layout: str = ""
) -> Kernel:
    """`dtype`: float32 or float64 (complex64 or complex128 amplitudes). `layout`: "state" or
    "batch" whatever the batch; else what is faster."""
    size = {"float32": 4, "float64": 8}[dtype]
    return Kernel(plan, size, machine.host(vectors), threads, layout)
