"""On a GPU: numbers, streams, graphs, training. `pytest -m gpu` runs these alone."""

import threading
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

from pathlib import Path  # noqa: E402

import training_tools  # noqa: E402

import qrlang  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def _kernels_can_be_made():
    from qrlang.backends.torch import gpu

    reason = gpu.unavailable(torch.device("cuda", 0))
    if reason:
        pytest.fail(f"there is a GPU, and no kernels for it: {reason}")


def permuted(n, layers=2, dtype=torch.float32, device="cuda", scale=1.0):
    page = ROOT / "examples" / "qrnn" / "permuted.qrl"
    torch.manual_seed(n)
    model = qrlang.load(page, n=n, layers=layers, dtype=dtype, device=device)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(scale)
    return model


def slopes(model, x, lengths=None):
    y = model(x, lengths=lengths)
    found = torch.autograd.grad(
        (y * torch.linspace(-1, 1, y.numel(), device=y.device, dtype=y.dtype).view_as(y)).sum(),
        list(model.parameters()),
    )
    return [t.detach().double().cpu() for t in (y, *found)]


def relative(a, b):
    return max(float((x - y).norm() / (y.norm() + 1e-12)) for x, y in zip(a, b, strict=True))


def truth(n, x, lengths=None, layers=2, scale=1.0):
    return slopes(permuted(n, layers, torch.float64, "cpu", scale), x.double().cpu(),
                  None if lengths is None else lengths.cpu())  # fmt: skip


# Each mapping: lanes, one warp, two, a block, clusters of 2, 4 and 8, global memory. At 140 there
# are more clusters than multiprocessors: blocks of two stand side by side.
@pytest.mark.parametrize(
    ("n", "batch"),
    [(2, 7), (4, 33), (5, 64), (6, 5), (8, 9), (9, 4), (10, 3), (10, 2200), (11, 3), (12, 3),
     (13, 2), (14, 2), (14, 140), (15, 2), (16, 2), (18, 1), (20, 2)],
)  # fmt: skip
def test_numbers(n, batch):
    time_ = 12 if n < 14 else 4
    layers = 2 if n < 15 else 1
    x = torch.rand(batch, time_, 1, device="cuda")
    model = permuted(n, layers)
    assert model.chosen_road() == "native"
    few = slice(0, 8)
    mine = slopes(model, x[few])
    assert relative(mine, truth(n, x[few], layers=layers)) < 1e-4
    whole = model(x).detach()
    assert torch.allclose(whole[few], model(x[few]).detach(), atol=1e-5)


@pytest.mark.parametrize("n", [4, 8, 10, 12, 14, 15])
def test_angles_beyond_half_a_turn(n):
    """Rotations that are flips, also of the qubit that tells two blocks apart."""
    x = torch.rand(4, 3, 1, device="cuda")
    found = slopes(permuted(n, scale=6.0), x)
    assert relative(found, truth(n, x, scale=6.0)) < 1e-4


@pytest.mark.parametrize("n", [4, 8, 10, 12, 14])
def test_lengths(n):
    x = torch.rand(5, 9, 1, device="cuda")
    lengths = torch.tensor([9, 1, 4, 9, 2], device="cuda")
    assert relative(slopes(permuted(n, 1), x, lengths), truth(n, x, lengths, 1)) < 1e-4


@pytest.mark.parametrize("n", [4, 8, 10, 12, 14])
def test_the_same_bits_every_time(n):
    x = torch.rand(64, 20, 1, device="cuda")
    model = permuted(n)
    first = slopes(model, x)
    for _ in range(5):
        assert all(torch.equal(a, b) for a, b in zip(first, slopes(model, x), strict=True))


def test_double_precision():
    x = torch.rand(3, 10, 1, device="cuda", dtype=torch.float64)
    assert relative(slopes(permuted(7, dtype=torch.float64), x), truth(7, x)) < 1e-10


def test_what_is_not_finite():
    model = permuted(6)
    x = torch.rand(4, 30, 1, device="cuda")
    wrong = x.clone()
    wrong[2, 17] = float("nan")
    with pytest.raises(FloatingPointError, match=r"input `pixels` is NaN or infinite at step 18"):
        model(wrong)
    model.checks = "later"
    model(wrong)
    with pytest.raises(FloatingPointError, match="step 18"):
        model.settle()
    model(x)
    model.settle()


def test_a_stream_of_ones_own():
    model, x = permuted(8), torch.rand(16, 50, 1, device="cuda")
    expected = model(x).detach()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        found = model(x).detach()
    torch.cuda.current_stream().wait_stream(side)
    assert torch.equal(expected, found)


