"""The real files, where QRLANG_DATA names a folder that holds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from data_tools import MODELS, SERIES, VALUE, label, opened, ports, token

from qrlang.training.data import dynamics, fetch, open_data, origins

COUNTS = {
    "mnist_rows": (55_000, 5_000, 10_000),
    "digits8x8": (1258, 180, 359),
    "imdb": (22_500, 2_500, 25_000),
    "sst2": (6920, 872, 1821),
    "mr": (8530, 1066, 1066),
    "ptb": (929_589, 73_760, 82_430),
    "wikitext2": (2_088_628, 217_646, 245_569),
    "shakespeare": (1_003_854, 55_770, 55_770),
    "multi30k": (29_000, 1_014, 1_000),
    "ucr": (216, 54, 370),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str, real: Path) -> None:
    data = opened(name, real)
    found = tuple(data.count(s) for s in ("train", "validation", "test"))
    assert found == COUNTS[name]
    assert not data.notes
    assert len(next(data.batches("train", 32, segment=20))) == 32


def test_vocabularies_are_the_customary_ones(real: Path) -> None:
    words = opened("ptb", real).vocabularies["x"]
    assert len(words) == 10_000 and words.symbols[:2] == ("<eos>", "<unk>")
    assert len(opened("ptb_characters", real).vocabularies["x"]) == 50
    assert len(opened("shakespeare", real).vocabularies["x"]) == 65
    assert len(opened("wikitext2", real).vocabularies["x"]) == 33_278


def test_series_made_here_are_those_made_elsewhere(real: Path) -> None:
    z = np.load(real / "generated_series.npz")
    assert dynamics.mackey_glass(17, 500) == pytest.approx(z["mackey_glass_17"][:500], abs=1e-6)
    assert dynamics.mackey_glass(30, 500) == pytest.approx(z["mackey_glass_30"][:500], abs=1e-6)
    # Chaos: a last bit grows to the size of the attractor within 40 units of time, so from there.
    first, later = z["lorenz63"][:300], z["lorenz63"][0].tolist()
    assert dynamics.lorenz(300, later, 0) == pytest.approx(first, abs=1e-5)
    u, y = dynamics.narma(10, 500)
    assert np.array_equal(u, z["narma10"][:500, 0])
    # The other begins with zeros for the first ten moments; the difference fades.
    assert y[300:-1] == pytest.approx(z["narma10"][301:500, 1], abs=1e-9)


def test_oil_temperature(real: Path) -> None:
    data = open_data("etth1", {"window": 96}, ports(SERIES, VALUE), data_dir=real)
    assert data.count("train") == 8640 - 95


def test_digests(real: Path) -> None:
    for file in ("mnist.npz", "digits8x8.npz", "ptb.npz", "tinyshakespeare.npz"):
        z = np.load(real / file)
        for name, digest in origins.ORIGINS[file].digests.items():
            assert fetch.digest_of(z[name]) == digest


def test_permuted_pixels_cost_next_to_nothing(real: Path) -> None:
    data = opened("mnist_permuted", real)
    best = 9.0
    for epoch in range(3):
        start = time.perf_counter()
        for _ in data.batches("train", 128, epoch=epoch):
            pass
        best = min(best, time.perf_counter() - start)
    assert best < 0.5


_PEAK = """
import json, resource, sys
import numpy
from qrlang.ir.types import Type
from qrlang.training.data import Port, open_data
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
model = (Port("x", Type("token", (), 10000, True)), Port("y", Type("class", (), 2), True))
before = peak()
data = open_data("imdb", {}, model, data_dir=sys.argv[1])
for split in ("train", "test"):
    for _ in data.batches(split, 64):
        pass
print(json.dumps([before, peak()]))
"""


def test_imdb_is_never_in_memory_as_text(real: Path) -> None:
    """66 MB of text: less than that is ever used."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    ran = subprocess.run(
        [sys.executable, "-c", _PEAK, str(real)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = json.loads(ran.stdout)
    assert after - before < 120


def test_models_of_the_examples_fit(real: Path) -> None:
    for name in ("multi30k", "ptb_characters"):
        arguments, types = MODELS[name]
        assert open_data(name, arguments, ports(*types), data_dir=real).count("test") > 0
    small = open_data("mr", {}, ports(token(1000), label(2)), data_dir=real)
    assert len(small.vocabularies["x"]) == 1000
