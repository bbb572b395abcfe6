"""Passes: a program to a smaller or faster program that means the same.

`PASSES` has all by name. `GATES` is what devices and OpenQASM get: plain gates only. `SIMULATOR`
is for engines of our own, which also know runs, diagonals and permutations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qrlang.ir.program import Program
from qrlang.passes.base import Pass, size
from qrlang.passes.cancel import Cancel
from qrlang.passes.carry import Carry
from qrlang.passes.fold import Fold
from qrlang.passes.fuse import Fuse
from qrlang.passes.group import Group
from qrlang.passes.permute import Permute
from qrlang.passes.prune import Prune
from qrlang.passes.split import Split

__all__ = ["GATES", "PASSES", "SIMULATOR", "Pass", "PassError", "run_passes", "size"]

_ALL: tuple[Pass, ...] = (
    Fold(),
    Prune(),
    Cancel(),
    Split(),
    Permute(),
    Fuse(),
    Carry(),
    Group(),
)

PASSES: dict[str, Pass] = {p.name: p for p in _ALL}

GATES: tuple[str, ...] = ("fold", "prune", "cancel", "prune", "group")
SIMULATOR: tuple[str, ...] = (
    "fold",
    "prune",
    "cancel",
    "split",
    "permute",
    "fuse",
    "carry",
    "permute",
    "fuse",
    "fold",
    "group",
)


class PassError(Exception):
    """A pass left a program that is not well formed: our mistake, never the user's."""

    def __init__(self, name: str, errors: list[str]) -> None:
        super().__init__(f"the pass {name!r} left a broken program: {'; '.join(errors[:3])}")
        self.name = name
        self.errors = errors


def run_passes(
    program: Program,
    passes: Iterable[Pass | str],
    after: Callable[[Pass, Program], None] | None = None,
    verify: bool = False,
) -> Program:
    """The program after some passes, given by name or as such. `after` sees each result; `verify`
    checks each."""
    for one in passes:
        one = PASSES[one] if isinstance(one, str) else one
        program = one.run(program)
        if verify:
            from qrlang.ir.verify import verify as check

            errors = check(program)
            if errors:
                raise PassError(one.name, errors)
        if after is not None:
            after(one, program)
    return program
