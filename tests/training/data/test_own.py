"""CSV, NumPy and hub data of one's own: what is understood, and what is said of the rest."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from data_tools import SERIES, label, own, ports, token, whole

from qrlang.ir.types import Type, real, seq
from qrlang.training.data import DataError, Port, open_data


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def everything(data: Any) -> list[np.ndarray[Any, Any]]:
    parts = [whole(data, s) for s in ("train", "validation", "test")]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def test_records_in_the_order_of_the_lines(tmp_path: Path) -> None:
    rows = [f"{k},{k + 0.5},{k % 2}" for k in range(20)]
    data = own(write(tmp_path / "f.csv", "\n".join(rows)), real(2), label(2))
    assert [data.count(s) for s in ("train", "validation", "test")] == [14, 2, 4]
    x, y = everything(data)
    assert sorted(x[:, 0]) == list(range(20))
    assert np.array_equal(x[:, 1], x[:, 0] + 0.5)
    assert np.array_equal(y, x[:, 0] % 2)


def test_columns_by_name_and_a_split(tmp_path: Path) -> None:
    head = "y,note,x[0],x[1],split\n"
    rows = ["cat,a,1,2,train", "dog,b,3,4,train", "cat,c,5,6,valid", "dog,d,7,8,test"]
    data = own(write(tmp_path / "f.csv", head + "\n".join(rows)), real(2), label(2))
    x, y = whole(data, "test")
    assert x.tolist() == [[7, 8]] and y.tolist() == [1]
    assert data.labels == ("cat", "dog")
    assert data.decode("y", [1]) == "dog"
    assert data.count("train") == 2 and data.count("validation") == 1


def test_numbers_in_units_of_their_spread(tmp_path: Path) -> None:
    """Each by its own, as the training records have them; classes stay as they are."""
    lot = np.random.default_rng(0)
    table = np.column_stack([lot.normal(50, 10, 60), lot.normal(-3, 2000, 60), np.full(60, 7.0)])
    rows = [f"{a},{b},{c},{k % 2}" for k, (a, b, c) in enumerate(table)]
    path = write(tmp_path / "f.csv", "\n".join(rows))
    types = (real(3), label(2))
    plain = own(path, *types)
    data = open_data("csv", {"path": str(path), "scale": True}, ports(*types))
    before, after = whole(plain, "train")[0], whole(data, "train")[0]
    mean, deviation = before.mean(0), np.where(before.std(0) > 0, before.std(0), 1)
    np.testing.assert_allclose(after, (before - mean) / deviation, atol=1e-4)
    test = (whole(plain, "test")[0] - mean) / deviation
    np.testing.assert_allclose(whole(data, "test")[0], test, atol=1e-4)
    assert np.array_equal(whole(data, "test")[1], whole(plain, "test")[1])
    said = data.about()["scale"]
    assert said.keys() == {"x"}
    np.testing.assert_allclose(said["x"]["shift"], mean, atol=1e-3)
    (note,) = plain.notes
    assert "`x` go as far as" in note and "`scale: true`" in note
    assert not data.notes


@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("value", [0.1, 1000 / 3])
def test_what_is_the_same_in_all_of_the_training_is_not_blown_up(
    tmp_path: Path, value: float, series: bool
) -> None:
    rows = [f"{value if k < 83 else value + 1},{k / 10},{'train' if k < 83 else 'test'}"
            for k in range(100)]  # fmt: skip
    path = write(tmp_path / "f.csv", "x,y,split\n" + "\n".join(rows))
    types = (seq(real(1)), seq(real(1))) if series else (real(1), real(1))
    data = open_data("csv", {"path": str(path), "scale": True}, ports(*types), validation=0)
    assert data.about()["scale"]["x"]["divisor"] == [1]
    last = whole(data, "test")[0].reshape(-1)[-5:]
    np.testing.assert_allclose(last, np.ones(5), rtol=1e-4)


@pytest.mark.parametrize("series", [False, True])
def test_a_run_keeps_the_units_it_began_with(tmp_path: Path, series: bool) -> None:
    """Records that are gone by now, or new ones, do not move what its weights know."""
    types = (seq(real(1)), seq(real(1))) if series else (real(1), real(1))
    rows = [f"{k},{2 * k + 1}" for k in range(40)]
    asked = {"path": str(write(tmp_path / "f.csv", "\n".join(rows))), "scale": True}
    first = open_data("csv", asked, ports(*types)).about()
    write(tmp_path / "f.csv", "\n".join([*rows[:-1], "9000,-9000"][-30:]))
    again = open_data("csv", asked, ports(*types), saved=first)
    anew = open_data("csv", asked, ports(*types))
    assert again.about()["scale"] == first["scale"] != anew.about()["scale"]
    units = [np.array([d.about()["scale"][n][k] for n in "xy"]) for d in (again, anew)
             for k in ("shift", "divisor")]  # fmt: skip
    for k in range(2):
        one, two = (next(d.batches("test", 1)).arrays[k] for d in (again, anew))
        expected = two * units[3][k] + units[2][k]
        np.testing.assert_allclose(one * units[1][k] + units[0][k], expected, rtol=1e-3, atol=0.1)


def test_scaled_sequences_are_padded_with_zeros(tmp_path: Path) -> None:
    lot = np.random.default_rng(1)
    lengths = lot.integers(1, 5, 30)
    x = lot.normal(100, 5, (30, 4, 2))
    np.savez(tmp_path / "f.npz", x=x, y=lot.normal(9, 1, 30), length=lengths)
    rows = [f"{k},{v[0]},{v[1]},0" for k, n in enumerate(lengths) for v in x[k, :n]]
    table = write(tmp_path / "f.csv", "sequence,x[0],x[1],y\n" + "\n".join(rows))
    for path in (tmp_path / "f.npz", table):
        asked = {"path": str(path), "scale": True}
        data = open_data(path.suffix[1:], asked, ports(seq(real(2)), real()))
        batch = next(data.batches("train", 30, shuffle=False))
        assert batch.lengths[0] is not None
        inside = np.arange(4) < batch.lengths[0][:, None]
        moments = batch.arrays[0][inside]
        np.testing.assert_allclose(moments.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(moments.std(0), 1, atol=1e-4)
        assert not batch.arrays[0][~inside].any()


def test_a_scaled_series(tmp_path: Path) -> None:
    rows = [f"{1000 + 50 * np.sin(k / 3)},{k % 2}" for k in range(200)]
    path = write(tmp_path / "f.csv", "\n".join(rows))
    asked = {"path": str(path), "scale": True}
    data = open_data("csv", asked, ports(seq(real(1)), Type("class", (), 2, True)))
    batch = next(data.batches("train", 1))
    assert abs(batch.arrays[0]).max() < 2
    assert {*np.unique(batch.arrays[1])} == {0, 1}
    assert data.scale.keys() == {"x"}


def test_a_sequence_in_a_row_may_be_shorter(tmp_path: Path) -> None:
    text = "1,2,3,4,5,6,0\n1,2,,,,,1\n" * 10
    data = own(write(tmp_path / "w.csv", text), seq(real(2)), label(2))
    batch = next(data.batches("train", 20, shuffle=False))
    lengths = batch.lengths[0]
    assert lengths is not None
    for k in range(len(batch)):
        full = batch.arrays[1][k] == 0
        assert lengths[k] == (3 if full else 1)
        row = [[1, 2], [3, 4], [5, 6]] if full else [[1, 2], [0, 0], [0, 0]]
        assert batch.arrays[0][k, : len(row)].tolist() == row[: batch.arrays[0].shape[1]]


def test_folds_and_strata(tmp_path: Path) -> None:
    """Every record is in one test; of each class every split has its share."""
    lot = np.random.default_rng(1)
    labels = lot.choice(3, 103, p=[0.7, 0.2, 0.1])
    text = "\n".join(f"{k},{['a', 'b', 'c'][y]}" for k, y in enumerate(labels))
    path = write(tmp_path / "f.csv", text)
    np.savez(tmp_path / "f.npz", x=np.arange(103.0), y=labels)
    share = np.bincount(labels) / 103
    for file in ("f.csv", "f.npz"):

        def split(**given: Any) -> dict[str, list[Any]]:
            asked = {"path": str(tmp_path / file), **given}  # noqa: B023
            data = open_data(file[2:], asked, ports(real(1), label(3)))  # noqa: B023
            return {s: whole(data, s) for s in ("train", "validation", "test")}

        tests = []
        for fold in range(5):
            found = split(folds=5, fold=fold)
            every = np.concatenate([x for x, _ in found.values()]).ravel()
            assert sorted(every) == list(range(103))
            tests += found["test"][0].ravel().tolist()
            for _, y in found.values():
                assert (abs(np.bincount(y, minlength=3) - share * len(y)) < 2).all()
        assert sorted(tests) == list(range(103))
        for _, y in split(stratified=True).values():
            assert (abs(np.bincount(y, minlength=3) - share * len(y)) < 2).all()
        assert split()["test"][0].tolist() != split(stratified=True)["test"][0].tolist()
        for given in ({"folds": 5, "fold": 5}, {"folds": 1}, {"folds": 200}, {"fold": 2}):
            with pytest.raises(DataError, match="2 to 103"):
                split(**given)
    write(path, "x,y,split\n" + "\n".join(f"{k},{k % 2},train" for k in range(9)))
    with pytest.raises(DataError, match="`folds` is of splits that are drawn"):
        open_data("csv", {"path": str(path), "folds": 3}, ports(real(1), label(2)))
    write(path, "\n".join(f"{k},{k % 2}" for k in range(40)))
    with pytest.raises(DataError, match="it has none"):
        open_data("csv", {"path": str(path), "stratified": True}, ports(real(1), real(1)))
    with pytest.raises(DataError, match="split by time"):
        open_data("csv", {"path": str(path), "folds": 4}, ports(SERIES, SERIES))


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    """The same table as spreadsheets write it here and there."""
    lot = np.random.default_rng(0)
    table = [
        (f"{a:.3f}", f"{b:.2e}", str(k % 2)) for k, (a, b) in enumerate(lot.normal(size=(40, 2)))
    ]
    plain = "\n".join(["x[0],x[1],y", *(",".join(row) for row in table)])
    right = everything(own(write(tmp_path / "f.csv", plain), real(2), label(2)))
    comma = [[cell.replace(".", ",") for cell in row] for row in table]
    for name, rows in {
        "names": [["x[0]", "x[1]", "y"], *comma], "none": comma, "points": table,
        "whole": [["1", "2", "0"], *comma[1:]], "quoted": [[f'"{c}"' for c in r] for r in comma],
    }.items():  # fmt: skip
        text = "\ufeff" + "\r\n".join(";".join(row) for row in rows[:3]) + "\r\n  \r\n"
        text += "\r\n".join(";".join(row) for row in rows[3:])  # a line of blanks is none
        found = everything(own(write(tmp_path / f"{name}.csv", text), real(2), label(2)))
        if name != "whole":
            for a, b in zip(found, right, strict=True):
                np.testing.assert_array_equal(a, b)
    tabs = "\n".join("\t".join(row) for row in comma)
    found = everything(own(write(tmp_path / "f.tsv", tabs), real(2), label(2)))
    np.testing.assert_array_equal(found[0], right[0])


def test_texts_with_commas_and_semicolons(tmp_path: Path) -> None:
    commas = "good; very good,1\nbad; very bad,0\n" * 10
    semicolons = "good, very good;1\nbad;0\n" * 10
    for text, word in ((commas, "good ;"), (semicolons, "good ,")):
        data = own(write(tmp_path / "t.csv", text), token(9), label(2))
        rows = [data.decode("x", row) for row in whole(data, "train")[0]]
        assert any(row.startswith(word) for row in rows), rows


def test_a_column_may_be_called_length(tmp_path: Path) -> None:
    """It is the target, then, and not how long the sequences are."""
    x = np.random.default_rng(0).random((30, 4))
    np.savez(tmp_path / "f.npz", x=x, length=np.arange(30))
    both = (Port("x", seq(real())), Port("length", Type("class", (), 30), target=True))
    data = open_data("npz", {"path": str(tmp_path / "f.npz")}, both)
    batch = next(data.batches("train", 30))
    assert batch.lengths[0] is None and sorted(whole(data, "train")[1]) == sorted(batch.arrays[1])


def test_a_moment_in_a_row(tmp_path: Path) -> None:
    rows = [f"s{k},{k},{t},{k % 2}" for k in range(10) for t in range(3 + k % 2)]
    text = "\n".join(["sequence,x[0],x[1],y", *rows])
    data = own(write(tmp_path / "m.csv", text), seq(real(2)), label(2))
    batch = next(data.batches("train", 20))
    assert data.count("train") == 7
    for x, length, y in zip(batch.arrays[0], batch.lengths[0], batch.arrays[1], strict=True):
        assert length == 3 + y
        assert x[:length, 1].tolist() == list(range(length))


def test_one_long_series(tmp_path: Path) -> None:
    rows = [f"{k},{2 * k}" for k in range(1000)]
    data = own(write(tmp_path / "s.csv", "\n".join(["x,y", *rows])), SERIES, SERIES)
    assert data.streaming
    x, y = next(data.batches("train", 1)).arrays
    assert np.array_equal(2 * x, y) and x.shape == (1, 700, 1)


def test_texts_get_a_vocabulary_of_the_training_texts(tmp_path: Path) -> None:
    rows = ['"Good, good film.",1,train', "bad film,0,train", "Good unseen,1,test"]
    path = write(tmp_path / "t.csv", "x,y,split\n" + "\n".join(rows))
    data = own(path, token(50), label(2), validation=0.0)
    words = data.vocabularies["x"]
    assert words.symbols[:3] == ("<pad>", "<unk>", "film") or words.symbols[2] == "good"
    assert "unseen" not in words.symbols
    batch = next(data.batches("test", 1))
    assert words.decode(batch.arrays[0][0]) == "good <unk>"
    by_letter = open_data("csv", {"path": str(path), "tokens": "character"},
                          ports(token(50), label(2)))  # fmt: skip
    assert by_letter.decode("x", by_letter.vocabularies["x"].encode("Good")) == "Good"
    in_pieces = open_data("csv", {"path": str(path), "tokens": "bpe"}, ports(token(50), label(2)))
    assert in_pieces.decode("x", in_pieces.vocabularies["x"].encode("Good fog,")) == "Good fog,"


def test_packed_and_tabbed(tmp_path: Path) -> None:
    tabs = write(tmp_path / "f.tsv", "1\t0\n2\t1\n" * 10)
    assert own(tabs, real(1), label(2)).count("train") == 14
    packed = tmp_path / "g.csv.gz"
    packed.write_bytes(gzip.compress(b"1,0\n2,1\n" * 10))
    assert own(packed, real(1), label(2)).count("train") == 14


@pytest.mark.parametrize(
    ("text", "types", "said"),
    [
        ("1,2,0\n1,zwei,1\n", (real(2), label(2)), "line 2: cell 2: 'zwei' is not a number"),
        ("a,b,c,d\n1,2,3,0\n", (real(2), label(2)), 'read: csv(path: …, columns: "…")'),
        ("1,2,0\n1,,1\n", (real(2), label(2)), "leave rows with empty cells out"),
        ("1,2,0\n1,nan,1\n", (real(2), label(2)), "line 2: cell 2: nan is not finite"),
        ("1,2,0\n1,1\n", (real(2), label(2)), "line 2: it has 2 cells; `input x: real[2]` takes 2"),
        ("x[0],x[1],y\n1,2,0\n1,2\n", (real(2), label(2)), "line 3: it has 2 cells"),
        ("1,2,a\n1,2,b\n1,2,c\n", (real(2), label(2)), "3 different labels (a, b, c)"),
        ("1,2,3,0\n", (seq(real(2)), label(2)), "line 1: it has 4 cells"),
        ("", (real(2), label(2)), "is empty"),
        ("x[0],x[1],y\n", (real(2), label(2)), "a row of names and nothing else"),
        ("x,y,split\n1,0,train\n1,0,often\n", (real(1), label(2)), "line 3: the split is 'often'"),
        ("1,2\n", (Type("state", (), 1), label(2)), "can't hold `input x: state[1]`"),
        ("x,y,split\n1,0,test\n", (real(1), label(2)), "no record is left for training"),
        ("y,a,b\n0,1,2\n", (real(2), label(2)), "none has the name `x`"),
        # What was taken for something else, without a word:
        ("1,2,0\n1,2,\n", (real(2), label(2)), "line 2: cell 3 is empty, for `target y"),
        ("x[0],x[1],y\n1,2,0\n1,2,\n", (real(2), label(2)), "line 3: cell 3 (y) is empty"),
        ("X,y\n1,0\n", (real(1), label(2)), "a column `X`, and `x` is meant"),
        ("Sequence,x,y\na,1,0\n", (seq(real(1)), label(2)), "`Sequence`, and `sequence` is"),
        ("x,y,Split\n1,0,test\n", (real(1), label(2)), "`Split`, and `split` is meant"),
        ("x[0],x[0],y\n1,2,0\n", (real(2), label(2)), "the column `x[0]` twice"),
        ("sequence,x,y\na,1,0\nb,2,1\na,3,0\n", (seq(real(1)), label(2)),
         "line 4: the sequence 'a' had ended before"),
    ],
)  # fmt: skip
def test_bad_csv(tmp_path: Path, text: str, types: tuple[Type, ...], said: str) -> None:
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(DataError) as error:
        own(path, *types)
    assert said in f"{error.value} {error.value.help}"


def test_numbers_go_by_their_names(tmp_path: Path) -> None:
    text = "x[1],y,x[0]\n" + "2,0,1\n4,1,3\n" * 10
    x, y = everything(own(write(tmp_path / "f.csv", text), real(2), label(2)))
    assert x[y == 0].tolist() == [[1, 2]] * 10 and x[y == 1].tolist() == [[3, 4]] * 10


def test_a_line_that_is_called_like_a_number_of_another(tmp_path: Path) -> None:
    lines = ports(real(1), real(1), names=["x_2", "x_1"])  # type: ignore[arg-type]
    path = write(tmp_path / "f.csv", "x_1,x_2\n" + "1,2\n" * 10)
    x2, x1 = everything(open_data(str(path), {}, lines))
    assert (x2 == 2).all() and (x1 == 1).all()


@pytest.mark.parametrize(
    ("rows", "help"), [("1;2;0\n1;2\n", "save it with commas"), ("1\t2\t0\n", "call it .tsv")]
)
def test_cells_between_other_signs(tmp_path: Path, rows: str, help: str) -> None:
    with pytest.raises(DataError, match="1 cell;") as error:
        own(write(tmp_path / "f.csv", rows * 9), real(2), label(2))
    assert help in error.value.help


def test_names_that_are_taken_for_a_record(tmp_path: Path) -> None:
    text = "text,mood\n" + "so so,good\nso,bad\n" * 9
    with pytest.raises(DataError, match=r"3 different labels \(bad, good, mood\)") as error:
        own(write(tmp_path / "f.csv", text), token(9), label(2))
    assert "if the first row holds names, call this column `y`" in error.value.help


def test_one_name_at_the_place_that_the_order_gives_it(tmp_path: Path) -> None:
    data = own(write(tmp_path / "f.csv", "a,b,y\n" + "1,2,0\n3,4,1\n" * 10), real(2), label(2))
    x, y = everything(data)
    assert x[y == 1].tolist() == [[3, 4]] * 10


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01,2\n")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        own(tmp_path / "b.csv", real(1), label(2))


def test_paths_start_at_the_program_then_at_the_data(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "f.csv", "1,0\n2,1\n" * 10)
    model = ports(real(1), label(2))
    found = open_data("f.csv", {}, model, base=tmp_path / "a", data_dir=tmp_path / "b")
    assert found.count("train") == 14
    with pytest.raises(DataError) as error:
        open_data("g.csv", {}, model, base=tmp_path / "a", data_dir=tmp_path / "b")
    assert error.value.code == "missing-file"
    assert str(tmp_path / "a") in str(error.value) and str(tmp_path / "b") in str(error.value)


# --- NumPy files ---


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_arrays_by_name(tmp_path: Path) -> None:
    x = np.arange(60, dtype=np.float64).reshape(20, 3)
    path = save(tmp_path / "a.npz", x=x, y=np.arange(20) % 2)
    data = own(path, real(3), label(2))
    a, b = everything(data)
    order = np.argsort(a[:, 0])
    assert np.array_equal(a[order], x) and np.array_equal(b[order], np.arange(20) % 2)


def test_stored_splits_and_lengths(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 6, 12)
    arrays: dict[str, Any] = {}
    for s in ("train", "valid", "test"):
        arrays[f"x_{s}"] = rng.normal(size=(12, 5))
        arrays[f"y_{s}"] = rng.integers(0, 3, 12)
        arrays[f"length_{s}"] = lengths
    data = own(save(tmp_path / "a.npz", **arrays), SERIES, label(3))
    batch = next(data.batches("validation", 12))
    assert batch.lengths[0] is not None
    assert np.array_equal(batch.lengths[0], lengths[batch.rows])
    first = batch.rows[0]
    assert batch.arrays[0][0, : lengths[first], 0] == pytest.approx(
        arrays["x_valid"][first, : lengths[first]], abs=1e-6
    )


def test_states_and_unitaries(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    psi = rng.normal(size=(10, 4)) + 1j * rng.normal(size=(10, 4))
    psi /= np.linalg.norm(psi, axis=1, keepdims=True)
    u, _ = np.linalg.qr(rng.normal(size=(10, 4, 4)) + 1j * rng.normal(size=(10, 4, 4)))
    y = np.arange(10) % 2
    state = own(save(tmp_path / "s.npz", x=psi, y=y), Type("state", (), 2), label(2))
    assert next(state.batches("train", 4)).arrays[0].dtype == np.complex64
    gate = own(save(tmp_path / "u.npz", x=u, y=y), Type("unitary", (), 2), label(2))
    assert next(gate.batches("train", 4)).arrays[0].shape == (4, 4, 4)
    with pytest.raises(DataError, match=r"record 0: a norm of .* is not 1"):
        own(save(tmp_path / "t.npz", x=2 * psi, y=y), Type("state", (), 2), label(2))
    with pytest.raises(DataError, match="is not unitary"):
        own(save(tmp_path / "v.npz", x=2 * u, y=y), Type("unitary", (), 2), label(2))


def test_a_sequence_of_classes(tmp_path: Path) -> None:
    """As the words of `examples/bausch`: vectors in, a class at each moment out."""
    bits = np.random.default_rng(0).integers(0, 2, (30, 6, 2))
    path = save(tmp_path / "words.npz", bits=bits, next=bits[:, :, 0])
    model = ports(seq(real(2)), Type("class", (), 4, True), names=["bits", "next"])  # type: ignore[arg-type]
    data = open_data(str(path), {}, model)
    assert next(data.batches("train", 5)).arrays[1].shape == (5, 6)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.ones((9, 3)), "z": np.zeros(9, int)}, "no array for `target y: class[2]`"),
        ({"x": np.ones((9, 4)), "y": np.zeros(9, int)}, "is [9, 4]; `input x: real[3]` takes [records, 3]"),
        ({"x": np.ones((9, 3)), "y": np.zeros(8, int)}, "different numbers of records: x 9, y 8"),
        ({"x": np.full((9, 3), np.nan), "y": np.zeros(9, int)}, "record 0: nan is not a finite number"),
        ({"x": np.ones((9, 3)), "y": np.full(9, 2)}, "record 0: 2 is outside 0 … 1"),
        ({"x": np.ones((9, 3)), "y": np.zeros(9)}, "takes whole numbers"),
        ({"x": np.ones((9, 3)), "y": np.eye(2)[[0] * 9]}, "is [9, 2]; `target y: class[2]` takes [records]"),
        ({"x": np.ones((9, 3), complex), "y": np.zeros(9, int)}, "takes real numbers"),
        ({"x": np.array([["a"] * 3] * 9), "y": np.zeros(9, int)}, "holds texts"),
    ],
)  # fmt: skip
def test_bad_arrays(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as error:
        own(save(tmp_path / "a.npz", **arrays), real(3), label(2))
    assert said in f"{error.value} {error.value.help}"
    assert "a.npz" in str(error.value)


def test_a_split_that_was_not_saved(tmp_path: Path) -> None:
    path = save(tmp_path / "f.npz", x_train=np.ones((9, 3)), y_train=np.zeros(9, int))
    with pytest.raises(DataError, match="no test array of x, y") as error:
        own(path, real(3), label(2)).count("test")
    assert "x_test" in error.value.help


def test_sequences_without_a_moment(tmp_path: Path) -> None:
    path = save(tmp_path / "f.npz", x=np.ones((9, 0, 1)), y=np.zeros(9, int))
    with pytest.raises(DataError, match="have no moments"):
        own(path, SERIES, label(2)).count("train")


def test_a_bad_value_is_found_wherever_it_is(tmp_path: Path) -> None:
    x = np.ones((3000, 784), np.float32)
    x[2999, 700] = np.inf
    with pytest.raises(DataError, match="record 2999: inf"):
        own(save(tmp_path / "a.npz", x=x, y=np.zeros(3000, int)), real(784), label(2))


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", x=np.array([{}], object), y=np.zeros(1, int))
    with pytest.raises(DataError) as error:
        own(tmp_path / "p.npz", real(1), label(2))
    assert error.value.code == "malformed-file"
    assert "Python objects" in error.value.help


# --- the hub ---


class Rows(dict[str, list[Any]]):
    @property
    def column_names(self) -> list[str]:
        return list(self)


def hub(monkeypatch: pytest.MonkeyPatch, splits: dict[str, Rows] | Exception) -> None:
    module = ModuleType("datasets")

    def load_dataset(name: str, *config: str) -> dict[str, Rows]:
        if isinstance(splits, Exception):
            raise splits
        return splits

    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a fine film", "a bad film"] * 20
    rows = Rows(text=texts, label=[1, 0] * 20)
    hub(monkeypatch, {"train": rows, "test": rows})
    data = open_data("hf", {"name": "someone/films"}, ports(token(100), label(2)))
    assert [data.count(s) for s in ("train", "validation", "test")] == [36, 4, 40]
    batch = data.records("test", [1])
    assert data.decode("x", batch.arrays[0][0]) == "a bad film" and batch.arrays[1].tolist() == [0]
    with pytest.raises(DataError, match="has no column for `input x") as error:
        open_data("hf", {"name": "x", "columns": "txt, label"}, ports(token(100), label(2)))
    assert error.value.help == "did you mean `text`?"
    with pytest.raises(DataError, match="names 1 columns, the model has 2"):
        open_data("hf", {"name": "x", "columns": "text"}, ports(token(100), label(2)))


def test_hub_without_package_or_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="needs the package `datasets`") as error:
        open_data("hf", {"name": "x"}, ports(token(100), label(2)))
    assert error.value.code == "missing-package"
    hub(monkeypatch, ConnectionError("no route"))
    with pytest.raises(DataError, match="can't be had from the hub: no route"):
        open_data("hf", {"name": "x"}, ports(token(100), label(2)))


def test_a_text_without_words_is_a_record_and_a_blank_line_is_none(tmp_path: Path) -> None:
    from qrlang.training.data.rows import Table

    path = write(tmp_path / "t.csv", 'words\ngood thing\n""\n\nawful\n\n')
    found = [row for _, row in Table(path, None).rows(lambda _: True)]
    assert found == [["words"], ["good thing"], [""], ["awful"]]
