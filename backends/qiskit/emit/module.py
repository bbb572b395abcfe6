"""The whole file."""

from __future__ import annotations

import re

from qrlang.backends.emit.module import Vendor, module
from qrlang.backends.qiskit.circuits import CLASSES
from qrlang.backends.qiskit.emit import texts
from qrlang.backends.qiskit.emit.body import QiskitBody
from qrlang.backends.qiskit.noise import MAKERS
from qrlang.ir.program import Program


def _imports(text: str) -> list[str]:
    """After those that every module has, what this one needs."""
    lines = texts.IMPORTS.strip().splitlines()
    at = lines.index("from qiskit.circuit import ParameterVector") + 1
    if "expr." in text:
        lines.insert(at, "from qiskit.circuit.classical import expr")
        at += 1
    if gates := _named(text, {*CLASSES.values(), "XXPlusYYGate"}):
        lines.insert(at, f"from qiskit.circuit.library import {gates}")
    if noise := _named(text, MAKERS):
        lines.insert(-1, f"from qiskit_aer.noise import {noise}")
    return lines


def _named(text: str, names: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(n for n in names if re.search(rf"\b{n}\(", text)))


QISKIT = Vendor(
    head=texts.HEAD,
    imports=_imports,
    device=texts.DEVICE,
    growing=texts.GROWING,
    play=texts.PLAY,
    devices="aer, fake_…, ibm_…",
    methods=texts.METHODS,
    functions={"both": texts.BOTH},
    taken=" ".join(
        ["QuantumCircuit QuantumRegister ClassicalRegister ParameterVector AerSimulator SamplerV2"
         " generate_preset_pass_manager expr both iSwapGate XXPlusYYGate",
         *CLASSES.values(), *MAKERS]
    ),
)  # fmt: skip


def emit_module(program: Program) -> str:
    return module(program, QISKIT, lambda names: QiskitBody(program, names), "aer")
