"""The emitted module is ordinary torch, and the file is the module in memory."""

import importlib.util
import io
import pickle

import pytest

import qrlang

torch = pytest.importorskip("torch")


@pytest.fixture
def qrnn(root):
    torch.manual_seed(0)
    return qrlang.load(root / "examples/qrnn/rows.qrl", n=4, hidden=8, road="plain")


def emitted(root, tmp_path, file, name, **settings):
    """The class of an emitted file, imported as a user would."""
    from qrlang.backends.torch.emit import emit_program
    from qrlang.backends.torch.load import program_of

    path = tmp_path / "model.py"
    path.write_text(emit_program(program_of(root / file, name, settings)))
    spec = importlib.util.spec_from_file_location("model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_file_and_memory_give_the_same_bits(root, tmp_path, road):
    cls = emitted(root, tmp_path, "examples/qrnn/rows.qrl", "QRNN", n=4, hidden=8)
    torch.manual_seed(3)
    one = cls(road=road)
    torch.manual_seed(3)
    other = qrlang.load(root / "examples/qrnn/rows.qrl", n=4, hidden=8, road=road)
    rows = torch.rand(5, 6, 28)
    for model in (one, other):
        model(rows).square().sum().backward()
    assert torch.equal(one(rows), other(rows))
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs) and torch.equal(mine.grad, theirs.grad)
    assert one.state_dict().keys() == other.state_dict().keys()


def test_an_edited_file_runs_as_edited(root, tmp_path):
    cls = emitted(root, tmp_path, "examples/qrnn/rows.qrl", "QRNN", n=4, hidden=8)
    assert not cls.edited
    text = (tmp_path / "model.py").read_text()
    assert "return self.result(run, self.head(z_2), 1)" in text
    changed = text.replace("self.head(z_2)", "2 * self.head(z_2)")
    (tmp_path / "edited.py").write_text(changed)
    spec = importlib.util.spec_from_file_location("edited", tmp_path / "edited.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.QRNN.edited
    torch.manual_seed(0)
    plain = cls(road="plain")
    mine = module.QRNN(road="stepwise")
    mine.load_state_dict(plain.state_dict())
    rows = torch.rand(2, 3, 28)
    torch.testing.assert_close(mine(rows), 2 * plain(rows))
    with pytest.raises(Exception, match="edited"):
        module.QRNN(road="native")(rows)


def test_names_are_those_of_the_program(qrnn):
    assert {name: tuple(w.shape) for name, w in qrnn.named_parameters()} == {
        "steer.w1": (8, 32), "steer.b1": (8,), "steer.w2": (24, 8), "steer.b2": (24,),
        "head.w": (10, 4), "head.b": (10,),
    }  # fmt: skip


def test_initial_values_are_the_defaults_that_train(qrnn):
    import math

    assert qrnn.steer.w1.abs().max() <= 1 / math.sqrt(32)
    assert qrnn.steer.w2.abs().max() <= 0.1 / math.sqrt(8)
    assert 1 < qrnn.steer.b2.abs().max() <= math.pi


def test_one_seed_is_one_model_in_every_precision(root):
    made = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(7)
        made.append(qrlang.load(root / "examples/qrnn/rows.qrl", n=3, dtype=dtype, road="plain"))
    single, double = made
    assert double.head.w.dtype == torch.float64
    for a, b in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(a, b.float())


def test_saving_and_loading(qrnn, root, tmp_path):
    rows = torch.rand(2, 3, 28)
    file = io.BytesIO()
    torch.save(qrnn.state_dict(), file)
    file.seek(0)
    other = qrlang.load(root / "examples/qrnn/rows.qrl", n=4, hidden=8, road="plain")
    other.load_state_dict(torch.load(file))
    assert torch.equal(other(rows), qrnn(rows))
    assert torch.equal(pickle.loads(pickle.dumps(qrnn))(rows), qrnn(rows))


def test_safetensors(qrnn, root, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(qrnn.state_dict(), tmp_path / "model.safetensors")
    other = qrlang.load(root / "examples/qrnn/rows.qrl", n=4, hidden=8, road="plain")
    other.load_state_dict(safetensors.load_file(tmp_path / "model.safetensors"))
    rows = torch.rand(2, 3, 28)
    assert torch.equal(other(rows), qrnn(rows))


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_it_trains_in_a_plain_loop(root, road):
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(1)
    model = qrlang.load(root / "examples/qrnn/rows.qrl", n=3, hidden=8, road=road)
    rows = torch.rand(32, 3, 28)
    label = (rows[:, 0].mean(-1) > rows[:, 2].mean(-1)).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        for batch, wanted in DataLoader(TensorDataset(rows, label), batch_size=16):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(batch), wanted)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


def test_the_dtype_follows_to(qrnn):
    rows = torch.rand(2, 3, 28)
    single = qrnn(rows)
    double = qrnn.to(torch.float64)(rows)
    assert single.dtype == torch.float32 and double.dtype == torch.float64
    torch.testing.assert_close(single, double.float(), atol=1e-4, rtol=1e-4)


def test_functional_transforms_on_the_plain_road(qrnn):
    rows = torch.rand(4, 3, 28)
    weights = dict(qrnn.named_parameters())

    def loss(weights):
        return torch.func.functional_call(qrnn, weights, (rows,)).sum()

    found = torch.func.grad(loss)(weights)
    loss(weights).backward()
    torch.testing.assert_close(found["steer.w2"], qrnn.steer.w2.grad)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rows": torch.rand(2, 28)}, r"\[batch, time, 28\]"),
        ({"rows": torch.rand(2, 3, 27)}, r"got \[2, 3, 27\]"),
        ({"rows": torch.rand(2, 3, 28), "lengths": torch.tensor([3, 4])}, "from 1 to 3"),
        ({"rows": torch.rand(2, 3, 28), "lengths": torch.tensor([3])}, "lengths of `rows`"),
        ({"rows": torch.rand(2, 3, 28), "lengths": [3, 4]}, r"found \[3, 4\]"),
        ({"rows": torch.rand(2, 3, 28), "lengths": {"row": [3, 3]}}, "sequences are `rows`"),
    ],
)
def test_inputs_that_do_not_fit(qrnn, given, words):
    with pytest.raises(ValueError, match=words):
        qrnn(**given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rows": None}, "got None"),
        ({"rows": torch.rand(2, 3, 28) + 0j}, "real numbers, not"),
        ({"rows": torch.rand(2, 3, 28), "lengths": [2.5, 3]}, "are whole numbers"),
    ],
)
@pytest.mark.parametrize("road", ["plain", "native"])
def test_inputs_of_another_kind(qrnn, given, words, road):
    qrnn.road = road
    with pytest.raises(TypeError, match=words):
        qrnn(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shots", -1),
        ("shots", 1.5),
        ("trajectories", 0.5),
        ("gate_error", 2),
        ("readout_error", "0.1"),
    ],
)
def test_noise_that_is_none(qrnn, name, value):
    setattr(qrnn, name, value)
    with pytest.raises(ValueError, match=f"`{name}` is a"):
        qrnn(torch.rand(2, 3, 28))


