"""What rules make is what they promise, and no test sequence is trained on."""

from __future__ import annotations

import numpy as np
import pytest
from data_tools import SERIES, VALUE, opened, ports, token, whole

from qrlang.ir.types import Type
from qrlang.training.data import DataError, DataSet, dynamics, open_data


def rows(data: DataSet, split: str, epochs: int = 1) -> set[bytes]:
    found = set()
    for e in range(epochs):
        for b in data.batches(split, 50, epoch=e):
            found |= {r.tobytes() for r in b.arrays[0]}
    return found


@pytest.mark.parametrize("length", [4, 8, 13, 16])
def test_parity_is_right_and_split(length: int) -> None:
    data = opened("parity", None, length=length, size=500)
    x, y = whole(data, "train")
    assert np.array_equal(x[:, :, 0].sum(1) % 2, y)
    train, test = rows(data, "train", 4), rows(data, "test")
    assert not train & test
    assert not rows(data, "validation") & (train | test)


def test_copying_is_what_it_says() -> None:
    data = open_data("copying", {"delay": 12, "length": 5}, ports(token(10), token(10)))
    batch = next(data.batches("train", 64))
    seen, said = batch.arrays
    assert seen.shape == (64, 22)
    assert ((seen[:, :5] >= 1) & (seen[:, :5] <= 8)).all()
    assert (seen[:, 16] == 9).all()
    assert (np.delete(seen[:, 5:], 11, axis=1) == 0).all()
    assert (said[:, :17] == 0).all()
    assert np.array_equal(said[:, 17:], seen[:, :5])
    assert batch.counted is not None
    assert np.array_equal(batch.counted, np.broadcast_to(np.arange(22) >= 17, (64, 22)))
    assert not rows(data, "train") & rows(data, "test")
    assert set(np.unique(seen[:, :5])) == set(range(1, 9))


def test_adding_is_the_sum_of_the_marked() -> None:
    x, y = whole(opened("adding", None), "train")
    assert (x[:, :, 1].sum(1) == 2).all()
    assert (x[:, :15, 1].sum(1) == 1).all()
    assert (x[:, :, 0] * x[:, :, 1]).sum(1) == pytest.approx(y[:, 0], abs=1e-5)


def test_temporal_parity() -> None:
    data = opened("temporal_parity", None, order=3)
    batch = next(data.batches("train", 1))
    bits, parity = batch.arrays[0][0, :, 0].astype(int), batch.arrays[1][0]
    assert np.array_equal(parity[2:], (bits[2:] + bits[1:-1] + bits[:-2]) % 2)


def test_too_few_sequences_are_refused() -> None:
    with pytest.raises(DataError, match="too few for three splits"):
        open_data("copying", {"symbols": 4, "length": 1}, ports(token(4), token(4)))
    with pytest.raises(DataError, match="at least 2"):
        open_data("parity", {"length": 1}, ports(SERIES, Type("class", (), 2)))


def test_windows_foretell_what_follows_them() -> None:
    data = open_data("mackey_glass", {"window": 9, "ahead": 3}, ports(SERIES, VALUE))
    series = dynamics.mackey_glass(17, 2003)
    x, y = whole(data, "train")
    assert x[5, :, 0] == pytest.approx(series[5:14], abs=1e-6)
    assert y[5, 0] == pytest.approx(series[16], abs=1e-6)
    # The last training window ends before the validation part begins.
    assert data.count("train") == 1400 - 8
    first = data.records("validation", [0])
    assert first.arrays[0][0, :, 0] == pytest.approx(series[1400:1409], abs=1e-6)


def test_streams_for_measuring_warm_up_first() -> None:
    data = open_data("mackey_glass", {}, ports(SERIES, SERIES))
    series = dynamics.mackey_glass(17, 2001)
    [batch] = data.batches("test", 1)
    assert batch.counted is not None
    assert batch.counted.sum() == 400
    counted = batch.arrays[1][0, batch.counted[0], 0]
    assert counted == pytest.approx(series[1601:], abs=1e-6)
    assert all(b.counted is None for b in data.batches("train", 4, segment=50))


