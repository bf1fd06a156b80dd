"""The words of an explanation, which its page and its table in a terminal share, and that table."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from churn.explain.effects import FEW, Z95, Estimate
from churn.explain.explanation import Condition, Explanation
from churn.explain.importance import Loss
from churn.terminal import line, one_line

__all__ = [
    "CAUTION",
    "WHO",
    "alike_text",
    "interval_text",
    "label_of",
    "loss_text",
    "measured_text",
    "print_explanation",
    "ratio_text",
    "scarce_text",
    "truth_texts",
]

CAUTION = (
    "This is correlation, not cause. An odds ratio compares people who differ in one condition and are equal in the "
    "others of this table; what the table does not hold may be the reason of both. To learn what a change would do, "
    "change it for some, chosen at random, and compare. What holds for a group says nothing certain of one person."
)
WHO = (
    "All numbers are in the clear. The owner of the data runs this on a machine of their own: nothing is sent to "
    "anybody, and nothing is encrypted because nobody else sees it. What is written holds no row, but counts of small "
    "groups and ends of ranges, which may be single people: treat it like the data."
)
_MOST = 8


def label_of(explanation: Explanation) -> str:
    """Return "left = Yes"."""
    return f"{explanation.target} = {explanation.positive}"


def ratio_text(estimate: Estimate) -> str:
    """Return an odds ratio, with its interval where there is one: "0.56 (0.54–0.59)"."""
    found = f"{estimate.ratio:.3g}" if estimate.ratio >= 100 else f"{estimate.ratio:.2f}"
    if estimate.interval is None:
        return found
    low, high = (f"{end:.3g}" if end >= 100 else f"{end:.2f}" for end in estimate.interval)
    return f"{found} ({low}–{high})"


def loss_text(loss: Loss, digits: int = 4) -> str:
    """Return what is lost and the half width of its 95 % interval over the rows: "0.0712 ±0.0079"."""
    lost = round(loss.lost, digits) + 0.0  # no -0.0
    return f"{lost:.{digits}f} ±{Z95 * loss.error:.{digits}f}"


def interval_text(explanation: Explanation) -> str:
    """Return one sentence on what the intervals are, or why there are none."""
    if not explanation.sure:
        return (
            f"No intervals: these {explanation.trained:,} rows are not the ones that the model was trained on, so they "
            "do not tell how sure its weights are; explain it with the table, and the seed, of its training."
        )
    count = sum(len(condition.effects) for condition in explanation.conditions)
    missed = max(1, round(count / 20))
    return (
        "In brackets 95 % intervals from the inverse of the penalised Hessian at the fit, that is, the normal "
        f"approximation of what {explanation.trained:,} training rows leave open when each weight is taken beforehand "
        f"to be normal around 0 with variance {explanation.prior:g}; that effects might act together or have "
        f"thresholds, which this model cannot follow, is not in them. Of these {count}, about {missed} will miss the "
        "truth by chance."
    )


def measured_text(explanation: Explanation) -> str:
    """Return one sentence on how importance was measured."""
    rows = f"{explanation.measured:,} {'held-out ' if explanation.sure else ''}rows"
    told = "" if explanation.sure else ", some of which the model may have been trained on"
    return (
        f"What is lost when one condition is shuffled among {rows}{told}: the mean of {explanation.repeats} shuffles, "
        "and ± half the width of its 95 % interval over the rows."
    )


def scarce_text(explanation: Explanation) -> str:
    """Return a sentence on the categories that the model knows little about."""
    if not explanation.scarce:
        return f"Every category has at least {FEW} rows with {label_of(explanation)} and {FEW} without."
    named = [
        f"{one.condition} = {one.category} ({one.rows:,} rows, {one.positives:,} of them {label_of(explanation)})"
        for one in explanation.scarce
    ]
    return f"Fewer than {FEW} rows of either label, so that little is known: " + _some(named)


def alike_text(explanation: Explanation) -> str:
    """Return a sentence on conditions that go together; "" where none do."""
    if not explanation.alike:
        return ""
    named = [f"{a} and {b} (r = {r:.2f})" for a, b, r in explanation.alike]
    return "Go together, so that each hides what the other is worth; judge them as one: " + _some(named)


def truth_texts(explanation: Explanation) -> tuple[str, ...]:
    """Return sentences on how close the explanation is to the generator's truth; none where it is not known."""
    truth = explanation.truth
    if truth is None:
        return ()
    found = [
        f"Of the {truth.top} conditions that truly matter most, {truth.shared} are among the {truth.top} found to; "
        f"the whole ranking has the rank correlation {truth.rank_correlation:.2f} with the true one."
    ]
    if explanation.sure:
        found.append(f"{truth.inside} of {truth.compared} intervals hold the true odds ratio, the mean over the rows.")
    if truth.idle:
        found.append("Change nothing in truth: " + _some(list(truth.idle)))
    return tuple(found)


def print_explanation(explanation: Explanation, console: Console) -> None:
    """Print the conditions, the most important first, and what to keep in mind."""
    table = Table(box=SIMPLE_HEAD, title=f"Conditions that go with {one_line(label_of(explanation))}")
    headings = ["condition", "odds times", "ROC AUC lost", "accuracy lost"]
    if explanation.truth is not None:
        headings.insert(2, "truth")
    for k, heading in enumerate(headings):
        table.add_column(heading, justify="right" if k else "left", overflow="fold", no_wrap=k > 0)
    for condition in explanation.conditions:
        for cells in _rows(explanation, condition):
            table.add_row(*(Text(cell if k else _plain(cell)) for k, cell in enumerate(cells)))
    console.print(table)
    metrics = explanation.metrics
    line(
        console,
        "accuracy",
        f"{metrics.accuracy:.4f} on {explanation.measured:,} rows (majority {metrics.majority:.4f}, ROC AUC "
        f"{metrics.roc_auc:.4f})",
    )
    line(console, "odds", interval_text(explanation))
    line(console, "lost", measured_text(explanation))
    for sentence in truth_texts(explanation):
        line(console, "truth", sentence)
    for name, sentence in (("together", alike_text(explanation)), ("rare", scarce_text(explanation))):
        if sentence:
            line(console, name, sentence)
    for note in explanation.notes:
        line(console, "note", note)
    line(console, "not cause", CAUTION)
    line(console, "who sees", WHO)


def _rows(explanation: Explanation, condition: Condition) -> Iterator[list[str]]:
    """Yield a row per comparison: "age +10" of a number, a category below the commonest one, whose odds are times 1.

    The importance stands in the first row.
    """
    losses = [loss_text(loss, 3) for loss in (condition.importance.auc, condition.importance.accuracy)]
    first = condition.effects[0]
    known = explanation.truth is not None
    if first.reference is not None:
        yield [f"{condition.name}: {first.reference}", "1", *(["1"] if known else []), *losses]
    for k, effect in enumerate(condition.effects):
        name = f"{condition.name} +{effect.step:,g}" if effect.category is None else f"  {effect.category}"
        cells = [name, ratio_text(effect.change)]
        if explanation.truth is not None:
            cells.append(ratio_text(Estimate(explanation.truth.changes[condition.name][k], float("nan"))))
        yield [*cells, *(losses if effect.category is None else ["", ""])]


def _plain(cell: str) -> str:
    """Return the cell on one line; blanks in front, which indent it, stay."""
    return "  " * cell.startswith("  ") + one_line(cell)


def _some(named: list[str]) -> str:
    more = len(named) - _MOST
    return ", ".join(named[:_MOST]) + (f" and {more} more" if more > 0 else "") + "."
