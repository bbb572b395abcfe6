"""Settings: of the file, of the command line, and those that nobody gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from training_tools import MODEL

from qrlang.check.training.settings import LOSSES, OPTIMIZERS, SCHEDULES
from qrlang.driver import Compilation
from qrlang.errors import TrainingError
from qrlang.ir.types import Type, real, seq
from qrlang.training import overrides
from qrlang.training.settings import Settings, default_metric, interval, settle
from qrlang.training.start import Asked, compilation


def checked(**given: str):
    made, model = compilation(Asked("tiny.qrl", settings=given), "tiny.qrl", MODEL.encode())
    return made, model


def test_the_recipe_is_the_default() -> None:
    made, model = checked()
    s = settle(made.checked.trains[0].settings, Type("class", (), 2))
    assert model == "Tiny"
    assert (s.batch, s.epochs, s.warmup, s.clip) == (16, 2, 200, 1.0)
    assert s.optimizer[0] == "adam" and s.optimizer[1]["lr"] == 1e-2
    assert s.optimizer[1]["beta2"] == 0.999  # defaults are written out
    assert s.schedule == ("cosine", {"floor": 0.0})
    assert s.metric == "accuracy" and s.data == ("npz", {"path": "tiny.npz"})


def test_the_line_takes_away_what_the_file_has() -> None:
    """0 is what stands where nobody has said anything."""
    names = ("length", "truncate", "limit", "early_stopping", "steps", "turns")
    said = "".join(f"  {name} = 3\n" for name in names)
    text = MODEL.replace("train Tiny {\n", f"train Tiny {{\n{said}")
    made, _ = compilation(Asked("tiny.qrl"), "tiny.qrl", text.encode())
    plain = settle(made.checked.trains[0].settings, None)
    assert all(getattr(plain, name) == 3 for name in names)
    given = dict.fromkeys(names, "0")
    made, _ = compilation(Asked("tiny.qrl", settings=given), "tiny.qrl", text.encode())
    assert not made.failed
    assert settle(made.checked.trains[0].settings, None) == settle(
        checked()[0].checked.trains[0].settings, None
    )


def test_the_line_wins_over_the_file() -> None:
    made, _ = checked(epochs="7", optimizer="sgd(lr: 0.5)", data="other.csv", checkpoint="10 steps")
    assert not made.failed
    s = settle(made.checked.trains[0].settings, None, lr=0.25)
    assert s.epochs == 7 and s.checkpoint == "10 steps"
    assert s.optimizer == (
        "sgd", {"lr": 0.25, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}
    )  # fmt: skip
    assert s.data == ("csv", {"path": "other.csv"})


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"epochs": "many"}, "E0905"),
        ({"epochs": "0"}, "E0905"),
        ({"optimizer": "adan"}, "E0905"),
        ({"data": "mnist_rows"}, "E0903"),  # rows of 28 pixels, and the model takes pairs
        ({"loss": "mse"}, "E0902"),
        ({"loss": "fidelity"}, "E0902"),  # scores of classes are no probability
        ({"loss": "cross_entropy(smoothing: 2)"}, "E0905"),
        ({"loss": "cross_entropy(balanced: 3)"}, "E0905"),
        ({"schedule": "staircase(every: 0)"}, "E0905"),
        ({"schedule": "plateau(patience: 0)"}, "E0905"),
        ({"average": "1"}, "E0905"),
        ({"metric": "r2"}, "E0905"),
        ({"optimizer": "spsa(perturbation: 0)"}, "E0905"),
        ({"shots": "-1"}, "E0905"),
        ({"epochs": "3 }"}, "E0100"),
    ],
)
def test_what_is_typed_is_checked(given: dict[str, str], code: str) -> None:
    made, _ = checked(**given)
    assert made.failed
    assert any(d.code == code or code == "E0100" for d in made.diagnostics)


@pytest.mark.parametrize(
    ("key", "value"),
    [("schedule", x) for x in SCHEDULES]
    + [("optimizer", x) for x in OPTIMIZERS]
    + [("loss", x) for x in LOSSES],
)
def test_every_name_can_be_written(key: str, value: str) -> None:
    """No word of the language is among them: it would not be read as a name."""
    made, _ = checked(**{key: value})
    assert not [d for d in made.diagnostics if d.code.startswith("E01") or d.code == "E0905"]


def test_what_data_would_need_can_be_written() -> None:
    """Not `real[3] or seq[real[3]]`: the model has said already which of the two it is."""
    text = MODEL.replace("seq[real[2]]", "seq[real[3]]")
    asked = Asked("tiny.qrl", settings={"data": "lorenz"})
    made, _ = compilation(asked, "tiny.qrl", text.encode())
    (found,) = [d for d in made.diagnostics if d.code == "E0903"]
    assert found.help == "write `target label: real[3]`, or choose other data"


def test_a_diagnostic_points_at_the_command_line() -> None:
    made, _ = checked(epochs="0")
    assert made.diagnostics[0].span.source.name == overrides.TITLE


def test_a_file_without_a_block_is_trained_from_the_line() -> None:
    text = MODEL[: MODEL.index("train Tiny")]
    made, _ = compilation(Asked("t.qrl", settings={"data": "tiny.npz"}), "t.qrl", text.encode())
    assert not made.failed
    assert made.checked.trains[0].settings["data"] == "tiny.npz"
    with pytest.raises(TrainingError, match="what Tiny is trained on") as error:
        compilation(Asked("t.qrl"), "t.qrl", text.encode())
    assert "--data" in error.value.help
    with pytest.raises(TrainingError, match="has no model `Tiney`; did you mean `Tiny`"):
        compilation(Asked("t.qrl", "Tiney"), "t.qrl", text.encode())


def test_the_line_may_give_the_data_that_a_block_leaves_out() -> None:
    text = MODEL.replace('  data      = "tiny.npz"\n', "")
    assert not Compilation.of_bytes("t.qrl", text.encode()).diagnostics
    made, _ = compilation(Asked("t.qrl", settings={"data": "tiny.npz"}), "t.qrl", text.encode())
    assert not made.failed and made.checked.trains[0].settings["batch"] == 16
    with pytest.raises(TrainingError, match="what Tiny is trained on") as error:
        compilation(Asked("t.qrl", settings={"batch": "8"}), "t.qrl", text.encode())
    assert "--data" in error.value.help and "in its `train` block" in error.value.help


def test_a_path_on_the_line_begins_where_one_stands(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)

    def path() -> object:
        made, _ = compilation(Asked("sub/t.qrl", settings={"data": "d.csv"}), "sub/t.qrl",
                              MODEL.encode())  # fmt: skip
        return made.checked.trains[0].settings["data"]

    assert path() == "d.csv"  # nowhere yet
    (tmp_path / "sub" / "d.csv").touch()
    assert path() == "d.csv"  # beside the program
    (tmp_path / "d.csv").touch()
    assert path() == str(tmp_path / "d.csv")
    monkeypatch.chdir(tmp_path / "sub")
    assert compilation(Asked("t.qrl", settings={"data": "d.csv"}), "t.qrl", MODEL.encode())[
        0
    ].checked.trains[0].settings["data"] == "d.csv"  # fmt: skip


def test_so_does_one_among_the_arguments_of_a_data_set(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").touch()
    given = {"data": 'csv(path: "d.csv", join: "e.csv", on: "d.csv")'}
    asked = Asked("sub/t.qrl", settings=given)
    made, _ = compilation(asked, "sub/t.qrl", MODEL.encode())
    _, arguments = made.checked.trains[0].settings["data"]  # type: ignore[misc]
    assert arguments == {"path": str(tmp_path / "d.csv"), "join": "e.csv", "on": "d.csv"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('"x.parquet"', "is .csv, .tsv, .txt"),
        ("csv(path: x.csv)", "takes a text, found `x.csv`"),
        ("csv(path: x)", "takes a text, found `x`"),
    ],
)
def test_data_that_is_no_file_of_ours(data: str, said: str) -> None:
    made, _ = checked(data=data)
    assert [d for d in made.diagnostics if said in d.message], made.diagnostics


def test_balanced_is_of_classes() -> None:
    text = MODEL.replace("class[2]", "real[2]").replace("cross_entropy", "bce(balanced: true)")
    (found,) = Compilation.of_bytes("t.qrl", text.encode()).diagnostics
    assert found.code == "E0902" and "the target is real[2]" in found.message


def test_auc_is_of_two_classes() -> None:
    three = MODEL.replace("class[2]", "class[k]").replace("linear(2)", "linear(k)")
    three = three.replace("batch     = 16", "batch = 16 metric = auc")
    for k in ("k: int = 3", "k: int = 2", "k: int"):  # the last: somebody may say 2 yet
        text = three.replace("n: int = 2", f"n: int = 2, {k}")
        found = [d.code for d in Compilation.of_bytes("t.qrl", text.encode()).diagnostics]
        assert found == (["E0905"] if "3" in k else [])


def test_large_numbers_are_said_whole() -> None:
    made, _ = checked(batch="2000000")
    assert made.diagnostics[0].message == "`batch` is at most 1,048,576, found 2,000,000"


def test_which_model() -> None:
    two = MODEL + MODEL.replace("Tiny", "Other")[MODEL.index("model") :]
    made, _ = checked()
    assert overrides.chosen(made.file, None) == "Tiny"
    with pytest.raises(TrainingError, match="Tiny, Other"):
        compilation(Asked("t.qrl"), "t.qrl", two.encode())


def test_settings_survive_json() -> None:
    import json

    made, _ = checked(freeze="[head, steer.w1]", validation="0.2")
    s = settle(made.checked.trains[0].settings, Type("class", (), 2))
    assert s.freeze == ("head", "steer.w1")
    assert Settings.of_data(json.loads(json.dumps(s.to_data()))) == s


def test_no_learning_rate_where_there_is_none() -> None:
    made, _ = checked(optimizer="nelder_mead")
    with pytest.raises(TrainingError, match="no learning rate"):
        settle(made.checked.trains[0].settings, None, lr=0.1)


def test_epochs_are_moves_of_the_simplex() -> None:
    def moves(**given: str) -> int:
        made, _ = checked(**given)
        return int(settle(made.checked.trains[0].settings, None).optimizer[1]["max_iterations"])

    assert moves(optimizer="nelder_mead", epochs="7") == 7
    assert moves(optimizer="nelder_mead", epochs="7", steps="5") == 5
    assert moves(optimizer="nelder_mead(max_iterations: 9)", epochs="7") == 9


def test_metrics_that_fit() -> None:
    assert default_metric(Type("class", (), 3), "cross_entropy") == "accuracy"
    assert default_metric(seq(Type("token", (), 3)), "cross_entropy") == "perplexity"
    assert default_metric(real(1), "mse") == "nrmse"
    assert default_metric(None, "mse") == "loss"


def test_intervals() -> None:
    assert interval("30 s", "log") == (30.0, "s")
    assert interval("100 steps", "log") == (100.0, "steps")
    assert interval("30s", "log") == interval(" 30  s ", "log") == (30.0, "s")
    assert interval("1 epoch", "log") == (1.0, "epochs")
    for wrong in ("often", "-3 s", "3 fortnights"):
        with pytest.raises(TrainingError):
            interval(wrong, "log")


def test_the_block_the_line_and_the_defaults_know_the_same_settings() -> None:
    from dataclasses import fields

    from qrlang.check.training.settings import SETTINGS
    from qrlang.cli.train import HELP

    assert set(HELP) == set(SETTINGS)
    assert set(SETTINGS) <= {f.name for f in fields(Settings)}
