"""`qrlc probe` and `qrlc report`, from the command line to the files."""

from __future__ import annotations

import json
import re
import shutil
import xml.dom.minidom
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from cli_tools import qrlc  # noqa: E402
from training_tools import project  # noqa: E402

from qrlang.analysis.evaluations import evaluations  # noqa: E402
from qrlang.cli.probe import KINDS  # noqa: E402
from qrlang.driver import Compilation  # noqa: E402
from qrlang.ir.program import Program  # noqa: E402
from qrlang.probe.subject import of_run  # noqa: E402

SMALL = ("--samples", "2", "--steps", "4", "--draws", "3", "--pairs", "100", "--delays", "2",
         "--vary", "n=2,3")  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: Any) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    path = project(folder, records=60)
    made = folder / "run", folder / "lstm"
    for where, core in zip(made, ("pqc", "lstm"), strict=True):
        done = qrlc("train", path, "--out", where, "--core", core, "--threads", 1, "--epochs", 1)
        assert done.code == 0, done.err
    return made


def test_probe_of_a_run(runs: tuple[Path, Path]) -> None:
    done = qrlc("probe", runs[0], *SMALL, "--format", "json")
    assert done.code == 0, done.err
    found = done.data()
    assert set(KINDS) < set(found)
    assert found["source"] == "2 sequences of the test split, its best weights"
    for kind in KINDS:
        xml.dom.minidom.parse(str(runs[0] / "probe" / f"{kind}.svg"))
    assert np.shape(found["entropy"]["mean"]) == (4, 1)
    assert np.shape(found["jacobian"]["gain"]) == (2, 4)
    assert len(found["bloch"]["samples"]) == 2
    assert [p["settings"] for p in found["gradients"]["points"]] == [{"n": 2}, {"n": 3}]
    assert found["memory"]["capacity"] <= found["memory"]["readouts"] + 1e-9


def test_probe_of_a_file_as_text(tmp_path: Path) -> None:
    path = project(tmp_path)
    args = ("probe", path, "--what", "entropy", "--steps", "3", "--set", "n=3", "--out", tmp_path)
    one, two = qrlc(*args), qrlc(*args)
    assert one.code == 0 and one.out == two.out
    lines = one.out.splitlines()
    assert lines[0] == "Tiny: entropy in bits, by step and cut"
    assert lines[1].split() == ["step", "1|2", "2|1"]
    assert [x.split()[0] for x in lines[2:6]] == ["1", "2", "3", "random"]
    assert "initial weights of seed 0" in one.out and "entropy.svg" in one.out


def test_what_does_not_fit_is_said(runs: tuple[Path, Path], tmp_path: Path) -> None:
    done = qrlc("probe", runs[1], "--what", "ansatz")
    assert done.code == 1 and "has no ansatz" in done.err
    done = qrlc("probe", runs[1], *SMALL[:-2])
    assert done.code == 0 and "entropy: " in done.err and "has no parameter" not in done.err
    path = project(tmp_path)
    assert qrlc("probe", path, "--vary", "m=2").code == 2
    assert qrlc("probe", path, "--vary", "n").code == 2
    assert qrlc("probe", runs[0], "--set", "n=2").code == 2
    assert qrlc("probe", tmp_path).code == 1  # a folder, but no run
    assert qrlc("report", tmp_path).code == 1


def test_a_run_knows_between_which_numbers_its_data_lies(runs: tuple[Path, Path]) -> None:
    found = of_run(str(runs[0]), samples=3)
    every = np.concatenate([s["xs"] for s in found.samples])
    assert found.spans == {"xs": (every.min(), every.max())}


def test_report(runs: tuple[Path, Path]) -> None:
    done = qrlc("report", *runs)
    assert done.code == 0, done.err
    text = (runs[0] / "report.md").read_text()
    assert done.out.split() == [str(runs[0] / "report.md"), str(runs[0] / "report.html")]
    result = json.loads((runs[0] / "result.json").read_text())
    assert f"{100 * result['figures']['accuracy']['value']:.2f} %" in text
    assert "| Tiny, lstm core |" in text
    assert "Packed: 4 numbers (0–1: x; 2–3: z) → steer.w1." in text
    assert "| z[1] | Z(memory[1]) |" in text
    assert "Sequences of 4 steps" in text
    # su2_ring on two qubits: rz ry rz of each, and their CNOTs.
    rows = re.findall(r"^\| \d+ \| (\w+) \| (memory[^|]*) \| ([^|]*) \| ([^|]*) \|$", text, re.M)
    assert [r[0] for r in rows[:6]] == ["rz", "ry", "rz"] * 2
    assert [r[2] for r in rows[:6]] == [f"steer[{k}]" for k in range(6)]
    assert {r[3] for r in rows[:6]} == {"data-driven"} and rows[6][0] == "cx"
    assert "model Tiny" in text and "loop step" in text
    assert "| seed | 0 |" in text and "| torch |" in text
    page = (runs[0] / "report.html").read_text()
    assert page.count("<table>") == text.count("\n| ---") and "<img" in page


