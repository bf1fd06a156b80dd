"""Mutations of C sources, found in the text between comments, strings and preprocessor lines.

Lines with CHECK are left alone: those ranges are asserted in a build of its own (native/standalone.py), not in the one
that is tested here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmarks.mutants.mutation import Mutation

_HIDDEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.DOTALL | re.MULTILINE)
_OPERATORS = {
    "<=": ("<", ">="),
    ">=": (">", "<="),
    "<": ("<=", ">"),
    ">": (">=", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "+": ("-",),
    "-": ("+",),
    "<<": (">>",),
    ">>": ("<<",),
    "&": ("|",),
    "|": ("&",),
    "&&": ("||",),
    "||": ("&&",),
    "+=": ("-=",),
    "-=": ("+=",),
    "|=": ("&=",),
    "&=": ("|=",),
}
_TOKEN = re.compile(r"(?<= )(<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\|=|&=|[<>+\-&|])(?= )")
_INTEGER = re.compile(r"(?<![\w.])(\d+)(?![\w.xX])")
_SWAP = re.compile(
    r"(?<![\w.\])] )(?<![\w.\])])([A-Za-z_]\w*(?:\[\w+\])?) (-|<<|>>) ([A-Za-z_]\w*(?:\[\w+\])?)(?![\w\[(.])(?! ?->)"
)
_CHECK = re.compile(r"^( *)if \(([^\n]*)\) \{\n *return\b", re.MULTILINE)
_CALL = re.compile(r"^( *)(\w+\([^;{}]*\);)$", re.MULTILINE)


def mutations(path: str, text: str) -> Iterator[Mutation]:
    """Yield the mutations of a C source or header."""
    seen = _HIDDEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
    seen = re.sub(
        r"^.*\b(?:CHECK|_Static_assert|__attribute__|CKKS_TARGET)\b.*$",
        lambda m: " " * len(m.group()),
        seen,
        flags=re.MULTILINE,
    )

    def made(operator: str, start: int, end: int, new: str) -> Mutation:
        return Mutation(path, text.count("\n", 0, start) + 1, operator, start, end, text[start:end], new)

    for match in _TOKEN.finditer(seen):
        kind = "comparison" if match.group()[0] in "<>=!" and match.group() not in ("<<", ">>") else "arithmetic"
        for new in _OPERATORS[match.group()]:
            yield made(kind, match.start(), match.end(), new)
    for match in _INTEGER.finditer(seen):
        value = int(match.group())
        yield made("off by one", match.start(), match.end(), str(value + 1))
        if value > 1:
            yield made("off by one", match.start(), match.end(), str(value - 1))
    for match in _SWAP.finditer(seen):
        left, operator, right = match.groups()
        yield made("swapped operands", match.start(), match.end(), f"{right} {operator} {left}")
    for match in _CHECK.finditer(seen):
        yield made("removed check", match.start(2), match.end(2), "0")
    for match in _CALL.finditer(seen):
        if not match.group(2).startswith(("return", "if", "for", "while", "switch")):
            yield made("removed call", match.start(2), match.end(2), ";")
