"""The whole file, for an SDK whose circuits grow from readout to readout."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from qrlang.backends.emit import parts
from qrlang.backends.emit.bits import refuse_bits
from qrlang.backends.emit.body import Body
from qrlang.backends.emit.helpers import HELPERS, used
from qrlang.backends.emit.names import Names, inputs_of
from qrlang.ir.program import Program, Value
from qrlang.version import VERSION

_TAKEN = """
    np math json argparse Path Device Growing angles read distribution average sequence load main
    forward w device examples play INPUTS print range len max min sum float int str list dict zip
    map open self enumerate iter next abs set not all reversed
"""


@dataclass(frozen=True, slots=True)
class Vendor:
    """What is an SDK's own. Texts are Python; `growing` has `# …` where shared methods go."""

    head: str  # of the file, with {title} and {version}
    imports: Callable[[str], list[str]]  # lines, given all that follows
    device: str
    growing: str
    play: str  # adds gates (name, qubits, angle) to a circuit
    devices: str  # help for --device
    methods: Mapping[str, str] = field(default_factory=dict)  # by how they are called: `.reset(`
    functions: Mapping[str, str] = field(default_factory=dict)  # by name
    taken: str = ""  # names that it uses


def module(program: Program, vendor: Vendor, body_of: Callable[[Names], Body], device: str) -> str:
    refuse_bits(program)
    names = Names([*_TAKEN.split(), *vendor.taken.split(), *HELPERS])
    inputs = inputs_of(program)
    body = body_of(names)
    arguments = [names.free(v.name or f"input{v.id}") for v in inputs]
    body.texts.update({v.id: name for v, name in zip(inputs, arguments, strict=True)})
    body.ops(program.body, 1)
    forward = [
        f"def forward({', '.join(['w', *arguments])}):",
        '    """Outputs by name. Every array has the sequences in front."""',
        *body.lines,
        "    return {",
        *(f'        "{o.name}": {body.number(o.value)},' for o in program.outputs),
        "    }",
    ]
    code = "\n".join([*forward, *(line for piece in body.pieces for line in piece)])
    after = [
        *used(code),
        *([vendor.play] if "play(" in code else []),
        *(text for name, text in vendor.functions.items() if f"{name}(" in code),
        vendor.device,
        _growing(vendor, code),
        parts.ARRAYS,
        *(text for name, text in parts.READERS.items() if re.search(rf"\b{name}\(", code)),
        parts.LOAD,
        _main(inputs, vendor, device),
    ]
    blocks = [
        "\n".join([*_listed(inputs),
                   *(line for table in body.tables for line in ["", *table])]),
        *("\n".join(piece) for piece in body.pieces),
        "\n".join(forward),
        *after,
    ]  # fmt: skip
    text = "\n\n\n".join(b.strip("\n") for b in blocks) + "\n"
    needed = [name for name in ("itertools", "math") if f"{name}." in text]
    top = [f"import {name}" for name in sorted(["argparse", "json", *needed])]
    own = ["import numpy as np", *vendor.imports(text)]
    head = "\n".join([*top, "from pathlib import Path", "", *own])
    return f"{_head(program, vendor)}\n{head}\n\n\n{text}"


def _growing(vendor: Vendor, code: str) -> str:
    """The class, with the methods that the model needs."""
    wanted, own, shared = code, vendor.growing, parts.GROWING
    if ".keep(" in code:
        wanted += parts.KEEP
        shared = shared[: shared.index("    def measured")] + parts.KEEP.lstrip("\n")
    else:
        own = "".join(line for line in own.splitlines(True) if "self.kept = " not in line)
    extra = [text for call, text in vendor.methods.items() if call in wanted]
    methods = "\n\n".join(text.strip("\n") for text in [*extra, shared])
    return own.replace("    # …", methods)


def _main(inputs: list[Value], vendor: Vendor, device: str) -> str:
    kinds = {v.type.kind for v in inputs} & {"state", "unitary"}
    mark = "        # …\n"
    examples = parts.EXAMPLES.replace(mark, parts.COMPLEX.lstrip("\n") if kinds else "")
    text = parts.MAIN.replace("{examples}", examples.strip("\n"))
    return text.replace("{device}", device).replace("{devices}", vendor.devices)


def _listed(inputs: list[Value]) -> list[str]:
    """By the program's names, in the order of the arguments of `forward`, which may be others."""
    lines = ["INPUTS = {  # kind, shape of a moment, number of values, whether it is a sequence"]
    for value in inputs:
        kind, size, shape = value.type.kind, value.type.size, value.type.shape
        if kind in ("state", "unitary"):
            shape = (1 << size,) * (2 if kind == "unitary" else 1)
        elif kind == "bit":
            size = 2
        said = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
        lines.append(f'    "{value.name}": ("{kind}", {said}, {size}, {value.type.seq}),')
    return [*lines, "}"]


def _head(program: Program, vendor: Vendor) -> str:
    settings = ", ".join(f"{name}={value!r}" for name, value in program.settings)
    title = f"{program.name}({settings})" if len(settings) < 60 else program.name
    return vendor.head.format(title=title, version=VERSION)
