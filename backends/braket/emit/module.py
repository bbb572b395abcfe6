"""The whole file."""

from __future__ import annotations

from qrlang.backends.braket.emit import texts
from qrlang.backends.braket.emit.body import BraketBody
from qrlang.backends.braket.gates import NATIVE
from qrlang.backends.emit.module import Vendor, module
from qrlang.ir.program import Channel, Program
from qrlang.ir.walk import walk

BRAKET = Vendor(
    head=texts.HEAD,
    imports=lambda text: texts.IMPORTS.strip().splitlines(),
    device=texts.DEVICE,
    growing=texts.GROWING,
    play=texts.PLAY,
    devices="braket_sv, braket_dm, or an ARN",
    methods=texts.METHODS,
    taken="Circuit FreeParameter LocalSimulator AwsDevice CircuitBinding ProgramSet",
)


def emit_module(program: Program, native: frozenset[str] = NATIVE) -> str:
    noisy = any(isinstance(op, Channel) for op in walk(program.body))
    device = "braket_dm" if noisy else "braket_sv"  # the one that has noise
    return module(program, BRAKET, lambda names: BraketBody(program, names, native), device)