def test_a_thread_that_has_done_nothing_yet():
    """The driver knows no context there."""
    model, x = permuted(6), torch.rand(4, 10, 1, device="cuda")
    expected, found = slopes(model, x), []
    y = model(x)
    ones = torch.ones_like(y)
    torch.cuda.synchronize()

    def work():
        found.extend(torch.autograd.grad(y, list(model.parameters()), ones))
        found.extend(slopes(model, x))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert all(torch.equal(a, b) for a, b in zip(expected, found[-len(expected) :], strict=True))


@pytest.mark.parametrize("n", [8, 14])  # 14: blocks in clusters
def test_a_cuda_graph_of_a_whole_step(n):
    model, x = permuted(n), torch.rand(16, 50, 1, device="cuda")
    parameters = list(model.parameters())
    expected = slopes(model, x)[1:]

    def step():
        y = model(x)
        weights = torch.linspace(-1, 1, y.numel(), device="cuda").view_as(y)
        return torch.autograd.grad((y * weights).sum(), parameters)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = step()
    graph.replay()
    assert all(torch.equal(a, b.double().cpu()) for a, b in zip(expected, made, strict=True))


def test_memory_does_not_grow_with_the_states():
    """O(T) only in small vectors: far below one state for each step."""
    model, x = permuted(12), torch.rand(64, 200, 1, device="cuda")
    slopes(model, x)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    slopes(model, x)
    peak = torch.cuda.max_memory_allocated() - before
    assert peak < 0.1 * 64 * 200 * 2**12 * 8


def test_kernels_come_from_the_cache(tmp_path, monkeypatch):
    from qrlang.backends.torch.native import road as native

    monkeypatch.setenv("QRLANG_CACHE_DIR", str(tmp_path))
    x = torch.rand(4, 5, 1, device="cuda")
    took = []
    for _ in range(2):
        native._prepared.cache_clear()
        model = permuted(7)
        begun = time.perf_counter()
        slopes(model, x)
        torch.cuda.synchronize()
        took.append(time.perf_counter() - begun)
    assert took[1] < 0.5 < 5 * took[0]


@pytest.mark.parametrize("graph", ["0", "1"])
def test_training(tmp_path, monkeypatch, graph):
    """The curve on the GPU is that on the CPU."""
    from qrlang.cli.main import run as qrlc

    monkeypatch.setenv("QRLANG_CUDA_GRAPH", graph)
    path = training_tools.project(tmp_path)
    for where in ("cpu", "cuda"):
        done = qrlc(["train", str(path), "--device", where, "--out", str(tmp_path / where),
                     "--log", "2 steps", "--epochs", "3"])  # fmt: skip
        assert done == 0
    pairs = zip(*(training_tools.lines(tmp_path / w) for w in ("cpu", "cuda")), strict=True)
    for a, b in pairs:
        assert a["split"] == b["split"] and abs(a["loss"] - b["loss"]) < 1e-3


def test_road_2_on_a_gpu():
    x = torch.rand(3, 6, 1, device="cuda")
    model = permuted(6)
    model.road = "stepwise"
    assert relative(slopes(model, x), truth(6, x)) < 1e-4
    assert np.isfinite(float(model(x).detach().sum()))


def test_road_2_in_a_cuda_graph():
    """A controller that is torch's own, step by step, as one graph."""
    x = torch.rand(16, 20, 1, device="cuda")
    model = permuted(6)
    model.road = "stepwise"
    expected = slopes(model, x)[1:]
    parameters = list(model.parameters())

    def step():
        y = model(x)
        weights = torch.linspace(-1, 1, y.numel(), device="cuda").view_as(y)
        return torch.autograd.grad((y * weights).sum(), parameters)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = step()
    graph.replay()
    assert relative([x.double().cpu() for x in made], expected) < 1e-5


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_an_update_waits_for_nothing(tmp_path, monkeypatch):
    """torch itself watches: no update of a run may read from the device."""
    from qrlang.cli.main import run as qrlc
    from qrlang.training.pipeline import Pipeline

    plain, done = Pipeline.queue, []

    def watched(self, work, rate):
        done.append(1)
        if len(done) > 3:  # kernels and buffers are there by then
            torch.cuda.set_sync_debug_mode("error")
        try:
            return plain(self, work, rate)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Pipeline, "queue", watched)
    path = training_tools.project(tmp_path)
    out = str(tmp_path / "run")
    assert qrlc(["train", str(path), "--device", "cuda", "--out", out]) == 0
    assert len(done) > 10
