"""What counting alone reaches on the texts of examples/language_model: interpolated n-grams.

    python benchmarks/ngram.py

The estimate of order n is (count + k p) / (total + k), p that of order n - 1 and k the number of
different symbols that followed the context (Witten and Bell 1991). The order is chosen on the
validation split. Data: QRLANG_DATA, as for `qrlc train`.
"""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

ORDERS = range(1, 8)
Counts = list[defaultdict[tuple[str, ...], Counter[str]]]


def counted(text: list[str]) -> Counts:
    """By order, what followed each context."""
    found: Counts = [defaultdict(Counter) for _ in ORDERS]
    for i, symbol in enumerate(text):
        for before in range(min(i + 1, len(ORDERS))):
            found[before][tuple(text[i - before : i])][symbol] += 1
    return found


def bits(counts: Counts, text: list[str], order: int, size: int) -> float:
    """Mean surprise of a symbol."""
    totals = [{c: sum(n.values()) for c, n in one.items()} for one in counts[:order]]
    lost = 0.0
    for i, symbol in enumerate(text):
        p = 1 / size
        for before in range(min(i + 1, order)):
            context = tuple(text[i - before : i])
            if context not in totals[before]:
                break
            after = counts[before][context]
            p = (after.get(symbol, 0) + len(after) * p) / (totals[before][context] + len(after))
        lost -= math.log2(p)
    return lost / len(text)


def main() -> None:
    folder = Path(os.environ["QRLANG_DATA"])
    for file in ("tinyshakespeare.npz", "ptb.npz"):
        words = file == "ptb.npz"
        with np.load(folder / file) as data:
            texts = [bytes(data[f"{s}_text"]).decode() for s in ("train", "valid", "test")]
        train, valid, test = (
            t.replace("\n", " <eos> ").split() if words else list(t) for t in texts
        )
        counts, size = counted(train), len(set(train))
        order = min(ORDERS, key=lambda n: bits(counts, valid, n, size))
        found = [bits(counts, t, order, size) for t in (valid, test)]
        if words:
            found = [2**b for b in found]
        unit = "perplexity" if words else "bits a character"
        print(f"{file}: order {order}, {unit}: {found[0]:.3f} validation, {found[1]:.3f} test")


if __name__ == "__main__":
    main()