@pytest.mark.parametrize("road", ["plain", "stepwise"])
def test_states_that_do_not_fit(qrnn, monkeypatch, road):
    from qrlang.system import host

    qrnn.road = road
    monkeypatch.setattr(host, "memory", lambda: 2 * 16 * 8 - 1)  # two of four qubits
    qrnn(torch.rand(1, 3, 28))
    with pytest.raises(
        MemoryError, match=r"4 qubits for 2 sequences take 256 B, .* are 255 B of memory"
    ):
        qrnn(torch.rand(2, 3, 28))


def test_a_layer_of_another_width(qrnn):
    qrnn.steer = torch.nn.Linear(32, 23)
    with pytest.raises(ValueError, match="`steer` is 23 numbers, and 24 are needed"):
        qrnn(torch.rand(2, 3, 28))


def test_settings_as_numpy_has_them(root, tmp_path):
    np = pytest.importorskip("numpy")
    from qrlang.backends.torch.load import LoadError

    rows = root / "examples/qrnn/rows.qrl"
    assert qrlang.load(rows, n=np.int64(4), hidden=np.int32(8)).steer.w1.shape == (8, 32)
    with pytest.raises(LoadError, match="`n` is None"):
        qrlang.load(rows, n=None)
    with pytest.raises(LoadError, match="no model `QRN`; did you mean `QRNN`"):
        qrlang.load(rows, model="QRN")
    (tmp_path / "none.qrl").write_text("const k = 3\n")
    with pytest.raises(LoadError, match=r"none\.qrl has no model"):
        qrlang.load(tmp_path / "none.qrl")


def test_a_file_that_is_wrong(tmp_path):
    from qrlang.backends.torch.load import LoadError

    (tmp_path / "m.qrl").write_text("model M {\n  qubits q[2]\n  hh q[0]\n}\n")
    with pytest.raises(LoadError, match="hh"):
        qrlang.load(tmp_path / "m.qrl")


def test_a_road_that_is_none(qrnn):
    qrnn.road = "fast"
    with pytest.raises(ValueError, match="native"):
        qrnn(torch.rand(2, 3, 28))


def test_without_torch_the_command_is_named(root, monkeypatch):
    import sys

    import qrlang.backends.torch

    monkeypatch.delitem(sys.modules, "qrlang.backends.torch.load", raising=False)
    monkeypatch.delattr(qrlang.backends.torch, "load", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs torch: pip install 'qrlang\[torch\]'"):
        qrlang.load(root / "examples/qrnn/rows.qrl")
