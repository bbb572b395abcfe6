"""The folder: module, weights, and each circuit of a step in Qiskit's OpenQASM, also as QPY, where
OpenQASM can say it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

from qrlang.backends.emit.lowered import as_gates
from qrlang.backends.qasm.dialects import DIALECTS
from qrlang.backends.qasm.target import texts_beside
from qrlang.backends.qiskit.emit.module import emit_module
from qrlang.backends.reference.weights import initial_weights
from qrlang.hardware.tensors import packed
from qrlang.ir.program import Program


def files(
    program: Program, weights: Mapping[str, Any] | None = None, qpy: bool = False
) -> dict[str, str | bytes]:
    made: dict[str, str | bytes] = {
        "model.py": emit_module(program),
        "weights.safetensors": packed(initial_weights(program) if weights is None else weights),
    }
    for path, text in texts_beside(as_gates(program), DIALECTS["qiskit"]).items():
        made[path] = text.source
        if qpy:
            made[path.removesuffix(".qasm") + ".qpy"] = _qpy(text.source)
    return made


def _qpy(source: str) -> bytes:
    from qiskit import qasm3, qpy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        circuit = qasm3.loads(source)
    stream = io.BytesIO()
    qpy.dump(circuit, stream)
    return stream.getvalue()
