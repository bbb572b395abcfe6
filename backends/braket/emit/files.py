"""The folder: module, weights, and each circuit of a step as OpenQASM, where that can say it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qrlang.backends.braket.emit.module import emit_module
from qrlang.backends.braket.gates import COMMON, NATIVE
from qrlang.backends.emit.lowered import as_gates
from qrlang.backends.qasm.dialects import DIALECTS
from qrlang.backends.qasm.target import texts_beside
from qrlang.hardware.tensors import packed
from qrlang.ir.program import Program

_HEADER = {"name": "braket.ir.openqasm.program", "version": "1"}


def files(
    program: Program, weights: Mapping[str, Any], ir: bool = False, common: bool = False
) -> dict[str, str | bytes]:
    made: dict[str, str | bytes] = {
        "model.py": emit_module(program, COMMON if common else NATIVE),
        "weights.safetensors": packed(weights),
    }
    for path, text in texts_beside(as_gates(program), DIALECTS["braket"]).items():
        made[path] = text.source
        if ir:
            # What `braket.ir.openqasm.Program(source=…).json()` gives; the inputs come at run time.
            page = {"braketSchemaHeader": _HEADER, "source": text.source, "inputs": None}
            made[path.removesuffix(".qasm") + ".json"] = json.dumps(page, indent=1) + "\n"
    return made
