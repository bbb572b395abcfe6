"""Cells of a notebook in the language: `%load_ext qrlang`, then cells that begin with `%%qrl`.

A right cell is drawn, and its models are Python names: `QRNN(n=10)` is a torch module. A cell that
names a file is kept there, for `qrlc` and for `use .file.name` of other cells.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qrlang.diagnostics import has_errors
from qrlang.diagnostics.render import render_text
from qrlang.driver import Compilation
from qrlang.errors import UserError
from qrlang.loading import loads

UNKEPT = "cell.qrl"  # what messages call a cell without a file; its neighbours are the notebook's


class WrongCell(UserError):
    """Ends the cell, and a run of all cells; what is wrong with it has been printed."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback through the compiler."""
        return [f"error: {self}" + (f"\nhelp: {self.help}" if self.help else "")]


class CellModel:
    """A model of a cell: a call makes the torch module, on a line of its own it is drawn."""

    def __init__(self, made: Compilation, name: str) -> None:
        self._made = made
        self.__name__ = name

    def __call__(
        self, *, road: str | int | None = None, dtype: Any = None, device: Any = None,
        **settings: int | float | bool | str,
    ) -> Any:  # fmt: skip
        """As `qrlang.load` of a file."""
        source = self._made.source
        return loads(source.text, name=source.name, model=self.__name__, road=road, dtype=dtype,
                     device=device, **settings)  # fmt: skip

    def __repr__(self) -> str:
        return f"{self.__name__}(…): a model of {self._made.source.name}"

    def _repr_svg_(self) -> str:
        from qrlang.draw import svg
        from qrlang.draw.picture import picture
        from qrlang.names import moved_registers

        m = self._made.checked.models[self.__name__]
        return svg.render(picture(m.program, False, m.assumed, moved_registers(m.declaration)))


def models_of(text: str, file: str = "") -> list[CellModel]:
    """The models of a cell; its messages are printed, and a wrong cell ends here."""
    if file:
        _keep(text, file)
    made = Compilation.of_bytes(file or UNKEPT, text.encode())
    if made.diagnostics:
        print(render_text(made.diagnostics, color=True), end="")
    if has_errors(made.diagnostics):
        raise WrongCell("the cell is not right: see above")
    return [CellModel(made, name) for name in made.checked.models]


def _keep(text: str, file: str) -> None:
    if Path(file).suffix != ".qrl":
        raise WrongCell(f"a cell is kept in a file that ends in .qrl, and '{file}' does not",
                        f"%%qrl {Path(file).stem or 'model'}.qrl")  # fmt: skip
    try:
        Path(file).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WrongCell(f"cannot write '{file}': {getattr(error, 'strerror', error)}") from None


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext qrlang`"""
    from IPython.display import display

    def qrl(line: str, cell: str) -> None:
        """%%qrl [FILE]: checks and draws the cell; its models become names."""
        for model in models_of(cell, line.strip().strip("'\"")):
            shell.push({model.__name__: model})
            display(model)

    shell.register_magic_function(qrl, "cell")
