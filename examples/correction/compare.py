"""A trained decoder against majority vote and minimum-weight matching, on the same syndromes.

    qrlc train decoder.qrl --out run
    python compare.py run --shots 100000

Matching is PyMatching's (pip install pymatching), on the graph of flips and misreadings with their
true probabilities; majority vote looks at the data qubits alone, when they are read in the end.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from qrlang.training.data.quantum import syndromes


def matching(events: np.ndarray, flip: float, misread: float) -> np.ndarray:
    """Whether the first qubit has flipped, by the likeliest set of errors."""
    import pymatching

    _, times, checks = events.shape
    weight = {p: float(np.log((1 - p) / p)) if p else 1e9 for p in (flip, misread)}
    graph = pymatching.Matching()
    edge = times * checks  # the world outside the code
    for t in range(times):
        at = t * checks
        if t < times - 1:  # after the last round nothing flips, and nothing is misread
            graph.add_edge(
                at, edge, fault_ids={0}, weight=weight[flip], merge_strategy="independent"
            )
            graph.add_edge(at + checks - 1, edge, weight=weight[flip], merge_strategy="independent")
            for c in range(checks - 1):
                graph.add_edge(at + c, at + c + 1, weight=weight[flip])
            for c in range(checks):
                graph.add_edge(at + c, at + c + checks, weight=weight[misread])
    graph.set_boundary_nodes({edge})
    return graph.decode_batch(events.reshape(len(events), -1).astype(np.uint8))[:, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--shots", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=12345)
    given = parser.parse_args()
    import torch

    from qrlang.backends.torch.load import make
    from qrlang.training import checkpoint
    from qrlang.training.run import Run

    run = Run.open(given.run)
    asked = {"distance": 3, "rounds": 8, "flip": 0.05, "misread": 0.05, **run.settings().data[1]}
    d, rounds, flip, misread = (asked[k] for k in ("distance", "rounds", "flip", "misread"))
    random = np.random.RandomState(given.seed)
    events, data = syndromes(random, given.shots, int(d), int(rounds), flip, misread)
    truth = data[:, 0]
    model = make(run.program())
    model.load_state_dict(checkpoint.load(run.best)[0])
    model.eval()
    with torch.no_grad():
        parts = torch.tensor(events, dtype=torch.float32).split(4096)
        learnt = torch.cat([model(p).argmax(-1) for p in parts]).numpy()
    said = {
        "majority vote": (data.sum(1) * 2 > d).astype(int),
        "matching": matching(events, flip, misread),
        "recurrent decoder": learnt,
    }
    found = {}
    for name, answer in said.items():
        rate = float((answer != truth).mean())
        found[name] = rate
        spread = np.sqrt(rate * (1 - rate) / given.shots)
        print(f"{name:<18} logical error {100 * rate:.2f} ± {100 * spread:.2f} %")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
