"""`benchmarks/gpu.py` without a GPU: its parts on the emulator, its page, and parts that fail."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

from cuda_emulator import available

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu

    return gpu


@pytest.mark.skipif(not available(), reason="no C++ compiler")
def test_a_dry_run(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--dry", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--only", "errors-14", "times-14"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["errors-14"]["error_short"] < 1e-5 and found["times-14"]["ms"] > 0
    text = (tmp_path / "gpu.md").read_text()
    assert text == done.stdout[done.stdout.index("# dry run") : -1]
    assert "| 14, 2, 64, 128 | 6.2 | " in text and "What failed" not in text


def everything(gpu):
    """What a fast GPU would find."""
    found = {"tests-gpu": {"passed": "41 passed"}, "idle-10": {"idle": 0.04}}
    for name, aim in gpu.AIMS.items():
        found[f"errors-{name}"] = {"error_short": 2e-6, "kernels_s": 2.5, "error_long": 7e-5,
                                   "error_torch": 6e-5}  # fmt: skip
        found[f"times-{name}"] = {"ms": aim.milliseconds, "megabytes": 99.0, "cached_s": 0.02,
                                  "with_weights_ms": 7, "backward_registers": 168,
                                  "backward_local_bytes": 0}  # fmt: skip
    found |= {f"epoch-{n}": {"seconds": most, "test_s": 0.2} for n, (_, most) in gpu.EPOCHS.items()}
    for name, (accuracy, minutes) in gpu.LEARN.items():
        found[f"learn-{name}"] = {"accuracy": accuracy, "minutes": minutes}
    return found | {"nccl-1": {"sums": True, "nccl": True}}


def test_the_page(gpu):
    found = everything(gpu)
    text = gpu.page(found, "H200")
    assert text.count("| yes |") == len(gpu.AIMS) + len(gpu.EPOCHS) + len(gpu.LEARN)
    assert "| no |" not in text and "idle in an epoch at n = 10: 4%" in text
    found["times-8"]["ms"] *= 1.01
    found["errors-4"]["error_long"] = 1.3e-4  # more than twice that of torch
    found["times-14long"]["megabytes"] = 201
    found["epoch-14"] = {"failed": "took longer than 150 s", "said": ["epoch 1/1  step 9"]}
    text = gpu.page(found, "H200")
    assert text.count("| no |") == 4
    assert "epoch-14: took longer than 150 s\n\n```\nepoch 1/1  step 9\n```" in text
    assert gpu.page({}, "nothing").count("| no |") == len(gpu.AIMS) + 5


def test_parts_that_fail_leave_the_others(gpu, monkeypatch, tmp_path, capsys):
    codes = {
        "times-4": "raise SystemExit('the device was lost')",
        "times-8": "import time; print('begun', flush=True); time.sleep(60)",
        "times-10": "print('no figures')",
        "times-12": "import os; os.abort()",
        "times-14": "print('{\"ms\": 3.5}')",
    }
    monkeypatch.setattr(
        gpu, "command", lambda part, given: [sys.executable, "-c", codes[str(part)]]
    )
    monkeypatch.setattr(gpu, "PARTS", tuple(gpu.Part("times", n, 6) for n in gpu.AIMS)[:5])
    begun = time.monotonic()
    given = gpu.parsed(["--dry", "--out", str(tmp_path)])
    assert gpu.main(given) == 1
    assert time.monotonic() - begun < 50
    found = json.loads((tmp_path / "gpu.json").read_text())
    said = [found[name].get("failed") for name in codes]
    assert said[:3] == ["the device was lost", "took longer than 6 s", "no figures"]
    assert said[3] and found["times-8"]["said"] == ["begun"]
    assert found["times-14"]["ms"] == 3.5 and "failed" not in found["times-14"]
    assert "| 14, 2, 64, 128 | 6.2 | 3.5 |" in capsys.readouterr().out


def test_no_time_left(gpu):
    given = gpu.parsed([])
    found = gpu.run(gpu.PARTS[0], given, "", time.monotonic() + 1)
    assert found == {"failed": "no time was left"}


def test_where_there_is_no_gpu():
    """Said in a sentence, with a status of its own."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu.py")], capture_output=True, text=True, check=False,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr == (
        "nothing to measure: torch sees no CUDA device\n"
    )