def test_narma_follows_its_rule() -> None:
    for order in (2, 5, 10, 20):
        u, y = dynamics.narma(order, 500)
        past = np.concatenate([[0.0], y])
        for t in range(order, 499):
            total = past[t - order + 1 : t + 1].sum()
            if order == 2:
                new = 0.4 * past[t] + 0.4 * past[t] * past[t - 1] + 0.6 * u[t] ** 3 + 0.1
            else:
                new = 0.3 * past[t] + 0.05 * past[t] * total + 1.5 * u[t - order + 1] * u[t]
                new = new + 0.1 if order <= 10 else np.tanh(new + 0.01) + 0.2
            assert y[t] == pytest.approx(new)


def test_lorenz_stays_on_its_attractor() -> None:
    series = dynamics.lorenz(600)
    # The middle of each step obeys the equations, to the accuracy of the step.
    slope = (series[2:] - series[:-2]) / 0.04
    x, y, z = series[1:-1].T
    right = np.column_stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])
    assert np.abs(slope - right).max() / np.abs(right).max() < 0.05
    assert series[:, 2].min() > 0


def test_digits_can_be_told_apart() -> None:
    data = opened("drawn_digits", None, size=2000)
    x, y = (a.reshape(len(a), -1) for a in whole(data, "train"))
    t, u = (a.reshape(len(a), -1) for a in whole(data, "test"))
    # Ridge regression on the pixels.
    a = np.hstack([x, np.ones((len(x), 1))])
    w = np.linalg.solve(a.T @ a + np.eye(65), a.T @ np.eye(10)[y[:, 0]])
    right = (np.hstack([t, np.ones((len(t), 1))]) @ w).argmax(1) == u[:, 0]
    assert right.mean() > 0.8


def test_phases_are_ground_states() -> None:
    data = open_data("phases", {"qubits": 4}, ports(Type("state", (), 4), Type("class", (), 2)))
    psi, label = whole(data, "test")
    x = np.array([[0, 1], [1, 0]])
    field = sum(np.kron(np.kron(np.eye(2**k), x), np.eye(2 ** (3 - k))) for k in range(4))
    magnet = np.einsum("bi,ij,bj->b", psi.conj(), field, psi).real / 4
    assert np.allclose(np.linalg.norm(psi, axis=1), 1, atol=1e-5)
    assert magnet[label == 0].max() < magnet[label == 1].min()  # it grows with the field


def test_evolutions_keep_what_they_must() -> None:
    """Heisenberg's coupling leaves |++⟩ alone, Ising's does not."""
    kinds = ports(Type("unitary", (), 2), Type("class", (), 2))
    u, label = whole(open_data("evolutions", {}, kinds), "test")
    assert np.allclose(u @ u.conj().swapaxes(1, 2), np.eye(4), atol=1e-5)
    stays = np.abs(u.sum((1, 2)) / 4)
    assert np.allclose(stays[label == 1], 1, atol=1e-5) and stays[label == 0].max() < 0.999


def test_every_third_word_follows_from_the_two_before() -> None:
    seen, said = whole(opened("elman_xor", None), "train")
    words = (seen * [2, 1]).sum(-1).astype(int)
    assert np.array_equal(said[:, :-1], words[:, 1:])
    assert np.array_equal(words[:, 2::3], words[:, 0:-2:3] ^ words[:, 1:-1:3])
    assert len(np.unique(words[:, 1], return_counts=True)[1]) == 4


def test_waves_and_spirals_turn_as_their_label_says() -> None:
    x, label = whole(opened("spirals", None), "train")
    turn = x[:, :-1, 0] * x[:, 1:, 1] - x[:, :-1, 1] * x[:, 1:, 0]
    assert np.array_equal(turn.mean(1) > 0, label == 1)
    again, _ = whole(opened("spirals", None), "train")
    assert np.array_equal(x, again)


def test_a_limit_is_the_first_of_the_same() -> None:
    for name in ("blobs", "mackey_glass", "drawn_digits"):
        few = opened(name, None)
        few._limit, few._open = 16, {}
        assert few.count("train") == 16
        batch = next(few.batches("train", 4, shuffle=False))
        assert len(batch) == 4 and np.isfinite(batch.arrays[0]).all()
