"""Which conditions drive the label: what HR asked. All in the clear, on the machine of whoever owns the data.

effects      odds ratios in human units with intervals; groups the model knows little about
importance   what predictions lose without a condition; how the probability depends on one
truth        the same asked of a generator whose truth is known, and how close the model comes
explanation  `explain(model, parts)`: all of it
text         its words, and its table in a terminal; page, charts are how it looks as one HTML file
"""

from __future__ import annotations

from churn.explain.explanation import Condition, Explanation, as_json, explain

__all__ = ["Condition", "Explanation", "as_json", "explain"]
