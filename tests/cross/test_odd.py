"""Programs that are unlike any other: the interpreter, every road of torch and exact devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch_tools as tools
from hardware_tools import difference, items, right, weights

from qrlang.backends.torch.roads import RoadError
from qrlang.driver import Compilation
from qrlang.hardware.device import DeviceOptions
from qrlang.hardware.loop import Plan, run
from qrlang.hardware.target import lacking, refused
from qrlang.ir.program import Program
from qrlang.passes import GATES, run_passes
from qrlang.targets import load

torch = pytest.importorskip("torch")

FOLDER = Path(__file__).parent / "odd"
LENGTHS = (3, 1, 2)
DEVICES = [("qiskit", "aer"), ("braket", "braket_sv"), ("braket", "braket_dm")]
# What rounding does to an angle of 1e9, of which only the rest after whole turns counts.
BOUND = {"huge_angles": 1e-6}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.qrl")))
def test_all_agree(name: str) -> None:
    path = FOLDER / f"{name}.qrl"
    made = Compilation.of_bytes(str(path), path.read_bytes())
    assert not made.failed, [d.message for d in made.diagnostics]
    (model,) = made.models()
    program = run_passes(model.program, GATES)
    batch, w = items(program, LENGTHS), weights(program)
    true = right(program, batch, w)
    assert difference(right(model.program, batch, w), true) < 1e-12  # before the passes
    found = {"plain": of_torch(program, batch, w, "plain")}
    for road in ("stepwise", "native"):
        try:
            found[road] = of_torch(program, batch, w, road)
        except RoadError:
            continue
    for target, device in DEVICES:
        opened: Any = load(target)
        on = opened.open_device(device, DeviceOptions())
        if not [*refused(program, opened), *lacking(program, on)]:
            found[device] = run(program, w, batch, on, Plan(0)).outputs
    assert len(found) >= 3  # aer takes them all, and one of Braket's
    bound = BOUND.get(name, 1e-12)
    assert {k: d for k, one in found.items() if (d := difference(one, true)) > bound} == {}


def of_torch(program: Program, batch: Any, w: Any, road: str) -> list[dict[str, Any]]:
    module = tools.module(program, road=road)
    tools.set_weights(module, w)
    if not program.inputs:
        one = tools.outputs(program, module())
        return [{k: x.reshape(x.shape[1:]) for k, x in one.items()}] * len(batch)
    with torch.no_grad():
        result = module(**tools.batch([x.inputs for x in batch]), lengths=torch.tensor(LENGTHS))
    made = tools.outputs(program, result)
    seqs = {o.name for o in program.outputs if o.value.type.seq}
    extra = {k: x.shape[1] - max(LENGTHS) for k, x in made.items() if k in seqs}
    return [
        {k: x[i, : t + extra[k]] if k in seqs else x[i] for k, x in made.items()}
        for i, t in enumerate(LENGTHS)
    ]


def test_nothing_behind_the_end_of_a_sequence_counts() -> None:
    """Neither a token that is none, as others pad with, nor NaN."""
    import qrlang

    def said(file: Path, road: str, x: Any, **settings: int) -> Any:
        torch.manual_seed(0)
        model = qrlang.load(file, road=road, **settings)
        return model(x, lengths=torch.tensor([3, 1]))

    words, rows = torch.zeros(2, 3, dtype=torch.int64), torch.rand(2, 3, 28)
    examples = Path(__file__).parents[2] / "examples"
    small = {"n": 2, "layers": 1, "hidden": 4}
    for road in ("plain", "stepwise", "native"):
        good = said(FOLDER / "one_token.qrl", road, words)
        for pad in (-100, 10**6):
            words[1, 1:] = pad
            assert torch.equal(said(FOLDER / "one_token.qrl", road, words), good)
        words[1, 1:] = 0
        good = said(examples / "qrnn/rows.qrl", road, rows, **small)
        for pad in (float("nan"), float("inf")):
            bad = rows.clone()
            bad[1, 1:] = pad
            assert torch.equal(said(examples / "qrnn/rows.qrl", road, bad, **small), good)
    words[0, 2] = 1  # this one is within
    with pytest.raises(ValueError, match="`w` has tokens outside 0 … 0"):
        said(FOLDER / "one_token.qrl", "native", words)
