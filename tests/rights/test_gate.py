"""Manifests are kept: tried by reading them, and by trying to get round them."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from qrlang.errors import DataError
from qrlang.ir.types import Type
from qrlang.rights.gate import digest
from qrlang.rights.manifest import manifests
from qrlang.training.data.opening import open_data
from qrlang.training.data.ports import Port

PORTS = (Port("x", Type("real", (2,))), Port("label", Type("class", (), 2), target=True))
SECRET = 777.0  # nothing that is read may hold it


def table(folder: Path, name: str = "mine.csv", head: bool = True, tab: str = ",") -> Path:
    """Thirty patients; the records P3 and P7, and the column `secret`, hold what is secret."""
    rows = [["patient", "secret", "x[0]", "x[1]", "label"]] if head else []
    for k in range(30):
        hidden = k in (3, 7)
        x = SECRET if hidden else k / 30
        rows.append([f"P{k}", str(SECRET), str(x), "0.5", str(k % 2)])
    path = folder / name
    path.write_text("".join(tab.join(r) + "\n" for r in rows))
    return path


MANIFEST = """
source = "clinic"
key = "patient"
[opacity]
columns = ["secret", "patient"]
records = ["P3", "P7"]
"""


def manifest(data: Path, text: str = MANIFEST) -> Path:
    path = data.with_name(data.name + ".rights.toml")
    path.write_text(text)
    return path


def opened(path: object, ports: Any = PORTS, **given: Any) -> Any:
    base = given.pop("base", None)
    kind = "npz" if str(path).endswith(".npz") else "csv"
    return open_data(kind, {"path": str(path), **given}, ports, base=base)


def everything(data: Any) -> np.ndarray[Any, Any]:
    parts = [
        np.asarray(array, float).reshape(-1)
        for split in ("train", "validation", "test")
        for array in data.records(split, range(data.count(split))).arrays
    ]
    return np.concatenate(parts)


def count(data: Any) -> int:
    return sum(data.count(s) for s in ("train", "validation", "test"))


def test_without_a_manifest_all_is_read(tmp_path: Path) -> None:
    data = opened(table(tmp_path))
    assert count(data) == 30 and SECRET in everything(data)
    assert data.rights == ()


def test_records_and_columns_are_never_read(tmp_path: Path) -> None:
    path = table(tmp_path)
    manifest(path)
    data = opened(path)
    assert count(data) == 28
    assert SECRET not in everything(data)


def test_a_hidden_column_by_name_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path)
    manifest(path)
    ports = (Port("secret", Type("real", ())), PORTS[1])
    with pytest.raises(DataError):
        opened(path, ports)
    # As many columns are left as the model takes: none of them steps into its place.
    path = tmp_path / "numbers.csv"
    path.write_text("age,secret,dose,label\n" + "".join(f"1,777,2,{k % 2}\n" for k in range(20)))
    for columns in ('["secret"]', "[1]"):
        manifest(path, f"[opacity]\ncolumns = {columns}\n")
        ports = (Port("age", Type("real", ())), Port("secret", Type("real", ())), PORTS[1])
        with pytest.raises(DataError, match="`secret` may not be read"):
            opened(path, ports)


@pytest.mark.parametrize("way", ["link", "relative", "folder link", "gz", "tsv", "data folder"])
def test_other_ways_to_the_file(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home, base = tmp_path / "home", None
    home.mkdir()
    if way == "tsv":
        path = table(home, "mine.tsv", tab="\t")
    else:
        path = table(home)
    given: object = path
    if way == "gz":
        import gzip

        packed = home / "mine.csv.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        given = path = packed
    manifest(path)
    if way == "link":
        given = tmp_path / "other.csv"
        os.symlink(path, given)
    elif way == "folder link":
        os.symlink(home, tmp_path / "elsewhere")
        given = tmp_path / "elsewhere" / "mine.csv"
    elif way == "relative":
        (tmp_path / "sub").mkdir()
        given, base = "../home/./mine.csv", tmp_path / "sub"
    elif way == "data folder":
        monkeypatch.setenv("QRLANG_DATA", str(home))
        given, base = "mine.csv", tmp_path
    data = opened(given, base=base)
    assert count(data) == 28 and SECRET not in everything(data)


def test_a_manifest_on_the_way_of_a_link_holds_too(tmp_path: Path) -> None:
    for name in ("home", "middle", "end"):
        (tmp_path / name).mkdir()
    path = table(tmp_path / "home")
    middle, end = tmp_path / "middle" / "it.csv", tmp_path / "end" / "top.csv"
    middle.symlink_to("../home/mine.csv")
    end.symlink_to("../middle/it.csv")
    assert SECRET in everything(opened(end))
    beside = manifest(middle)
    assert SECRET not in everything(opened(end))
    beside.rename(middle.with_name("rights.toml"))
    assert SECRET not in everything(opened(end))
    assert SECRET in everything(opened(path))


@pytest.mark.parametrize("what", ["broken link", "folder"])
def test_what_only_looks_like_a_manifest_closes_the_file(tmp_path: Path, what: str) -> None:
    path = table(tmp_path)
    beside = path.with_name(path.name + ".rights.toml")
    if what == "folder":
        beside.mkdir()
    else:
        beside.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="can't be read"):
        opened(path)


@pytest.mark.parametrize(
    "name",
    ["mine.rights.toml", "mine.csv.Rights.toml", "mine.csv.rights.toml.txt", "Rights.toml",
     "mine.csv.rights.tml", "mine.csv.rigths.toml", "mine.csv_rights.toml", "right.toml"],
)  # fmt: skip
def test_a_manifest_whose_name_is_misspelt_closes_the_file(tmp_path: Path, name: str) -> None:
    path = table(tmp_path)
    (tmp_path / "case").touch()
    if (tmp_path / "CASE").exists() and not name.islower():
        pytest.skip("here it is the same name")
    (tmp_path / name).write_text(MANIFEST)
    with pytest.raises(DataError, match="has another name"):
        opened(path)
    (tmp_path / name).rename(tmp_path / "mine.csv.rights.toml")
    assert count(opened(path)) == 28
    (tmp_path / "mine.csv.rights.toml~").touch()  # an editor's copy is none
    assert count(opened(path)) == 28


def test_a_manifest_of_another_file_is_no_misspelt_one(tmp_path: Path) -> None:
    path = table(tmp_path)
    path.with_name("mine2.csv").write_bytes(path.read_bytes())
    path.with_name("mine2.csv.rights.toml").write_text(MANIFEST)
    path.with_name("lights.toml").touch()
    assert count(opened(path)) > count(opened(path.with_name("mine2.csv"))) == 28


def test_a_packed_copy_asks_for_a_manifest_of_its_own(tmp_path: Path) -> None:
    import gzip

    path = table(tmp_path)
    manifest(path)
    packed = tmp_path / "mine.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"call it mine\.csv\.gz\.rights\.toml"):
        opened(packed)


def test_a_request_holds_wherever_it_was_made(tmp_path: Path) -> None:
    from qrlang.rights.shut import request

    path = table(tmp_path)
    manifest(path)
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    request(link, ["P9"])
    request(path, ["p9 "])  # the same once more
    assert (tmp_path / "mine.csv.forgotten").read_text() == "P9\n"
    assert count(opened(path)) == count(opened(link)) == 27
    (tmp_path / "link.csv.forgotten").write_text("P10\n")
    assert count(opened(path)) == 27 and count(opened(link)) == 26


@pytest.mark.parametrize("what", ["broken link", "folder", "bytes"])
def test_requests_that_cannot_be_read_close_the_file(tmp_path: Path, what: str) -> None:
    path = table(tmp_path)
    manifest(path)
    beside = tmp_path / "mine.csv.forgotten"
    if what == "folder":
        beside.mkdir()
    elif what == "bytes":
        beside.write_bytes(b"\xff\xfe")
    else:
        beside.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="can't be read"):
        opened(path)


@pytest.mark.parametrize("name", ["p3 ", "P3", "\uff303"])
def test_a_record_is_known_however_it_is_spelt(tmp_path: Path, name: str) -> None:
    path = table(tmp_path)
    text = f'key = "patient"\n[opacity]\nrecords = ["{name}", "p7"]\n'
    manifest(path, text + 'columns = ["secret", "patient"]\n')
    assert SECRET not in everything(opened(path))


def test_numbers_that_name_records(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    rows = [f"{k:03},{SECRET if k == 7 else 0.1},0.5,{k % 2}" for k in range(30)]
    path.write_text("\n".join(["id,x[0],x[1],label", *rows]) + "\n")
    for name in ("7", '"007"', '"7.0"'):
        manifest(path, f'key = "id"\n[opacity]\nrecords = [{name}]\n')
        assert SECRET not in everything(opened(path))
    for name in ("-1", '"four"', '"train:7"'):
        manifest(path, f"[opacity]\nrecords = [{name}]\n")
        with pytest.raises(DataError, match="has no record"):
            opened(path)


def test_the_default_source_is_the_name_of_the_file_and_of_no_link(tmp_path: Path) -> None:
    path = table(tmp_path)
    (tmp_path / "rights.toml").write_text('[opacity]\ncolumns = ["secret"]\n')
    link = tmp_path / "lab.csv"
    link.symlink_to(path)
    assert [r.source for r in opened(link).rights] == ["mine"]


def test_a_manifest_of_the_folder_holds_too(tmp_path: Path) -> None:
    path = table(tmp_path)
    (tmp_path / "rights.toml").write_text('key = "patient"\n[opacity]\nrecords = ["P3"]\n')
    manifest(path, 'key = "patient"\n[opacity]\nrecords = ["P7"]\ncolumns = ["secret"]\n')
    data = opened(path)
    assert count(data) == 28 and SECRET not in everything(data)
    assert len(manifests(path)) == 2


def test_columns_without_names_by_number(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    rows = [f"{k},{SECRET},{SECRET if k == 4 else 0.5},0.5,{k % 2}\n" for k in range(20)]
    path.write_text("".join(rows))
    manifest(path, 'key = "0"\n[opacity]\ncolumns = [0, 1]\nrecords = [4]\n')
    data = opened(path)
    assert count(data) == 19 and SECRET not in everything(data)


def test_the_order_of_columns_is_that_of_what_is_left(tmp_path: Path) -> None:
    # Without names for the model's lines, cells are taken in order: hidden ones are no cells.
    path = tmp_path / "mine.csv"
    path.write_text("a,secret,b,c\n" + "".join(f"0.1,{SECRET},0.2,{k % 2}\n" for k in range(20)))
    manifest(path, '[opacity]\ncolumns = ["secret"]\n')
    assert SECRET not in everything(opened(path))


def test_a_row_of_another_length_is_not_cut_to_fit(tmp_path: Path) -> None:
    for cells in ("P30,9,0.5,0.5,1,1\n", "P30,9,0.5,0.5\n"):
        path = table(tmp_path)
        manifest(path)
        path.write_text(path.read_text() + cells)
        with pytest.raises(DataError, match=r"mine.csv, line 32: it has [46] cells, the row"):
            everything(opened(path))


def test_a_manifest_that_does_not_fit_closes_the_file(tmp_path: Path) -> None:
    path = table(tmp_path)
    for text, said in (
        (MANIFEST.replace('"secret"', '"secrt"'), "secrt"),
        (MANIFEST.replace('key = "patient"', 'key = "pateint"'), "pateint"),
        ("[opacity\n", "can't be read"),
        (MANIFEST.replace("records", "recods"), "did you mean `records`"),
        (MANIFEST.replace("[opacity]", "[opaque]"), "there is no `opaque`"),
        ('[opacity]\ncolumns = "secret"\n', "a list of texts"),
        ('[decay]\nafter = "soon"\n', "is a date"),
        ('[[joining]]\nwith = "lab"\n', "for"),
        ("key = 3\n", "is a text"),
    ):
        manifest(path, text)
        with pytest.raises(DataError) as error:
            opened(path)
        assert error.value.code == "wrong-manifest", text
        assert said in f"{error.value} {error.value.help}", text


def test_sequences_of_several_rows(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    lines = ["sequence,patient,x[0],x[1],label"]
    for k in range(20):
        for _ in range(3):
            lines.append(f"{k},P{k},{SECRET if k == 5 else 0.1},0.2,{k % 2}")
    path.write_text("\n".join(lines) + "\n")
    manifest(path, 'key = "patient"\n[opacity]\nrecords = ["P5"]\ncolumns = ["patient"]\n')
    ports = (Port("x", Type("real", (2,), seq=True)), PORTS[1])
    data = opened(path, ports)
    assert count(data) == 19 and SECRET not in everything(data)
    assert len(data.seen()["long"]["splits"]["train"]) == data.count("train")


@pytest.mark.parametrize("once", [False, True])
def test_series_that_foretell_themselves(tmp_path: Path, once: bool) -> None:
    """Each window is a part of somebody's series."""
    path = tmp_path / "long.csv"
    lines = ["sequence,patient,pulse,mood,age"]
    for k in range(20):
        values = [SECRET if k == 5 else k + t / 16 for t in range(9)]
        lines += [f"{k},P{k},{v},{v / 2},40" for v in values]
    path.write_text("\n".join(lines) + "\n")
    manifest(path, 'key = "patient"\n[opacity]\nrecords = ["P5"]\ncolumns = ["patient"]\n')
    ports = (
        Port("x", Type("real", (1,), seq=True)),
        Port("y", Type("real", (1,), 0, not once), True),
    )
    more = {"columns": "pulse", "foretell": "mood", "ahead": 2, "window": 4}
    data = open_data("csv", {"path": str(path), **more}, ports)
    seen = data.seen()["long"]
    assert seen["columns"] == ["sequence", "0", "pulse", "2", "mood", "3"]
    every = {digest("long", f"P{k}"): k for k in range(20) if k != 5}
    for split, digests in seen["splits"].items():
        source = data.source(split)
        firsts = [source.take(np.array([r])).arrays[0][0, 0, 0] for r in range(len(source))]
        assert [every[d] for d in digests] == [int(x) for x in firsts]
    assert sum(map(len, seen["splits"].values())) == 19 * (4 if once else 1)


