"""One self-contained HTML page about a comparison: no script, no font, no request to anyone."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np

from churn import charts
from churn.page import PAGE
from churn.results import Results, bits_of, bytes_text, difference_text, seconds_text

__all__ = ["render", "write_report"]

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
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(results), encoding="utf-8")
    return target


def render(results: Results) -> str:
    """Return the page. Every text that comes from `results` is escaped."""
    error, same = results.probability_error, results.labels_differ == 0
    evaluated = error.polynomial > 0  # the sigmoid, as a polynomial, under encryption
    return PAGE.substitute(
        rows=f"{results.rows:,}",
        plain=f"{results.plain.accuracy:.1%}",
        encrypted=f"{results.encrypted.accuracy:.1%}",
        differ=f"{results.labels_differ:,}",
        differ_class="good" if same else "warn",
        differ_text=_differ_text(results),
        summary=_rows(_summary(results)),
        confusion=_confusion("In the clear", results.labels, results.p_plain)
        + _confusion("Encrypted", results.labels, results.p_encrypted),
        scatter=charts.as_data_uri(charts.scatter(results)),
        differences=charts.as_data_uri(charts.differences(results)),
        scores=charts.as_data_uri(charts.scores(results)),
        errors=charts.as_data_uri(charts.errors(results)),
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
        notes=_notes(results.notes),
    )


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


def _notes(notes: tuple[str, ...]) -> str:
    if not notes:
        return ""
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<section><h2>Notes on the data</h2><ul>{listed}</ul></section>"
