"""The target `braket`: a module that runs a model with Amazon Braket's SDK."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qrlang.check.model import CheckedModel
from qrlang.hardware.device import Device, DeviceOptions
from qrlang.targets import Option, Options, Support, Target, TargetError, no, yes

_HOST = yes("computed by the host")

_FEATURES: dict[str, Support] = {
    "controls": yes("written out: devices have no `ctrl @`"),
    "recurrence": yes("each readout runs what was before it again"),
    "recurrences": yes(),
    "extra-steps": yes(),
    "sequences": _HOST,
    "attention": _HOST,
    "circuit-layers": yes("a circuit for each"),
    "expectations": yes("in the fewest bases"),
    "probabilities": yes(),
    "shots": yes(),
    "weak-readouts": no("use a plain `read`: it is replayed, and exact on average"),
    "measure": yes("copied to a fresh qubit: the same distribution, on every device"),
    "feed-forward": yes("as controlled gates"),
    "kept-bits": no("measure the bit in the step that uses it, or keep it in a qubit"),
    "bits-in-expressions": no("read the qubit instead: its average over all shots"),
    "bits-in-angles": no("put the gates with their angles under `if` instead: `if b { rz(a) q }`"),
    "reset": yes("a fresh qubit"),
    "postselect": no("measure the qubit and let the host keep the shots with the right outcome"),
    "noise": no("leave the channel out: `--device braket_dm --noise 0.01` has noise at each gate"),
    "computed-noise": no("give the channel a constant strength"),
    "conditional-noise": no("let the channel act in both cases, outside the `if`"),
    "mixed-start": yes("half of an entangled pair"),
    "amplitudes": no("encode the values in angles, for example with `std.encoding.angle`"),
    "matrices": no("write the unitary as gates, for example an ansatz of `std.ansatz`"),
    "exact-evolution": no("say into how many steps to split it: `trotter 8`"),
    "trotter": yes("as gates"),
    "extern": no("write the layer in the language, or use the target `torch`"),
}  # fmt: skip


class Braket(Target):
    name = "braket"
    doc = "a module for Amazon Braket: its circuits, its simulators and devices, the loop"
    options = (
        Option("weights", "a run folder, or a safetensors file", ""),
        Option("ir", "also Braket's own IR of the step, as JSON", "no", ("no", "yes")),
    )

    def features(self, options: Options) -> Mapping[str, Support]:
        return _FEATURES

    def emit(self, model: CheckedModel, options: Options) -> Mapping[str, str | bytes]:
        from qrlang.backends.braket.emit.files import files
        from qrlang.backends.braket.tensors import weights_of_run

        program = model.program
        weights = None
        if path := options.get("weights"):
            wanted = {w.name: w.shape for w in program.weights}
            try:
                weights = weights_of_run(Path(path), wanted)
            except (ValueError, OSError) as error:
                raise TargetError(str(error)) from error
        try:
            return files(program, weights, options.get("ir") == "yes")
        except ValueError as error:
            raise TargetError(str(error)) from error

    def device(self, name: str = "braket_sv", options: DeviceOptions | None = None) -> Device:
        """A device by name, for the loop."""
        from qrlang.backends.braket.devices import open_device

        return open_device(name, options)


target = Braket()
