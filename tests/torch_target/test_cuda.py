"""Road 1 on a GPU without one: modules whose kernels the emulator runs."""

import copy
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest

import qrlang

torch = pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parent.parent / "engine"))

from cuda_emulator import available  # noqa: E402
from emulated import Emulated  # noqa: E402
from engine_programs import Build, angle  # noqa: E402

from qrlang.backends.torch import gpu as torch_gpu  # noqa: E402
from qrlang.backends.torch import load  # noqa: E402
from qrlang.backends.torch.native import head  # noqa: E402
from qrlang.backends.torch.native import road as native  # noqa: E402
from qrlang.backends.torch.reversible import segment  # noqa: E402
from qrlang.backends.torch.roads import RoadError, RoadNotice  # noqa: E402
from qrlang.engine.cuda.report import report  # noqa: E402
from qrlang.engine.plan import plan  # noqa: E402
from qrlang.ir import program as ir  # noqa: E402

pytestmark = pytest.mark.skipif(not available(), reason="no C++ compiler")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gpu(monkeypatch):
    """Everything that a module on a CUDA device does, on the emulator's memory."""
    launcher = Emulated()
    monkeypatch.setattr(native, "machine", lambda model: "cuda")
    monkeypatch.setattr(torch_gpu, "launcher", lambda device: launcher)
    monkeypatch.setattr(torch_gpu, "unavailable", lambda device: "")
    native._prepared.cache_clear()
    yield launcher
    native._prepared.cache_clear()


def copying(**options):
    """Tokens in and out, an embedding, a controller, an emit at every moment."""
    page = ROOT / "examples" / "copying" / "copying.qrl"
    return qrlang.load(page, n=3, layers=1, hidden=4, dtype=torch.float64, **options)


def given(batch=5, time=4):
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 10, (batch, time), generator=g)


def gradients(model, *inputs, **options):
    y = model(*inputs, **options)
    slopes = torch.autograd.grad(
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum(),
        list(model.parameters()),
    )
    return [y.detach(), *slopes]


def test_a_module_runs_by_the_kernels(gpu):
    model, words = copying(), given()
    assert model.chosen_road() == "native"
    for lengths in (None, torch.tensor([4, 1, 3, 2, 4])):
        model.road = None
        mine = gradients(model, words, lengths=lengths)
        model.road = "plain"
        for a, b in zip(mine, gradients(model, words, lengths=lengths), strict=True):
            assert (a - b).abs().max() < 1e-10
    model.road = None
    with torch.no_grad():
        assert torch.equal(model(words[:2]), model(words)[:2])  # any batch
    assert model(words[:, :1]).shape == (5, 1, 10)  # any length


def test_a_large_last_layer_is_no_part_of_the_kernel(gpu, monkeypatch):
    monkeypatch.setattr(head, "LARGE", 1)
    model, words = copying(), given()
    for lengths in (None, torch.tensor([4, 1, 3, 2, 4])):
        model.road = None
        mine = gradients(model, words, lengths=lengths)
        assert model.chosen_road() == "native"
        model.road = "plain"
        for a, b in zip(mine, gradients(model, words, lengths=lengths), strict=True):
            assert (a - b).abs().max() < 1e-10
    assert "head.w" not in [w.name for w in native._of(model).plan.weights]


def test_a_long_sequence_is_as_accurate_as_torch(gpu):
    """784 steps there and back in single precision, beside complex64 with every state kept."""
    torch.manual_seed(0)
    page = ROOT / "benchmarks" / "qrnn.qrl"
    models = {d: qrlang.load(page, n=4, layers=1, dtype=d) for d in (torch.float64, torch.float32)}
    truth, single = models[torch.float64], models[torch.float32]
    with torch.no_grad():
        for a, b in zip(truth.parameters(), single.parameters(), strict=True):
            b.mul_(0.5)
            a.copy_(b)
    x = torch.rand(1, 784, 8)

    def slopes(model):
        y = model(x.to(model.like.dtype))
        return torch.autograd.grad(y[:, 0].sum(), list(model.parameters()))

    true = slopes(truth)

    def error():
        pairs = zip(slopes(single), true, strict=True)
        return max(float((a - b).norm() / b.norm().clamp_min(1e-9)) for a, b in pairs)

    mine = error()
    single.road = "plain"
    assert mine < max(1e-5, 2 * error())


