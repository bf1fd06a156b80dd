"""Mutations of Python sources, found in the syntax tree and made in the text.

Left alone: what a user reads (docstrings, messages of errors, reprs), what only a type checker reads, imports and
decorators. Changes there would be no defects of what is computed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from benchmarks.mutants.mutation import Mutation

COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<", ">="),
    ast.Gt: (">=", "<"),
    ast.GtE: (">", "<="),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.LShift: ">>",
    ast.RShift: "<<",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.FloorDiv: "*",
}
ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.MatMult)
"""Operators whose operands cannot change places."""
SHOWN = {"__repr__", "__str__", "describe", "summary", "_warn", "main"}
"""Functions that only say something."""


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.found: list[Mutation] = []
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._lines = text.splitlines()

    # ---- places ----------------------------------------------------------------------------------

    def _offset(self, line: int, column: int) -> int:
        """Where a position of the tree (columns in bytes of UTF-8) lies in the text."""
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _add(self, operator: str, line: int, start: int, end: int, new: str) -> None:
        self.found.append(Mutation(self.path, line, operator, start, end, self.text[start:end], new))

    def _replace(self, operator: str, node: ast.expr | ast.stmt, new: str) -> None:
        start, end = self._span(node)
        self._add(operator, node.lineno, start, end, new)

    def _between(self, left: ast.expr, right: ast.expr) -> tuple[int, int]:
        """The text between two operands: an operator, and maybe brackets and blanks."""
        return self._span(left)[1], self._span(right)[0]

    def _source(self, node: ast.expr | ast.stmt) -> str:
        start, end = self._span(node)
        return self.text[start:end]

    # ---- what is left alone ----------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name in SHOWN:
            return
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and "TypeAlias" not in ast.unparse(node.annotation):
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        alias = isinstance(node.value, (ast.BinOp, ast.Subscript)) and all(
            n[:1].isupper() and not n.isupper() for n in names
        )
        if "__all__" in names or "__slots__" in names or (names and alias):
            return
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Import(self, node: ast.Import) -> None:
        pass

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        pass

    # ---- what is changed -------------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return
        raises = any(isinstance(inner, ast.Raise) for inner in node.body)
        if raises or (not node.orelse and isinstance(node.body[-1], ast.Return)):
            self._replace("removed check", node.test, "False")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node.value, ast.Call) and not ast.unparse(node.value.func).startswith(("_warn", "warnings.")):
            self._replace("removed call", node, "pass")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right, operator in zip(operands, node.comparators, node.ops):
            start, end = self._between(left, right)
            text = self.text[start:end]
            for new in COMPARISONS[type(operator)]:
                old = next(o for o in ("not in", "is not", "<=", ">=", "==", "!=", "<", ">", "in", "is") if o in text)
                at = start + text.index(old)
                self._add("comparison", left.lineno, at, at + len(old), new)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:]):
            start, end = self._between(left, right)
            at = start + self.text[start:end].index(old)
            self._add("logic", left.end_lineno or left.lineno, at, at + len(old), new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, (ast.Not, ast.USub)):
            self._replace(
                "removed " + ("not" if isinstance(node.op, ast.Not) else "sign"),
                node,
                f"({self._source(node.operand)})",
            )
            if isinstance(node.operand, ast.Constant):
                return
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        start, end = self._between(node.left, node.right)
        text = self.text[start:end]
        if type(node.op) in ARITHMETIC:
            symbol = {
                ast.Add: "+",
                ast.Sub: "-",
                ast.LShift: "<<",
                ast.RShift: ">>",
                ast.BitAnd: "&",
                ast.BitOr: "|",
                ast.FloorDiv: "//",
            }
            old = symbol[type(node.op)]
            at = start + text.index(old)
            self._add("arithmetic", node.left.end_lineno or node.lineno, at, at + len(old), ARITHMETIC[type(node.op)])
        if isinstance(node.op, ORDERED):
            first, last = self._span(node)
            bracketed = f"({self._source(node.right)}){_operator(text)}({self._source(node.left)})"
            if (
                self.text[first:last].count("(") == self.text[first:last].count(")")
                and "(" not in text
                and ")" not in text
            ):
                self._add("swapped operands", node.lineno, first, last, bracketed)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._replace("constant", node, str(not value))
        elif isinstance(value, int):
            self._replace("off by one", node, str(value + 1))
            if value > 1:
                self._replace("off by one", node, str(value - 1))
        elif isinstance(value, float):
            self._replace("constant", node, repr(value * 1.25 if value else 1.0))

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func) == "range" and node.args:
            stop = node.args[0] if len(node.args) == 1 else node.args[1]
            self._replace("off by one", stop, f"{self._source(stop)} - 1")
        self.generic_visit(node)


def _operator(text: str) -> str:
    return f" {text.strip()} "


def mutations(path: str, text: str) -> Iterator[Mutation]:
    """Yield every mutation of a Python source; a few may not parse (see `parses`)."""
    finder = _Finder(path, text)
    finder.visit(ast.parse(text))
    yield from finder.found


def parses(text: str) -> bool:
    """Tell whether a changed source is still Python."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True
