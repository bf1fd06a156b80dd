"""Survivors that somebody has looked at and that no test can notice, with the reason.

Keys: (path, the line as it reads, change as printed). A line that is edited has to be looked at again.
"""

from __future__ import annotations

_SHORTCUT = "the vector loop is left out or left early, and the plain loop behind it does the rest: slower, equal words"

Key = tuple[str, str, str]

EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "native/src/avx2/sampling.c",
        "for (; j + 4 <= count && filled + 4 <= room; j += 4) {",
        "+ -> -",
    ): _SHORTCUT,
    (
        "ckks/ring/sampling.py",
        "missing = len(out) - filled",
        "- -> +",
    ): "more candidates than needed are read at once, which does not change the words taken",
    (
        "native/src/avx2/dot.c",
        "const size_t ahead = k + GROUP < terms ? GROUP : 0; /* where the next rows are asked for */",
        "< -> >",
    ): "a hint to the cache only",
    (
        "ckks/kernels/composed.py",
        "for key, index, factor in zip(keys, indices, factors, strict=True):",
        "True -> False",
    ): "the front has checked that these are of one length",
    (
        "ckks/scheme/encoder.py",
        "return array.astype(np.float64, copy=False)",
        "False -> True",
    ): "one copy more",
    (
        "ckks/scheme/encoder.py",
        "return array.astype(np.complex128, copy=False)",
        "False -> True",
    ): "one copy more",
}

REMEDIES: dict[Key, str] = {}
