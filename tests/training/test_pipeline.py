"""What training does on a GPU, on the CPU: updates that nobody waits for, data that lies there."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from training_tools import Arrays, environment, lines, project, weights

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from qrlang.cli.main import run as qrlc  # noqa: E402
from qrlang.errors import TrainingError  # noqa: E402
from qrlang.training import resident, start  # noqa: E402
from qrlang.training.feed import Batch  # noqa: E402
from qrlang.training.optim.adam import Adam  # noqa: E402
from qrlang.training.pipeline import Pipeline  # noqa: E402
from qrlang.training.recorded import Recorded  # noqa: E402
from qrlang.training.settings import Settings  # noqa: E402
from qrlang.training.world import World  # noqa: E402


@pytest.fixture
def late(monkeypatch: Any) -> None:
    monkeypatch.setattr(Pipeline, "fits", staticmethod(lambda o, a: isinstance(a, Adam)))
    monkeypatch.setattr(resident, "near", lambda f, d: resident.Near(f, torch.device("cpu")))


def train(path: Path, name: str, *args: object) -> Path:
    made = path.parent / name
    arguments = ["--device", "cpu", "--out", str(made), "--threads", "1", "--log", "3 steps",
                 *map(str, args)]  # fmt: skip
    assert qrlc(["train", str(path), *arguments]) == 0
    return made


def plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: round(v, 4) if isinstance(v, float) else v for k, v in x.items()} for x in found]


@pytest.mark.parametrize("more", [[], ["--optimizer", "adamw(lr: 1e-2, weight_decay: 0.1)"]])
def test_a_run_is_the_same_run(tmp_path: Path, request: Any, more: list[str]) -> None:
    path = project(tmp_path)
    first = train(path, "first", *more)
    request.getfixturevalue("late")
    second = train(path, "second", *more)
    assert plain(lines(first)) == plain(lines(second))
    for name, x in weights(first).items():
        assert np.allclose(x, weights(second)[name], atol=1e-5), name
    third = train(path, "third", "--checkpoint", "2 steps", *more)
    assert all(np.array_equal(x, weights(third)[n]) for n, x in weights(second).items())


class Unread(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[misc]
    """Where no number of a tensor may be asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        asked = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "unique")
        assert func.overloadpacket.__name__ not in asked, func
        return func(*args, **(kwargs or {}))


def test_all_of_it_through_the_kernels_of_a_gpu(tmp_path: Path, monkeypatch: Any) -> None:
    """The emulator in place of a GPU: a whole run, with a last batch that is smaller."""
    import cuda_emulator

    if not cuda_emulator.available():
        pytest.skip("no C++ compiler")
    from emulated import Emulated

    from qrlang.backends.torch import gpu
    from qrlang.backends.torch.native import road as native

    path = project(tmp_path, records=70)
    first = train(path, "first")
    launcher = Emulated()
    monkeypatch.setattr(native, "machine", lambda model: "cuda")
    monkeypatch.setattr(gpu, "launcher", lambda device: launcher)
    monkeypatch.setattr(gpu, "unavailable", lambda device: "")
    monkeypatch.setattr(Pipeline, "fits", staticmethod(lambda o, a: isinstance(a, Adam)))
    monkeypatch.setattr(resident, "near", lambda f, d: resident.Near(f, torch.device("cpu")))
    native._prepared.cache_clear()
    with pytest.raises(AssertionError, match="local_scalar"), Unread():
        float(torch.ones(()))
    queue, done = Pipeline.queue, []

    def watched(self: Any, work: Any, rate: Any) -> Any:
        done.append(1)
        if len(done) < 3:
            return queue(self, work, rate)
        with Unread():
            return queue(self, work, rate)

    monkeypatch.setattr(Pipeline, "queue", watched)
    monkeypatch.setattr(gpu.Faults, "look", lambda self, wait: None)  # no reading on a GPU
    second = train(path, "second")
    native._prepared.cache_clear()
    assert len(done) == 8
    for a, b in zip(lines(first), lines(second), strict=True):
        assert a["split"] == b["split"] and abs(a["loss"] - b["loss"]) < 1e-4
    for name, x in weights(first).items():
        assert np.allclose(x, weights(second)[name], atol=1e-3), name


def test_what_is_not_finite_changes_nothing() -> None:
    """Neither the weights nor what Adam remembers; the next update is as if it had not been."""
    torch.manual_seed(0)
    w, v = torch.nn.Parameter(torch.randn(5)), torch.nn.Parameter(torch.randn(2, 2))
    kept = [p.detach().clone() for p in (w, v)]
    options = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    adam, late = Adam([w, v], 1.0, **options), Adam([w, v], 1.0, **options)
    slopes = [torch.randn(9) * 4, torch.full((9,), float("nan")), torch.randn(9), torch.zeros(9)]
    found = []
    for optimizer in (late, adam):
        with torch.no_grad():
            for p, x in zip((w, v), kept, strict=True):
                p.copy_(x)
        for slope in slopes:
            w.grad, v.grad = slope[:5].clone(), slope[5:].reshape(2, 2).clone()
            terms, loss = torch.tensor(2.0).double(), slope.sum().double()
            if optimizer is late:
                out = late.late(terms, loss, torch.tensor(0.1), World())
                assert bool(out[2]) == bool(slope.isfinite().all())
            elif slope.isfinite().all():
                norm = float((slope / 2).norm())
                for p in (w, v):
                    p.grad /= 2
                    p.grad *= min(1.0, 1.0 / max(norm, 1e-30))
                with torch.no_grad():
                    adam._step(0.1)
        found.append(torch.cat([w.detach(), v.detach().reshape(-1)]))
    assert torch.allclose(*found, atol=1e-6)
    assert late.state()["count"] == adam.state()["count"] == 3


