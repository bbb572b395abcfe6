"""A kernel: a plan made into code for this processor, called on arrays."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import qrlang
from qrlang.engine import nodes
from qrlang.engine.cpu import cache, machine, team
from qrlang.engine.cpu.asm import Format, Machine
from qrlang.engine.cpu.layout import loop_rows, rounded, walk_nodes
from qrlang.engine.cpu.printer import ANGLE, Printer
from qrlang.engine.nodes import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

CACHE = 2400 << 10
GRAIN = 1_000_000  # vector operations that are worth a thread: a quarter of a millisecond


class NotFinite(ValueError):
    """An input or an angle that is NaN or infinite."""


class Memory:
    """Bytes that stay: aligned to a page, in huge pages where the system has them."""

    def __init__(self, size: int) -> None:
        huge = 2 << 20
        self.size = size
        length = size + huge if size >= huge else max(size, 1)
        self.map = mmap.mmap(-1, length)
        if size >= huge and hasattr(mmap, "MADV_HUGEPAGE"):
            self.map.madvise(mmap.MADV_HUGEPAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.address = (start + huge - 1) // huge * huge if size >= huge else start

    def array(self, dtype: Any, count: int, offset: int = 0) -> Array:
        import numpy as np

        size = np.dtype(dtype).itemsize * count
        raw = (ctypes.c_char * size).from_address(self.address + offset)
        out = np.frombuffer(raw, dtype)
        return out


class Pool:
    """Memory handed out and taken back, so that a training step touches no new pages."""

    def __init__(self) -> None:
        self.free: list[Memory] = []

    def take(self, size: int) -> Memory:
        for i, m in enumerate(self.free):
            if size <= m.size <= 4 * size + (1 << 20):
                return self.free.pop(i)
        self.free.clear()
        return Memory(size)

    def give(self, memory: Memory) -> None:
        if len(self.free) < 4:
            self.free.append(memory)


@dataclass(slots=True)
class Saved:
    """What a forward call keeps for its backward one."""

    memory: Memory
    words: dict[str, int]
    arrays: list[Array]  # kept alive: the kernel has their addresses
    inputs: list[Array]
    batch: int
    blocks: int
    pool: Pool

    def __del__(self) -> None:
        self.pool.give(self.memory)


_executor: ThreadPoolExecutor | None = None
_one_call = threading.Lock()


def _after_fork() -> None:
    """A forked process has none of its parent's threads."""
    global _executor, _one_call
    _executor, _one_call = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _threads() -> ThreadPoolExecutor:
    global _executor  # noqa: PLW0603
    if _executor is None:
        _executor = ThreadPoolExecutor(max_workers=64, thread_name_prefix="qrlang")
    return _executor


