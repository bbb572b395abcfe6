"""What the commands share: arguments, reading files, settings of models."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qrlang.diagnostics.words import suggestion
from qrlang.driver import Compilation, Setting
from qrlang.errors import UserError
from qrlang.system.environment import MOST_THREADS

if TYPE_CHECKING:
    from qrlang.check.model import CheckedModel

    _ParamType = click.ParamType[tuple[str, Setting]]
else:  # click before 8.3 knows no brackets
    _ParamType = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])


def usage(message: str) -> click.UsageError:
    """A wrong use of the command: exit code 2."""
    return click.UsageError(message, click.get_current_context(silent=True))


# --- options ---


class SettingType(_ParamType):
    """`n=10`: a whole number, a real one, true, false, or text."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Setting]:
        if isinstance(value, tuple):
            return value[0], value[1]
        name, sign, text = str(value).partition("=")
        if not sign or not name.strip().isidentifier():
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        return name.strip(), setting(text.strip())


def setting(text: str) -> Setting:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text.replace("_", ""))
        except (ValueError, OverflowError):
            continue
    return text


def files(f: F) -> F:
    return click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path())(f)


def file(f: F) -> F:
    return click.argument("path", metavar="FILE", type=click.Path())(f)


def settings(f: F) -> F:
    return click.option(
        "--set",
        "settings",
        multiple=True,
        type=SettingType(),
        help="A parameter of the model, as in --set n=10. May be given several times.",
    )(f)


def model(f: F) -> F:
    return click.option("--model", metavar="NAME", help="Which model, if the file has several.")(f)


def data_dir(f: F) -> F:
    said = "Where data files lie (or QRLANG_DATA)."
    return click.option("--data-dir", metavar="DIR", help=said)(f)


def trained(f: F) -> F:
    """Which weights of a run, and how they are put to use."""
    for option in (
        click.option("--road", type=click.Choice(["native", "stepwise", "plain"]),
                     help="How it is computed; without it, as in training."),
        click.option("--threads", type=click.IntRange(0, MOST_THREADS), default=0,
                     help="Of the CPU; 0: all cores."),
        click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best",
                     show_default=True, help="Which weights."),
    ):  # fmt: skip
        f = option(f)
    return f


def asked(f: F) -> F:
    """How a run is asked for its answers."""
    for option in (
        click.option("--beam", type=click.IntRange(1, 64), default=1, show_default=True,
                     help="Translations: how many beginnings are kept."),
        click.option("--batch", type=click.IntRange(1, 2**20), default=None,
                     help="Sequences at a time.  [default: as many as there is room for, up to "
                     "256; of a stream, as in training]"),
    ):  # fmt: skip
        f = option(f)
    return f


def output(f: F) -> F:
    """How a report is written."""
    f = click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colours in messages; auto: on a terminal.",
    )(f)
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json"]),
        default="text",
        help="For people, or for programs.",
    )(f)


# --- files ---


def read(path: str) -> tuple[str, bytes]:
    """The name that messages use, and the bytes. `-` is the standard input."""
    from qrlang.syntax.parser import MAX_BYTES

    most = MAX_BYTES + 1  # no more is looked at, however long it is or goes on
    if path == "-":
        return "<stdin>", sys.stdin.buffer.read(most)
    try:
        with open(path, "rb") as stream:
            return path, stream.read(most)
    except OSError as error:
        raise usage(f"cannot read '{path}': {error.strerror or error}") from None
    except ValueError:
        raise usage(f"cannot read {path!r}: no file can have this name") from None


def expanded(paths: Iterable[str]) -> Iterator[str]:
    """Folders as the `.qrl` files in them."""
    for path in paths:
        if path != "-" and Path(path).is_dir():
            found = sorted(str(p) for p in Path(path).rglob("*.qrl") if p.is_file())
            if not found:
                raise usage(f"no .qrl file in '{path}'")
            yield from found
        else:
            yield path


def compilation(
    path: str,
    settings: Iterable[tuple[str, Setting]] = (),
    model: str | None = None,
    **more: Any,
) -> Compilation:
    """A file with its settings; unknown models and settings are wrong use, not a wrong program."""
    name, data = read(path)
    given = dict(settings)
    made = Compilation.of_bytes(name, data, settings=given, only=model, **more)
    if model is not None or given:
        known(made, list(given), model)
    return made


def known(made: Compilation, settings: list[str], model: str | None) -> None:
    from qrlang.syntax import ast

    if made.broken:
        return  # what the names are cannot be known
    models = {i.name: i for i in made.file.items if isinstance(i, ast.Model)}
    if model is not None and model not in models:
        raise usage(f"{made.source.name} has no model '{model}'" + suggestion(model, models))
    asked = [models[model]] if model else list(models.values())
    what = model or (asked[0].name if len(asked) == 1 else "no model")
    known_settings(settings, [p.name for m in asked for p in m.params], what)


def known_settings(settings: Iterable[str], params: Iterable[str], what: str) -> None:
    params = list(params)
    for name in settings:
        if name not in params:
            has = "has a" if what == "no model" else "has no"
            raise usage(f"{what} {has} parameter '{name}'" + suggestion(name, params))


def chosen(made: Compilation) -> list[CheckedModel]:
    """The models that are asked for."""
    models = made.models()
    if not models:
        raise nothing(made, "model")
    return models


def all_known(model: CheckedModel) -> None:
    """Refuses to compute with a stand-in for a parameter that nobody has given."""
    if model.unsaid:
        says = " ".join(f"--set {name}=…" for name in model.assumed)
        raise usage(f"{model.unsaid}; say {says}")


def nothing(made: Compilation, what: str) -> UserError:
    """The file lacks what it is asked for."""
    return UserError(f"{made.source.name} has no {what}")


def spare(path: str) -> None:
    if Path(path).suffix == ".qrl" and Path(path).exists():
        raise usage(f"'{path}' is a program, and would be written over: name another file")


def not_over(out: str | None, data: str | None) -> None:
    if out is not None and data is not None and Path(out).absolute() == Path(data).absolute():
        raise usage(f"'{data}' would be written over: name another file")


def write(path: str, text: str) -> None:
    """Writes a file, and the folders above it; never in place of a program."""
    spare(path)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise usage(f"cannot write '{path}': {reason}") from None


# --- training ---


def width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def given(option: str) -> bool:
    """Has the user said it, or is it as it is by default?"""
    source = click.get_current_context().get_parameter_source(option)
    return source is not click.core.ParameterSource.DEFAULT


def needs_training() -> None:
    """What training needs is there, or the command ends here."""
    try:
        import safetensors
        import torch
    except ImportError as error:
        raise UserError(f"training needs {error.name}", "pip install 'qrlang[train]'") from None
    del safetensors, torch
