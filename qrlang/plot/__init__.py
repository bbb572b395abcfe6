"""Line charts for papers: one description, drawn as SVG and as PNG."""

from qrlang.plot.chart import Chart, Panel, Series
from qrlang.plot.svg import to_svg

__all__ = ["Chart", "Panel", "Series", "to_svg"]
