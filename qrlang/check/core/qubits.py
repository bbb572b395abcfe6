"""The qubits of a program: their registers, which of them meet, and which are still fresh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from qrlang.check.core.values import Register
from qrlang.ir import program as ir
from qrlang.source import Span

T = TypeVar("T")


class QubitTable:
    """Qubits are numbered through the whole program, register after register."""

    def __init__(self) -> None:
        self.registers: list[Register] = []
        self.fresh: set[int] = set()  # qubits that are surely |0⟩
        self.measured = False
        self._of: list[int] = []  # by qubit: index into `registers`
        self._meets: list[int] = []  # by register: index of one it interacts with
        self._apart: set[int] = set()  # registers of circuit calls: in spaces of their own

    def __len__(self) -> int:
        return len(self._of)

    def add(self, name: str, size: int, span: Span, *, apart: bool = False) -> Register:
        """Another register, of the next qubits."""
        number = len(self.registers)
        register = Register(name, len(self._of), size, span)
        self.registers.append(register)
        self._of.extend([number] * size)
        self._meets.append(number)
        if apart:
            self._apart.add(number)
        return register

    @contextmanager
    def many_times(self) -> Iterator[None]:
        """In lines that run many times, no qubit from outside is surely fresh."""
        outer, self.fresh = self.fresh, set()
        try:
            yield
        finally:
            self.fresh = outer

    def either(self, branches: Iterable[T]) -> Iterator[T]:
        """Branches of which one runs: each begins as it is here, and what is fresh after them is
        so after every one."""
        before, after = self.fresh, set(self.fresh)
        for branch in branches:
            self.fresh = set(before)
            yield branch
            after &= self.fresh
        self.fresh = after

    def touch(self, qubits: tuple[int, ...]) -> None:
        """These qubits meet here: they are no longer fresh, and share one space."""
        if self.fresh:
            self.fresh.difference_update(qubits)
        if len(qubits) > 1:
            self.meet(qubits)

    def meet(self, qubits: tuple[int, ...]) -> None:
        """The registers of these qubits share a space from here on."""
        of = self._of
        first = of[qubits[0]]
        for q in qubits:
            if of[q] != first:
                a, b = self._root(first), self._root(of[q])
                self._meets[max(a, b)] = min(a, b)

    def _root(self, register: int) -> int:
        while self._meets[register] != register:
            register = self._meets[register]
        return register

    def called(self, q: int) -> str:
        """`memory[2]`, as the user knows it."""
        if q < len(self._of):
            r = self.registers[self._of[q]]
            return f"`{r.name}[{q - r.start}]`"
        return f"qubit {q}"

    def finished(self) -> tuple[ir.Register, ...]:
        """Registers that interact share a space; each call of a circuit has its own."""
        shared: dict[int, int] = {}
        out = []
        for number, r in enumerate(self.registers):
            root = self._root(number)
            if self.measured and number not in self._apart and root not in self._apart:
                root = -1  # a measured bit may tie any two of them together
            space = shared.setdefault(root, len(shared))
            out.append(ir.Register(r.name, r.start, r.size, space))
        return tuple(out)
