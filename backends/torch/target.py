"""The target `torch`: one Python file a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qrlang.backends.torch.emit import emit_program
from qrlang.check.model import CheckedModel
from qrlang.features import FEATURES
from qrlang.targets import Option, Options, Support, Target, TargetError, yes

_HOW = {
    "shots": "the gradient is that of the exact expectation",
    "measure": "exact, by density matrices; or sampled with `trajectories`",
    "noise": "exact, by density matrices; or sampled with `trajectories`",
    "reset": "exact, by density matrices; or sampled with `trajectories`",
    "extern": "imported when the module is",
}


class Torch(Target):
    name = "torch"
    doc = "a PyTorch module to read, edit and train"
    options = (
        Option("seed", "draws the initial weights of a run", "0"),
        Option("weights", "a run folder, or a safetensors file", ""),
    )

    def features(self, options: Options) -> Mapping[str, Support]:
        return {name: yes(_HOW.get(name, "")) for name in FEATURES}

    def emit(self, model: CheckedModel, options: Options) -> Mapping[str, str | bytes]:
        files: dict[str, str | bytes] = {"model.py": emit_program(model.program)}
        if path := options.get("weights"):
            from qrlang.backends.torch.emit.names import state_name
            from qrlang.hardware.tensors import packed, weights_of_run

            wanted = {w.name: w.shape for w in model.program.weights}
            try:
                found = weights_of_run(Path(path), wanted)
            except (ValueError, OSError) as error:
                raise TargetError(str(error)) from error
            files["weights.safetensors"] = packed({state_name(k): x for k, x in found.items()})
        return files

    def run(
        self, model: CheckedModel, inputs: Mapping[str, object], options: Options
    ) -> Mapping[str, object]:
        try:
            import torch
        except ImportError as error:
            raise TargetError("the target `torch` needs PyTorch: pip install torch") from error

        from qrlang.backends.emit.names import arguments
        from qrlang.backends.torch.memory import model_class

        torch.manual_seed(int(options.get("seed", "0")))
        module = model_class(model.program)(road="plain").double()
        module.eval()
        try:
            with torch.no_grad():
                called = arguments(model.program, module).items()
                given = {k: inputs[name] for name, k in called if name in inputs}
                result = module(**{k: torch.as_tensor(x)[None] for k, x in given.items()})
        except (ValueError, TypeError, RuntimeError, FloatingPointError) as error:
            raise TargetError(str(error)) from error
        if not isinstance(result, dict):
            result = {model.program.outputs[0].name: result}
        return {name: x[0].numpy() for name, x in result.items()}


target = Torch()
