"""A picture as PNG, by Pillow: drawn large, then made smaller, so that lines are smooth."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

from qrlang.plot.shapes import Area, Dot, Line, Picture, Text

SCALE = 3  # pixels to a point: about 216 to the inch
_FINER = 2
# What Pillow's own font has no sign for, and how it is written then.
_PLAIN = str.maketrans({
    "−": "-", "–": "-", "→": "->", "▸": ">", "⟨": "<", "⟩": ">", "∇": "grad ", "²": "2", "½": "1/2",
    "×": "x", "π": "pi", "θ": "theta", "φ": "phi", "σ": "sigma",
    **{sub: str(k) for k, sub in enumerate("₀₁₂₃₄₅₆₇₈₉")},
})  # fmt: skip


def to_png(picture: Picture, ground: str = "#ffffff", font: str = "") -> bytes | None:
    """None where Pillow is not there. `font`: a file that is looked for where fonts are; without
    it, or where it is not found, Pillow's own."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        return None
    k = SCALE * _FINER
    size = (round(picture.width * k), round(picture.height * k))
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    for shape in picture.shapes:
        match shape:
            case Line():
                for part in _dashes(shape) if shape.dashed else [shape.points]:
                    draw.line([(x * k, y * k) for x, y in part], shape.colour,
                              max(1, round(shape.width * k)), joint="curve")  # fmt: skip
            case Area():
                draw.polygon([(x * k, y * k) for x, y in shape.points], shape.colour)
            case Dot():
                (x, y), r = shape.at, shape.radius
                draw.ellipse([(x - r) * k, (y - r) * k, (x + r) * k, (y + r) * k], shape.colour)
            case Text():
                _text(image, draw, shape, k, font)
    small = image.resize((size[0] // _FINER, size[1] // _FINER), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True, dpi=(72 * SCALE, 72 * SCALE))
    return out.getvalue()


def _text(image: Any, draw: Any, shape: Text, k: int, name: str = "") -> None:
    from PIL import Image, ImageDraw

    font, own = _font(name, shape.size * k)
    text = shape.text.translate(_PLAIN) if own else shape.text
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
    x, y = shape.at[0] * k, shape.at[1] * k
    bold = {"stroke_width": round(k * 0.12), "stroke_fill": shape.colour} if shape.bold else {}
    if not shape.upwards:
        draw.text((x, y), text, shape.colour, font, anchor, **bold)
        return
    length = round(draw.textlength(text, font)) + 4 * k
    height = round(shape.size * k * 2)
    layer = Image.new("RGBA", (length, height), (255, 255, 255, 0))
    ImageDraw.Draw(layer).text((length / 2, height * 0.7), text, shape.colour, font, "ms")
    turned = layer.rotate(90, expand=True)
    image.paste(turned, (round(x - height * 0.7), round(y - length / 2)), turned)


@lru_cache(maxsize=64)
def _font(name: str, size: float) -> tuple[Any, bool]:
    """A font, and whether it is Pillow's own."""
    from PIL import ImageFont

    if name:
        try:
            return ImageFont.truetype(name, size), False
        except OSError:
            pass
    return ImageFont.load_default(size), True


def _dashes(line: Line, on: float = 4.0, off: float = 3.0) -> list[tuple[tuple[float, float], ...]]:
    """Pieces of a line, by the way along it."""
    pieces: list[tuple[tuple[float, float], ...]] = []
    piece: list[tuple[float, float]] = [line.points[0]]
    drawing, left = True, on
    for (ax, ay), (bx, by) in zip(line.points, line.points[1:], strict=False):
        length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
        gone = 0.0
        while length - gone > left:
            gone += left
            at = (ax + (bx - ax) * gone / length, ay + (by - ay) * gone / length)
            if drawing:
                pieces.append((*piece, at))
            piece = [at]
            drawing = not drawing
            left = on if drawing else off
        left -= length - gone
        if drawing:
            piece.append((bx, by))
    if drawing and len(piece) > 1:
        pieces.append(tuple(piece))
    return pieces
