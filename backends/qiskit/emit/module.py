"""The whole file."""

from __future__ import annotations

import re

import qrlang
from qrlang.backends.braket.emit.helpers import used
from qrlang.backends.braket.emit.module import inputs_of
from qrlang.backends.braket.emit.numbers import Names
from qrlang.backends.qiskit.circuits import CLASSES
from qrlang.backends.qiskit.emit.body import QiskitBody
from qrlang.backends.qiskit.emit.texts import (
    AVERAGE,
    BOTH,
    DEVICE,
    DISTRIBUTION,
    GROWING,
    HEAD,
    IMPORTS,
    LOAD,
    MAIN,
    MEASURE,
    READ,
    RESET,
)
from qrlang.ir.program import Program

_TAKEN = """
    np math json argparse Path QuantumCircuit QuantumRegister ClassicalRegister ParameterVector
    AerSimulator SamplerV2 generate_preset_pass_manager expr both Device Growing angles read
    distribution average sequence load main forward w device flat join softmax layer_norm
    leaky_relu elu silu gelu shifted last moments weighted dot scaled bilinear additive examples
    INPUTS print range len max min sum float int str list dict zip map open self enumerate
    iSwapGate XXPlusYYGate
"""


def emit_module(program: Program) -> str:
    names = Names([*_TAKEN.split(), *CLASSES.values()])
    body = QiskitBody(program, names)
    inputs = inputs_of(program)
    arguments = []
    for value in inputs:
        body.texts[value.id] = names.free(value.name or f"input{value.id}")
        arguments.append(body.texts[value.id])
    body.ops(program.body, 1)
    forward = [
        f"def forward({', '.join(['w', *arguments])}):",
        '    """Outputs by name. Every array has the sequences in front."""',
        *body.lines,
        "    return {",
        *(f'        "{o.name}": {body.number(o.value)},' for o in program.outputs),
        "    }",
    ]
    listed = ["INPUTS = {  # kind, shape of a moment, number of values, whether it is a sequence"]
    for value, name in zip(inputs, arguments, strict=True):
        kind, size = value.type.kind, 2 if value.type.kind == "bit" else value.type.size
        shape = f"({', '.join(map(str, value.type.shape))}{',' * (len(value.type.shape) == 1)})"
        listed.append(f'    "{name}": ("{kind}", {shape}, {size}, {value.type.seq}),')
    listed.append("}")
    code = "\n".join([*forward, *(line for piece in body.pieces for line in piece)])
    helpers = used(code)
    blocks = [
        _imports(code, helpers),
        "\n".join([*listed, *(line for table in body.tables for line in ["", *table])]),
        *("\n".join(piece) for piece in body.pieces),
        "\n".join(forward),
        *helpers,
        DEVICE,
        GROWING.replace("    # …\n", "".join(m.strip("\n") + "\n\n" for m in _methods(code))),
    ]
    for name, text in (("both", BOTH), ("read", READ), ("distribution", DISTRIBUTION),
                       ("average", AVERAGE)):  # fmt: skip
        if re.search(rf"\b{name}\(", code + "".join(_methods(code))):
            blocks.append(text)
    blocks += [LOAD, MAIN]
    return _head(program) + "\n\n\n".join(b.strip() for b in blocks) + "\n"


def _methods(code: str) -> list[str]:
    """Of the class `Growing`, only those that the model calls."""
    return [text for call, text in ((".reset(", RESET), (".measure(", MEASURE)) if call in code]


def _imports(code: str, helpers: list[str]) -> str:
    text = IMPORTS.strip()
    if any("math." in h for h in helpers):
        text = text.replace("import json\n", "import json\nimport math\n")
    gates = sorted(n for n in {*CLASSES.values(), "XXPlusYYGate"} if re.search(rf"\b{n}\(", code))
    if gates:
        text = text.replace(
            "from qiskit.transpiler",
            f"from qiskit.circuit.library import {', '.join(gates)}\nfrom qiskit.transpiler",
        )
    if "both(" in code + "".join(_methods(code)):
        text = text.replace(
            "from qiskit.transpiler",
            "from qiskit.circuit.classical import expr\nfrom qiskit.transpiler",
        )
    return text


def _head(program: Program) -> str:
    settings = ", ".join(f"{name}={value!r}" for name, value in program.settings)
    title = f"{program.name}({settings})" if len(settings) < 60 else program.name
    return HEAD.format(title=title, version=qrlang.__version__)
