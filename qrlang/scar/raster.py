"""A field of colours as a PNG inside an SVG: a palette, one byte a cell, nothing compressed.

Uncompressed, so that the bytes depend on the numbers alone and not on a library's version.
"""

from __future__ import annotations

import base64
import colorsys
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from qrlang.draw.ink import heat

Array = np.ndarray[Any, Any]
Colour = tuple[int, int, int]
HUES, LEVELS = 24, 10  # of the palette of fringes: 240 colours


def png(cells: Array, palette: Sequence[Colour]) -> bytes:
    """`cells` [rows, columns]: numbers of colours."""
    rows, columns = cells.shape
    raw = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in cells)
    table = b"".join(bytes(c) for c in palette)
    return b"".join([
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", table), _chunk(b"IDAT", _stored(raw)), _chunk(b"IEND", b""),
    ])  # fmt: skip


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _stored(raw: bytes) -> bytes:
    """As zlib's format, without compression."""
    most = 65535
    parts = [raw[k : k + most] for k in range(0, len(raw), most)] or [b""]
    found = b"\x78\x01"
    for k, part in enumerate(parts):
        found += struct.pack("<BHH", k == len(parts) - 1, len(part), len(part) ^ 0xFFFF) + part
    return found + struct.pack(">I", zlib.adler32(raw))


def image(
    cells: Array, palette: Sequence[Colour], x: float, y: float, w: float, h: float, label: str
) -> str:
    data = base64.b64encode(png(cells, palette)).decode()
    return (
        f'<image x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" role="img" aria-label="{label}" '
        f'href="data:image/png;base64,{data}"/>'
    )


# --- palettes -----------------------------------------------------------------------------------


def heats() -> list[Colour]:
    """256 colours from 0 to 1."""
    return [_rgb(heat(k / 255)) for k in range(256)]


def _rgb(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def fringes() -> list[Colour]:
    """Hue by phase, lightness by probability: `hue * LEVELS + level`."""
    found = []
    for hue in range(HUES):
        for level in range(LEVELS):
            share = level / (LEVELS - 1)
            r, g, b = colorsys.hls_to_rgb(hue / HUES, 0.04 + 0.62 * share, 0.85)
            found.append((round(255 * r), round(255 * g), round(255 * b)))
    return found


def fringe(amplitudes: Array) -> Array:
    """Numbers of colours of amplitudes: the square root of the probability, as a share of the
    largest there is, and the phase."""
    size = np.abs(amplitudes)
    most = float(size.max()) or 1.0
    level = np.rint((LEVELS - 1) * np.clip(size / most, 0, 1)).astype(int)
    turn = np.angle(amplitudes) / (2 * math.pi) % 1.0
    hue = np.rint(turn * HUES).astype(int) % HUES
    return np.asarray(hue * LEVELS + level)
