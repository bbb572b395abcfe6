"""Which threads work on one sequence: chosen by the number of qubits and the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qrlang.engine import nodes
from qrlang.engine.nodes import Plan, Refusal

SCHEDULERS = 528  # of a large GPU: warps below twice that leave some idle
LARGEST = 24
REGISTERS = 1 << 16  # of a multiprocessor
SMALLEST = 2  # register bits of a small space beside a large one


@dataclass(frozen=True, slots=True)
class Mapping:
    """2^threads threads for each sequence (of all its blocks), 2^registers amplitudes in each."""

    dtype: str
    arch: int
    threads: int
    registers: int
    cluster: int = 0  # bits of the rank
    shuffled: bool = False
    shared: bool = True  # else states lie in global memory
    warps: int = 4  # of a block that holds several sequences

    @property
    def size(self) -> int:
        return 4 if self.dtype == "float32" else 8

    @property
    def group(self) -> int:
        """Threads for each sequence in one block."""
        return 1 << (self.threads - self.cluster)

    @property
    def width(self) -> int:
        """Lanes of a warp that belong to one sequence: they vote and add up together."""
        return min(32, self.group)

    @property
    def sequences(self) -> int:
        """Sequences of a block."""
        if self.group > 32 or self.cluster or not self.shared:
            return 1
        return max(1, 32 * self.warps // self.group)

    @property
    def block(self) -> int:
        return self.group * self.sequences

    def bits(self, qubits: int) -> int:
        """Of the index of a space: with fewer qubits than there are threads, some are idle."""
        return max(qubits, self.threads + (0 if self.shuffled else min(self.registers, SMALLEST)))

    def states(self, spaces: Sequence[int]) -> int:
        """Bytes of states and costates in a block."""
        return sum(4 * self.size << self.bits(q) for q in spaces) * self.sequences >> self.cluster

    def bounds(self, backward: bool) -> str:
        """The block's threads, and where 128 registers are enough for each (for 16 amplitudes of
        state and costate, or 32 of a state alone), how many blocks a multiprocessor should hold."""
        most = 64 if backward or self.size == 8 else 128
        if self.size << self.registers > most or not self.shared:
            return f"{self.block}"
        return f"{self.block}, {max(1, REGISTERS // (128 * self.block))}"


def shared_limit(arch: int) -> int:
    """Bytes of shared memory that a block can have."""
    return {80: 163, 87: 163, 86: 99, 89: 99, 120: 99}.get(arch, 227 if arch >= 90 else 99) << 10


def choose(plan: Plan, batch: int, dtype: str = "float32", arch: int = 90) -> Mapping | Refusal:
    n = max(plan.spaces, default=0)
    if any(not plan.local[s] for s in _inner(plan.body, 0)):
        return Refusal("a recurrence in a recurrence on qubits that live longer")
    if n > LARGEST:
        return Refusal(f"more than {LARGEST} qubits in one state")
    small = _in_warps(n, batch, dtype, arch) if n <= 11 else None
    if small:
        # Parameters and sums of few qubits take less than what is left.
        warps = [w for w in (4, 2, 1) if w <= small.warps]
        room = shared_limit(arch) - (34 << 10)
        for tried in (replace(small, warps=w) for w in warps):
            if n <= 5 or tried.states(plan.spaces) <= room:
                return tried
    double = dtype == "float64"
    size = 8 if double else 4
    room = shared_limit(arch) - (40 << 10)
    if 11 < n <= 13:
        registers = 3 if double else 4
        tried = Mapping(dtype, arch, n - registers, registers)
        if tried.states(plan.spaces) <= room:
            return tried
    if arch >= 90 and 11 < n <= 16:
        for cluster in (1, 2, 3):
            registers = 4 if double or cluster == 3 else 5
            tried = Mapping(dtype, arch, n - registers, registers, cluster)
            if tried.states(plan.spaces) <= room:
                return tried
    cluster = 3 if arch >= 90 and n >= 15 else 0
    registers = min(4 if double else 5, n - 5)
    while 4 * size << (registers + 8) > room + (16 << 10):  # tiles of state and costate
        registers -= 1
    threads = min(8 + cluster, n - registers)
    return Mapping(dtype, arch, threads, registers, cluster, shared=False)


def _in_warps(n: int, batch: int, dtype: str, arch: int) -> Mapping:
    """To 11 qubits: lanes of a warp, or some warps."""
    if n <= 5:
        # Lanes: few sequences get more threads than amplitudes, for the classical part.
        threads = max(n, 3)
        while threads < 5 and (batch << threads) < 32 * SCHEDULERS:
            threads += 1
        return Mapping(dtype, arch, threads, 0, shuffled=True)
    many = (batch << n) >> 10 >= 2 * SCHEDULERS
    threads = max(5, n - (5 if many and dtype == "float32" else 4))
    # Few sequences: more threads for each, until there are warps enough.
    enough = SCHEDULERS * 3 // 4 if n <= 8 else SCHEDULERS * 3 // 2
    while threads < min(n - 1, 7) and (batch << threads) >> 5 < enough:
        threads += 1
    warps = 4 if n <= 9 else 2
    return Mapping(dtype, arch, threads, n - threads, shuffled=threads == 5 and n <= 8,
                   warps=warps)  # fmt: skip


def _inner(body: tuple[nodes.Node, ...], depth: int) -> set[int]:
    """Spaces that loops within loops work on."""
    found: set[int] = set()
    for node in body:
        if isinstance(node, nodes.Loop):
            found |= _inner(node.body, depth + 1)
        elif isinstance(node, nodes.Circuit) and depth > 1:
            found.add(node.space)
    return found
