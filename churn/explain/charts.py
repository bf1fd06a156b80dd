"""The pictures of an explanation, as SVG text like those of the report."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from churn.explain.effects import Z95, Effect
from churn.explain.explanation import Explanation
from churn.explain.importance import Dependence
from churn.explain.text import label_of
from churn.pages.drawing import AMBER, BLUE, GREY, INK, RED, TEAL, as_svg
from churn.terminal import one_line

__all__ = ["dependence", "effects", "importance", "limits_of"]

MOST_CONDITIONS, MOST_EFFECTS = 25, 40
_LOG_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def importance(explanation: Explanation) -> str:
    """What is lost of the area under the ROC curve without each condition, and what truly would be."""
    conditions = explanation.conditions[:MOST_CONDITIONS]

    def draw(axes: Axes) -> None:
        places = np.arange(len(conditions))
        lost = [one.importance.auc.lost for one in conditions]
        axes.barh(places, lost, color=TEAL, alpha=0.75, height=0.62, label="the model")
        axes.errorbar(
            lost, places, xerr=[Z95 * one.importance.auc.error for one in conditions], fmt="none", ecolor=INK,
            elinewidth=1, label="95 % interval",
        )  # fmt: skip
        if explanation.truth is not None:
            true = {one.condition: one.auc.lost for one in explanation.truth.importance}
            axes.plot([true[one.name] for one in conditions], places, "D", color=AMBER, markersize=5, label="in truth")
        axes.axvline(0, color=GREY, linewidth=1)
        _rows(axes, [one.name for one in conditions])
        axes.set(xlabel="ROC AUC lost when the condition is shuffled")
        axes.legend(loc="lower right", fontsize=9)

    return _quiet(draw, 7.6, 1.1 + 0.27 * len(conditions))


def effects(explanation: Explanation) -> str:
    """Odds ratios with their intervals, on a logarithmic scale."""
    true = explanation.truth.changes if explanation.truth is not None else {}
    every = [
        (effect, true[one.name][k] if true else None)
        for one in explanation.conditions
        for k, effect in enumerate(one.effects)
    ][:MOST_EFFECTS]

    def draw(axes: Axes) -> None:
        values = [effect.change.ratio for effect, _ in every]
        for k, (effect, _) in enumerate(every):
            low, high = effect.change.interval or (effect.change.ratio,) * 2
            values += [low, high]
            axes.plot([low, high], [k, k], color=_colour(effect), linewidth=2.2, solid_capstyle="round")
            axes.plot(effect.change.ratio, k, "o", color=_colour(effect), markersize=5.5)
        if true:
            ratios = np.exp([float(change) for _, change in every if change is not None])
            axes.plot(ratios, np.arange(len(every)), "D", color=AMBER, markersize=4.5, zorder=3)
            values += ratios.tolist()
        axes.axvline(1, color=GREY, linewidth=1)
        for style, colour, name in (
            ("o", RED, "more often"),
            ("o", BLUE, "less often"),
            ("o", GREY, "unclear"),
            *((("D", AMBER, "in truth"),) if true else ()),
        ):
            axes.plot([], [], style, color=colour, markersize=5, label=name)
        axes.set_xscale("log")
        axes.set_xlim(min(0.9, *values) / 1.08, max(1.1, *values) * 1.08)
        axes.xaxis.set_major_locator(NullLocator())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        least, most = axes.get_xlim()
        axes.set_xticks([tick for tick in _LOG_TICKS if least <= tick <= most])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        _rows(axes, [f"{effect.condition}: {effect.compared}" for effect, _ in every])
        axes.set_xlabel(f"odds of {one_line(label_of(explanation))[:60]} are multiplied by", parse_math=False)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.5 / (0.27 * len(every) + 0.4)), ncols=4, fontsize=9)

    return _quiet(draw, 7.6, 1.3 + 0.27 * len(every))


def dependence(one: Dependence, limits: tuple[float, float]) -> str:
    """Mean probability along one numeric condition, between the limits; grey where few rows are."""

    def draw(axes: Axes) -> None:
        first, last = float(one.values[0]), float(one.values[-1])
        for start, end in ((first, one.usual[0]), (one.usual[1], last)):
            if start < end:
                axes.axvspan(start, end, color=GREY, alpha=0.10, linewidth=0)
        if one.low is not None and one.high is not None:
            axes.fill_between(one.values, one.low, one.high, color=TEAL, alpha=0.22, linewidth=0)
        axes.plot(one.values, one.probability, color=TEAL, linewidth=2, label="the model")
        if one.truth is not None:
            axes.plot(
                one.values, one.truth, color=AMBER, linewidth=1.4, linestyle=(0, (4, 2)), marker="D", markersize=3,
                label="in truth",
            )  # fmt: skip
            axes.legend(loc="best", fontsize=9)
        axes.set_xlabel(_short(one.condition), parse_math=False)
        axes.set(ylabel="mean probability", xlim=(first, last))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=bool((one.values == np.rint(one.values)).all())))
        axes.set_ylim(*limits)

    return _quiet(draw, 3.6, 2.9)


def limits_of(dependences: Sequence[Dependence]) -> tuple[float, float]:
    """Return limits of the probability that suit all pictures, so that slopes can be compared."""
    shown = [p for one in dependences for p in (one.probability, one.low, one.high, one.truth) if p is not None]
    return max(0.0, min(p.min() for p in shown) - 0.02), min(1.0, max(p.max() for p in shown) + 0.02)


def _colour(effect: Effect) -> str:
    low, high = effect.change.interval or (effect.change.ratio,) * 2
    return RED if low > 1 else BLUE if high < 1 else GREY


def _rows(axes: Axes, names: list[str]) -> None:
    """Name the places 0, 1, ... from the top down; a name is no formula, whatever dollars are in it."""
    axes.set_yticks(np.arange(len(names)), [_short(name) for name in names], parse_math=False, color=INK)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _short(name: str, most: int = 48) -> str:
    text = one_line(name)
    return text if len(text) <= most else text[: most - 1] + "…"


def _quiet(draw: Callable[[Axes], None], width: float, height: float) -> str:
    """Draw; letters that the font lacks become boxes, without a warning: the page names them in its table."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        return as_svg(draw, width, height)
