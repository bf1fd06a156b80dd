"""An explanation as one self-contained HTML page: no script, no font, no request to anyone."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template

from churn.explain import charts
from churn.explain.effects import Estimate
from churn.explain.explanation import Explanation
from churn.explain.text import (
    CAUTION,
    WHO,
    alike_text,
    interval_text,
    label_of,
    loss_text,
    measured_text,
    ratio_text,
    scarce_text,
    truth_texts,
)
from churn.pages.drawing import as_data_uri
from churn.pages.html import FOOT, HEAD, listed, write

__all__ = ["render", "write_page"]

_STYLE = """\
.figures b.name { font-size: 1.45rem; line-height: 1.6; overflow-wrap: anywhere; }
.trio { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 20px; }
.all td + td, .all thead th + th + th { text-align: right; white-space: nowrap; }
.all th { overflow-wrap: anywhere; } .all tr.more > * { padding-top: 0; }
.caution { border-left: 5px solid var(--amber); } .caution p { color: var(--ink); margin: 0; }
"""
_BODY = Template("""\
<body>
<header><div>
<h1>Which conditions go with $label?</h1>
<p>A logistic regression was trained in the clear. Here is what it goes by: what each condition is worth to
its predictions, by how much it multiplies the odds, and how sure that is.</p>
</div></header>
<main>
<div class="figures">
<div><b class="name">$first</b><span>is worth most: without it predictions lose $first_lost of ROC AUC</span></div>
<div><b>$accuracy</b><span>accuracy on $measured rows; always the commoner answer: $majority</span></div>
<div class="$third_class"><b>$third</b><span>$third_text</span></div>
</div>

<section class="caution">
<h2>Not cause</h2>
<p>$caution</p>
</section>

<section>
<h2>What predictions lose without a condition</h2>
<p>$measured_text An interval that holds 0 means that nothing is seen to be lost: another condition may tell the
same.</p>
<figure><img src="$importance" alt="Bars: area under the ROC curve lost without each condition">
<figcaption>$importance_caption</figcaption></figure>
</section>

<section>
<h2>By how much a condition multiplies the odds</h2>
<p>All other conditions of the table being equal; odds are p / (1 &minus; p), so even odds times 2 are a
probability of 67 %. A number is compared with one that is larger by about a standard deviation, a category with
the commonest one. $interval_text</p>
<figure><img src="$effects" alt="Odds ratios with intervals">
<figcaption>Right of 1: $label more often. Grey: the interval holds 1.$effects_caption</figcaption></figure>
</section>
$dependences
$truth
<section>
<h2>What the model knows little about</h2>
<p>$scarce</p>
<p>$alike</p>
</section>

<section>
<h2>All numbers</h2>
<p>The coefficient is the change of the logit per standard deviation, of a number or of the 0 and 1 of a category;
its exponential is the odds ratio beside it. Numbers count as the nearest end of the range met in training when
they are beyond it.</p>
<table class="all"><thead><tr><th></th><th scope="col">compared</th><th scope="col">odds times</th>$truth_heading
<th scope="col">coefficient</th><th scope="col">odds times, per deviation</th><th scope="col">ROC AUC lost</th>
<th scope="col">accuracy lost</th><th scope="col">spread of shuffles<small>AUC, accuracy</small></th></tr></thead>
<tbody>
$rows
</tbody></table>
</section>

