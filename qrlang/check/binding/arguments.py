"""The arguments of a call: evaluated, and sorted into those with a name and those without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Poison
from qrlang.syntax import ast


@dataclass(frozen=True, slots=True)
class Args:
    """Evaluated arguments of one call."""

    positional: tuple[tuple[ast.Expr, object], ...]
    named: Mapping[str, tuple[ast.Arg, object]]

    @property
    def poisoned(self) -> bool:
        return any(isinstance(v, Poison) for v in self.values)

    @property
    def values(self) -> list[object]:
        return [*(v for _, v in self.positional), *(v for _, v in self.named.values())]

    @property
    def by_node(self) -> dict[int, object]:
        """Each value by the `id` of the expression that it is of."""
        named = {id(arg.value): v for arg, v in self.named.values()}
        return {id(at): v for at, v in self.positional} | named


def evaluate(e: Elaborator, node: ast.Call | ast.Gate | ast.Train) -> Args | None:
    """The arguments of a call, or None if they can't be sorted."""
    positional: list[tuple[ast.Expr, object]] = []
    named: dict[str, tuple[ast.Arg, object]] = {}
    good = True
    for arg in node.args:
        value = e.eval(arg.value)
        if arg.name is None:
            if named:
                e.error(
                    "E0302",
                    arg,
                    "an argument without a name after one with a name",
                    help="named arguments come last",
                )
                good = False
            positional.append((arg.value, value))
        elif arg.name in named:
            e.error("E0302", arg, f"`{arg.name}` is given twice")
            good = False
        else:
            named[arg.name] = (arg, value)
    return Args(tuple(positional), named) if good else None
