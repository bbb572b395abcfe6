"""Names in an emitted file: valid, free, and as near to the program's as can be."""

from __future__ import annotations

import itertools
import keyword
import re
from collections.abc import Iterable
from typing import Any

from qrlang.ir.program import Program, Value
from qrlang.ir.walk import read_targets


class Names:
    """Names that are still free in one scope."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {*taken, *keyword.kwlist}

    def free(self, wanted: str) -> str:
        base = re.sub(r"\W", "_", wanted) or "x"
        if not base.isidentifier():  # it begins with a digit, or has one that is an index
            base = "x" + re.sub(r"[^a-zA-Z0-9_]", "", base)
        for k in itertools.count(1):
            name = base if k == 1 else f"{base}_{k}"
            if name not in self._taken:
                self._taken.add(name)
                return name
        raise AssertionError


def inputs_of(program: Program) -> list[Value]:
    """What a model is given: its inputs, and those targets that it reads itself."""
    return [*program.inputs, *read_targets(program)]


def arguments(program: Program, module: Any) -> dict[str, str]:
    """What a torch module calls each of them: a name may be a word of Python."""
    return dict(zip((v.name for v in inputs_of(program)), module.inputs, strict=True))
