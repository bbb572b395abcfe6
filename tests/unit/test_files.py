"""Writing files where others look at them."""

import os
from pathlib import Path

import pytest

from qrlang.system import files


@pytest.mark.parametrize("busy", [3, 100])
def test_a_file_that_windows_holds_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: int
) -> None:
    tries: list[int] = []
    real = os.replace

    def held(new: str, path: str) -> None:
        tries.append(1)
        if len(tries) <= busy:
            raise PermissionError(13, "Access is denied")
        real(new, path)

    path = tmp_path / "last.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(files.os, "replace", held)
    if busy == 3:
        files.write_atomically(path, b"new")
    else:
        with pytest.raises(files.TrainingError, match="Access is denied"):
            files.write_atomically(path, b"new")
    assert path.read_bytes() == (b"new" if busy == 3 else b"old")
    assert os.listdir(tmp_path) == ["last.safetensors"]


def test_what_is_a_suffix() -> None:
    for given, made in (("page", "page.md"), ("a.b/page.html", "a.b/page.md"),
                        ("lr0.01", "lr0.01.md"), (".hidden", ".hidden.md")):  # fmt: skip
        assert files.suffixed(Path(given), ".md") == Path(made)
