"""The target `qiskit`: a folder that runs by itself, and the devices of the Qiskit world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qrlang.check.model import CheckedModel
from qrlang.hardware.target import DeviceTarget
from qrlang.targets import Option, Options

if TYPE_CHECKING:
    from qrlang.hardware.device import Device, DeviceOptions


class QiskitTarget(DeviceTarget):
    name = "qiskit"
    doc = "circuits and the closed loop for Qiskit: Aer, IBM's devices"
    device = "aer"
    options = (
        Option("weights", "a run folder whose weights go with it; else those it begins with", ""),
        Option("qpy", "also the step as QPY", "no", ("no", "yes")),
    )

    def emit(self, model: CheckedModel, options: Options) -> Mapping[str, str | bytes]:
        from qrlang.backends.qiskit.emit import files

        return files(model.program, options)

    def open_device(self, name: str, options: DeviceOptions) -> Device:
        from qrlang.backends.qiskit.devices import open_device

        return open_device(name, options)


target = QiskitTarget()
