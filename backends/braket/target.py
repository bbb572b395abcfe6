"""The target `braket`: a module that runs a model with Amazon Braket's SDK, and its devices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qrlang.check.model import CheckedModel
from qrlang.features import FEATURES
from qrlang.hardware.target import MODULE, SUPPORT, DeviceTarget
from qrlang.targets import Option, Options, Support, TargetError, yes

if TYPE_CHECKING:
    from qrlang.hardware.device import Device, DeviceOptions

_FEATURES = SUPPORT | {
    "controls": yes("written out: devices have no `ctrl @`"),
    "measure": yes("on the simulators; the module copies the bit to a fresh qubit"),
    "feed-forward": yes("on the simulators; as controlled gates in the module"),
    "reset": yes("on the simulators; a fresh qubit in the module"),
    "noise": yes("on `braket_dm`"),
    "kept-bits": yes("on the simulators"),
    "bits-in-expressions": yes("on the simulators, with `qrlc run`"),
    "bits-in-angles": yes("on the simulators, with `qrlc run`; up to eight of them"),
}


class Braket(DeviceTarget):
    name = "braket"
    doc = "a module for Amazon Braket: its circuits, its simulators and devices, the loop"
    device = "braket_sv"
    ablest = "braket_dm"
    options = (
        Option("weights", "a run folder, or a safetensors file", ""),
        Option("ir", "also Braket's own IR of each circuit, as JSON", "no", ("no", "yes")),
        Option("gates", "all of Braket's, or those that every device has", "all",
               ("all", "common")),
    )  # fmt: skip

    def features(self, options: Options) -> Mapping[str, Support]:
        """With options, those of the files; without, those of a run."""
        return {**_FEATURES, **MODULE} if options else _FEATURES

    def emit(self, model: CheckedModel, options: Options) -> Mapping[str, str | bytes]:
        from qrlang.backends.braket.emit.files import files

        program = model.program
        try:
            ir, common = options.get("ir") == "yes", options.get("gates") == "common"
            return files(program, _weights(model, options), ir, common)
        except ValueError as error:
            raise TargetError(str(error)) from error

    def run(
        self, model: CheckedModel, inputs: Mapping[str, object], options: Options
    ) -> Mapping[str, object]:
        """Exactly, on a simulator."""
        from qrlang.hardware.device import DeviceError, DeviceOptions
        from qrlang.hardware.loop import Item, Plan, run

        names = {v.name for v in model.program.targets}
        item = Item(
            {k: x for k, x in inputs.items() if k not in names},
            {k: x for k, x in inputs.items() if k in names},
        )
        try:
            noisy = any(True for _ in FEATURES["noise"].find(model.program))
            name = "braket_dm" if noisy else self.device
            device = self.open_device(name, DeviceOptions())
            weights = _weights(model, options)
            return run(model.program, weights, [item], device, Plan(0)).outputs[0]
        except DeviceError as error:
            raise TargetError(str(error)) from error

    def open_device(self, name: str, options: DeviceOptions) -> Device:
        from qrlang.backends.braket.devices import open_device

        return open_device(name, options)


def _weights(model: CheckedModel, options: Options) -> Mapping[str, Any]:
    """Trained ones, or those that a model begins with."""
    from qrlang.backends.reference import initial_weights
    from qrlang.hardware.tensors import weights_of_run

    path = options.get("weights")
    if not path:
        return initial_weights(model.program)
    try:
        wanted = {w.name: w.shape for w in model.program.weights}
        return weights_of_run(Path(path), wanted)
    except (ValueError, OSError) as error:
        raise TargetError(str(error)) from error


target = Braket()
