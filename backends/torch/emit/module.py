"""The whole file: what a physicist reads, and what `qrlang.load` runs."""

from __future__ import annotations

from collections.abc import Mapping

from qrlang.backends.emit.names import Names, inputs_of
from qrlang.backends.torch.emit.body import Body
from qrlang.backends.torch.emit.constants import Constants
from qrlang.backends.torch.emit.fingerprint import fingerprint
from qrlang.backends.torch.emit.layers import Layer, Layers, find, prefix, start
from qrlang.backends.torch.emit.layout import fit, fit_definition
from qrlang.backends.torch.emit.names import attribute, camel
from qrlang.ir.printer import print_program
from qrlang.ir.program import Extern, Program, Value, Weight

_TAKEN = ("annotations", "math", "torch", "Tensor", "nn", "F", "qr", "PROGRAM", "ClassVar",
          "self", "run", "lengths", "done", "list", "str", "int", "dict")  # fmt: skip


def emit_program(program: Program) -> str:
    """A program as one Python file."""
    names = Names(_TAKEN)
    model = names.free(camel(program.name))
    layers = find(program, names)
    constants = Constants(names)
    body = Body(program, layers, constants)
    arguments = {v.id: names.free(_argument(v)) for v in inputs_of(program)}
    forward = _forward(program, body, arguments)
    classes = [_layer_class(layer) for layer in layers.layers.values() if layer.cls]
    core = _model_class(program, model, layers, forward, arguments)
    blocks = [*constants.blocks, *classes, core]
    text = "\n".join(line for block in blocks for line in block)
    parts = [
        _header(program, model),
        _imports(text, program),
        "",
        *_spaced(blocks),
        "",
        "",
        *_tail(program, model),
    ]
    whole = "\n".join(parts) + "\n"
    return f'{whole}qr.written({model}, PROGRAM, "{fingerprint(whole)}")\n'


def _header(program: Program, model: str) -> str:
    settings = ", ".join(f"{name}={value!r}" for name, value in program.settings)
    title = f"{model}({settings})"
    if len(title) > 70:
        title = model
    return "\n".join(
        [
            f'"""{title}, written by qrlang. Ordinary PyTorch: read it, edit it.',
            "",
            "Every tensor has the sequences of a batch in front: [batch, time, …] for a sequence.",
            "Padded sequences come with `lengths`, and each stops at its own end.",
            '"""',
            "",
        ]
    )


def _imports(text: str, program: Program) -> str:
    lines = ["from __future__ import annotations", ""]
    standard = []
    if "math." in text:
        standard.append("import math")
    standard.append("from typing import ClassVar")
    lines += [*standard, ""]
    if "torch." in text.replace("qrlang.backends.torch.", ""):
        lines.append("import torch")
    others = ["from qrlang.backends.torch import runtime as qr"]
    others.append("from torch import Tensor" + (", nn" if "nn." in text else ""))
    if "F." in text:
        others.append("from torch.nn import functional as F")
    others += {_extern_import(e) for e in program.externs}
    return "\n".join([*lines, *sorted(others)])


def _extern_import(extern: Extern) -> str:
    module, _, name = extern.path.partition(":")
    return f"from {module} import {name}"


def _spaced(blocks: list[list[str]]) -> list[str]:
    out: list[str] = []
    for block in blocks:
        is_class = block[0].startswith("class ")
        if is_class or (out and out[-1].startswith(" ")):
            out += ["", ""] if out else [""]  # one stands behind the imports
        out += block
    return out


def _make(weight: Weight) -> str:
    kind = "trained" if weight.trained else "frozen"
    sizes = "".join(f"{d}, " for d in weight.shape)
    return f"qr.{kind}({sizes}start={start(weight)})"


