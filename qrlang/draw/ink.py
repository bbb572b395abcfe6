"""Pictures in roles of colour rather than colours: one drawing, legible on light and on dark.

A sheet holds the shapes of `qrlang.plot` whose colour may be `@role`. As SVG it follows the
reader's theme; as PNG it is made for one of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape, quoteattr

from qrlang.plot import png
from qrlang.plot.shapes import Area, Dot, Line, Picture, Point, Shape, Text, between

# Role: on light, on dark.
ROLES = {
    "ground": ("#ffffff", "#11151a"),
    "panel": ("#f5f7f9", "#191f26"),
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#57606a", "#9ba7b4"),
    "faint": ("#d4dae1", "#37414c"),
    "wire": ("#6b7785", "#8fa0b3"),
    "fixed": ("#57606a", "#a9b4c0"),
    "data": ("#0a6ebd", "#58a6ff"),
    "made": ("#6b3fa0", "#b98cf2"),
    "undone": ("#a58bc4", "#7d63a8"),
    "read": ("#1a7f4b", "#46c37b"),
    "pale_read": ("#cfe9da", "#1e4a34"),
    "net": ("#a86200", "#e0a63a"),
    "pale_net": ("#f2dfc0", "#4a3a1c"),
    "against": ("#3b6ea8", "#6ea3dd"),
    "loop": ("#c9186a", "#ff6fae"),
    "pale_loop": ("#f6d0e1", "#54243b"),
}
FONT = "'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif"
FACE = "DejaVuSans.ttf"  # for PNG, where it is installed

# From 0 to 1: dark to bright, in order also without colour (after viridis).
_STOPS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


def heat(share: float) -> str:
    """The colour of a number from 0 to 1."""
    return between(_STOPS, min(max(share, 0.0), 1.0) if share == share else 0.0)


@dataclass
class Sheet:
    width: float = 0.0
    height: float = 0.0
    shapes: list[Shape] = field(default_factory=list)
    tips: dict[int, str] = field(default_factory=dict)  # what a shape says when pointed at

    def add(self, shape: Shape, tip: str = "") -> None:
        if tip:
            self.tips[len(self.shapes)] = tip
        self.shapes.append(shape)

    def behind(self, other: Sheet) -> None:
        """Puts this one behind another, in place of it."""
        more = len(self.shapes)
        other.shapes = [*self.shapes, *other.shapes]
        other.tips = {**self.tips, **{k + more: tip for k, tip in other.tips.items()}}

    def line(
        self, points: Iterable[Point], role: str, width: float = 1.0, dashed: bool = False,
        tip: str = "",
    ) -> None:  # fmt: skip
        self.add(Line(tuple(points), _colour(role), width, dashed), tip)

    def area(self, points: Iterable[Point], role: str, tip: str = "") -> None:
        self.add(Area(tuple(points), _colour(role)), tip)

    def dot(self, at: Point, radius: float, role: str, tip: str = "") -> None:
        self.add(Dot(at, _colour(role), radius), tip)

    def text(
        self, at: Point, text: str, size: float = 9.0, role: str = "ink", anchor: str = "middle",
        bold: bool = False,
    ) -> None:  # fmt: skip
        self.add(Text(at, text, anchor, size, _colour(role), bold=bold))

    def box(self, x: float, y: float, w: float, h: float, role: str, tip: str = "") -> None:
        self.area(((x, y), (x + w, y), (x + w, y + h), (x, y + h)), role, tip)

    def arrow(self, points: Sequence[Point], role: str, width: float, head: float = 6.0) -> None:
        """A line that ends in a head."""
        (ax, ay), (bx, by) = points[-2], points[-1]
        length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5 or 1.0
        ux, uy = (bx - ax) / length, (by - ay) / length
        self.line((*points[:-1], (bx - ux * head * 0.8, by - uy * head * 0.8)), role, width)
        half = head * 0.45 + width * 0.3
        self.area(((bx, by), (bx - ux * head - uy * half, by - uy * head + ux * half),
                   (bx - ux * head + uy * half, by - uy * head - ux * half)), role)  # fmt: skip


def _colour(role: str) -> str:
    return role if role.startswith("#") else f"@{role}"


def bezier(a: Point, b: Point, c: Point, d: Point, count: int = 24) -> list[Point]:
    found = []
    for k in range(count + 1):
        t = k / count
        s = 1 - t
        w = (s**3, 3 * s * s * t, 3 * s * t * t, t**3)
        found.append((sum(w[i] * p[0] for i, p in enumerate((a, b, c, d))),
                      sum(w[i] * p[1] for i, p in enumerate((a, b, c, d)))))  # fmt: skip
    return found


# --- files --------------------------------------------------------------------------------------


def style() -> str:
    """Colours by role: of shapes that are filled, and of lines."""

    def rules(k: int) -> str:
        return "".join(f".f-{r}{{fill:{c[k]}}}.s-{r}{{stroke:{c[k]}}}" for r, c in ROLES.items())

    return (f"text{{font-family:{FONT}}}polyline{{fill:none;stroke-linejoin:round;"
            f"stroke-linecap:round}}{rules(0)}"
            f"@media (prefers-color-scheme:dark){{{rules(1)}}}")  # fmt: skip


def to_svg(sheet: Sheet, title: str, about: str = "", under: str = "") -> str:
    """`about`: for those who cannot see it; `under`: elements below all others."""
    w, h = f"{sheet.width:g}", f"{sheet.height:g}"
    body = "\n".join(element(s, sheet.tips.get(k, "")) for k, s in enumerate(sheet.shapes))
    said = f"<desc>{escape(about)}</desc>\n" if about else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}" role="img">\n<title>{escape(title)}</title>\n{said}'
        f"<style>{style()}</style>\n"
        f'<rect class="f-ground" width="{w}" height="{h}"/>\n{under}\n{body}\n</svg>\n'
    )


def attributes(shape: Shape) -> dict[str, str]:
    """Of its SVG element; `text` is what stands in it."""
    colour = _paint(shape.colour, "stroke" if isinstance(shape, Line) else "fill")
    match shape:
        case Line():
            found = {"points": _points(shape.points), **colour, "stroke-width": f"{shape.width:g}"}
            return {**found, "stroke-dasharray": "4 3" if shape.dashed else "none"}
        case Area():
            return {"points": _points(shape.points), **colour}
        case Dot():
            x, y = shape.at
            return {"cx": f"{x:g}", "cy": f"{y:g}", "r": f"{shape.radius:g}", **colour}
    x, y = shape.at
    found = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": shape.anchor,
             "font-size": f"{shape.size:g}", **colour}  # fmt: skip
    if shape.bold:
        found["font-weight"] = "600"
    if shape.upwards:
        found["transform"] = f"rotate(-90 {x:.1f} {y:.1f})"
    return {**found, "text": shape.text}


_NAMES = {Line: "polyline", Area: "polygon", Dot: "circle", Text: "text"}


def element(shape: Shape, tip: str = "", id: str = "") -> str:
    given = attributes(shape)
    text = given.pop("text", "")
    if given.get("stroke-dasharray") == "none":
        del given["stroke-dasharray"]
    if id:
        given = {"id": id, **given}
    name = _NAMES[type(shape)]
    said = f"<title>{escape(tip)}</title>" if tip else ""
    listed = " ".join(f"{k}={quoteattr(v)}" for k, v in given.items())
    return f"<{name} {listed}>{said}{escape(text)}</{name}>"


def _paint(colour: str, what: str) -> dict[str, str]:
    if not colour.startswith("@"):
        return {what: colour}
    return {"class": f"{what[0]}-{colour[1:]}"}


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def to_png(sheet: Sheet, dark: bool = False) -> bytes | None:
    """None where Pillow is not there."""
    picture = Picture(sheet.width, sheet.height, tuple(plain(sheet.shapes, dark)))
    return png.to_png(picture, ROLES["ground"][dark], FACE)


def plain(shapes: Iterable[Shape], dark: bool) -> list[Shape]:
    """With colours in place of roles."""
    table: Mapping[str, str] = {f"@{r}": c[dark] for r, c in ROLES.items()}
    return [replace(s, colour=table.get(s.colour, s.colour)) for s in shapes]
