"""The page about torch: its pieces of Python run."""

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "torch.md"


def test_the_page_runs(monkeypatch, root):
    from torch.utils.data import DataLoader, TensorDataset

    import qrlang

    monkeypatch.chdir(root)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    load, forward, train, lengths, segments, noise = blocks
    space = {
        "qrlang": qrlang, "torch": torch, "DataLoader": DataLoader,
        "data": TensorDataset(torch.rand(4, 28, 28), torch.tensor([0, 1, 2, 3])),
        "rows": torch.rand(3, 28, 28),
    }  # fmt: skip
    exec(load.replace("n=10", "n=4"), space)
    exec(train, space)
    space["rows"] = torch.rand(3, 28, 28)
    exec(lengths, space)
    text = qrlang.load(root / "examples/language_model/character.qrl", n=3)
    two = {"model": text, "words": torch.randint(0, 50, (2, 128))}
    exec(segments, two)
    assert torch.allclose(two["scores"], text(two["words"])[:, 64:], atol=1e-4)
    exec(noise, space)
    assert space["model"].trajectories == 64
    model = qrlang.load(root / "examples/qrnn/rows.qrl", n=10)
    import inspect

    written = inspect.getsource(type(model).forward)
    shown = forward[forward.index("    def forward") :].strip()
    assert written.strip() == shown, "the page shows the forward that is emitted"
