"""A kernel: a plan made into code for this processor, called on arrays."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qrlang.engine import nodes
from qrlang.engine.bodies import check_times, together, walk_nodes
from qrlang.engine.cpu.amplitudes import team
from qrlang.engine.cpu.launch.made import Made, better_together
from qrlang.engine.cpu.launch.memory import Memory, Pool
from qrlang.engine.cpu.launch.saved import Saved
from qrlang.engine.cpu.launch.sized import Sized, vectors
from qrlang.engine.cpu.launch.threads import asked_threads, default_threads, in_parallel
from qrlang.engine.cpu.llvm import machine
from qrlang.engine.cpu.llvm.asm import Format, Machine
from qrlang.engine.cpu.printer import ANGLE
from qrlang.engine.nodes import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

GRAIN = 1_000_000  # vector operations that are worth a thread: a quarter of a millisecond


class NotFinite(ValueError):
    """An input or an angle that is NaN or infinite."""


class Kernel:
    """`forward` and `backward` for any batch and length, on `threads` threads of its own.

    Both take arrays. Who has memory of another kind calls `begin`, `run` and `run_back` with
    addresses: of numbers that lie one after the other."""

    def __init__(
        self, plan: Plan, size: int, host: Machine, threads: int = 0, layout: str = ""
    ) -> None:
        self.plan = plan
        self.fmt = Format(host, size)
        self.threads = threads or default_threads()
        self.asked = bool(threads or asked_threads())
        self.dtype = np.dtype(np.float32 if size == 4 else np.float64)
        self.wanted = layout
        self._made: dict[bool, Made] = {}
        self._sized: dict[tuple[int, ...], Sized] = {}
        self.lock = threading.Lock()
        self.together = together(plan)
        self.random = any(isinstance(n, nodes.Dropout) for n in walk_nodes(plan.body))
        self.counts = [math.prod(w.shape) for w in plan.weights]  # numbers of each weight
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

    def _for(self, batch: int, threads: int) -> Made:
        if self.wanted:
            return self.made(self.wanted == "batch")
        return self.made(better_together(self.plan, self.fmt.lanes, batch, threads))

    # --- on addresses

    def begin(self, batch: int, times: Sequence[int]) -> Sized:
        """`times`: the length of each input that is a sequence, 1 for the others."""
        key = (batch, *times)
        found = self._sized.get(key)
        if found is None:
            named = {i: times[i] for i, x in enumerate(self.plan.inputs) if x.seq}
            check_times(self.plan, self.together, named)
            threads = self.threads
            if not self.asked and threads > 1:
                # As many as have something to do for longer than it takes to wake them.
                work = batch * vectors(self.plan, self.fmt.lanes, named)
                threads = max(1, min(threads, int(work / GRAIN)))
                if max(self.plan.spaces, default=0) < team.WORTH_QUBITS:
                    threads = min(threads, max(1, batch))
            found = Sized(self._for(batch, threads), batch, named, threads)
            if len(self._sized) > 64:
                self._sized.clear()
            self._sized[key] = found
        return found

    def run(
        self,
        sized: Sized,
        inputs: Sequence[int],
        weights: Sequence[int],
        outputs: Sequence[int],
        lengths: Sequence[int] = (),
        seed: int | None = None,
        states: Sequence[Array] = (),
    ) -> Saved:
        if self.random and seed is None:
            raise ValueError("the model drops out by lot: it needs a seed")
        at = sized.made.at
        ctx = sized.type.from_buffer_copy(sized.template)
        memory = self.pool.take(sized.stride * sized.blocks)
        saved = Saved(sized, ctx, memory, self.pool)
        ctx[at.saved], ctx[at.seed] = memory.address, (seed or 0) & (1 << 63) - 1
        for places, addresses in (
            (at.inputs, inputs), (at.weights, weights), (at.outputs, outputs), (at.lengths, lengths)
        ):  # fmt: skip
            for i, address in zip(places, addresses, strict=False):
                ctx[i] = address
        if self.plan.given:
            saved.give(states)
        with self.lock:
            self._call(sized, ctx, sized.made.run_forward, [])
        return saved

    def run_back(
        self,
        saved: Saved,
        outputs: Sequence[int],
        weights: int,
        inputs: Sequence[int] = (),
    ) -> None:
        """`outputs`: the gradients of the outputs, 0 where there is none. `weights`: where those
        of all weights go, one after the other. `inputs`: where those of the inputs are added, 0
        where they are not wanted."""
        sized, made = saved.sized, saved.sized.made
        at = made.at
        ctx = sized.type.from_buffer_copy(saved.ctx)
        for places, addresses in ((at.d_outputs, outputs), (at.d_inputs, inputs)):
            for i, address in zip(places, addresses, strict=False):
                ctx[i] = address
        size = max(64, made.layout.gradient_size)
        gradients = [self.pool.take(size) for _ in range(self._parts(sized))]
        for g in gradients:
            ctypes.memset(g.address, 0, size)
        with self.lock:
            self._call(sized, ctx, made.run_backward, gradients)
        # In a team everyone has all of it.
        several = gradients[:1] if sized.team else gradients
        listed = (ctypes.c_int64 * (len(several) + 1))(len(several), *(g.address for g in several))
        made.collect(ctypes.addressof(listed), 0, weights, 0, 0, 0)
        for g in gradients:
            self.pool.give(g)

    def _parts(self, sized: Sized) -> int:
        """How many threads take part; in a team they share each sequence."""
        return min(sized.threads, team.MOST if sized.team else sized.blocks)

    def _call(self, sized: Sized, ctx: Any, function: Any, gradients: list[Memory]) -> None:
        where, blocks = ctypes.addressof(ctx), sized.blocks
        parts = self._parts(sized)
        if sized.work > self.work_size or len(self.work) < parts:
            self.work_size = max(sized.work, self.work_size)
            self.work = [Memory(self.work_size) for _ in range(max(parts, len(self.work)))]
        errors = (ctypes.c_int64 * (8 * parts))()
        first_error = ctypes.addressof(errors)
        if sized.made.team:
            self._introduce(sized, parts)

        def part(i: int) -> None:
            first, last = blocks * i // parts, blocks * (i + 1) // parts
            if sized.team:
                first, last = 0, blocks
            gradient = gradients[i].address if gradients else 0
            function(where, self.work[i].address, gradient, first_error + 64 * i, first, last)

        in_parallel(parts, part)
        for i in range(0, 8 * parts, 8):
            if errors[i]:
                self.work = []
                raise NotFinite(self._words_for(sized.made, *errors[i : i + 4]))

    def _introduce(self, sized: Sized, parts: int) -> None:
        """Tells each thread of a team where the shared memory is, and who it is."""
        place, together = sized.made.layout.work, sized.team
        for i in range(parts):
            shared = self.work[0 if together else i].address
            here = self.work[i].address
            words = (ctypes.c_int64 * 8).from_address(here + place["own"])
            own = {
                team.SHARED: shared,
                team.NUMBER: i if together else 0,
                team.COUNT: parts if together else 1,
                team.TICKET: 0,
                team.COUNTER: shared + place["own"] + 56,
                team.MEETING: shared + place["meeting"],
                team.SPARE: here + place["spare"],
            }
            for at, value in own.items():
                words[at // 8] = value
            words[7] = 0

    def _words_for(self, made: Made, kind: int, number: int, step: int, element: int) -> str:
        when = f"step {step + 1}" if step >= 0 else "outside the recurrence"
        if kind == ANGLE:
            circuit, layer = number >> 16, number & 0xFFFF
            what = f"an angle of layer {layer} of {made.circuits[circuit].name or 'the circuit'}"
        else:
            what = f"input `{self.plan.inputs[number].name or number}`"
        return f"{what} is NaN or infinite at {when} (sequence {element} of the batch)"

    # --- on arrays

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
        batch = len(inputs[0]) if inputs else 1
        given, times, own = [], [], []
        for i, (spec, x) in enumerate(zip(self.plan.inputs, inputs, strict=True)):
            x = np.ascontiguousarray(x, np.int64 if spec.token else self.dtype)
            time = x.shape[1] if spec.seq else 1
            if len(x) != batch:
                raise ValueError(f"input `{spec.name}` has a batch of {len(x)}, not {batch}")
            if x.size != batch * spec.rows * time:
                raise ValueError(f"input `{spec.name}` has shape {x.shape}")
            if spec.token and x.size and (x.min() < 0 or x.max() >= spec.size):
                raise ValueError(f"input `{spec.name}` has tokens outside 0 … {spec.size - 1}")
            given.append(x)
            times.append(time)
            if spec.seq:
                length = lengths[i] if lengths is not None else None
                if length is not None:
                    length = np.ascontiguousarray(length, np.int64)
                    if length.shape != (batch,) or length.min() < 1 or length.max() > time:
                        raise ValueError("lengths must be between 1 and the length of the batch")
                own.append(length)
        weighed = []
        for w, x in zip(self.plan.weights, weights, strict=True):
            x = np.ascontiguousarray(x, self.dtype)
            if x.shape != w.shape:
                raise ValueError(f"weight `{w.name}` has shape {x.shape}, not {w.shape}")
            weighed.append(x)
        sized = self.begin(batch, times)
        outputs = [np.empty(shape, self.dtype) for shape in sized.outputs]
        saved = self.run(
            sized, _addresses(given), _addresses(weighed), _addresses(outputs), _addresses(own),
            seed, states,
        )  # fmt: skip
        saved.alive = given, weighed, own
        return outputs, saved

    def backward(
        self, saved: Saved, grads: Sequence[Array | None], inputs: bool = False
    ) -> tuple[list[Array], list[Array | None]]:
        """Gradients of the weights, and of the inputs that are real numbers if asked for."""
        given = [None if g is None else np.ascontiguousarray(g, self.dtype) for g in grads]
        back: list[Array | None] = [
            np.zeros(x.shape, self.dtype) if inputs and not spec.token else None
            for spec, x in zip(self.plan.inputs, saved.alive[0], strict=True)
        ]
        flat = np.zeros(sum(self.counts), self.dtype)
        self.run_back(saved, _addresses(given), flat.ctypes.data, _addresses(back))
        ends = np.cumsum(self.counts)
        parts = zip(self.plan.weights, self.counts, ends, strict=True)
        return [flat[end - count : end].reshape(w.shape) for w, count, end in parts], back


def _addresses(arrays: Sequence[Array | None]) -> list[int]:
    return [0 if x is None else int(x.ctypes.data) for x in arrays]


def kernel(
    plan: Plan, dtype: str = "float32", threads: int = 0, vectors: str = "", layout: str = ""
) -> Kernel:
    """`dtype`: float32 or float64 (complex64 or complex128 amplitudes). `layout`: "state" or
    "batch" whatever the batch; else what is faster."""
    size = {"float32": 4, "float64": 8}[dtype]
    return Kernel(plan, size, machine.host(vectors), threads, layout)
