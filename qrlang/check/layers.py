"""The one table of layers: what they are given, the tensors they own, how they are computed.

How the tensors begin is what was found to train: U(±1/sqrt(fan in)) everywhere, except the last
layer of a controller, whose matrix is ten times smaller and whose bias spreads over all angles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qrlang.check.arithmetic import as_tensor, flat, numeric, of_value
from qrlang.check.arithmetic import want as ask
from qrlang.check.calls import (
    ACTIVATIONS,
    CALL,
    Args,
    bind_params,
    evaluate,
    fits_parameter,
    is_activation,
    wanting,
)
from qrlang.check.constants import is_whole
from qrlang.check.core import Elaborator, Scope
from qrlang.check.types import declared
from qrlang.check.values import (
    POISON,
    Builtin,
    Definition,
    Layer,
    LayerSpec,
    Pending,
    Poison,
    Tensor,
    describe,
)
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean, plural
from qrlang.ir import program as ir
from qrlang.ir.types import real
from qrlang.syntax import ast

READOUT_GAIN = 16.0
CONTROLLER_SCALE = 0.1
MAX_HIDDEN = 32


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    type: str
    default: object = None  # None: may be left out, and is worked out from the use


@dataclass(frozen=True, slots=True)
class LayerKind:
    """A row of the table."""

    name: str
    words: tuple[str, ...]  # how it may be declared
    settings: tuple[Setting, ...]
    tensors: str  # what it trains, for `init` and `freeze`; "" if nothing
    doc: str
    call: Callable[[Elaborator, Layer, ast.Call, int | None], object]


# --- declaring ---


def spec(e: Elaborator, kind: LayerKind, node: ast.Node, args: Args | None) -> LayerSpec | Poison:
    """`mlp(64, tanh)`: the settings of a layer, checked."""
    values: dict[str, object] = {s.name: s.default for s in kind.settings}
    hidden: list[int] = []
    between: object = None
    names = [s.name for s in kind.settings if s.name != "hidden"]
    order = list(kind.settings)
    for at, value in args.positional if args else ():
        if kind.name == "mlp":
            # Widths of hidden layers, then what lies between them.
            if between is not None:
                return e.error(
                    "E0301",
                    at,
                    f"nothing goes after the activation of `mlp`, found {describe(value)}",
                    help="hidden widths come before it, the output's width by name: "
                    "`mlp(64, 32, relu, out: 10)`",
                )
            if is_activation(value):
                values["activation"] = between = value.name  # type: ignore[attr-defined]
                continue
            if is_whole(value):
                if value < 1:
                    return e.error(
                        "E0311", at, f"a layer needs a width of at least 1, found {value}"
                    )
                hidden.append(value)
                continue
            return e.error(
                "E0312",
                at,
                f"`mlp` takes widths and an activation, found {describe(value)}",
                help="activations are " + ", ".join(ACTIVATIONS),
            )
        if not order:
            return e.error(
                "E0301",
                at,
                f"`{kind.name}` takes {plural(len(kind.settings), 'argument')}, "
                f"found {len(args.positional) if args else 0}",
            )
        setting = order.pop(0)
        if not _set(e, kind, setting, values, at, value):
            return POISON
    for name, (arg, value) in (args.named if args else {}).items():
        found = next((s for s in kind.settings if s.name == name and name != "hidden"), None)
        if found is None:
            return e.error(
                "E0302",
                arg,
                f"`{kind.name}` has no argument `{name}`",
                help="hidden widths come first, without a name: `mlp(64, 32, relu)`"
                if kind.name == "mlp" and name == "hidden"
                else did_you_mean(name, names) or (f"it has {', '.join(names)}" if names else ""),
            )
        if not _set(e, kind, found, values, arg.value, value):
            return POISON
    if len(hidden) > MAX_HIDDEN:
        return e.error("E0307", node, f"more than {MAX_HIDDEN} hidden layers")
    if kind.name == "mlp":
        values["hidden"] = tuple(hidden) or (64,)
    for s in kind.settings:
        if values[s.name] is REQUIRED:
            return e.error(
                "E0301",
                node,
                f"`{kind.name}` needs `{s.name}`",
                help=f"`{kind.name}({s.name}: …)`",
            )
    return LayerSpec(kind, values)


def _set(
    e: Elaborator,
    kind: LayerKind,
    s: Setting,
    values: dict[str, object],
    at: ast.Node,
    value: object,
) -> bool:
    if s.type == "width":
        if not is_whole(value):
            e.error(
                "E0312",
                at,
                f"`{s.name}` of `{kind.name}` is a whole number, found {describe(value)}",
            )
            return False
        if value < 1:
            e.error("E0311", at, f"a layer needs a width of at least 1, found {value}")
            return False
        values[s.name] = value
        return True
    if s.type == "circuit" and not isinstance(value, (Definition, Layer)):
        e.error("E0312", at, f"`{s.name}` of `{kind.name}` is a circuit, found {describe(value)}")
        return False
    fitted = value if s.type == "circuit" else fits_parameter(s.type, value)
    if fitted is None:
        e.error(
            "E0312",
            at,
            f"`{s.name}` of `{kind.name}` is of type {s.type}, found {describe(value)}",
            help="activations are " + ", ".join(ACTIVATIONS) if s.type == "activation" else "",
        )
        return False
    values[s.name] = fitted.name if isinstance(fitted, Builtin) else fitted
    return True


REQUIRED: Any = object()


def declare(e: Elaborator, node: ast.Layer) -> Layer | Poison:
    value = e.eval(node.value)
    if isinstance(value, Poison):
        return value
    if isinstance(value, Builtin) and value.name in LAYERS:
        value = LAYERS[value.name]  # `dot` is a function, and a kind of attention
    if isinstance(value, LayerKind):
        value = spec(e, value, node.value, None)
        if isinstance(value, Poison):
            return value
    name = e.prefix + node.name
    word = node.kind
    if isinstance(value, Definition) and value.kind in ("circuit", "layer"):
        if value.params is None:
            params = bind_params(e, value.item.params, value, node.value, None)
            if params is None:
                return POISON
            value = Definition(value.item, value.module, params)
        if word == "attention":
            return e.error(
                "E0208",
                node.value,
                f"{describe(value)} is not an attention",
                help=f"write `attention {node.name} = scored({node.value.span.text})`",
            )
    elif not isinstance(value, LayerSpec):
        help = ""
        if isinstance(value, Definition) and value.kind == "ansatz":
            help = f"write `ansatz {node.name} = …`, and apply it to qubits"
        elif is_activation(value):
            help = f"call it where it is needed: `{node.value.span.text}(x)`"
        return e.error("E0208", node.value, f"expected a layer, found {describe(value)}", help=help)
    elif word not in value.kind.words:
        right = value.kind.words[0]
        return e.error(
            "E0208",
            node,
            f"`{value.kind.name}` is not {'an' if word == 'attention' else 'a'} {word}",
            help=f"write `{right} {node.name} = {node.value.span.text}`",
        )
    e.names[name] = node.span
    return Layer(name, word, value, node.span, node.frozen)


# --- calling ---


def call_layer(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    e.count_op(node)
    if isinstance(layer.spec, Definition):
        if layer.spec.kind == "circuit":
            from qrlang.check.circuits import call_circuit

            return call_circuit(e, layer, node)
        return _extern(e, layer, node)
    layer.calls += 1
    return layer.spec.kind.call(e, layer, node, wanted)


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
    found: list[Tensor] = []
    for at, value in args.positional:
        t = as_tensor(e, value, at)
        if not isinstance(t, Tensor):
            return t
        if not numeric(e, t, at):
            return POISON
        found.append(t)
    return found


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
    if name not in e.weights.tensors:
        if not e.fits(shape, at):
            return None
        e.weights.tensors[name] = ir.Weight(name, shape, initial, not frozen)
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
        hint = e.hints.get(layer.name)
        if hint is not None:
            layer.output = math.prod(hint)
        elif wanted is not None:
            layer.output = wanted
        else:
            e.open_widths.setdefault(layer.name, (layer.span, layer.word))
    return layer.output


def _dense(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    """linear and mlp: a chain of affine maps with a function between them."""
    assert isinstance(layer.spec, LayerSpec)
    settings = layer.spec.args
    parts = inputs(e, layer, node)
    if not isinstance(parts, list):
        return POISON
    width = sum(t.type.count for t in parts)
    if not same_width(e, layer, node, (width,)):
        return POISON
    out = width_of(e, layer, node, settings["out"], wanted)
    if out is None:
        return Pending(layer.name)
    single = layer.spec.kind.name == "linear"
    hidden = settings.get("hidden", ())
    assert isinstance(hidden, tuple)
    widths = [width, *hidden, out]
    x = flat(e, parts)
    gain = settings.get("gain")
    if gain is None:
        heads = single and layer.word == "layer" and all(e.builder.only_readouts(t) for t in parts)
        gain = READOUT_GAIN if heads else 1.0
    assert isinstance(gain, float)
    last = len(widths) - 2
    for k in range(last + 1):
        n, m = widths[k], widths[k + 1]
        number = "" if single else str(k + 1)
        gated = k < last and settings["activation"] == "glu"
        m = 2 * m if gated else m
        w_initial, b_initial = fan_in(n), fan_in(n)
        if k == last and layer.word == "controller":
            w_initial = uniform(CONTROLLER_SCALE / math.sqrt(n))
            b_initial = uniform(math.pi)
        w = weight(e, f"{layer.name}.w{number}", (m, n), w_initial, layer.frozen, node)
        if w is None:
            return POISON
        b = None
        if settings["bias"]:
            b = weight(e, f"{layer.name}.b{number}", (m,), b_initial, layer.frozen, node)
        x = e.builder.linear(x, m, w, b, gain if k == last else 1.0)
        if gated:
            x = e.builder.glu(x)
        elif k < last:
            x = e.builder.pointwise(str(settings["activation"]), x)
    between = f", {settings['activation']}" if not single else ""
    shown = f", gain {gain:g}" if gain != 1.0 else ""
    e.fact(layer.span, layer.name, f"{layer.word}: {' -> '.join(map(str, widths))}{between}{shown}")
    return of_value(x)


def _embedding(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    assert isinstance(layer.spec, LayerSpec)
    args = evaluate(e, node)
    if args is None or args.poisoned:
        return POISON
    if len(args.positional) != 1 or args.named:
        return e.error("E0301", node, f"`{layer.name}` takes one token, found {len(node.args)}")
    at, value = args.positional[0]
    if not isinstance(value, Tensor) or value.type.kind not in ("token", "class"):
        return e.error(
            "E0405",
            at,
            f"an embedding takes a token, found {describe(value)}",
            help="for numbers use `linear(…)`",
        )
    if value.type.seq:
        numeric(e, value, at)
        return POISON
    size = value.type.size
    if not same_width(e, layer, node, (size,)):
        return POISON
    out = width_of(e, layer, node, layer.spec.args["width"], wanted)
    if out is None:
        return Pending(layer.name)
    table = weight(
        e, f"{layer.name}.table", (size, out), ir.Initial("normal", (0.0, 1.0)), layer.frozen, node
    )
    if table is None:
        return POISON
    result = e.builder.value(real(out))
    assert value.value is not None
    e.builder.classical(ir.Embed(result, value.value, table))
    e.fact(layer.span, layer.name, f"layer: token[{size}] -> {out}")
    return of_value(result)


def _layer_norm(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    parts = inputs(e, layer, node)
    if not isinstance(parts, list):
        return POISON
    x = flat(e, parts)
    n = x.type.count
    if not same_width(e, layer, node, (n,)):
        return POISON
    scale = weight(
        e, f"{layer.name}.scale", (n,), ir.Initial("constant", (1.0,)), layer.frozen, node
    )
    shift = weight(
        e, f"{layer.name}.shift", (n,), ir.Initial("constant", (0.0,)), layer.frozen, node
    )
    assert scale is not None and shift is not None
    out = e.builder.value(real(n))
    e.builder.classical(ir.LayerNorm(out, x, scale, shift))
    e.fact(layer.span, layer.name, f"layer: {n} -> {n}")
    return of_value(out)


def _dropout(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    assert isinstance(layer.spec, LayerSpec)
    parts = inputs(e, layer, node)
    if not isinstance(parts, list):
        return POISON
    p = layer.spec.args["p"]
    assert isinstance(p, float)
    if not 0 <= p < 1:
        return e.error(
            "E0510", layer.span, f"a dropout probability is at least 0 and below 1, found {p:g}"
        )
    x = e.builder.real_whole(parts[0]) if len(parts) == 1 else flat(e, parts)
    out = e.builder.value(x.type)
    e.builder.like(x, out)
    e.builder.classical(ir.Dropout(out, x, p))
    return of_value(out)


# --- attention ---


def _attention(e: Elaborator, layer: Layer, node: ast.Call, wanted: int | None) -> object:
    from qrlang.check.attention import attend

    return attend(e, layer, node)


# --- layers of the user's, in Python ---


def _extern(e: Elaborator, layer: Layer, node: ast.Call) -> object:
    d = layer.spec
    assert isinstance(d, Definition) and isinstance(d.item, ast.Extern) and d.params is not None

    inner = Scope(d.module)
    inner.names.update(d.params)
    outer, e.scope = e.scope, inner
    expected = [declared(e, t) for t in d.item.values]
    result = declared(e, d.item.result)
    e.scope = outer
    if result is None or any(x is None for x in expected):
        return POISON
    if len(node.args) != len(expected):
        return e.error(
            "E0301",
            node,
            f"`{layer.name}` takes {plural(len(expected), 'value')}, found {len(node.args)}",
            notes=[Note("declared here", d.item.span)],
        )
    values: list[ir.Value] = []
    for arg, want in zip(node.args, expected, strict=True):
        assert want is not None
        if not want.known:
            return e.error("E0404", d.item, "the shapes of an extern layer can't be left open")
        if arg.name is not None:
            return e.error("E0302", arg, f"`{layer.name}` has no argument `{arg.name}`")
        thing = wanting(e, arg.value, want.count)
        if isinstance(thing, (Poison, Pending)):
            if isinstance(thing, Pending):
                ask(e, thing, want.dims(), arg)
            return POISON
        t = (
            thing
            if isinstance(thing, Tensor) and want.kind != "real"
            else as_tensor(e, thing, arg.value)
        )
        if not isinstance(t, Tensor):
            return POISON
        if t.type != want.type:
            if (
                t.type.kind == want.kind == "real"
                and t.type.seq == want.seq
                and t.type.count == want.type.count
            ):
                t = Tensor(want.type, t.value, t.elements)
            else:
                return e.error(
                    "E0409",
                    arg,
                    f"`{layer.name}` takes {want}, found {t.type}",
                    notes=[Note("declared here", d.item.span)],
                )
        values.append(e.builder.whole(t))
    if not result.known:
        return e.error("E0404", d.item.result, "the shapes of an extern layer can't be left open")
    settings = tuple((k, v) for k, v in d.params.items() if isinstance(v, (int, float, bool, str)))
    e.externs[layer.name] = ir.Extern(
        layer.name, d.item.path, settings, tuple(v.type for v in values), result.type
    )
    out = e.builder.value(result.type)
    e.builder.classical(ir.CallExtern(out, layer.name, tuple(values)))
    e.fact(
        layer.span,
        layer.name,
        f"extern layer: {', '.join(str(v.type) for v in values)} -> {result}",
    )
    return of_value(out)


_DENSE = (Setting("bias", "bool", True),)
LAYERS: Mapping[str, LayerKind] = {
    k.name: k
    for k in (
        LayerKind(
            "linear",
            ("layer", "controller"),
            (Setting("out", "width"), Setting("gain", "real"), *_DENSE),
            "w, b",
            "an affine map: gain * (W x) + b",
            _dense,
        ),
        LayerKind(
            "mlp",
            ("controller", "layer"),
            (
                Setting("hidden", "width"),
                Setting("activation", "activation", "relu"),
                Setting("out", "width"),
                Setting("gain", "real"),
                *_DENSE,
            ),
            "w1, b1, w2, b2, …",
            "affine maps with a function between them",
            _dense,
        ),
        LayerKind(
            "embedding",
            ("layer",),
            (Setting("width", "width"),),
            "table",
            "a row of a table for each token",
            _embedding,
        ),
        LayerKind(
            "layer_norm",
            ("layer",),
            (),
            "scale, shift",
            "mean 0 and variance 1, then a scale and a shift of its own",
            _layer_norm,
        ),
        LayerKind(
            "dropout",
            ("layer",),
            (Setting("p", "real", 0.1),),
            "",
            "zeroes numbers at random while training",
            _dropout,
        ),
        LayerKind("dot", ("attention",), (), "", "attention by q·k", _attention),
        LayerKind("scaled", ("attention",), (), "", "attention by q·k / sqrt(d)", _attention),
        LayerKind("bilinear", ("attention",), (), "w", "attention by q·(W k)", _attention),
        LayerKind(
            "additive",
            ("attention",),
            (Setting("width", "width", 64),),
            "a, b, bias, v",
            "attention by v·tanh(A q + B k + b)",
            _attention,
        ),
        LayerKind(
            "scored",
            ("attention",),
            (Setting("circuit", "circuit", REQUIRED),),
            "those of the circuit",
            "attention by a circuit's value for a query and a key",
            _attention,
        ),
    )
}

CALL[LayerKind] = spec