def test_a_real_input_has_a_gradient_too(gpu):
    page = ROOT / "examples" / "qrnn" / "rows.qrl"
    model = qrlang.load(page, n=2, layers=1, hidden=4, dtype=torch.float64)
    x = torch.rand(2, 3, 28, dtype=torch.float64, requires_grad=True)
    (mine,) = torch.autograd.grad(model(x).sum(), x)
    model.road = "plain"
    (truth,) = torch.autograd.grad(model(x).sum(), x)
    assert (mine - truth).abs().max() < 1e-12


def test_a_number_whose_sign_is_still_to_be_turned(gpu):
    page = ROOT / "examples" / "qrnn" / "permuted.qrl"
    model = qrlang.load(page, n=3, layers=1, dtype=torch.float64)
    x = torch.tensor([[[0.3 - 0.7j]]], dtype=torch.complex128).conj().imag
    assert x.is_neg() and x.is_contiguous()
    assert torch.equal(model(x), model(torch.full((1, 1, 1), 0.7, dtype=torch.float64)))


def test_what_is_wrong_is_said_now_or_later(gpu):
    model, words = copying(), given()
    wrong = words.clone()
    wrong[1, 2] = 10
    with pytest.raises(FloatingPointError, match=r"`seen` has tokens outside 0 … 9"):
        model(wrong)
    model.checks = "later"
    model(wrong)
    with pytest.raises(FloatingPointError, match="tokens outside"):
        model.settle()
    model.settle()
    model(wrong)
    with pytest.raises(FloatingPointError, match="tokens outside"):
        model(words)
    model.checks = "now"
    with torch.no_grad():
        model.steer.b1[1] = float("inf")
    with pytest.raises(FloatingPointError, match=r"NaN or infinite at step \d+ \(sequence"):
        model(words)
    with pytest.raises(ValueError, match="lengths of `seen`: 5 numbers from 1 to 4"):
        model(words, lengths=torch.tensor([5, 1, 1, 1, 1]))


def test_a_fault_is_waited_for_on_its_own_device(monkeypatch):
    """Also where another one is current."""
    said = []

    class Event:
        def record(self, stream):
            said.append(stream)

    there = types.SimpleNamespace(copy_=lambda error, non_blocking: None)
    monkeypatch.setattr(torch, "empty", lambda *shape, **options: there)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    error = types.SimpleNamespace(device=torch.device("cuda", 1))
    torch_gpu.Faults().add(None, types.SimpleNamespace(error=error))
    assert said == ["stream of cuda:1"]


def test_threads_that_wait_for_one_model_take_no_fault_twice():
    """While one waits for an event, another looks too."""
    faults, said = torch_gpu.Faults(), []

    class Event:
        def synchronize(self):
            if not said:
                said.append(0)
                faults.look(wait=True)

    faults.waiting += [(None, torch.tensor([0]), Event()) for _ in range(2)]
    faults.look(wait=True)
    assert not faults.waiting


def test_a_change_in_place_is_an_error(gpu):
    model, words = copying(), given()
    y = model(words).sum()
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_copies_and_training(gpu):
    model, words = copying(), given()
    model.checks = "later"
    model(words)
    other = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert torch.equal(other(words), model(words))
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(words).flatten(0, 1), words.flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_road_2_takes_step_kernels(gpu, monkeypatch):
    """One circuit on the shared state is one launch, whatever the controller is."""
    monkeypatch.setattr(segment, "machine", lambda psi: "cuda")
    monkeypatch.setattr(segment, "_made", {})
    model, words = copying(), given()
    for lengths in (None, torch.tensor([4, 1, 3, 2, 4])):
        model.road = "stepwise"
        mine = gradients(model, words, lengths=lengths)
        model.road = "plain"
        for a, b in zip(mine, gradients(model, words, lengths=lengths), strict=True):
            assert (a - b).abs().max() < 1e-10
    assert [type(x) for x in segment._made.values()] == [segment.OnGpu]


