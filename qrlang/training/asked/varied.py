"""A run's program at other parameters: more noise, say. Its weights are those that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qrlang.diagnostics.words import suggestion
from qrlang.driver import Compilation, Setting
from qrlang.errors import TrainingError
from qrlang.ir.program import Program
from qrlang.syntax import ast
from qrlang.training.core import swapped
from qrlang.training.run import Run

WIDTHS = "set what changes no width: the strength of noise, an activation"


def varied(run: Run, other: Mapping[str, Setting]) -> Program:
    about = run.about()
    known = about["parameters"]
    for name in other:
        if name not in known:
            what = f"{about['model']} has no parameter '{name}'"
            raise TrainingError(what + suggestion(name, known))
    path = run.folder / "program" / str(about.get("file", ""))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"'{path}' cannot be read: {error.strerror}") from None
    plain = Compilation.of_bytes(str(path), data)
    kept = tuple(i for i in plain.file.items if not isinstance(i, ast.Train))  # it has its data
    read = (replace(plain.file, items=kept), plain.syntax)
    values = {**known, **other}
    made = Compilation.of_bytes(str(path), data, values, only=about["model"], read=read)
    errors = [d for d in made.diagnostics if d.severity == "error"]
    if errors:
        raise TrainingError(errors[0].message, errors[0].help)
    program = made.checked.models[about["model"]].program
    core = run.settings().core
    return program if core == "pqc" else swapped(program, core)
