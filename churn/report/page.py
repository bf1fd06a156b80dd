"""One self-contained HTML page about a comparison: no script, no font, no request to anyone."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from churn.pages.drawing import as_data_uri
from churn.pages.html import FOOT, HEAD, listed, write
from churn.report import charts
from churn.report.results import Results
from churn.units import bits_of, bytes_text, difference_text, seconds_text

__all__ = ["render", "write_report"]

_BODY = Template("""\
<body>
<header><div>
<h1>Who may leave? Scored in the clear and encrypted</h1>
<p>Company A owns employee records. Company B owns a model. $rows employees that the model had
never seen were scored twice: once in the clear, once without B seeing a single number.</p>
</div></header>
<main>
<div class="figures">
<div><b>$plain</b><span>accuracy in the clear</span></div>
<div><b>$encrypted</b><span>accuracy encrypted</span></div>
<div class="$differ_class"><b>$differ</b><span>of $rows predictions differ</span></div>
</div>

<section>
<h2>Both worlds side by side</h2>
<p>$differ_text</p>
<table class="summary"><thead><tr><th></th><th scope="col">in the clear</th>
<th scope="col">encrypted</th><th scope="col">difference</th></tr></thead>
<tbody>
$summary
</tbody></table>
</section>

<section>
<h2>Right and wrong</h2>
<p>How many of those who really left, or stayed, were predicted to.</p>
<div class="pair">
$confusion
</div>
</section>

<section>
<h2>Row by row</h2>
<p>No probability is off by more than $total_error ($total_bits).</p>
<div class="pair">
<figure><img src="$scatter" alt="Scatter plot: encrypted probability against plain probability">
<figcaption>One dot per employee. On the diagonal both worlds agree.</figcaption></figure>
<figure><img src="$differences" alt="Scatter plot: difference of the two probabilities">
<figcaption>What the left picture cannot show: the difference, enlarged. The line is what replacing
the sigmoid by a polynomial does already in the clear$line_text; the scatter around it is the encryption's
own.</figcaption></figure>
</div>
</section>

<section>
<h2>Scores and errors</h2>
<p>$polynomial_text Encryption itself adds at most $encryption_error ($encryption_bits).</p>
<div class="pair">
<figure><img src="$scores" alt="Histogram of the scores of those who stayed and who left">
<figcaption>Distribution of the scores by what really happened; the dashed line is the threshold.
Filled: encrypted. Outline: in the clear.</figcaption></figure>
<figure><img src="$errors" alt="Histogram of the error of the probabilities, by cause">
<figcaption>How precise each probability is, by cause; right is better.</figcaption></figure>
</div>
</section>

<section>
<h2>Who saw what</h2>
<p>A encrypts its records with a key that never leaves it and sends ciphertexts. B multiplies
and adds ciphertexts by its weights, without being able to read one of them, and returns an
encrypted score per employee. Only A can decrypt it$sigmoid_text. B learns that a request came and how
large it was; A learns the answers, from which a linear model can be worked out if enough rows
are asked for. Nothing proves to A that B used the model it named, and decrypted probabilities
carry a trace of the key, which rounding alone does not remove: A keeps them to itself.</p>
<table class="saw"><thead><tr><th></th><th scope="col">A, the owner of the records</th>
<th scope="col">B, the owner of the model</th></tr></thead>
<tbody>
$who
</tbody></table>
</section>

<section>
<h2>What it cost</h2>
<p>$total_seconds all in all, the start of the service included; $throughput rows a second while
scoring. Sent: $up of encrypted records ($per_row per employee), $down of encrypted answers, and
$keys of keys, once.</p>
<table class="time"><tbody>
$seconds
</tbody></table>
</section>