def test_a_circuit_without_angles_is_a_step_kernel(gpu, monkeypatch):
    monkeypatch.setattr(segment, "machine", lambda psi: "cuda")
    monkeypatch.setattr(segment, "_made", {})
    page = ROOT / "examples" / "reuploading" / "qrenn.qrl"
    model = qrlang.load(page, depth=2, dtype=torch.float64)
    u = torch.linalg.qr(torch.randn(3, 4, 4, dtype=torch.complex128))[0]
    found = []
    for road in ("stepwise", "plain"):
        model.road = road
        found.append(gradients(model, u))
    assert all((a - b).abs().max() < 1e-10 for a, b in zip(*found, strict=True))
    assert {type(x) for x in segment._made.values()} == {segment.OnGpu}


def test_a_long_time_in_segments(gpu):
    """What a segment leaves, and the gradients within each, are those of plain torch."""
    model, words = copying(), given(time=7)
    whole = model(words).detach()
    found = {}
    for road in ("native", "plain"):
        model.road, state, made = road, None, []
        for part in words.split(3, dim=1):
            y, state = model(part, state=state)
            slopes = torch.autograd.grad((y * y).sum(), list(model.parameters()))
            made += [y.detach(), *slopes]
        found[road] = made
        pieces = torch.cat(made[:: 1 + len(slopes)], 1)
        assert (pieces - whole).abs().max() < 1e-10
    for a, b in zip(found["native"], found["plain"], strict=True):
        assert (a - b).abs().max() < 1e-10


def test_a_recurrence_in_a_recurrence_takes_another_road(gpu):
    """On qubits that outlive the inner one: said once, and the numbers are the same."""
    found = nested()
    model = load.make(found, dtype=torch.float64)
    x = torch.rand(3, 4, 2, dtype=torch.float64)
    y = torch.rand(3, 2, 2, dtype=torch.float64)
    with pytest.warns(RoadNotice, match=r"step by step.*a recurrence in a recurrence on qubits"):
        mine = gradients(model, x, y)
    model.road = "plain"
    for a, b in zip(mine, gradients(model, x, y), strict=True):
        assert (a - b).abs().max() < 1e-10
    assert report(plan(found), 64)["why_not"].startswith("a recurrence in a recurrence")


def nested():
    b, n = Build(), 3
    outer, inner = b.seq(2), b.seq(2)
    one, two = b.real(2), b.real(2)
    z = tuple(((1.0, ((q, "Z"),)),) for q in range(n))

    def moment(item, name):
        read, both = b.real(n), b.real(n + 2)
        body = [ir.Expect(read, z), ir.Concat(both, (read, item))]
        theta = b.linear(body, both, n, name)
        body.append(ir.Unitary(tuple(ir.Gate("ry", (q,), (angle(theta, q),)) for q in range(n))))
        return body

    within = ir.Loop("inner", (ir.LoopItem(inner, two),), (), tuple(moment(two, "b")))
    body = (*moment(one, "a"), within)
    end = b.real(n)
    ops = (
        ir.Alloc(tuple(range(n))),
        ir.Loop("outer", (ir.LoopItem(outer, one),), (), body),
        ir.Expect(end, z),
    )
    return ir.Program(
        "Nested", (), (outer, inner), (), tuple(b.weights.values()), (),
        (ir.Register("m", 0, n),), ops, (ir.Output("", end),),
    )  # fmt: skip


def test_without_the_extra_one_note_and_the_next_road(monkeypatch):
    monkeypatch.setattr(native, "machine", lambda model: "cuda")
    reason = "cuda-core is not installed: pip install 'qrlang[cuda]'"
    monkeypatch.setattr(torch_gpu, "unavailable", lambda device: reason)
    native._prepared.cache_clear()
    model = copying()
    with pytest.warns(RoadNotice, match=r"step by step.*qrlang\[cuda\]"):
        assert model.chosen_road() == "stepwise"
    model.road = "native"
    with pytest.raises(RoadError, match="cuda-core is not installed"):
        model(given())
    native._prepared.cache_clear()


def test_a_gpu_is_never_touched_by_a_model_on_the_cpu():
    code = (
        "import sys, torch; torchs = set(sys.modules); import qrlang; "
        "m = qrlang.load(sys.argv[1], n=2); m(torch.zeros(1, 2, 28)); "
        "print([x for x in sys.modules if x not in torchs "
        "and x.startswith(('cuda', 'qrlang.engine.cuda'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "examples/qrnn/rows.qrl")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
