"""The reference interpreter as a target: runs one sequence, writes no files."""

from __future__ import annotations

from collections.abc import Mapping

from qrlang.check.model import CheckedModel
from qrlang.features import FEATURES
from qrlang.targets import Option, Options, Support, Target, TargetError, no, yes


class ReferenceTarget(Target):
    name = "reference"
    doc = "the interpreter that defines what a program means: one sequence, double precision"
    options = (
        Option("method", "how states are kept", "auto", ("auto", "statevector", "density")),
        Option("seed", "drives initial weights and readouts from shots", "0"),
    )

    def features(self, options: Options) -> Mapping[str, Support]:
        has = {name: yes() for name in FEATURES}
        has["extern"] = no("call `qrlang.backends.reference.run` with a function for the layer")
        return has

    def run(
        self, model: CheckedModel, inputs: Mapping[str, object], options: Options
    ) -> Mapping[str, object]:
        from qrlang.backends.reference.errors import RunError
        from qrlang.backends.reference.interpreter import run

        program = model.program
        targets = {v.name for v in program.targets}
        try:
            result = run(
                program,
                {name: x for name, x in inputs.items() if name not in targets},
                {name: x for name, x in inputs.items() if name in targets},
                seed=_seed(options.get("seed", "0")),
                method=options.get("method", "auto"),
            )
        except RunError as error:
            raise TargetError(str(error)) from error
        return result.outputs


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise TargetError(f"the seed has to be a whole number, not `{text}`")
    return int(text)


target = ReferenceTarget()