<section>
<h2>Parameters and security</h2>
<table class="params"><tbody>
$parameters
</tbody></table>
</section>
$notes
""")
_PARAMETERS = {
    "ring_degree": ("Ring degree N", "a ciphertext is a pair of polynomials with N coefficients"),
    "log2_qp": ("log2(QP)", "bits of the modulus under which the keys are published"),
    "security_bits": ("Security", "bits: an attack costs about 2 to this power steps"),
    "levels": ("Levels", "products in a row that the parameters allow"),
    "scale_bits": ("Scale", "bits by which numbers are scaled before they are rounded"),
    "flooding_bits": ("Flooding", "all answers together tell 2 to minus this power of a bit more than their values"),
    "flooding_answers": ("Answers", "that may be given to one client before that holds no longer"),
    "answer_error": ("Error of an answer", "at most, flooding and rounding included"),
    "backend": ("Kernels", "the code that did the arithmetic; every choice gives the same words"),
}
_STEPS = (
    ("train", "Train the model, in the clear", "B"),
    ("keygen", "Make the keys", "A"),
    ("upload_keys", "Send the public keys, once", "A"),
    ("encrypt", "Encrypt the records", "A"),
    ("evaluate", "Score them encrypted, transfer included", "B"),
    ("decrypt", "Decrypt the probabilities", "A"),
)
_WHO_SAW = (
    ("Employee records", "yes, they are its own", "ciphertexts only"),
    ("Predicted probabilities", "yes, after decrypting", "ciphertexts only"),
    ("Who really left", "yes", "no, it never leaves A"),
    ("Secret key", "yes, it was made here and stays", "no"),
    ("Public and evaluation keys", "yes", "yes; they compute, they do not decrypt"),
    ("Weights of the model", "what the scores tell, and the columns it looks at", "yes, they are its own"),
    ("Number of records, time of the request", "yes", "yes"),
)


def write_report(results: Results, path: str | Path) -> Path:
    """Write the page to `path`, folders included, and return the path."""
    return write(render(results), path)


def render(results: Results) -> str:
    """Return the page. Every text that comes from `results` is escaped."""
    error, same = results.probability_error, results.labels_differ == 0
    evaluated = error.polynomial > 0  # the sigmoid, as a polynomial, under encryption
    head = HEAD.substitute(title="Attrition, scored in the clear and encrypted", style="")
    body = _BODY.substitute(
        rows=f"{results.rows:,}",
        plain=f"{results.plain.accuracy:.1%}",
        encrypted=f"{results.encrypted.accuracy:.1%}",
        differ=f"{results.labels_differ:,}",
        differ_class="good" if same else "warn",
        differ_text=_differ_text(results),
        summary=_rows(_summary(results)),
        confusion=_confusion("In the clear", results.labels, results.p_plain)
        + _confusion("Encrypted", results.labels, results.p_encrypted),
        scatter=as_data_uri(charts.scatter(results)),
        differences=as_data_uri(charts.differences(results)),
        scores=as_data_uri(charts.scores(results)),
        errors=as_data_uri(charts.errors(results)),
        total_error=_power(error.total),
        total_bits=bits_of(error.total),
        polynomial_text=f"The polynomial for the sigmoid is off by at most {_power(error.polynomial)}."
        if evaluated
        else "The sigmoid itself is exact: A applies it after decrypting.",
        line_text="" if evaluated else " (here nothing: A applies the exact one)",
        sigmoid_text="" if evaluated else ", and applies the sigmoid",
        encryption_error=_power(error.encryption),
        encryption_bits=bits_of(error.encryption),
        seconds=_seconds(results),
        total_seconds=seconds_text(results.seconds.total),
        throughput=f"{results.rows / results.seconds.evaluate:,.0f}"
        if results.seconds.evaluate > 0
        else "more than measurable",
        up=bytes_text(results.traffic.up),
        per_row=bytes_text(round(results.traffic.up / results.rows)),
        down=bytes_text(results.traffic.down),
        keys=bytes_text(results.traffic.keys),
        who=_rows((escape(a), escape(b), escape(c)) for a, b, c in _WHO_SAW),
        parameters=_rows(_parameters(results)),
        notes=listed("Notes on the data", results.notes),
    )
    return head + body + FOOT


def _differ_text(results: Results) -> str:
    changed = (results.p_plain >= 0.5) != (results.p_encrypted >= 0.5)
    if not changed.any():
        return "Every single prediction is the same in both worlds."
    furthest = float(np.abs(results.p_plain[changed] - 0.5).max())
    return (
        f"{results.rows - results.labels_differ:,} of {results.rows:,} predictions are the same "
        f"in both worlds; the others changed sides, from at most {_power(furthest)} away from one "
        "half."
    )


def _rows(rows: Iterable[Iterable[str]]) -> str:
    """Return table rows, the first cell a heading; the cells are HTML already."""
    return "\n".join(
        "<tr>"
        + "".join(f"<th scope='row'>{cell}</th>" if k == 0 else f"<td>{cell}</td>" for k, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )


def _summary(results: Results) -> Iterable[tuple[str, str, str, str]]:
    for name, part, meaning in (
        ("Accuracy", "accuracy", "share of right predictions"),
        ("Balanced accuracy", "balanced_accuracy", "mean over those who stayed and who left"),
        ("ROC AUC", "roc_auc", "chance that a leaver scores above a stayer"),
    ):
        plain, encrypted = getattr(results.plain, part), getattr(results.encrypted, part)
        yield (
            f"{name}<small>{meaning}</small>",
            f"{plain:.4f}",
            f"{encrypted:.4f}",
            difference_text(encrypted - plain),
        )
    yield (
        "Majority class<small>accuracy of always giving the commoner answer</small>",
        f"{results.plain.majority:.4f}",
        f"{results.encrypted.majority:.4f}",
        "",
    )


def _confusion(title: str, labels: np.ndarray, probabilities: np.ndarray) -> str:
    said = probabilities >= 0.5
    cells = ""
    for truth, name in ((True, "left"), (False, "stayed")):
        cells += f"<tr><th scope='row'>really {name}</th>"
        rows = labels == truth
        for guess in (True, False):
            count = int((rows & (said == guess)).sum())
            share = count / max(1, int(rows.sum()))
            kind = "hit" if guess == truth else "miss"
            cells += (
                f"<td class='{kind}' style='--share:{share:.3f}'><b>{count:,}</b>"
                f"<small>{share:.1%} of them</small></td>"
            )
        cells += "</tr>"
    return (
        f"<table class='confusion'><caption>{title}</caption><thead><tr><td></td>"
        f"<th scope='col'>predicted to leave</th><th scope='col'>predicted to stay</th></tr>"
        f"</thead><tbody>{cells}</tbody></table>"
    )


def _power(value: float) -> str:
    if value == 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits} &times; 10<sup>{int(exponent)}</sup>".replace("-", "&minus;")


def _seconds(results: Results) -> str:
    longest = max(getattr(results.seconds, step) for step, _, _ in _STEPS) or 1.0
    return "".join(
        f"<tr><th scope='row'>{name}</th><td class='who {who.lower()}'><span>{who}</span></td>"
        f"<td class='bar {who.lower()}'><i style='width:"
        f"{max(0.4, 100 * getattr(results.seconds, step) / longest):.1f}%'></i></td>"
        f"<td class='num'>{seconds_text(getattr(results.seconds, step))}</td></tr>"
        for step, name, who in _STEPS
    )


def _parameters(results: Results) -> Iterable[tuple[str, str, str]]:
    for key, value in results.params.items():
        name, meaning = _PARAMETERS.get(key, (key.replace("_", " ").capitalize(), ""))
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if isinstance(value, float) else str(value)
        yield escape(name), escape(shown), escape(meaning)
