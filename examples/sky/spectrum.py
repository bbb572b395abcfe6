"""Initial angles from a measured spectrum of the cosmic microwave background.

    python spectrum.py cmb_spectra.npz --seed 3 --out begin.npz
    qrlc train sky.qrl --seed 3 --init begin.npz

Takes the Planck 2018 TT spectrum: from the table COM_PowerSpect_CMB-TT-full of the Planck Legacy
Archive as it is, or from an npz file with the same table as `planck2018_tt_full`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

Array = np.ndarray
ANGLES = 6 * 2 * 3  # of Sky: qubits, layers, angles a qubit


def temperatures(path: Path) -> Array:
    """D_l = l (l + 1) C_l / 2 pi in square microkelvin, for l = 2, 3, ..."""
    if path.suffix == ".npz":
        return np.load(path)["planck2018_tt_full"][:, 1]
    return np.loadtxt(path)[:, 1]


def contrasts(spectrum: Array) -> Array:
    """The spectrum without its trend: how far each multipole lies from the median of the 101
    around it, in units of their median deviation. What is left is cosmic variance and noise at
    each l, and the flanks of the acoustic peaks."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(spectrum, 50, "reflect"), 101)
    middle = np.median(around, axis=1)
    width = np.median(np.abs(around - middle[:, None]), axis=1)
    return (spectrum - middle) / np.maximum(width, 1e-9)


def angles(spectrum: Array, seed: int, shuffled: bool = False) -> Array:
    """Neighbouring multipoles, from one that the seed chooses, as angles over a whole turn: their
    ranks among all, so that they are spread as evenly as angles that are drawn by lot.
    `shuffled`: the same numbers in an order drawn by lot, which leaves nothing of the sky's own."""
    lot = np.random.default_rng(seed)
    ranks = np.argsort(np.argsort(contrasts(spectrum))) / (len(spectrum) - 1)
    first = int(lot.integers(0, len(spectrum) - ANGLES))
    found = np.pi * (2 * ranks[first : first + ANGLES] - 1)
    return (lot.permutation(found) if shuffled else found).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("spectrum", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("begin.npz"))
    given = parser.parse_args()
    np.savez(given.out, **{"steer.b2": angles(temperatures(given.spectrum), given.seed)})


if __name__ == "__main__":
    main()