def test_report_of_a_classical_core(runs: tuple[Path, Path], tmp_path: Path) -> None:
    done = qrlc("report", runs[1], "--out", tmp_path / "page.html")
    assert done.code == 0
    assert "the core is classical" in (tmp_path / "page.md").read_text()


def test_a_report_elsewhere_shows_the_pictures(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Also of a run whose name means something in an address, on a page whose name has a dot."""
    run = shutil.copytree(runs[0], tmp_path / "50 % #1 ü" / "run")
    done = qrlc("report", run, "--out", tmp_path / "lr0.01")
    assert done.code == 0, done.err
    page, text = tmp_path / "lr0.01.html", tmp_path / "lr0.01.md"
    assert done.out.splitlines() == [str(text), str(page)]
    shown = re.findall(r'<img src="([^"]*)"', page.read_text(encoding="utf-8"))
    assert shown and all((tmp_path / unquote(address)).is_file() for address in shown)
    for address in shown:
        assert not set(address) & set(" #\\") and f"]({address})" in text.read_text(
            encoding="utf-8"
        )


# --- counts -------------------------------------------------------------------------------------


def program(text: str) -> Program:
    made = Compilation.of_bytes("m.qrl", text.encode())
    assert not made.failed, made.diagnostics
    return next(iter(made.checked.models.values())).program


COUNTED = """\
model Counted(n: int = 2) {{
  input xs: seq[real[1]]
  qubits q[n]
  param w: angle[3]
  layer head = linear(1)
  step x in xs {{
    {before}
    ry(x[0]) q[0]
    crz(w[0]) q[0], q[1]
    rx(w[1]) q[1]
    rz(0.3) q[1]
    {after}
  }}
  return head(read [Z(q[0]), X(q[0])])
}}
"""


@pytest.mark.parametrize(
    ("before", "after", "in_step"),
    [("", "", []), ("let z = read [Z(q[0])]\n    rx(z[0]) q[1]", "", [0]),
     ("", "let z = read [Z(q[0]), X(q[1])]\n    rx(z[0]) q[1]", [3])],
)  # fmt: skip
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_circuit_evaluations(before: str, after: str, in_step: list[int], steps: int) -> None:
    """Gate by gate over the unrolled program."""
    model = program(COUNTED.format(before=before, after=after))
    # What happens in a step, in order: circuits for an angle, or a reading.
    step: list[Any] = [2, 4, 2]
    if before:
        step = ["read", 2, *step]
    if after:
        step = [*step, "read", 2]
    unrolled = [(t, what) for t in range(steps) for what in step]
    unrolled += [(steps - 1, "read")] * 2  # afterwards: Z and X of one qubit, two settings
    reads = [t for t, what in unrolled if what == "read"]
    shift = sum(
        what * sum(later == "read" for _, later in unrolled[k:])
        for k, (_, what) in enumerate(unrolled)
        if what != "read"
    )
    found = evaluations(model, steps)
    assert found.sample == len(reads)
    assert found.sample_steps == sum(t + 1 for t in reads)
    assert found.spsa == 2 * len(reads)
    assert found.shift == shift
    assert found.step == len(in_step)


def test_weak_readouts_of_all_steps_take_one_circuit() -> None:
    weak = Path(__file__).parents[2] / "examples" / "ancilla" / "weak.qrl"
    found = evaluations(program(weak.read_text()), 5)
    assert (found.step, found.sample, found.sample_steps, found.spsa) == (1, 1, 5, 2)
    assert found.shift is not None and found.shift % 10 == 0


def test_shift_rules_of_gates() -> None:
    """As many frequencies as the Fourier series of the expectation has."""
    from qrlang.gates import GATES, waves

    for name, spec in GATES.items():
        for controls in (0, 1):
            for k in range(spec.angles if spec.qubits + controls <= 2 else 0):
                assert waves(name, k, bool(controls))[0] == frequencies(spec, k, controls), name


def frequencies(spec: Any, k: int, controls: int) -> int:
    rng = np.random.default_rng(0)
    size = 1 << (spec.qubits + controls)
    points = 32
    total = np.zeros(points)
    for _ in range(6):
        angles = rng.uniform(-3, 3, spec.angles)
        state = rng.normal(size=size) + 1j * rng.normal(size=size)
        seen = rng.normal(size=(size, size))
        values = []
        for p in range(points):
            angles[k] = 4 * np.pi * p / points  # angles of half a turn have period 4π
            u = np.eye(size, dtype=complex)
            own = np.array(spec.matrix(*angles))
            u[size - len(own) :, size - len(own) :] = own
            values.append(np.vdot(u @ state, (seen + seen.T) @ u @ state).real)
        total += np.abs(np.fft.fft(values))
    return int(np.sum(total[1 : points // 2] > 1e-9 * total.max()))


def test_from_python_as_the_page_has_it(runs: tuple[Path, Path], root: Path) -> None:
    page = (root / "docs" / "probe.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(text.replace("runs/Digits-1", str(runs[0])), names)
    said = qrlc("probe", runs[0], "--what", "entropy", "--format", "json").data()
    assert names["found"].data["mean"] == said["entropy"]["mean"]
