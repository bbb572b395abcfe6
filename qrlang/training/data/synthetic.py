"""Small tasks that a rule makes, for models whose usual data is simulated: features in clusters,
waves, spirals, warped signals, words of bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qrlang.training.data.batches import frozen
from qrlang.training.data.generated import loaded
from qrlang.training.data.ports import Array
from qrlang.training.data.request import Loaded, Request

Random = np.random.RandomState
Block = Callable[[Random, int], tuple[Array, ...]]


def drawn(block: Callable[[Request], Block]) -> Callable[[Request], Loaded]:
    """The same rule for all three splits, drawn apart."""

    def load(request: Request) -> Loaded:
        make = block(request)
        return loaded(request, lambda _: make)

    return load


def _blobs(request: Request) -> Block:
    """Each class is so many clusters, whose centres stay the same: no line parts them."""
    features, classes, groups = (request.whole(n) for n in ("features", "classes", "groups"))
    centres = frozen(features, classes, groups, 50).normal(0, 1, (classes, groups, features))

    def block(random: Random, count: int) -> tuple[Array, ...]:
        label = random.randint(0, classes, count)
        group = random.randint(0, groups, count)
        return centres[label, group] + random.normal(0, 0.35, (count, features)), label

    return block


def _wave(request: Request) -> Block:
    """A hump passes over a row of sensors; from which end does it come?"""
    sensors, length = request.whole("sensors"), request.whole("length")

    def block(random: Random, count: int) -> tuple[Array, ...]:
        label = random.randint(0, 2, count)
        # It has passed all of them before the end.
        lag = random.uniform(0.5, 0.8, count) * (length - 2) / sensors
        start = random.uniform(0.5, 1.0, count) * (length - 1 - lag * (sensors - 1))
        t, s = np.arange(length)[None, :, None], np.arange(sensors)[None, None, :]
        order = np.where(label[:, None, None], s, sensors - 1 - s)
        hump = np.exp(-((t - start[:, None, None] - lag[:, None, None] * order) ** 2))
        return hump + random.normal(0, 0.1, (count, length, sensors)), label

    return block


def _spirals(request: Request) -> Block:
    """A point runs outwards: clockwise, or the other way."""
    length = request.whole("length")

    def block(random: Random, count: int) -> tuple[Array, ...]:
        label = random.randint(0, 2, count)
        turn = random.uniform(0.25, 0.5, count) * np.where(label, 1, -1)
        start = random.uniform(0, 2 * np.pi, count)
        t = np.arange(length)
        angle = start[:, None] + turn[:, None] * t
        radius = (t + 2) / (length + 1)
        x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
        return x + random.normal(0, 0.05, x.shape), label

    return block


def _warped(request: Request) -> Block:
    """Two shapes of the same height, two hills or three, played at a speed that changes on the
    way."""
    length = request.whole("length")

    def block(random: Random, count: int) -> tuple[Array, ...]:
        label = random.randint(0, 2, count)
        pace = np.exp(random.normal(0, 0.8, (count, 4)))
        steps = np.repeat(pace, -(-length // 4), axis=1)[:, :length]
        time = np.cumsum(steps, 1) / steps.sum(1, keepdims=True)
        x = np.sin(np.pi * (2 + label)[:, None] * time) ** 2
        return (x + random.normal(0, 0.05, x.shape))[..., None], label

    return block


def _elman_xor(request: Request) -> Block:
    """Words of bits, every third one the exclusive or of the two before it (Elman 1990)."""
    bits, length = request.whole("bits"), request.whole("length")

    def block(random: Random, count: int) -> tuple[Array, ...]:
        words = random.randint(0, 2**bits, (count, length + 1))
        for k in range(2, length + 1, 3):
            words[:, k] = words[:, k - 1] ^ words[:, k - 2]
        seen = words[:, :-1, None] >> np.arange(bits)[::-1] & 1
        return seen, words[:, 1:]

    return block


# --- quantum data -------------------------------------------------------------------------------


LOADERS: dict[str, Callable[[Request], Loaded]] = {
    "blobs": drawn(_blobs),
    "travelling_wave": drawn(_wave),
    "spirals": drawn(_spirals),
    "warped": drawn(_warped),
    "elman_xor": drawn(_elman_xor),
}
