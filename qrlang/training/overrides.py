"""Settings from the command line, as lines of the `train` block.

They are parsed and checked as if they stood in the file: a data set on the line is held against the
model's inputs, and messages point at what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from qrlang.check.training.settings import SETTINGS
from qrlang.diagnostics import Diagnostic
from qrlang.diagnostics.words import suggestion
from qrlang.errors import TrainingError
from qrlang.source import Source
from qrlang.syntax import ast
from qrlang.syntax.parser import parse
from qrlang.training.settings import Settings

TITLE = "<command line>"
_FILES = re.compile(r'(\b(?:path|join)\s*:\s*)"([^"\\]*)"')  # of a data set with arguments


def chosen(file: ast.File, model: str | None) -> str:
    """The model that is to be trained: the one asked for, of the first block, or the only one."""
    blocks = [i.model for i in file.items if isinstance(i, ast.Train)]
    models = [i.name for i in file.items if isinstance(i, ast.Model)]
    if model is not None:
        if model not in models:
            raise TrainingError(f"{file.source.name} has no model `{model}`"
                                + suggestion(model, models))  # fmt: skip
        return model
    names = list(dict.fromkeys(blocks)) or models
    if len(names) == 1:
        return names[0]
    if not names:
        raise TrainingError(f"{file.source.name} has no model")
    raise TrainingError(
        f"{file.source.name} can train {', '.join(names)}", f"say which: --model {names[0]}"
    )


def apply(
    file: ast.File, model: str, given: Mapping[str, str]
) -> tuple[ast.File, tuple[Diagnostic, ...]]:
    """The file with one block for this model, changed by what was given."""
    old = next((i for i in file.items if isinstance(i, ast.Train) and i.model == model), None)
    said = {s.name for s in old.settings} if old else set()
    if "data" not in said | given.keys():
        line = "a line `data = …` in its" if old else "a"
        raise TrainingError(
            f"{file.source.name} does not say what {model} is trained on",
            f"say it here: --data drawn_digits, --data mine.csv; or write {line} `train` block",
        )
    base = Path(file.source.name).parent
    lines, problems = _parsed(model, {k: _from_here(k, v, base) for k, v in given.items()})
    settings = {s.name: s for s in (*(old.settings if old else ()), *lines.settings)}
    block = replace(old or lines, settings=tuple(settings.values()))
    items = tuple(i for i in file.items if not isinstance(i, ast.Train))
    return replace(file, items=(*items, block)), problems


def longer(settings: Settings, given: Mapping[str, str]) -> Settings:
    """Of a run that goes on, for another number of epochs or updates than it was planned for."""
    if len(given) > 1:
        raise TrainingError("a run goes on to so many epochs or so many updates",
                            "give --epochs or --steps")  # fmt: skip
    if given and settings.optimizer[0] == "ridge":
        raise TrainingError("`ridge` finds its weights in one go", "leave out --epochs and --steps")
    for name, text in given.items():
        spec = SETTINGS[name]
        count = int(text) if text.isdecimal() else 0
        if not count or (spec.most is not None and count > spec.most):
            raise TrainingError(f"`{name}` takes a whole number of at least 1, found `{text}`")
        method, options = settings.optimizer
        if method == "nelder_mead":
            settings = replace(settings, optimizer=(method, {**options, "max_iterations": count}))
        if name == "steps":
            settings = replace(settings, steps=count)
        else:
            settings = replace(settings, steps=0, epochs=count)
    return settings


def _parsed(model: str, given: Mapping[str, str]) -> tuple[ast.Train, tuple[Diagnostic, ...]]:
    body = "".join(f"  {name} = {_written(name, text)}\n" for name, text in given.items())
    source = Source(TITLE, f"train {model} {{\n{body}}}\n")
    file, problems = parse(source)
    block = next((i for i in file.items if isinstance(i, ast.Train)), None)
    if block is None:
        raise TrainingError("the settings on the command line cannot be read", body.strip())
    return block, problems


def _is_path(name: str, text: str) -> bool:
    plain = not text.startswith('"') and "(" not in text
    return name == "data" and plain and any(c in text for c in "./\\")


def _from_here(name: str, text: str, base: Path) -> str:
    """What is typed in a shell is a path from there; a block's paths begin at the program."""
    if _is_path(name, text):
        return _there(text, base)
    if name == "data":  # csv(path: "visits.csv", join: "lab.csv", …)
        return _FILES.sub(lambda m: m[1] + _quote(_there(m[2], base)), text)
    return text


def _there(text: str, base: Path) -> str:
    here = Path(text).expanduser()
    if here.is_absolute() or not here.is_file():
        return text
    beside = base / here
    return text if beside.is_file() and beside.samefile(here) else str(here.absolute())


def _written(name: str, text: str) -> str:
    """A path, and what is a text, goes without quotes in a shell."""
    quoted = text.startswith('"')
    if _is_path(name, text):
        return _quote(text)
    if name in ("checkpoint", "log") and not quoted:
        return _quote(text)
    return text


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
