"""Layers declared: their settings checked against the table of layers."""

from __future__ import annotations

from qrlang.check.algebra.numbers import is_whole
from qrlang.check.binding.arguments import Args
from qrlang.check.binding.parameters import ACTIVATIONS, bind_params, fits_parameter, is_activation
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.layer_kinds import LAYERS, REQUIRED, LayerKind, Setting
from qrlang.check.core.values import POISON, Builtin, Definition, Layer, LayerSpec, Poison, describe
from qrlang.diagnostics.words import did_you_mean, plural
from qrlang.syntax import ast

MAX_HIDDEN = 32


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


def declare(e: Elaborator, node: ast.Layer) -> Layer | Poison:
    value = e.eval(node.value)
    if isinstance(value, Poison):
        return value
    if isinstance(value, Builtin) and value.name in LAYERS:
        value = LAYERS[value.name]  # `dot` is a function too
    if isinstance(value, LayerKind):
        value = spec(e, value, node.value, None)
        if isinstance(value, Poison):
            return value
    name = e.here.prefix + node.name
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
    e.draft.names[name] = node.span
    return Layer(name, word, value, node.span, node.frozen)
