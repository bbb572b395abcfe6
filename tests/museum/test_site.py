"""What the museum writes."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from museum_tools import folder

from qrlang.cli.main import run as qrlc
from qrlang.errors import TrainingError
from qrlang.museum.exhibit import thinned
from qrlang.museum.site import build


def data(site: Path) -> list[dict[str, Any]]:
    text = (site / "data.js").read_text()
    found = json.loads(text.removeprefix("window.MUSEUM = ").rstrip().removesuffix(";"))
    assert isinstance(found, list)
    return found


def test_all_of_a_run(tmp_path: Path) -> None:
    run = folder(tmp_path, "first")
    (run / "scar.txt").write_text("It was to learn digits.\n")
    site = tmp_path / "site"
    build([str(run)], str(site))
    (shown,) = data(site)
    assert shown["value"] == 0.9 and shown["interval"] == [0.88, 0.92] and shown["best"] == "high"
    assert shown["account"] == "It was to learn digits."
    assert shown["curves"]["loss"]["validation"][0] == [10, 2]
    for word in ("strip", "curves", "settings", "metrics", "result", "program"):
        assert (site / shown["files"][word]).stat().st_size, word


def test_a_run_that_did_not_start_says_why(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from training_tools import MODEL, project

    program = project(tmp_path, MODEL + "\ngovern Tiny { touch = 1.5  consent = 2 }\n")
    run = tmp_path / "run"
    assert qrlc(["train", str(program), "--out", str(run), "--threads", "1"]) == 3
    build([str(run)], str(tmp_path / "site"))
    (shown,) = data(tmp_path / "site")
    assert shown["state"] == "not started" and shown["files"]["sky"]
    said = r"It did not start. The sky before it was not calm: touch \S+, at most 1.5, consent"
    assert re.match(said + r" \S+, at least 2\.", shown["account"])


def test_nothing_is_fetched(tmp_path: Path) -> None:
    site = tmp_path / "site"
    build([str(folder(tmp_path, "one"))], str(site))
    for page in site.glob("*.*"):
        addresses = set(re.findall(r"https?://[^\"'\s)]+", page.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, page


def test_folders_of_runs_and_what_is_no_run(tmp_path: Path, capsys: Any) -> None:
    runs = tmp_path / "runs"
    folder(runs, "a")
    folder(runs, "b", finished=False)
    broken = folder(runs, "c")
    (broken / "result.json").write_text("{")
    (runs / "d").mkdir()
    site = tmp_path / "site"
    given = [str(runs), str(runs / "a"), str(tmp_path / "nowhere"), str(runs / "d")]
    assert qrlc(["museum", *given, "-o", str(site)]) == 0
    assert [x["id"] for x in data(site)] == ["a", "b"]
    assert [x["state"] for x in data(site)] == ["finished", "stopped"]
    said = capsys.readouterr()
    assert "2 runs: open" in said.out
    assert (
        "is damaged" in said.err and "nowhere" in said.err and "there is no run in it" in said.err
    )


def test_folders_of_another_shape_are_named_and_the_rest_is_shown(
    tmp_path: Path, capsys: Any
) -> None:
    def changed(name: str, file: str, **more: Any) -> None:
        path = folder(tmp_path / "runs", name) / file
        page = json.loads(path.read_text())
        page |= more
        path.write_text(json.dumps({k: v for k, v in page.items() if v is not None}))

    folder(tmp_path / "runs", "good")
    changed("a", "settings.json", metric=None)
    changed("b", "settings.json", data="mnist_rows")
    changed("c", "settings.json", about=None)
    changed("d", "result.json", figures={"accuracy": 0.9})
    changed("e", "result.json", steps="many")
    (folder(tmp_path / "runs", "f") / "settings.json").write_text("[1, 2]")
    (folder(tmp_path / "runs", "g") / "metrics.jsonl").write_text('{"split": "train", "loss": 1}\n')
    with open(folder(tmp_path / "runs", "h") / "metrics.jsonl", "ab") as stream:
        stream.write(b"[1]\n\xff\xfe")  # only its end is odd: it is shown
    site = tmp_path / "site"
    assert qrlc(["museum", str(tmp_path / "runs"), "-o", str(site)]) == 0
    assert [x["id"] for x in data(site)] == ["good", "h"]
    said = {line.split(": ")[1][-1]: line for line in capsys.readouterr().err.splitlines()}
    assert set(said) == set("abcdefg")
    for name, what in (("a", "it lacks `metric`"), ("b", "its `data` is 'mnist_rows'"),
                       ("c", "which model was trained"), ("d", "no `figures` with a value"),
                       ("e", "its `steps` is 'many'"), ("f", "is damaged"),
                       ("g", "not as qrlc train writes them")):  # fmt: skip
        assert what in said[name] and f"/runs/{name}" in said[name]
        assert "train it anew" in said[name] or name == "f"


def test_names_of_all_kinds(tmp_path: Path) -> None:
    names = ["a b", "a-b", "ü/../x", "RUN", "run", "<script>", ".."]
    runs = [folder(tmp_path / str(k), n.replace("/", "_")) for k, n in enumerate(names[:-1])]
    site = tmp_path / "site"
    build([str(r) for r in runs], str(site))
    ids = [x["id"] for x in data(site)]
    assert len({i.lower() for i in ids}) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", i) for i in ids)


def test_made_again_it_shows_what_is_there_now(tmp_path: Path) -> None:
    one, two = folder(tmp_path, "one"), folder(tmp_path, "two")
    site = tmp_path / "site"
    build([str(one), str(two)], str(site))
    build([str(two)], str(site))
    assert [x["id"] for x in data(site)] == ["two"]
    assert not (site / "runs" / "one").exists()


def test_nobody_elses_folder_is_written_into(tmp_path: Path) -> None:
    run = folder(tmp_path, "one")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    for out in ("mine", "mine/thesis.tex"):
        with pytest.raises(TrainingError):
            build([str(run)], str(tmp_path / out))
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_no_run_at_all(tmp_path: Path, capsys: Any) -> None:
    assert qrlc(["museum", str(tmp_path / "none"), "-o", str(tmp_path / "site")]) == 1
    assert "there is no run to show" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_a_site_that_cannot_be_written(tmp_path: Path) -> None:
    run = folder(tmp_path, "one")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot write '.*site'"):
        build([str(run)], str(tmp_path / "file" / "site"))


def test_numbers_that_are_none(tmp_path: Path) -> None:
    run = folder(tmp_path, "wild")
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"step": 90, "epoch": 9, "split": "train", "loss": null}\n{"half')
    site = tmp_path / "site"
    build([str(run)], str(site))
    assert data(site)[0]["curves"]["loss"]["train"][-1] == [80, 0.25]


def test_figures_that_are_no_numbers_are_not_shown(tmp_path: Path) -> None:
    run = folder(tmp_path, "one")
    path = run / "result.json"
    path.write_text(path.read_text().replace("0.9,", "NaN,").replace("0.88", "1e999"))
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"step": 90, "epoch": 9, "split": "train", "loss": 1e999}\n')
    build([str(run)], str(tmp_path / "site"))
    (shown,) = data(tmp_path / "site")
    assert shown["value"] is None and shown["interval"] is None
    assert shown["curves"]["loss"]["train"][-1] == [80, 0.25]


def test_a_museum_half_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, site = folder(tmp_path, "one"), tmp_path / "site"

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("qrlang.museum.site._take", stopped)
        with pytest.raises(KeyboardInterrupt):
            build([str(run)], str(site))
    build([str(run)], str(site))
    assert len(data(site)) == 1


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    curve = [(float(k), float(k % 7)) for k in range(10_000)]
    found = thinned(curve, 50)
    assert len(found) == 50 and found[0] == curve[0] and found[-1] == curve[-1]
    assert [x for x, _ in found] == sorted(x for x, _ in found)


def test_five_hundred_runs(tmp_path: Path) -> None:
    for k in range(500):
        folder(tmp_path / "runs", f"run-{k}", seed=k)
    begun = time.process_time()
    assert len(build([str(tmp_path / "runs")], str(tmp_path / "site")).exhibits) == 500
    assert time.process_time() - begun < 10
