"""The recursive network, as proposed and repaired, trained in three ways with as many circuits.

    python compare.py --seeds 5 --shots 0 1000 --out figures.json

An update by SPSA runs the batch twice. A gradient on a device shifts each angle of each step up
and down: 1 + 2 * 8 runs (eight angles a step), so it gets 2/17 of the updates. (Here gradients are
taken by the engine, which gives the same numbers.)
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
BATCH, LENGTH, UPDATES, ANGLES = 32, 12, 1200, 8
CIRCUITS = 2 * UPDATES * BATCH * LENGTH
BY_SHIFTS = round(2 * UPDATES / (1 + 2 * ANGLES))
SPSA = "spsa(lr: 0.3, perturbation: 0.1)"
WAYS: dict[str, tuple[int, tuple[str, ...]]] = {
    "SPSA, all at once": (UPDATES, ("--optimizer", SPSA)),
    "SPSA, by turns": (UPDATES, ("--optimizer", SPSA, "--quantum", SPSA, "--turns", "20")),
    "gradient": (BY_SHIFTS, ("--optimizer", "adam(lr: 0.02)")),
}
PROGRAMS = {"as proposed": "as_proposed.qrl", "repaired": "repaired.qrl"}


def accuracy(program: str, way: str, shots: int, seed: int) -> float:
    updates, more = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        args = ["train", str(HERE / PROGRAMS[program]), "--out", str(run), "--threads", "1",
                "--seed", str(seed), "--batch", str(BATCH), "--steps", str(updates),
                "--warmup", str(updates // 10), *more]  # fmt: skip
        args += ["--shots", str(shots)] if shots else []
        done = subprocess.run(
            [sys.executable, "-m", "qrlang", *args], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        page = json.loads((run / "result.json").read_text())
        return float(page["figures"]["accuracy"]["value"])


def table(found: dict[str, dict[str, dict[str, list[float]]]]) -> str:
    lines = [
        f"Accuracy in %, {CIRCUITS:,} circuits each (mean ± s.d. over seeds; chance is 50).",
        "",
    ]
    lines.append("| program | readouts | " + " | ".join(WAYS) + " | seeds |")
    lines.append("|---|---|" + "---|" * (len(WAYS) + 1))
    for program in PROGRAMS:
        for readouts, ways in found.get(program, {}).items():
            cells = []
            for way in WAYS:
                values = ways.get(way, [])
                spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
                cells.append(
                    f"{100 * float(np.mean(values)):.1f} ± {100 * spread:.1f}" if values else ""
                )
            count = max(map(len, ways.values()))
            lines.append(f"| {program} | {readouts} | {' | '.join(cells)} | {count} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 1000])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    known = given.out is not None and given.out.exists()
    found = json.loads(given.out.read_text()) if known else {}
    for shots in given.shots:
        readouts = f"{shots:,} shots" if shots else "exact"
        for program in PROGRAMS:
            for way in WAYS:
                ways = found.setdefault(program, {}).setdefault(readouts, {})
                for seed in range(len(ways.get(way, [])), given.seeds):
                    ways.setdefault(way, []).append(accuracy(program, way, shots, seed))
                    if given.out is not None:
                        given.out.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found), end="")


if __name__ == "__main__":
    main()
