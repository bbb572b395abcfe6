"""What a GPU's multiprocessor holds at once, by compute capability: from the programming guide."""

from __future__ import annotations

from dataclasses import dataclass

REGISTERS = 1 << 16
LEAST = 70  # compute capability 7.0


@dataclass(frozen=True, slots=True)
class Multiprocessor:
    threads: int
    blocks: int
    shared: int  # kilobytes of shared memory, and
    limit: int  # how many of them one block can have
    clusters: bool = False  # blocks that read one another's shared memory

    def fit(self, shared: int) -> int:
        """Blocks of so many bytes of shared memory; of each a kilobyte may be kept back."""
        kept = self.shared - self.limit << 10
        return (self.shared << 10) // max(1, shared + kept)

    @staticmethod
    def of(arch: int) -> Multiprocessor:
        """A newer one is taken for the one before it."""
        return KINDS[max(x for x in KINDS if x <= max(arch, LEAST))]


KINDS = {
    70: Multiprocessor(2048, 32, 96, 96),
    75: Multiprocessor(1024, 16, 64, 64),
    80: Multiprocessor(2048, 32, 164, 163),
    86: Multiprocessor(1536, 16, 100, 99),
    87: Multiprocessor(1536, 16, 164, 163),
    89: Multiprocessor(1536, 24, 100, 99),
    90: Multiprocessor(2048, 32, 228, 227, clusters=True),
    100: Multiprocessor(2048, 32, 228, 227, clusters=True),
    103: Multiprocessor(2048, 32, 228, 227, clusters=True),
    110: Multiprocessor(1536, 24, 228, 227, clusters=True),
    120: Multiprocessor(1536, 24, 100, 99, clusters=True),
    121: Multiprocessor(1536, 24, 100, 99, clusters=True),
}


def shared_limit(arch: int) -> int:
    """Bytes of shared memory that a block can have."""
    return Multiprocessor.of(arch).limit << 10
