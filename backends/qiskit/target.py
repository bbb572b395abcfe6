"""The target `qiskit`: a folder that runs by itself, and the devices of the Qiskit world."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qrlang.check.model import CheckedModel
from qrlang.hardware.target import MODULE, SUPPORT, DeviceTarget
from qrlang.targets import Option, Options, Support, TargetError, yes

if TYPE_CHECKING:
    from qrlang.hardware.device import Device, DeviceOptions

_RUN = {**SUPPORT, "noise": yes("on `aer`")}


class QiskitTarget(DeviceTarget):
    name = "qiskit"
    doc = "circuits and the closed loop for Qiskit: Aer, IBM's devices"
    device = "aer"
    options = (
        Option("weights", "a run folder, or a safetensors file", ""),
        Option("qpy", "also each circuit as QPY", "no", ("no", "yes")),
    )

    def features(self, options: Options) -> Mapping[str, Support]:
        """With options, those of the files; without, those of a run."""
        return {**_RUN, **MODULE} if options else _RUN

    def emit(self, model: CheckedModel, options: Options) -> Mapping[str, str | bytes]:
        from qrlang.backends.qiskit.emit.files import files
        from qrlang.hardware.tensors import weights_of_run

        program, weights = model.program, None
        try:
            if path := options.get("weights"):
                wanted = {w.name: w.shape for w in program.weights}
                weights = weights_of_run(Path(path), wanted)
            return files(program, weights, options.get("qpy") == "yes")
        except (ValueError, OSError, ImportError) as error:
            raise TargetError(str(error)) from error

    def open_device(self, name: str, options: DeviceOptions) -> Device:
        from qrlang.backends.qiskit.devices import open_device

        return open_device(name, options)


target = QiskitTarget()
