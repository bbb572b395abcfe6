"""What layers have in common: what they are given, their widths, the tensors they own."""

from __future__ import annotations

import math

from qrlang.check.binding.arguments import evaluate
from qrlang.check.classical.tensors import all_numbers
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Layer, Pending, Poison, Tensor
from qrlang.diagnostics import Note
from qrlang.ir import program as ir
from qrlang.syntax import ast


def inputs(e: Elaborator, layer: Layer, node: ast.Call) -> list[Tensor] | Pending | Poison:
    """The arguments of a layer as values."""
    args = evaluate(e, node)
    if args is None or args.poisoned:
        return POISON
    if args.named:
        first = next(iter(args.named.values()))[0]
        return e.error("E0302", first, f"`{layer.name}` has no argument `{first.name}`")
    if not args.positional:
        return e.error(
            "E0301", node, f"`{layer.name}` needs something to work on", help=f"`{layer.name}(x)`"
        )
    return all_numbers(e, args.positional)


def same_width(e: Elaborator, layer: Layer, node: ast.Call, widths: tuple[int, ...]) -> bool:
    """A layer has one matrix, so all its calls give it the same width."""
    if layer.inputs is None:
        layer.inputs, layer.first_call = widths, node.span
        return True
    if layer.inputs == widths:
        return True
    one, other = (" and ".join(map(str, w)) for w in (layer.inputs, widths))
    e.error(
        "E0402",
        node,
        f"`{layer.name}` is given {other} numbers here, and {one} elsewhere",
        help="a layer has one matrix; declare a second layer for another width",
        notes=[Note(f"here it is given {one}", layer.first_call)],
    )
    return False


def weight(
    e: Elaborator,
    name: str,
    shape: tuple[int, ...],
    initial: ir.Initial,
    frozen: bool,
    at: ast.Node,
) -> str | None:
    """A tensor of the program, made at the first call."""
    if name not in e.draft.weights:
        if not e.fits(shape, at):
            return None
        e.draft.weights[name] = ir.Weight(name, shape, initial, not frozen)
    return name


def uniform(bound: float) -> ir.Initial:
    return ir.Initial("uniform", (-bound, bound))


def fan_in(n: int) -> ir.Initial:
    return uniform(1 / math.sqrt(max(n, 1)))


def width_of(
    e: Elaborator, layer: Layer, node: ast.Call, out: object, wanted: int | None
) -> int | None:
    """The width of a layer: said, or asked for by the use; None if not known in this round."""
    if isinstance(out, int):
        return out
    if layer.output is None:
        hint = e.widths.hints.get(layer.name)
        if hint is not None:
            layer.output = math.prod(hint)
        elif wanted is not None:
            layer.output = wanted
        else:
            e.widths.open.setdefault(layer.name, (layer.span, layer.word))
    return layer.output
