"""No network, no real data unless QRLANG_DATA names it, a cache of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qrlang.training.data.samples import write_samples

REAL = os.environ.get("QRLANG_DATA")


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder, 200)
    return folder


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("QRLANG_DATA", raising=False)
    monkeypatch.setenv("QRLANG_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def real() -> Path:
    """The folder with the real data."""
    if not REAL:
        pytest.skip("QRLANG_DATA names no folder with the real data")
    return Path(REAL)
