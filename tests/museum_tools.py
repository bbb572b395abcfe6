"""Run folders without training: what the museum reads of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def folder(parent: Path, name: str, **changed: Any) -> Path:
    """A finished run, as `qrlc train` leaves it."""
    run = parent / name
    (run / "program").mkdir(parents=True)
    model = changed.get("model", "QRNN")
    about = {"model": model, "file": "rows.qrl", "parameters": {"n": changed.get("n", 4)}}
    settings = {
        "data": [changed.get("data", "mnist_rows"), {}], "loss": ["cross_entropy", {}],
        "metric": changed.get("metric", "accuracy"),
        "optimizer": [changed.get("optimizer", "adam"), {"lr": changed.get("lr", 5e-3)}],
        "core": changed.get("core", "pqc"), "seed": changed.get("seed", 0), "about": about,
    }  # fmt: skip
    (run / "settings.json").write_text(json.dumps(settings))
    (run / "program" / "rows.qrl").write_text(f"model {model}() {{}}\n")
    lines = [
        {"step": 10 * k, "epoch": k, "split": split, "loss": 2 / k, "accuracy": 1 - 0.9 / k}
        for k in range(1, 9)
        for split in ("train", "validation")
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    if changed.get("finished", True):
        figures = {
            "loss": {"value": changed.get("loss", 0.25), "interval": None},
            "accuracy": {"value": changed.get("value", 0.9), "interval": [0.88, 0.92]},
        }
        result = {"figures": figures, "steps": 80, "epochs": 8, "seconds": 12.5,
                  "parameters": changed.get("parameters", 500)}  # fmt: skip
        (run / "result.json").write_text(json.dumps(result))
    (run / "curves.svg").write_text(_SVG.format("curves"))
    if changed.get("strip", True):
        (run / "scar.svg").write_text(_SVG.format("strip"))
    return run


_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="120" viewBox="0 0 400 120">'
    '<rect width="400" height="120" fill="#0072b2"/><text x="9" y="60">{}</text></svg>'
)
