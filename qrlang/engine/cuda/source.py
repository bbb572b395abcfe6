"""What the printer hands to whoever compiles and launches: a text, and what each kernel is given.

Nothing here needs a GPU, nor knowledge of amplitudes: sizes are formulas in the batch and the
lengths, arguments say what they are.
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class Dim:
    """One number of a shape: `plus`, or that much more than a count that only a call knows."""

    plus: int = 0
    of: str = ""  # "", "batch", "blocks" (of the launch, cluster by cluster) or "time"
    clock: int = -1  # of "time": the input whose length it is

    def size(self, batch: int, blocks: int, times: Named[int, int]) -> int:
        match self.of:
            case "batch":
                return batch + self.plus
            case "blocks":
                return blocks + self.plus
            case "time":
                return times[self.clock] + self.plus
        return self.plus


Shape = tuple[Dim, ...]
BATCH = Dim(0, "batch")
BLOCKS = Dim(0, "blocks")


def fixed(size: int) -> Dim:
    return Dim(size)


def time(clock: int, grown: int = 0) -> Dim:
    return Dim(grown, "time", clock)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a kernel, in the order in which it is passed.

    Scalars (by value, 64 bits, signed):
      batch            how many sequences
      time             the length of input `index` (its second dimension)
      seed             what random numbers begin from; not negative
    Pointers on the device; those marked (null) may be 0:
      input            input `index`: real [batch, time, rows…] or [batch, rows…]; tokens int64
      lengths (null)   int64 [batch]: the length of each sequence of input `index`
      weight           weight `index`, contiguous
      output           output `index`: real, `shape`
      saved            buffer `index`: written by forward, given again to backward
      workspace        buffer `index` of this launch alone; contents do not matter
      output_gradient (null)  as output
      input_gradient  (null)  as a real input; filled with zeros before the launch
      gradient         buffer `index` of what gradients of weights are added up from
      state            of a plan that goes on: what kept space `index` begins with, complex
                       [batch, 2^n], its first qubit the most significant
      state_out        what kept space `index` is left as, likewise, with norm one
      error            one int64, 0 before the launch: see `decode_error`
    """

    kind: str
    name: str
    index: int = -1
    type: str = "real"  # or "int64", "int32", "byte": what the pointer points at
    shape: Shape = ()  # of output, saved, workspace and gradient
    zero: bool = False  # to be filled with zeros before the launch

    @property
    def scalar(self) -> bool:
        return self.kind in ("batch", "time", "seed")

    def count(self, batch: int, blocks: int, times: Named[int, int]) -> int:
        """How many numbers the buffer has."""
        return prod(d.size(batch, blocks, times) for d in self.shape)


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """Launch with `blocks(batch)` blocks of `threads` threads, after allowing that much dynamic
    shared memory. The cluster's size is compiled in."""

    name: str
    threads: int
    sequences_per_block: int
    cluster: int  # blocks that share one sequence; 1: no cluster
    dynamic_shared_bytes: int
    arguments: tuple[Argument, ...]

    def blocks(self, batch: int) -> int:
        return -(-batch // self.sequences_per_block) * self.cluster


@dataclass(frozen=True, slots=True)
class Reduction:
    """How the gradient of a weight comes from `gradient` buffers; several for one weight add up.

    outer   factor * left[…, rows]ᵀ @ right[…, columns], shaped as the weight
    sum     factor * left[…, rows] summed over all but the last dimension
    rows    row right[…] (int32) of the weight += left[…, width]
    blocks  left[:, first : first + numbers of the weight] summed over the first dimension
    """

    weight: int
    how: str
    left: int  # index of a gradient buffer
    right: int = -1
    factor: float = 1.0
    first: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """CUDA C++ for one plan, one mapping, one dtype. Each kernel is compiled by itself, both at the
    same time; together they are one text too."""

    prelude: str
    codes: tuple[str, str]
    dtype: str  # float32 or float64
    arch: int  # 80, 90, 100: the least that the text was written for
    forward: KernelSpec
    backward: KernelSpec
    reductions: tuple[Reduction, ...]
    random: bool  # is a seed needed

    @property
    def text(self) -> str:
        return self.prelude + "".join(self.codes)

    @property
    def parts(self) -> tuple[tuple[KernelSpec, str], ...]:
        """The kernels, and the whole text of each."""
        forward, backward = (self.prelude + code for code in self.codes)
        return (self.forward, forward), (self.backward, backward)


INPUT, ANGLE = 1, 2  # kinds of what is not finite


def decode_error(code: int) -> tuple[int, int, int, int]:
    """(kind, number, step, sequence): an input by its number, or a circuit << 8 | layer; the step
    is -1 outside of recurrences."""
    return code >> 60 & 3, code >> 44 & 0xFFFF, (code >> 22 & 0x3FFFFF) - 1, code & 0x3FFFFF