<section>
<h2>Who sees what</h2>
<p>$who</p>
</section>
$notes
""")


def write_page(explanation: Explanation, path: str | Path) -> Path:
    """Write the page to `path`, folders included, and return the path."""
    return write(render(explanation), path)


def render(explanation: Explanation) -> str:
    """Return the page. Every text that comes from the table is escaped."""
    truth, scarce, label = explanation.truth, explanation.scarce, escape(label_of(explanation))
    first, metrics = explanation.conditions[0], explanation.metrics
    if truth is not None:
        third = f"{truth.shared} of {truth.top}", "of the conditions that truly matter most were found", "good"
    else:
        third = f"{len(scarce)}", "groups that the model knows little about", "warn" if scarce else "good"
    head = HEAD.substitute(title=f"Which conditions go with {label}?", style=_STYLE)
    body = _BODY.substitute(
        label=label,
        first=escape(first.name),
        first_lost=f"{first.importance.auc.lost:.3f}",
        accuracy=f"{metrics.accuracy:.1%}",
        majority=f"{metrics.majority:.1%}",
        measured=f"{explanation.measured:,}" + (" held-out" if explanation.sure else ""),
        third=third[0],
        third_text=third[1],
        third_class=third[2],
        caution=escape(CAUTION),
        measured_text=escape(measured_text(explanation)),
        interval_text=escape(interval_text(explanation)),
        importance=as_data_uri(charts.importance(explanation)),
        importance_caption=_shown(charts.MOST_CONDITIONS, len(explanation.conditions), "conditions")
        + ("" if truth is None else " Diamonds: what predictions with the true probabilities would lose."),
        effects=as_data_uri(charts.effects(explanation)),
        effects_caption=("" if truth is None else " Diamonds: in truth, the mean over the rows.")
        + " "
        + _shown(charts.MOST_EFFECTS, sum(len(one.effects) for one in explanation.conditions), "comparisons"),
        dependences=_dependences(explanation),
        truth=_truth(explanation),
        scarce=escape(scarce_text(explanation)),
        alike=escape(alike_text(explanation) or "No two numeric conditions go closely together."),
        truth_heading="" if truth is None else '<th scope="col">in truth</th>',
        rows="\n".join(_rows(explanation)),
        who=escape(WHO),
        notes=listed("Notes on the data", explanation.notes),
    )
    return head + body + FOOT


def _shown(most: int, there: int, what: str) -> str:
    return f"The first {most} of {there} {what}; the table below has all." if there > most else ""


def _dependences(explanation: Explanation) -> str:
    if not explanation.dependences:
        return ""
    limits = charts.limits_of(explanation.dependences)
    figures = "".join(
        f'<figure><img src="{as_data_uri(charts.dependence(one, limits))}" alt="Mean probability along '
        f'{escape(one.condition)}"></figure>'
        for one in explanation.dependences
    )
    band = " The band is its 95 % interval." if explanation.sure else ""
    true = "" if explanation.truth is None else " Dashed: the same asked of the generator, thresholds included."
    return (
        "<section><h2>The probability along a condition</h2><p>The mean predicted probability if every row had that "
        f"value of one condition and kept the others.{band} Grey: the outer 5 % of the rows on either side, by which "
        f"little is backed.{true}</p><div class='trio'>{figures}</div></section>"
    )


def _truth(explanation: Explanation) -> str:
    return listed(
        "How close this comes to the truth",
        truth_texts(explanation),
        "The data are synthetic: the probability of each row is known, and can be asked the same questions. Its "
        "effects have thresholds and act together, which a logistic regression averages, and mostly finds smaller.",
    )


def _rows(explanation: Explanation) -> Iterator[str]:
    for condition in explanation.conditions:
        auc, accuracy = condition.importance.auc, condition.importance.accuracy
        for k, effect in enumerate(condition.effects):
            cells = [effect.compared, ratio_text(effect.change)]
            if explanation.truth is not None:
                cells.append(ratio_text(Estimate(explanation.truth.changes[condition.name][k], float("nan"))))
            cells += [f"{effect.weight.value:+.3f}", ratio_text(effect.weight)]
            losses = [loss_text(auc), loss_text(accuracy), f"{auc.spread:.4f}, {accuracy.spread:.4f}"]
            cells += ["", "", ""] if k else losses
            yield (
                f"<tr{' class=more' if k else ''}><th scope='row'>{'' if k else escape(condition.name)}</th>"
                + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
                + "</tr>"
            )
