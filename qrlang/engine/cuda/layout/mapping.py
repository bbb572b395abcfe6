"""Which threads work on one sequence: chosen by the number of qubits and the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qrlang.engine import nodes
from qrlang.engine.cuda.layout.multiprocessor import REGISTERS, Multiprocessor, shared_limit
from qrlang.engine.nodes import Plan, Refusal

SCHEDULERS = 528  # of a large GPU: warps below twice that leave some idle
LARGEST = 24
PARAMETERS = 1 << 12  # numbers of a block for layers that are made together
ROUNDED = 1 << 9  # bytes by which what a sequence or a block has is rounded up, at most
SPARE = 34  # kilobytes beside states, for weights
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
        """Bytes of states and costates in a block, or of their tiles."""
        if not self.shared:
            return 4 * self.size << (self.registers + self.threads - self.cluster)
        return sum(4 * self.size << self.bits(q) for q in spaces) * self.sequences >> self.cluster

    def beside(self, plan: Plan) -> int:
        """Bytes of a block, at most, for parameters of layers and for sums. Of k masks a table has
        at most 2^min(k, 5) entries of two numbers."""
        parameters = sums = 0
        for c in plan.circuits:
            masks = [len(x.terms) + len(x.rotations) for x in c.layers]
            sizes = [2 + 15 * m for m in masks]
            together = min(PARAMETERS // self.sequences, sum(sizes))
            parameters = max(parameters, together, *sizes, 0)
            sums = max(sums, len(c.masks), *(m + 1 for m in masks))
        numbers = parameters + 2 * sums * max(1, self.group // 32) + len(plan.spaces)
        return self.sequences * (numbers * self.size + ROUNDED) + ROUNDED

    @property
    def side_by_side(self) -> int:
        """Blocks with 128 registers to a thread that a multiprocessor has registers for."""
        return max(1, REGISTERS // (128 * self.block))

    def held(self, backward: bool, shared: int) -> int:
        """How many blocks of so many bytes a multiprocessor is to hold: where 128 registers are
        enough for a thread (for 16 amplitudes of state and costate, or 32 of a state alone), as
        many as have those, but where shared memory is for half of them at most. Else 0: as many
        as there happens to be room for."""
        most = 64 if backward or self.size == 8 else 128
        if self.size << self.registers > most or not self.shared:
            return 0
        room = max(1, Multiprocessor.of(self.arch).fit(shared))
        return room if 2 * room <= self.side_by_side else self.side_by_side


def choose(plan: Plan, batch: int, dtype: str = "float32", arch: int = 90) -> Mapping | Refusal:
    n = max(plan.spaces, default=0)
    if any(not plan.local[s] for s in _inner(plan.body, 0)):
        return Refusal("a recurrence in a recurrence on qubits that live longer")
    if n > LARGEST:
        return Refusal(f"more than {LARGEST} qubits in one state")
    limit = shared_limit(arch)
    for tried, spare in _ways(n, batch, dtype, arch):
        states = tried.states(plan.spaces)
        if states + max(spare << 10, tried.beside(plan)) <= limit:
            return tried
    return Refusal("more readouts or terms at once than a block's shared memory holds sums of")


def _ways(n: int, batch: int, dtype: str, arch: int) -> Iterator[tuple[Mapping, int]]:
    """The fastest first; and what is to be spare beside states, in kilobytes."""
    size, most = (8, 4) if dtype == "float64" else (4, 5)
    clusters = Multiprocessor.of(arch).clusters
    if n <= 11:
        small = _in_warps(n, batch, dtype, arch)
        for warps in (4, 2, 1):
            if warps <= small.warps:
                yield replace(small, warps=warps), SPARE if n > 5 else 0
        yield replace(small, warps=1), 0
    if 11 < n <= 13:
        registers = most - 1
        yield Mapping(dtype, arch, n - registers, registers), SPARE
    if clusters and 11 < n <= 16:
        for cluster in (1, 2, 3):
            # Fewer than eight warps in a block do not hide each other's waits.
            few = n - 5 - cluster < 8
            registers = 4 if size == 8 or cluster == 3 or few else 5
            yield Mapping(dtype, arch, n - registers, registers, cluster), SPARE
    cluster, room = 3 if clusters and n >= 15 else 0, shared_limit(arch) - (24 << 10)
    for group in (8, 7, 6, 5):
        for registers in range(min(most, n - 5), 0, -1):
            if 4 * size << (registers + group) <= room:  # a tile of state and costate
                threads = min(group + cluster, n - registers)
                yield Mapping(dtype, arch, threads, registers, cluster, shared=False), 24


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
