"""A third party's package of .qrl files, and a user's own files, import the same way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from library_tools import report

from qrlang.check import check_file
from qrlang.check.library import Library
from qrlang.ir import program as ir
from qrlang.source import Source
from qrlang.syntax.parser import parse

PACKAGE = Path(__file__).parent.parent / "plugin_pkg"
PROGRAM = PACKAGE / "user" / "program.qrl"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package, built and installed as anybody would, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(PACKAGE, tmp_path_factory.mktemp("source") / "package")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
            "--no-build-isolation", "--disable-pip-version-check", "--target", folder, source,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    sys.path.insert(0, str(folder))
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))


def _parse(path: Path):  # type: ignore[no-untyped-def]
    file, diagnostics = parse(Source(str(path), path.read_text(encoding="utf-8")))
    assert not diagnostics, report(diagnostics)
    return file


def test_a_program_draws_on_a_package_and_on_its_own_files(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("QRL_LATTICE_MARK", str(mark))
    library = Library()
    assert "lattice" in library.installed()
    checked, diagnostics = check_file(_parse(PROGRAM), library)
    assert not diagnostics, report(diagnostics)
    assert "Lattice" in checked.models
    assert "qrl_lattice" not in sys.modules
    assert not mark.exists(), "checking ran the package's code"


def test_the_mark_works(installed: Path, tmp_path: Path) -> None:
    """So that its absence above means something."""
    mark = tmp_path / "mark"
    subprocess.run(
        [sys.executable, "-c", "import qrl_lattice"],
        env={**os.environ, "PYTHONPATH": str(installed), "QRL_LATTICE_MARK": str(mark)},
        check=True,
    )
    assert mark.exists()


def test_without_the_package_the_message_says_what_is_missing() -> None:
    _, diagnostics = check_file(_parse(PROGRAM), Library(packages=False))
    missing = [d for d in diagnostics if "lattice" in d.message]
    assert missing, report(diagnostics)
    assert all(d.severity == "error" for d in missing)
    uses = PROGRAM.read_text(encoding="utf-8").splitlines()
    for d in missing:
        line, _ = d.span.source.line_column(d.span.start)
        assert "use lattice." in uses[line - 1]


def test_what_a_package_lacks_is_an_error_with_a_suggestion(
    installed: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.qrl"
    program.write_text("use lattice.square.gird\nuse lattice.sqare.grid\n")
    _, diagnostics = check_file(_parse(program), Library())
    assert len(diagnostics) == 2
    assert "grid" in diagnostics[0].help


def test_a_library_is_parsed_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    gates = tmp_path / "gates.qrl"
    text = "use std.gates.turn\nmodel M() { qubits q[1]  apply turn to q  return read Z(q[0]) }"
    main, _ = parse(Source("m.qrl", text))

    def drawn_in(gate: str) -> tuple[str, Source]:
        """The gate that is written, and the text that it came from."""
        gates.write_text(f"ansatz turn on q: qubit[n] {{ {gate} q }}\n", encoding="utf-8")
        checked, diagnostics = check_file(main, Library(tmp_path))
        assert not diagnostics, report(diagnostics)
        program, places = checked.models["M"].program, checked.models["M"].places
        [[written]] = [op.elements for op in program.body if isinstance(op, ir.Unitary)]
        assert isinstance(written, ir.Gate)
        return written.name, places.gates[written.place].span.source

    first, again, changed = drawn_in("h"), drawn_in("h"), drawn_in("x")
    assert (first[0], again[0], changed[0]) == ("h", "h", "x")
    assert first[1] is again[1] is not changed[1]