def _layer_class(layer: Layer) -> list[str]:
    lines = [f"class {layer.cls}(nn.Module):"]
    if layer.doc:
        lines += [f'    """{layer.doc}"""', ""]
    lines += ["    def __init__(self) -> None:", "        super().__init__()"]
    for weight in layer.weights:
        own = attribute(weight.name.rpartition(".")[2])
        lines += fit(f"self.{own} = {_make(weight)}", 8)
    argument = "token" if any("[token]" in line for line in layer.lines) else "x"
    if any("token." in line for line in layer.lines):
        argument = "token"
    lines += ["", f"    def forward(self, {argument}: Tensor) -> Tensor:"]
    for line in layer.lines:
        lines += fit(line, 8)
    return lines


def _model_class(
    program: Program, model: str, layers: Layers, forward: list[str], arguments: dict[int, str]
) -> list[str]:
    lines = [f"class {model}(qr.Model):"]
    inputs = inputs_of(program)
    if inputs:
        lines.append("    inputs: ClassVar[dict[str, str]] = {")
        lines += [f'        "{arguments[v.id]}": "{v.type}",' for v in inputs]
        lines += ["    }", ""]
    lines += [
        "    def __init__(self, road: str | int | None = None) -> None:",
        "        super().__init__(road)",
    ]
    done: set[str] = set()
    for weight in program.weights:
        name = weight.name.rpartition(".")[0]
        if not name:
            lines += fit(f"self.{attribute(weight.name)} = {_make(weight)}", 8)
        else:
            lines += _member(name, layers.layers, done)
    for extern in program.externs:
        given = ", ".join(f"{k}={v!r}" for k, v in extern.settings)
        cls = extern.path.partition(":")[2]
        lines += fit(f"self.{attribute(extern.name)} = {cls}({given})", 8)
    return [*lines, "", *forward]


def _member(name: str, layers: Mapping[str, Layer], done: set[str]) -> list[str]:
    """A layer, after the block that it stands in, which may hold weights of its own."""
    if not name or name in done:
        return []
    done.add(name)
    lines = _member(prefix(name), layers, done)
    path = "self." + ".".join(map(attribute, name.split(".")))
    layer = layers.get(name)
    if layer is not None and layer.cls:
        return [*lines, *fit(f"{path} = {layer.cls}()", 8)]
    own = layer.weights if layer is not None else []
    made = ", ".join(f"{attribute(w.name.rpartition('.')[2])}={_make(w)}" for w in own)
    return [*lines, *fit(f"{path} = qr.Weights({made})", 8)]


def _argument(value: Value) -> str:
    name = attribute(value.name or f"input{value.id}")
    return f"{name}_" if name in _TAKEN else name


def _forward(program: Program, body: Body, named: dict[int, str]) -> list[str]:
    inputs = inputs_of(program)
    arguments = [named[v.id] for v in inputs]
    for value, name in zip(inputs, arguments, strict=True):
        body.texts[value.id] = name
    many = len(program.outputs) > 1
    result = "dict[str, Tensor]" if many else "Tensor"
    signature = ["self", *(f"{a}: Tensor" for a in arguments), "lengths: qr.Lengths = None"]
    head = fit_definition("forward", signature, result)
    given = "".join(f", {a}={a}" for a in arguments)
    body.say(f"done = self.native(lengths{given})")
    body.say("if done is not None:")
    body.lines.append("            return done  # road 1: all of this in one native kernel")
    left = ", ".join(["run", *arguments])
    body.say(
        f"{left} = self.begin(lengths{given})" if inputs else f"({left},) = self.begin(lengths)"
    )
    body.ops(program.body, 0)
    finished = []
    for output in program.outputs:
        rank = len(output.value.type.shape)
        finished.append(f"self.result(run, {body.of(output.value)}, {rank})")
    if many:
        body.lines.append("        return {")
        for output, text in zip(program.outputs, finished, strict=True):
            body.lines += fit(f'"{output.name}": {text},', 12)
        body.lines.append("        }")
    else:
        body.say(f"return {finished[0]}" if finished else "return run.like")
    return [*head, *body.lines]


def _tail(program: Program, model: str) -> list[str]:
    text = print_program(program).rstrip()
    return [
        "# The same as a program, for the native kernel. It counts only while the classes are as",
        "# they were written; an edited file runs as edited, without it.",
        'PROGRAM = """',
        text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"'),
        '"""',
    ]