def test_what_is_recorded_is_done_over_on_each_batch_s_own(monkeypatch: Any) -> None:
    """Also which of its moments are counted. A graph in short: what was queued, once more."""
    objective = SimpleNamespace(
        model=SimpleNamespace(program="", shots=0, trajectories=0), world=World(), truncate=0
    )
    again: list[Any] = []

    def queue(work: Any, rate: Any) -> Any:
        (batch,) = work.batches
        out = torch.zeros(())

        def done() -> None:
            out.copy_(rate * (batch.values["x"] * batch.counted).sum())

        again.append(done)
        return out

    def replay() -> None:
        again[-1]()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=replay))
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, capture_error_mode: nullcontext())
    recorded = Recorded(objective, queue)
    taken = []
    for k in range(8):
        x, counted = torch.full((2, 3), 1.0 + k), torch.arange(6).view(2, 3) >= k
        work: Any = SimpleNamespace(batches=[Batch({"x": x}, counted=counted)], runs=0)
        taken.append(recorded.takes(work))
        if taken[-1]:
            found = recorded.run(work, torch.tensor(2.0))
            assert float(found) == 2 * float((x * counted).sum()) and work.runs == 2
    assert sum(taken) == 5 and len(again) == 1
    work = SimpleNamespace(batches=[Batch({"x": x}, counted=None)])
    assert not recorded.takes(work)  # another kind, not seen as often


def feed(records: int) -> Arrays:
    x = np.arange(records * 3, dtype=np.float32).reshape(records, 3, 1)
    return Arrays({"train": Batch({"x": x}, {"x": np.arange(records) % 3 + 1})})


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_parts_of_several_processes_are_the_whole_batch(world: int) -> None:
    data = np.random.default_rng(0)
    whole = Batch({"x": data.normal(size=(7, 4))}, {"x": data.integers(1, 5, 7)},
                  data.integers(0, 2, (7, 4)) > 0, np.arange(7), True)  # fmt: skip
    parts = [whole.part(rank, world) for rank in range(world)]
    assert sum(p.size for p in parts) == 7 and all(p.carried for p in parts)
    for rank, p in enumerate(parts):
        assert np.array_equal(p.values["x"], whole.values["x"][rank::world])
        assert np.array_equal(p.lengths["x"], whole.lengths["x"][rank::world])
        assert p.counted is not None and whole.counted is not None
        assert np.array_equal(p.counted, whole.counted[rank::world])
        assert np.array_equal(p.rows, np.arange(7)[rank::world])


def test_batches_are_brought_in_order_and_errors_too() -> None:
    near = resident.Near(feed(10), torch.device("cpu"))
    order: dict[str, Any] = {"seed": 1, "epoch": 2, "shuffle": True, "start": 1}
    mine, theirs = near.batches("train", 3, **order), feed(10).batches("train", 3, **order)
    for a, b in zip(mine, theirs, strict=True):
        assert torch.equal(a.values["x"], torch.as_tensor(b.values["x"]))
        assert torch.equal(a.lengths["x"], torch.as_tensor(b.lengths["x"]))
    for k, _ in enumerate(near.batches("train", 3, seed=0, epoch=0, shuffle=False)):
        if k == 1:
            break  # nobody is left behind

    def broken() -> Any:
        yield from feed(4).batches("train", 2, seed=0, epoch=0, shuffle=False)
        raise TrainingError("the data ends here")

    with pytest.raises(TrainingError, match="ends here"):
        list(resident.ahead(broken(), torch.device("cpu")))


def test_a_gpu_that_is_not_there(monkeypatch: Any) -> None:
    settings = Settings(("npz", {}), ("mse", {}), "loss", device="cuda")
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="torch sees no CUDA device"):
            start.device(settings)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert start.device(settings) == "cuda:1"
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(TrainingError, match="process 2 of this machine has no GPU: it has 2"):
        start.device(settings)


LATE = """
import sys
from qrlang.training.optim.adam import Adam
from qrlang.training.pipeline import Pipeline
Pipeline.fits = staticmethod(lambda objective, optimizer: isinstance(optimizer, Adam))
from qrlang.cli.main import run
sys.exit(run(["train", *sys.argv[1:]]))
"""


@pytest.mark.slow
def test_two_processes_have_the_curve_of_one(tmp_path: Path) -> None:
    """Nobody waits for anybody, but for the sum of gradients."""
    path = project(tmp_path)
    script = tmp_path / "late.py"
    script.write_text(LATE)
    arguments = [
        "--device",
        "cpu",
        "--precision",
        "double",
        "--log-every",
        "3 steps",
        "--threads",
        "1",
    ]
    one = tmp_path / "one"
    assert qrlc(["train", str(path), "--out", str(one), *arguments]) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", str(script), str(path), "--out", str(tmp_path / "two")]  # fmt: skip
    subprocess.run([*command, *arguments], check=True, env=environment(), capture_output=True)
    assert plain(lines(one)) == plain(lines(tmp_path / "two"))
    for name, x in weights(one).items():
        assert np.allclose(x, weights(tmp_path / "two")[name], atol=1e-9), name
