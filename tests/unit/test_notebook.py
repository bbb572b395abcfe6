"""Cells of a notebook, in a shell of IPython's own; and programs that are texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
testing = pytest.importorskip("IPython.testing.globalipapp")

import qrlang  # noqa: E402

CELL = """\
use std.ansatz.su2_ring
use std.readout.each_z

model Tiny(n: int = 2, layers: int = 1) {
  input  xs:  seq[real[2]]
  target y: real
  qubits     memory[n]
  readout    z      = each_z(memory)
  ansatz     evolve = su2_ring(layers)
  controller steer  = linear()
  layer      head   = linear(1)
  step x in xs { apply evolve(steer(x, read z)) to memory }
  return head(read z)[0]
}
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = testing.start_ipython() or testing.get_ipython()
    shell.run_line_magic("load_ext", "qrlang")
    shell.extension_manager.loaded.discard("qrlang")  # the next test's shell is the same one
    yield shell
    shell.reset(new_session=True)


def test_a_cell_is_drawn_and_its_model_is_a_name(shell: Any, capsys: Any) -> None:
    shell.run_cell_magic("qrl", "", CELL)
    made = shell.user_ns["Tiny"]
    assert "Tiny(…): a model of cell.qrl" in capsys.readouterr().out  # what a terminal shows
    shell.display_formatter.active_types = ["text/plain", "image/svg+xml"]  # as in a notebook
    drawn = shell.display_formatter.format(made)[0]["image/svg+xml"]
    assert drawn.startswith("<svg") and "memory" in drawn
    shell.run_cell("import torch; out = Tiny(n=3, dtype=torch.float64)(torch.rand(4, 5, 2))")
    assert shell.user_ns["out"].shape == (4,) and shell.user_ns["out"].dtype == torch.float64
    torch.manual_seed(3)
    one = made(n=3)
    torch.manual_seed(3)
    other = qrlang.loads(CELL, n=3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_wrong_cell_ends_there(shell: Any, capsys: Any) -> None:
    wrong = CELL.replace("apply evolve", "apply evolv")
    result = shell.run_cell("%%qrl\n" + wrong + "\n")
    printed = capsys.readouterr().out
    assert not result.success and "Tiny" not in shell.user_ns  # a run of all cells stops here
    assert "cell.qrl" in printed and "evolve" in printed and "see above" in printed
    assert "Traceback" not in printed


def test_warnings_are_said_and_do_not_end_it(shell: Any, capsys: Any) -> None:
    shell.run_cell_magic("qrl", "", CELL.replace("  return", "  layer spare = linear(3)\n  return"))
    assert "spare" in capsys.readouterr().out and "Tiny" in shell.user_ns


def test_a_cell_that_is_kept_is_used_by_others(shell: Any, capsys: Any) -> None:
    shell.run_cell_magic(
        "qrl", "mine.qrl", "readout plain on q: qubit[n] = [Z(q[i]) for i in 0..n]"
    )
    cell = CELL.replace("std.readout.each_z", ".mine.plain").replace("each_z", "plain")
    shell.run_cell_magic("qrl", "'tiny.qrl'", cell)  # in quotes, as names with blanks are
    assert Path("tiny.qrl").read_text(encoding="utf-8") == cell, capsys.readouterr().out
    assert shell.user_ns["Tiny"]()(torch.rand(1, 3, 2)).shape == (1,)


@pytest.mark.parametrize(
    ("name", "said"), [("tiny.py", "ends in .qrl"), ("no/such/a.qrl", "cannot write")]
)
def test_files_that_cannot_be(shell: Any, name: str, said: str, capsys: Any) -> None:
    result = shell.run_cell(f"%%qrl {name}\n" + CELL)
    assert not result.success and said in capsys.readouterr().out and not Path(name).exists()


def test_a_text_that_is_wrong() -> None:
    from qrlang.backends.torch.load import LoadError

    with pytest.raises(LoadError, match=r"text\.qrl is not right"):
        qrlang.loads("model {")
    with pytest.raises(LoadError, match="no model `Tin`; did you mean `Tiny`"):
        qrlang.loads(CELL, model="Tin")