def test_a_sequence_belongs_to_one_record(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    lines = ["sequence,patient,x[0],x[1],label"]
    lines += [f"{k},P{k}{'ab'[j]},{SECRET if k == 5 else 0.1},0.2,{k % 2}"
              for k in range(20) for j in range(2)]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    ports = (Port("x", Type("real", (2,), seq=True)), PORTS[1])
    # Nobody could say later which runs have seen the second row.
    manifest(path, 'key = "patient"\n[opacity]\ncolumns = ["patient"]\n')
    with pytest.raises(DataError, match="rows of several records"):
        opened(path, ports)
    # Without a key sequences are counted, not rows.
    manifest(path, '[opacity]\nrecords = [5]\ncolumns = ["patient"]\n')
    data = opened(path, ports)
    assert count(data) == 19 and SECRET not in everything(data)
    assert digest("long", "19") in {d for s in data.seen()["long"]["splits"].values() for d in s}


def test_one_long_series_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("".join(f"{k},{k}\n" for k in range(100)))
    manifest(path, "[opacity]\nrecords = [3]\n")
    ports = (
        Port("x", Type("real", (1,), seq=True)),
        Port("y", Type("real", (1,), seq=True), target=True),
    )
    with pytest.raises(DataError, match="can't be left out one by one"):
        opened(path, ports)


def arrays(folder: Path, parts: bool) -> Path:
    x = np.full((12, 2), 0.5, np.float32)
    x[4] = SECRET
    y = (np.arange(12) % 2).astype(np.int64)
    secret = np.full((12, 2), SECRET, np.float32)
    path = folder / "mine.npz"
    if parts:
        np.savez(path, x_train=x, label_train=y, x_test=x, label_test=y, secret_train=secret)
    else:
        np.savez(path, x=x, label=y, secret=secret)
    return path


@pytest.mark.parametrize("parts", [False, True])
def test_numpy_files(tmp_path: Path, parts: bool) -> None:
    path = arrays(tmp_path, parts)
    records = '["train:4", "test:4"]' if parts else "[4]"
    manifest(path, f'[opacity]\nrecords = {records}\ncolumns = ["secret"]\n')
    data = opened(path)
    assert count(data) == (22 if parts else 11) and SECRET not in everything(data)
    splits = data.seen()["mine"]["splits"]
    assert [len(splits[s]) for s in splits] == [data.count(s) for s in splits]
    with pytest.raises(DataError) as error:
        opened(path, (Port("secret", Type("real", (2,))), PORTS[1]))
    assert error.value.code == "not-permitted"


@pytest.mark.parametrize(
    ("parts", "text"),
    [(False, 'columns = ["Secret"]'), (False, "columns = [2]"), (False, 'records = ["train:4"]'),
     (True, "records = [4]"), (True, 'records = ["validation:4"]'),
     (True, 'records = ["train:-4"]')],
)  # fmt: skip
def test_a_manifest_that_does_not_fit_closes_a_numpy_file(
    tmp_path: Path, parts: bool, text: str
) -> None:
    path = arrays(tmp_path, parts)
    manifest(path, f"[opacity]\n{text}\n")
    with pytest.raises(DataError, match="of which its manifest speaks"):
        opened(path)


def test_what_nobody_keeps_account_of_reads_no_data_with_a_manifest(
    tmp_path: Path, capsys: Any
) -> None:
    from training_tools import project

    from qrlang.cli.main import run as qrlc

    program = project(tmp_path)
    path = arrays(tmp_path, False)
    manifest(path, "")
    assert qrlc(["run", str(program), "--data", str(path)]) == 1
    assert "could not be forgotten" in capsys.readouterr().err
    out = str(tmp_path / "run")
    assert qrlc(["train", str(program), "--init", str(path), "--out", out]) == 1
    assert "could not be forgotten" in capsys.readouterr().err


def test_named_sets_stay_closed_where_records_are_named(tmp_path: Path) -> None:
    from qrlang.training.data.samples import write_samples

    write_samples(tmp_path, 60)
    path = tmp_path / "mnist.npz"
    ports = (
        Port("x", Type("real", (28,), seq=True)),
        Port("label", Type("class", (), 10), target=True),
    )

    def mnist() -> Any:
        return open_data("mnist_rows", {}, ports, data_dir=tmp_path, fetch=False)

    assert mnist().count("train")
    manifest(path, "[opacity]\nrecords = [4]\n")
    with pytest.raises(DataError, match="can't be left out"):
        mnist()


# --- decay and joining ---


def test_what_has_faded_is_not_read(tmp_path: Path) -> None:
    path = table(tmp_path)
    day = datetime.date.today()
    text = (
        MANIFEST
        + f'[decay.records]\nP1 = {day}\nP2 = {day + datetime.timedelta(9)}\nP4 = "asked"\n'
    )
    manifest(path, text)
    assert count(opened(path)) == 26
    manifest(path, MANIFEST + f"[decay]\nafter = {day - datetime.timedelta(1)}\n")
    with pytest.raises(DataError, match="has faded"):
        opened(path)


def lab(folder: Path) -> Path:
    path = folder / "lab.csv"
    path.write_text("patient,value\n" + "".join(f"P{k},{k / 10}\n" for k in range(0, 30, 2)))
    return path


JOINED = (
    Port("x", Type("real", (2,))), Port("value", Type("real", ())), PORTS[1],
)  # fmt: skip


def test_tables_without_manifests_are_joined_freely(tmp_path: Path) -> None:
    data = opened(table(tmp_path), JOINED, join=str(lab(tmp_path)), on="patient")
    assert count(data) == 15
    first = data.records("train", [0])
    assert len(first.arrays) == 3


def test_silence_is_no(tmp_path: Path) -> None:
    path, other = table(tmp_path), lab(tmp_path)
    open_ = 'source = "clinic"\nkey = "patient"\n[opacity]\nrecords = ["P3", "P8"]\n'
    given = {"join": str(other), "on": "patient"}
    allowed = '[[joining]]\nwith = "lab"\nfor = ["diagnosis"]\n'

    def refused(**more: str) -> str:
        with pytest.raises(DataError) as error:
            opened(path, JOINED, **given, **more)
        assert error.value.code == "not-permitted"
        return f"{error.value} {error.value.help}"

    manifest(path, open_)
    assert "for a purpose" in refused()
    assert "silence is no" in refused(purpose="diagnosis")
    manifest(path, open_ + allowed)
    assert "for `advertising`" in refused(purpose="advertising")
    assert count(opened(path, JOINED, **given, purpose="diagnosis")) == 14
    manifest(other, 'source = "lab"\n')  # the other side has a say too
    assert "with `clinic`" in refused(purpose="diagnosis")
    manifest(other, 'source = "lab"\n' + allowed.replace('"lab"', '"clinic"'))
    assert count(opened(path, JOINED, **given, purpose="diagnosis")) == 14
    # The other way round it is the same two tables.
    given = {"join": str(path), "on": "patient"}
    ports = (JOINED[1], JOINED[0], JOINED[2])
    assert count(opened(other, ports, **given, purpose="diagnosis")) == 14


def test_a_hidden_column_joins_nothing(tmp_path: Path) -> None:
    path = table(tmp_path)
    manifest(path, MANIFEST + '[[joining]]\nwith = "lab"\nfor = ["diagnosis"]\n')
    with pytest.raises(DataError, match="`patient` may not be read"):
        opened(path, JOINED, join=str(lab(tmp_path)), on="patient", purpose="diagnosis")


def test_records_of_one_name(tmp_path: Path) -> None:
    """Several rows of each patient lie in all splits: one that is hidden takes all of its rows, and
    the others stay where they were."""
    path = tmp_path / "mine.csv"
    lot = np.random.default_rng(1)
    rows = [f"P{lot.integers(8)},{k},0.5,{k % 2}\n" for k in range(60)]
    path.write_text("patient,x[0],x[1],label\n" + "".join(rows))
    text = 'key = "patient"\n[opacity]\ncolumns = ["patient"]\n'
    manifest(path, text)
    before = opened(path)
    page = before.seen()
    assert any(page["mine"]["nth"]["train"])
    manifest(path, text + 'records = ["P3"]\n')
    now = open_data("csv", {"path": str(path)}, PORTS, kept=page)
    gone = {k for k, row in enumerate(rows) if row.startswith("P3,")}
    for split in ("train", "validation", "test"):
        numbers = [set(d.records(split, range(d.count(split))).arrays[0][:, 0].tolist())
                   for d in (before, now)]  # fmt: skip
        assert numbers[1] == numbers[0] - gone


def test_a_manifest_that_comes_later_draws_no_split_anew(tmp_path: Path) -> None:
    path, other = table(tmp_path), lab(tmp_path)
    joining = '[[joining]]\nwith = "{}"\nfor = ["diagnosis"]\n'
    text = 'source = "clinic"\nkey = "patient"\n' + joining.format("lab")
    manifest(path, text)
    given = {"join": str(other), "on": "patient", "purpose": "diagnosis", "path": str(path)}
    page = open_data("csv", given, JOINED).seen()
    manifest(other, 'source = "lab"\nkey = "patient"\n' + joining.format("clinic"))
    first = page["clinic"]["splits"]["train"][0]
    names = {digest("clinic", f"P{k}"): f"P{k}" for k in range(30)}
    manifest(path, text + f'[opacity]\nrecords = ["{names[first]}"]\n')
    now = open_data("csv", given, JOINED, kept=page).seen()["clinic"]["splits"]
    assert now == {s: [d for d in ds if d != first] for s, ds in page["clinic"]["splits"].items()}
