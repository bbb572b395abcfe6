"""For tests of rights: a clinic's visits, and a program that is trained on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from training_tools import MODEL

from qrlang.rights.gate import digest

CSV = MODEL.replace('"tiny.npz"', '"visits.csv"')
MANIFEST = 'source = "clinic"\nkey = "patient"\n[opacity]\ncolumns = ["patient"]\n'


def project(at: Path) -> Path:
    lot = np.random.default_rng(0)
    names = [f"xs[{k}]" for k in range(2)]
    lines = ["sequence,patient," + ",".join(names) + ",label"]
    for k in range(60):
        xs = lot.normal(size=(3, 2))
        lines += [f"{k},P{k},{a:.4f},{b:.4f},{int(xs[:, 0].sum() > 0)}" for a, b in xs]
    (at / "visits.csv").write_text("\n".join(lines) + "\n")
    (at / "visits.csv.rights.toml").write_text(MANIFEST)
    (at / "tiny.qrl").write_text(CSV)
    return at / "tiny.qrl"


def watched(at: Path) -> list[str]:
    """The patients whose samples the trace has, in its order."""
    run = at / "runs" / "one"
    header = json.loads((run / "trace" / "header.json").read_text())["samples"]
    seen = json.loads((run / "rights.json").read_text())["clinic"]["splits"][header["split"]]
    by_digest = {digest("clinic", f"P{k}"): f"P{k}" for k in range(60)}
    return [by_digest[seen[row]] for row in header["rows"]]
