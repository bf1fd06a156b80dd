"""Pictures for pages, as SVG text. No display and no global state of matplotlib is used."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["AMBER", "BLUE", "GREY", "GRID", "INK", "RED", "TEAL", "as_data_uri", "as_svg"]

BLUE, RED, TEAL, AMBER = "#3b6ea8", "#c8553d", "#14827a", "#d99a2b"
INK, GREY, GRID = "#1f2933", "#6b7785", "#e4e8ec"

_STYLE = {
    "font.size": 10,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#b8c0c8",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "svg.hashsalt": "churn",
}


def as_svg(draw: Callable[[Axes], None], width: float, height: float) -> str:
    """Return what `draw` draws into axes, in a picture of so many inches; the same drawing gives the same text."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        sink = io.StringIO()
        figure.savefig(sink, format="svg", dpi=200, transparent=True, metadata={"Date": None})
    return sink.getvalue()


def as_data_uri(svg: str) -> str:
    """Return the picture as text for the src of an <img>."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
