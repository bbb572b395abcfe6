"""Does the sky help? Four ways to begin, the same seeds for all else, one table.

python compare.py cmb_spectra.npz --seeds 10 --out figures.json
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
from spectrum import ANGLES, angles, temperatures

HERE = Path(__file__).parent
WAYS = {
    "by lot": "uniform over a whole turn, as without being told",
    "zero": "all angles 0",
    "sky": "neighbouring multipoles of the Planck spectrum",
    "sky, shuffled": "the same numbers in another order",
}


def begin(way: str, spectrum: np.ndarray, seed: int) -> np.ndarray | None:
    if way == "by lot":
        return None
    if way == "zero":
        return np.zeros(ANGLES, np.float32)
    return angles(spectrum, seed, shuffled=way != "sky")


def accuracy(way: str, spectrum: np.ndarray, seed: int, epochs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        args = ["train", str(HERE / "sky.qrl"), "--seed", str(seed), "--epochs", str(epochs),
                "--out", str(run), "--threads", "1"]  # fmt: skip
        start = begin(way, spectrum, seed)
        if start is not None:
            np.savez(Path(folder) / "begin.npz", **{"steer.b2": start})
            args += ["--init", f"{folder}/begin.npz"]
        subprocess.run([sys.executable, "-m", "qrlang", *args], check=True, capture_output=True)
        page = json.loads((run / "result.json").read_text())
        return float(page["figures"]["accuracy"]["value"])


def paired(one: list[float], other: list[float]) -> tuple[float, float]:
    """Mean difference, and the two-sided p of a sign-flip test on the pairs, exact."""
    d = np.array(one) - np.array(other)
    flips = np.array([[1 - 2 * (k >> i & 1) for i in range(len(d))] for k in range(2 ** len(d))])
    means = np.abs((flips * d).mean(1))
    return float(d.mean()), float((means >= abs(d.mean()) - 1e-12).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("spectrum", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    spectrum = temperatures(given.spectrum)
    known = given.out is not None and given.out.exists()  # goes on with what is there
    found: dict[str, dict[str, list[float]]] = json.loads(given.out.read_text()) if known else {}
    for epochs in given.epochs:
        for way in WAYS:
            values = found.setdefault(str(epochs), {}).setdefault(way, [])
            for seed in range(len(values), given.seeds):
                values.append(accuracy(way, spectrum, seed, epochs))
                if given.out:
                    given.out.write_text(json.dumps(found, indent=1) + "\n")
    for epochs, ways in found.items():
        print(f"\n| {epochs} epoch(s) | accuracy (%), {given.seeds} seeds | against by lot | p |")
        print("|---|---|---|---|")
        for way, values in ways.items():
            spread = 100 * float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
            row = f"| {way} | {100 * float(np.mean(values)):.1f} ± {spread:.1f} |"
            if way != "by lot":
                mean, p = paired(values, ways["by lot"])
                row += f" {100 * mean:+.1f} | {p:.2f} |"
            print(row if way != "by lot" else row + " | |")


if __name__ == "__main__":
    main()
