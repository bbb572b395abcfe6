"""Finding, fetching and reading: everything that can go wrong says what and where."""

from __future__ import annotations

import gzip
import http.server
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_tools import MODELS, opened, ports

from qrlang.training.data import DataError, fetch, open_data, origins
from qrlang.training.data.files import Archive, cache_dir, write_atomically
from qrlang.training.data.origins import Origin, Part
from qrlang.training.data.samples import FILES


def mnist(folder: Path | None = None, **more: Any) -> Any:
    return open_data("mnist_rows", {}, ports(*MODELS["mnist_rows"][1]), data_dir=folder, **more)


# --- finding ---


def test_places_in_their_order(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_dir().mkdir(parents=True)
    (cache_dir() / "mnist.npz").write_bytes((samples / "mnist.npz").read_bytes())
    assert mnist().about()["file"] == "mnist.npz"
    assert mnist(tmp_path).count("test") == 40  # not in the given folder: the cache
    monkeypatch.setenv("QRLANG_DATA", str(samples))
    (cache_dir() / "mnist.npz").write_bytes(b"")
    assert mnist().count("test") == 40  # QRLANG_DATA goes before the cache


def test_missing_file_says_what_was_looked_for_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRLANG_DATA", str(tmp_path / "other"))
    with pytest.raises(DataError) as error:
        mnist(tmp_path)
    assert error.value.code == "missing-file"
    text = f"{error.value} {error.value.help}"
    for part in ("mnist.npz", str(tmp_path), str(tmp_path / "other"), str(cache_dir()),
                 "QRLANG_OFFLINE", "QRLANG_DATA", "https://"):  # fmt: skip
        assert part in text
    monkeypatch.delenv("QRLANG_OFFLINE")
    with pytest.raises(DataError, match="fetching is turned off"):
        mnist(tmp_path, fetch=False)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    monkeypatch.delenv("QRLANG_OFFLINE")
    with pytest.raises(DataError, match="can't be written") as error:
        mnist(tmp_path)
    assert error.value.code == "missing-file" and "QRLANG_DATA" in error.value.help


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        mnist(tmp_path / "nowhere")


def test_names_are_guessed(samples: Path) -> None:
    model = ports(*MODELS["ucr"][1])
    with pytest.raises(DataError) as error:
        open_data("ucr", {"name": "JapanseVowels"}, model, data_dir=samples)
    assert error.value.help == "did you mean `JapaneseVowels`?"
    with pytest.raises(DataError) as error:
        open_data("mnist_row", {}, model, data_dir=samples)
    assert error.value.help == "did you mean `mnist_rows`?"
    with pytest.raises(DataError) as error:
        opened("multi30k", samples, test="test-2016")
    assert error.value.help == "did you mean `test2016`?"


# --- reading ---


@pytest.mark.parametrize("name", sorted(FILES))
def test_cut_files_are_malformed(name: str, samples: Path, tmp_path: Path) -> None:
    data = (samples / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="can't be read as a NumPy file") as error:
        Archive(tmp_path / name)
    assert error.value.code == "malformed-file" and name in str(error.value)


def test_damage_inside_is_found(samples: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(samples / "imdb.npz"))
    np.savez_compressed(tmp_path / "imdb.npz", **arrays)
    data = bytearray((tmp_path / "imdb.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "imdb.npz") as z:
        at = z.getinfo("train_text.npy").header_offset + 400
    data[at : at + 200] = bytes(200)
    (tmp_path / "imdb.npz").write_bytes(data)
    with pytest.raises(DataError, match="train_text") as error:
        opened("imdb", tmp_path)
    assert error.value.code == "malformed-file"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x_train": None}, "has no array `x_train`"),
        ({"x_train": np.zeros((5, 27, 28), np.uint8)}, "images are 28 by 28"),
        ({"x_train": np.zeros((5, 28, 28), np.float32)}, "is float32[5, 28, 28]; expected whole"),
        ({"y_train": np.full(200, 10)}, "record 0: 10 is outside 0 … 9"),
        ({"y_train": np.zeros(199, np.uint8)}, "different numbers of records: 200, 199"),
    ],
)
def test_wrong_arrays(samples: Path, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    arrays = dict(np.load(samples / "mnist.npz")) | change
    np.savez(tmp_path / "mnist.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(DataError) as error:
        mnist(tmp_path)
    assert said in str(error.value)


def test_text_that_is_no_text(samples: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(samples / "ptb.npz"))
    arrays["train_text"] = np.frombuffer(b"good\n\xff\xff bad\n", np.uint8)
    np.savez(tmp_path / "ptb.npz", **arrays)
    with pytest.raises(DataError, match="`train_text` is not UTF-8"):
        opened("ptb", tmp_path)


def test_lines_do_not_depend_on_the_pieces(tmp_path: Path) -> None:
    text = "ein Satz\x85mit Umbruch\n\n" + "lang " * 300_000 + "\nEnde ß"
    data = np.frombuffer(text.encode(), np.uint8)
    for save, name in ((np.savez, "a.npz"), (np.savez_compressed, "b.npz")):
        save(tmp_path / name, t=data)
        assert list(Archive(tmp_path / name).lines("t")) == text.split("\n")


def test_stored_arrays_are_mapped(tmp_path: Path) -> None:
    x = np.arange(1000, dtype=np.float32).reshape(10, 100)
    np.savez(tmp_path / "a.npz", first=np.ones(3), x=x, y=np.asfortranarray(x))
    archive = Archive(tmp_path / "a.npz")
    for name in ("x", "y"):
        found = archive.array(name)
        assert np.array_equal(found, x)
        base: Any = found
        while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)


def test_a_write_is_whole_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "f"
    write_atomically(path, lambda f: f.write(b"old"))

    def fails(f: Any) -> None:
        f.write(b"new")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_atomically(path, fails)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


# --- fetching ---


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}", folder
    web.shutdown()
    web.server_close()


def idx(array: np.ndarray[Any, Any]) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(head + array.tobytes())


@pytest.fixture
def origin(
    server: tuple[str, Path], samples: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """MNIST's four files, served from here."""
    base, folder = server
    arrays = {k: v for k, v in np.load(samples / "mnist.npz").items() if k != "generated"}
    for name, array in arrays.items():
        (folder / name).write_bytes(idx(array))
    parts = tuple(Part(n, f"{base}/{n}") for n in arrays)
    digests = {n: fetch.digest_of(a) for n, a in arrays.items()}
    table = {"mnist.npz": Origin(parts, origins.ORIGINS["mnist.npz"].convert, "none", digests)}
    monkeypatch.setattr(origins, "ORIGINS", table)
    monkeypatch.delenv("QRLANG_OFFLINE")
    return {"folder": folder, "table": table, "arrays": arrays}


def test_fetched_once_checked_and_kept(origin: dict[str, Any]) -> None:
    told: list[tuple[str, int, int]] = []
    data = mnist(progress=lambda *now: told.append(now))
    assert data.count("train") + data.count("validation") == 200
    assert {t[0] for t in told} == set(origin["arrays"])
    assert all(done <= total for _, done, total in told)
    assert [p.name for p in cache_dir().iterdir()] == ["mnist.npz"]
    for path in origin["folder"].iterdir():
        path.unlink()
    assert mnist().count("test") == 40


def test_other_bytes_are_refused(origin: dict[str, Any]) -> None:
    x = origin["arrays"]["x_test"].copy()
    x[3, 3, 3] ^= 1
    (origin["folder"] / "x_test").write_bytes(idx(x))
    with pytest.raises(DataError, match="`x_test`") as error:
        mnist()
    assert error.value.code == "wrong-checksum"
    assert not any(cache_dir().iterdir())


def test_other_files_are_refused(origin: dict[str, Any]) -> None:
    (origin["folder"] / "x_test").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError) as error:
        mnist()
    assert error.value.code == "malformed-file"
    assert not any(cache_dir().iterdir())


@pytest.mark.parametrize("file", ["imdb.npz", "ucr_GunPoint.npz", "digits8x8.npz"])
def test_a_page_instead_of_the_data(
    file: str, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server gives that asks one to log in."""
    base, folder = server
    (folder / "page").write_text("<html>log in</html>")
    real = origins.origin_of(file)
    assert real is not None
    page = Origin(tuple(Part(p.name, f"{base}/page") for p in real.parts), real.convert, "")
    monkeypatch.setattr(origins, "origin_of", lambda _: page)
    monkeypatch.delenv("QRLANG_OFFLINE")
    with pytest.raises(DataError) as error:
        fetch.fetched("it", file, "nowhere", None, True)
    assert error.value.code == "malformed-file"
    assert not any(cache_dir().iterdir())


def test_no_network(origin: dict[str, Any]) -> None:
    (origin["folder"] / "y_test").unlink()
    with pytest.raises(DataError, match="File not found") as error:
        mnist()
    assert error.value.code == "no-network"
    assert "mnist.npz" in str(error.value) and "QRLANG_DATA" in error.value.help
    assert not any(cache_dir().iterdir())


def test_an_interrupted_fetch_leaves_nothing(origin: dict[str, Any]) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mnist(progress=stop)
    assert not any(cache_dir().iterdir())


def test_series_of_the_archive(tmp_path: Path) -> None:
    head = "#a comment\n@problemName X\n@data\n"
    train = head + "1,2,3:4,5,6:b\n1,2:3,4:a\n"
    found = origins.series_of(train, head + "7,8,9,9:1,1,1,1:b\n")
    assert bytes(found["label_names"]) == b"a\nb"
    assert found["x_train"].shape == (2, 4, 2)
    assert found["x_train"][0, :3, 1].tolist() == [4, 5, 6]
    assert found["y_train"].tolist() == [1, 0] and found["y_test"].tolist() == [1]
    assert found["length_train"].tolist() == [3, 2]


def test_every_origin_is_complete() -> None:
    for file, one in origins.ORIGINS.items():
        assert one.licence and one.parts
        assert all(p.url.startswith("https://") for p in one.parts), file
    assert set(FILES) - {f for f in FILES if f.startswith("ucr_")} <= set(origins.ORIGINS)
