"""A picture as SVG."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from qrlang.plot.shapes import Area, Dot, Line, Picture, Shape

FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"


def to_svg(picture: Picture) -> str:
    w, h = f"{picture.width:g}", f"{picture.height:g}"
    body = "\n".join(map(_shape, picture.shapes))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}pt" height="{h}pt" '
        f'viewBox="0 0 {w} {h}" role="img" font-family="{FONT}">\n'
        f"<title>{escape(picture.title)}</title>\n"
        f'<rect width="{w}" height="{h}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _shape(shape: Shape) -> str:
    match shape:
        case Line():
            dash = ' stroke-dasharray="4 3"' if shape.dashed else ""
            return (
                f'<polyline points="{_points(shape.points)}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{shape.width:g}" stroke-linejoin="round"{dash}/>'
            )
        case Area():
            return f'<polygon points="{_points(shape.points)}" fill="{shape.colour}"/>'
        case Dot():
            x, y = shape.at
            return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{shape.radius:g}" fill="{shape.colour}"/>'
    x, y = shape.at
    turn = f' transform="rotate(-90 {x:.2f} {y:.2f})"' if shape.upwards else ""
    weight = ' font-weight="600"' if shape.bold else ""
    return (
        f'<text x="{x:.2f}" y="{y:.2f}" text-anchor={quoteattr(shape.anchor)} '
        f'font-size="{shape.size:g}" fill="{shape.colour}"{weight}{turn}>'
        f"{escape(shape.text)}</text>"
    )


def _points(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
