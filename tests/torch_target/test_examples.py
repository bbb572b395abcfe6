import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch_tools as tools

from qrlang.backends.torch.emit import emit_program
from qrlang.driver import Compilation
from qrlang.ir.program import Expect, Probabilities
from qrlang.ir.walk import walk

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]


def models():
    for file in sorted((ROOT / "examples").glob("*/*.qrl")):
        compilation = Compilation.of_bytes(str(file), file.read_bytes())
        for name, model in compilation.checked.models.items():
            yield pytest.param(model.program, id=f"{file.stem}-{name}")


MODELS = list(models())


def arguments(kind, rng, time):
    times = (time,) if kind.seq else ()
    if kind.kind in ("token", "class"):
        return rng.integers(0, kind.size, times)
    if kind.kind == "bit":
        return rng.integers(0, 2, times + kind.shape)
    if kind.kind == "real":
        return rng.uniform(-0.9, 0.9, times + kind.shape)
    size = 2**kind.size
    q, _ = np.linalg.qr(rng.normal(size=(*times, size, size, 2)).view(complex)[..., 0])
    return q if kind.kind == "unitary" else q[..., 0]


@pytest.mark.parametrize("program", MODELS)
def test_an_example_as_in_the_interpreter(program):
    if program.externs:
        pytest.skip("its layer is Python code, which the interpreter does not run")
    if any(isinstance(op, (Expect, Probabilities)) and op.shots for op in walk(program.body)):
        pytest.skip("its readouts are drawn by lot")
    rng = np.random.default_rng(0)
    values = (*program.inputs, *program.targets)
    inputs = [{v.name: arguments(v.type, rng, t) for v in values} for t in (3, 2)]
    model = tools.module(program)
    given = {k: x for k, x in tools.batch(inputs).items() if k in model.inputs}
    lengths = torch.tensor([3, 2]) if any(v.type.seq for v in values) else None
    found = tools.outputs(program, model(**given, lengths=lengths))
    for b, one in enumerate(tools.reference(program, inputs)):
        for name, value in one.items():
            mine = found[name][b]
            mine = mine[: len(value)] if mine.shape != value.shape else mine
            np.testing.assert_allclose(mine, value, atol=1e-9)


def test_the_emitted_files_are_formatted_and_free_of_complaints(tmp_path):
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    for param in MODELS:
        (tmp_path / f"{param.id.replace('-', '_')}.py").write_text(emit_program(param.values[0]))
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [ruff, *command, "--isolated", "--no-cache", "."],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
