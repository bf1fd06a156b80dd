"""The pictures of the report, as SVG text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from churn.pages.drawing import AMBER, BLUE, GREY, GRID, INK, RED, TEAL, as_svg
from churn.report.results import Results

__all__ = ["differences", "errors", "scatter", "scores"]

MAX_POINTS = 6000  # more dots hide each other and only make the file larger


def scatter(results: Results) -> str:
    """Encrypted against plain probability, one dot per row, coloured by what happened."""

    def draw(axes: Axes) -> None:
        some = _some_rows(results.rows)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, zorder=1)
        axes.axhline(0.5, color=GRID, zorder=0)
        axes.axvline(0.5, color=GRID, zorder=0)
        # one call, so that neither colour covers the other where both agree
        axes.scatter(
            results.p_plain[some],
            results.p_encrypted[some],
            s=12,
            alpha=0.6,
            c=np.where(results.labels[some], RED, BLUE),
            linewidths=0,
            rasterized=True,
            zorder=2,
        )
        for colour, name in ((BLUE, "stayed"), (RED, "left")):
            axes.scatter([], [], s=12, color=colour, label=name)
        axes.set(
            xlabel="probability in the clear",
            ylabel="probability computed encrypted",
            xlim=(-0.02, 1.02),
            aspect="equal",
        )
        axes.legend(loc="upper left", markerscale=2)

    return as_svg(draw, 4.8, 4.5)


def differences(results: Results) -> str:
    """Encrypted minus plain probability: the polynomial's ripple, and the noise upon it."""

    def draw(axes: Axes) -> None:
        some = _some_rows(results.rows)
        some = some[np.argsort(results.p_plain[some])]
        plain = results.p_plain[some]
        axes.axhline(0, color=GREY, linewidth=1, zorder=1)
        axes.scatter(
            plain,
            results.p_encrypted[some] - plain,
            s=14,
            color=TEAL,
            alpha=0.45,
            linewidths=0,
            rasterized=True,
            zorder=2,
            label="encrypted",
        )
        axes.plot(
            plain,
            results.p_polynomial[some] - plain,
            color=AMBER,
            linewidth=1.1,
            zorder=3,
            label="its polynomial in the clear",
        )
        axes.set(xlabel="probability in the clear", ylabel="difference from it", xlim=(-0.02, 1.02))
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
        axes.margins(y=0.18)
        axes.legend(loc="upper center", markerscale=2, ncols=2, fontsize=9)

    return as_svg(draw, 4.8, 4.5)


def scores(results: Results) -> str:
    """Distribution of the encrypted scores of those who stayed and of those who left."""

    def draw(axes: Axes) -> None:
        edges = np.linspace(0, 1, 41).tolist()
        for value, colour, name in ((False, BLUE, "stayed"), (True, RED, "left")):
            rows = results.labels == value
            axes.hist(
                np.clip(results.p_encrypted[rows], 0, 1),
                edges,
                color=colour,
                alpha=0.38,
                label=f"{name}, encrypted ({rows.sum():,})",
            )
            axes.hist(
                results.p_plain[rows],
                edges,
                color=colour,
                histtype="step",
                linewidth=1.3,
                label=f"{name}, in the clear",
            )
        axes.axvline(0.5, ymax=0.78, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel="probability of leaving", ylabel="employees", xlim=(0, 1))
        axes.set_ylim(top=axes.get_ylim()[1] * 1.25)  # room for the legend
        axes.legend(fontsize=8.5, ncols=2, loc="upper center")
        axes.grid(axis="x", visible=False)

    return as_svg(draw, 4.8, 3.5)


def errors(results: Results) -> str:
    """How far each row's probability is off, by cause, on a logarithmic scale."""

    def draw(axes: Axes) -> None:
        parts = (
            (results.p_polynomial - results.p_plain, AMBER, "polynomial for the sigmoid"),
            (results.p_encrypted - results.p_polynomial, TEAL, "encryption"),
        )
        # an error below the last bit of a double counts as that bit
        sizes = [np.log2(np.maximum(np.abs(part), 2.0**-54)) for part, _, _ in parts]
        least, most = min(s.min() for s in sizes), max(s.max() for s in sizes)
        edges = np.arange(np.floor(least), np.ceil(most) + 1.01, 0.5).tolist()
        for size, (_, colour, name) in zip(sizes, parts, strict=True):
            axes.hist(size, edges, color=colour, alpha=0.6, label=name)
        axes.set(xlabel="bits of precision of a row's probability", ylabel="employees")
        axes.xaxis.set_major_formatter(lambda value, _: f"{-value:g}")
        axes.invert_xaxis()
        axes.set_ylim(top=axes.get_ylim()[1] * 1.2)  # room for the legend
        axes.legend(fontsize=9, ncols=2, loc="upper center")
        axes.grid(axis="x", visible=False)

    return as_svg(draw, 4.8, 3.5)


def _some_rows(rows: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, rows - 1, min(rows, MAX_POINTS)).astype(np.int64))
