"""qrlang: a language and compiler for recurrent quantum models."""

import os as _os
from typing import Any as _Any

if __name__ != "qrlang":  # the fall-back below would also offer a second copy, qrlang.qrlang
    raise ImportError(f"import this package as 'qrlang', not as {__name__!r}")

from qrlang.version import VERSION as _VERSION

__version__ = _VERSION

# A wheel has grammar/, backends/ and stdlib/ inside this folder. In a source checkout they lie
# beside it, so the checkout is searched as well; that makes it work with no install at all.
_here = _os.path.dirname(_os.path.abspath(__file__))
if not _os.path.isfile(_os.path.join(_here, "stdlib", "__init__.py")):
    __path__.append(_os.path.dirname(_here))


def load(
    path: str | _os.PathLike[str],
    *,
    model: str | None = None,
    road: str | int | None = None,
    dtype: _Any = None,
    device: _Any = None,
    **settings: int | float | bool | str,
) -> _Any:
    """A model of a `.qrl` file as a `torch.nn.Module`: the module that `--target torch` writes.

    `load("qrnn.qrl", n=10)`: keywords are the model's settings. `model` names one of several in
    the file. `load("runs/QRNN-1")` is the model of a run, at its best weights. `road` is "native",
    "stepwise" or "plain" (None: the fastest that fits).
    """
    run = _os.path.isdir(path) and not str(path).endswith(".qrl")
    found = _with_torch("qrlang.training.module" if run else "qrlang.backends.torch.load")
    return found.load(path, model=model, road=road, dtype=dtype, device=device, **settings)


def loads(
    text: str,
    *,
    name: str = "text.qrl",
    model: str | None = None,
    road: str | int | None = None,
    dtype: _Any = None,
    device: _Any = None,
    **settings: int | float | bool | str,
) -> _Any:
    """The same of a program that is a text: one that Python has made, say. `name` is what messages
    call it; files that it uses are looked for beside that.
    """
    found = _with_torch("qrlang.backends.torch.load")
    return found.loads(text, name=name, model=model, road=road, dtype=dtype, device=device,
                       **settings)  # fmt: skip


def load_ipython_extension(shell: _Any) -> None:
    """`%load_ext qrlang`: cells of a notebook that begin with `%%qrl`."""
    from qrlang.notebook import load_ipython_extension as into

    into(shell)


def _with_torch(module: str) -> _Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("qrlang"):
            raise
        what = f"qrlang.load needs {error.name}: pip install 'qrlang[torch]'"
        raise ModuleNotFoundError(what, name=error.name) from None
