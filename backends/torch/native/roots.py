"""What is made of weights alone, outside the kernel: once a call, and not for each sequence.

The kernel goes through a program sequence by sequence. An orthogonal matrix made of reflections, or
any other product of weights, is the same for all of them: torch makes it, and the kernel is given
it as if it were a weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from torch.func import functional_call

from qrlang.backends.torch.emit.names import state_name
from qrlang.backends.torch.native.head import weights_of
from qrlang.ir.program import (
    Concat,
    Const,
    Gather,
    Initial,
    Matmul,
    Op,
    Output,
    Pointwise,
    Program,
    Reduce,
    Reshape,
    Softmax,
    UseWeight,
    Weight,
)
from qrlang.ir.walk import defs, used_values, uses, walk

LARGE = 1 << 14  # multiplications from which on it pays
_LEAVES = (Const, UseWeight)
_MADE = (Concat, Gather, Matmul, Pointwise, Reduce, Reshape, Softmax)


@dataclass(frozen=True)
class Roots:
    program: Program  # its outputs are what the kernel gets
    _modules: dict[Any, Any] = field(default_factory=dict, compare=False)

    def values(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By the names that the kernel's program has for them."""
        like = next(iter(weights.values()))
        made = functional_call(
            self._module(like), {state_name(name): x for name, x in weights.items()}, ()
        )
        found = made if isinstance(made, dict) else {self.program.outputs[0].name: made}
        return {name: x[0] for name, x in found.items()}  # of one sequence

    def _module(self, like: Tensor) -> Any:
        from qrlang.backends.torch.load import make

        key = like.dtype, like.device
        if key not in self._modules:
            self._modules[key] = make(self.program, road="plain", dtype=like.dtype,
                                      device=like.device)  # fmt: skip
        return self._modules[key]


def split(program: Program) -> tuple[Program, Roots | None]:
    """The program with such values as weights of it, and what makes them."""
    made = _of_weights(program.body)
    mine = set(map(id, made))
    rest = [op for op in program.body if id(op) not in mine]
    needed = used_values(tuple(rest)) | {o.value.id for o in program.outputs}
    given = {v.id: v for op in made for v in defs(op) if v.id in needed}
    ops = _behind(program.body, set(given))
    if sum(map(_multiplications, ops)) < LARGE:
        return program, None
    names = {k: f"root.{number}" for number, k in enumerate(given)}
    asked = {name for op in ops for name in weights_of(op)}
    roots = replace(
        program, inputs=(), targets=(), externs=(), body=ops,
        weights=tuple(w for w in program.weights if w.name in asked),
        outputs=tuple(Output(name, given[k]) for k, name in names.items()),
    )  # fmt: skip
    leaves = [op for op in rest if not isinstance(op, UseWeight) or op.out.id in needed]
    body = (*(UseWeight(given[k], name) for k, name in names.items()), *leaves)
    used = {name for op in walk(body) for name in weights_of(op)}
    new = (Weight(name, given[k].type.shape, Initial("constant", (0.0,)))
           for k, name in names.items())  # fmt: skip
    left = (w for w in program.weights if w.name in used)
    return replace(program, body=body, weights=(*left, *new)), Roots(roots)


def _of_weights(body: tuple[Op, ...]) -> list[Op]:
    """Ops outside the recurrences that need nothing but weights."""
    known: set[int] = set()
    found: list[Op] = []
    for op in body:
        if isinstance(op, _LEAVES) or (
            isinstance(op, _MADE) and all(v.id in known for v in uses(op))
        ):
            known |= {v.id for v in defs(op)}
            if not isinstance(op, _LEAVES):
                found.append(op)
    return found


def _behind(body: tuple[Op, ...], wanted: set[int]) -> tuple[Op, ...]:
    """What makes these values, in order."""
    found: list[Op] = []
    for op in reversed(body):
        if any(v.id in wanted for v in defs(op)):
            found.append(op)
            wanted |= {v.id for v in uses(op)}
    return tuple(reversed(found))


def _multiplications(op: Op) -> int:
    return op.out.type.count * op.a.type.shape[-1] if isinstance(op, Matmul) else 0