def default_threads() -> int:
    named = os.environ.get("QRLANG_THREADS")
    if named:
        return max(1, int(named))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Kernel:
    """`forward` and `backward` for any batch and length, on `threads` threads of its own."""

    def __init__(self, plan: Plan, size: int, host: Machine, threads: int = 0) -> None:
        import numpy as np

        self.plan = plan
        self.fmt = Format(host, size)
        self.threads = threads or default_threads()
        self.asked = bool(threads or os.environ.get("QRLANG_THREADS"))
        self.dtype = np.dtype(np.float32 if size == 4 else np.float64)
        begun = time.perf_counter()
        printer = Printer(plan, self.fmt)
        self.layout = printer.layout
        self.text = printer.print()
        self.printed = time.perf_counter() - begun
        name = cache.key(self.text, machine.identity(host), qrlang.__version__)
        blob = cache.read(name)
        self.from_cache = blob is not None
        if blob is None:
            blob = machine.assemble(self.text, host)
            cache.write(name, blob)
        self.code = machine.Code(blob, host)
        self._constants = printer.tables.fill(self.fmt.lane_bits)
        self._constants_array = np.frombuffer(self._constants, np.uint8)
        self.code.set_constants(self._constants_array.ctypes.data)
        self.run_forward = self.code.function("forward")
        self.run_backward = self.code.function("backward")
        self.made_in = time.perf_counter() - begun
        self.circuits = printer.circuits
        self.sweeps = printer.sweeps
        self.team_of_threads = printer.team.on
        self.lock = threading.Lock()
        self.loops = [n for n in walk_nodes(plan.body) if isinstance(n, nodes.Loop)]
        self.random = any(isinstance(n, nodes.Dropout) for n in walk_nodes(plan.body))
        self.pool = Pool()
        self.work: list[Memory] = []
        self.work_size = 0

    # --- one call

    def _lay_out(self, words: dict[str, int], batch: int) -> tuple[int, int, int]:
        """Fills in what depends on B and T: (blocks, saved bytes of each, bytes of work)."""
        plan, row, lanes = self.plan, self.fmt.row, self.fmt.lanes
        words["threads"] = threads = self._useful(words, batch)
        width = max(1, min(lanes, -(-batch // threads), self._fit()))
        blocks = -(-batch // width)
        words["B"], words["width"] = batch, width
        at = rounded(sum(plan.slots[: plan.outer]) * row)
        work = rounded(self.layout.work_size)
        for s in range(len(plan.spaces)):
            size = 2 * self.sweeps.plane(self.layout.qubits(s)) * width
            words[f"off_state{s}"] = at
            if not plan.local[s]:
                at += rounded(size)
            words[f"off_psi{s}"] = work
            words[f"off_lam{s}"] = work + rounded(size)
            work += 2 * rounded(size)
        for loop in self.loops:
            steps = words[f"T{loop.clock}"] + loop.grown + loop.extra
            words[f"off_tape{loop.id}"] = at
            at += rounded(steps * sum(r for _, r in loop_rows(loop, plan)) * row)
        for q, (rows, clock, grown) in enumerate(plan.sequences):
            size = (words[f"T{clock}"] + grown) * rows * row
            words[f"off_seq{q}"] = at
            at += rounded(size)
            words[f"off_dseq{q}"], words[f"size_dseq{q}"] = work, size
            work += rounded(size)
        words["saved_stride"] = at
        return blocks, at, work

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
                        n = self.layout.qubits(node.space)
                        total += len(node.layers) * (8 * n + 22) * (1 << n) / self.fmt.lanes
                    case nodes.Linear():
                        size = self.plan.slots[node.x] * self.plan.slots[node.out]
                        total += 3 * size / self.fmt.lanes
            return total

        return max(1, min(self.threads, int(batch * vectors(self.plan.body) / GRAIN)))

    def _fit(self) -> int:
        """How many sequences go through a step together: as many as keep their states and
        costates in the second cache."""
        sizes = [4 * self.sweeps.plane(self.layout.qubits(s)) for s in range(len(self.plan.spaces))]
        return max(1, CACHE // max(1, sum(sizes)))

    def _call(
        self, words: dict[str, int], blocks: int, function: Any, gradients: list[Memory]
    ) -> None:
        import numpy as np

        ctx = np.array([words[name] for name in self.layout.words], np.int64)
        together = self._team(words, blocks)
        parts = together if together > 1 else min(words["threads"], blocks)
        errors = np.zeros((parts, 8), np.int64)
        if self.team_of_threads:
            self._introduce(together, parts)

        def part(i: int) -> None:
            first, last = blocks * i // parts, blocks * (i + 1) // parts
            if together > 1:
                first, last = 0, blocks
            gradient = gradients[i].address if gradients else 0
            function(
                ctx.ctypes.data, self.work[i].address, gradient, errors[i].ctypes.data, first, last
            )

        if parts == 1:
            part(0)
        else:
            # One at a time: the threads of a team wait for each other.
            with _one_call:
                others = [_threads().submit(part, i) for i in range(1, parts)]
                part(0)
                for f in others:
                    f.result()
        for error in errors:
            if error[0]:
                self.work = []
                raise NotFinite(self._words_for(*map(int, error[:4])))

    def _team(self, words: dict[str, int], blocks: int) -> int:
        """How many threads share each sequence."""
        if not self.team_of_threads or blocks >= words["threads"]:
            return 1
        return min(words["threads"], team.MOST)

    def _introduce(self, together: int, parts: int) -> None:
        """Tells each thread of a team where the shared memory is, and who it is."""
        place = self.layout.work
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

    def _words_for(self, kind: int, number: int, step: int, element: int) -> str:
        when = f"step {step}" if step >= 0 else "outside the recurrence"
        if kind == ANGLE:
            circuit, layer = number >> 16, number & 0xFFFF
            what = f"an angle of layer {layer} of {self.circuits[circuit].name or 'the circuit'}"
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
        blocks, stride, work = self._lay_out(words, batch)
        memory = self.pool.take(stride * blocks)
        words["saved"] = memory.address
        saved = Saved(memory, words, arrays, kept, batch, blocks, self.pool)
        if plan.given:
            from qrlang.engine.cpu import carried

            carried.give(self, saved, states)
        with self.lock:
            self._need_work(work)
            self._call(words, blocks, self.run_forward, [])
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
        _, _, work = self._lay_out(words, saved.batch)
        words["saved"] = saved.memory.address
        together = self._team(words, saved.blocks)
        parts = max(together, min(words["threads"], saved.blocks))
        size = max(64, self.layout.gradient_size)
        gradients = [self.pool.take(size) for _ in range(parts)]
        for g in gradients:
            ctypes.memset(g.address, 0, size)
        with self.lock:
            self._need_work(work)
            self._call(words, saved.blocks, self.run_backward, gradients)
        # In a team everyone has all of it.
        totals = self._gather(gradients[:1] if together > 1 else gradients)
        for g in gradients:
            self.pool.give(g)
        return totals, given_back

    def _gather(self, gradients: list[Memory]) -> list[Array]:
        """Adds what the threads have, always in the same order."""
        import numpy as np

        out = [np.zeros(w.shape, self.dtype) for w in self.plan.weights]
        lanes = self.fmt.lanes
        for name, (offset, count) in self.layout.gradients.items():
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


def kernel(plan: Plan, dtype: str = "float32", threads: int = 0, vectors: str = "") -> Kernel:
    """`dtype`: float32 or float64 (complex64 or complex128 amplitudes)."""
    size = {"float32": 4, "float64": 8}[dtype]
    return Kernel(plan, size, machine.host(vectors), threads)
