"""Digits drawn by a program: images that need no file. They are easier than handwritten ones."""

from __future__ import annotations

import numpy as np

from qrlang.training.data.batches import frozen
from qrlang.training.data.ports import Array

# Seven rows of five dots for each digit, a row as the bits of a number.
_FONT = (
    (14, 17, 19, 21, 25, 17, 14),
    (4, 12, 4, 4, 4, 4, 14),
    (14, 17, 1, 2, 4, 8, 31),
    (31, 2, 4, 2, 1, 17, 14),
    (2, 6, 10, 18, 31, 2, 2),
    (31, 16, 30, 1, 1, 17, 14),
    (6, 8, 16, 30, 17, 17, 14),
    (31, 1, 2, 4, 8, 8, 8),
    (14, 17, 17, 14, 17, 17, 14),
    (14, 17, 17, 15, 1, 2, 12),
)


def draw_digits(count: int, size: int, key: int) -> tuple[Array, Array]:
    """`count` images of `size` by `size` bytes and their digits: turned, sheared, moved, noisy."""
    random = frozen(key, 30)
    digits = random.randint(0, 10, count).astype(np.uint8)
    glyphs = np.zeros((10, 11, 9), np.float32)  # two dots of margin
    for digit, rows in enumerate(_FONT):
        for r, bits in enumerate(rows):
            glyphs[digit, r + 2, 2:7] = [bits >> (4 - c) & 1 for c in range(5)]
    turn = random.uniform(-0.25, 0.25, count)[:, None]
    shear = random.uniform(-0.2, 0.2, count)[:, None]
    zoom = random.uniform(0.85, 1.15, (count, 2))
    move = random.uniform(-0.6, 0.6, (count, 2))
    # Where each pixel of the image lies on the grid of dots.
    at = (np.arange(size) + 0.5) / size - 0.5
    y, x = (a.reshape(1, -1) * 8.4 for a in np.meshgrid(at, at, indexing="ij"))
    u = (np.cos(turn) * x - np.sin(turn) * y + shear * y) / zoom[:, :1] + 4 + move[:, :1]
    v = (np.sin(turn) * x + np.cos(turn) * y) / zoom[:, 1:] + 5 + move[:, 1:]
    u, v = np.clip(u, 0, 7.999), np.clip(v, 0, 9.999)
    i, j = v.astype(int), u.astype(int)
    a, b, d = v - i, u - j, digits[:, None]
    ink = (glyphs[d, i, j] * (1 - b) + glyphs[d, i, j + 1] * b) * (1 - a)
    ink += (glyphs[d, i + 1, j] * (1 - b) + glyphs[d, i + 1, j + 1] * b) * a
    ink += random.normal(0, 0.05, ink.shape)
    images = (np.clip(ink, 0, 1) * 255).astype(np.uint8)
    return images.reshape(count, size, size), digits
