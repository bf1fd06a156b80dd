"""What every page has: it is one file, with a style of its own, and loads nothing: no script, no font, no picture."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

__all__ = ["FOOT", "HEAD", "listed", "write"]

HEAD = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { --ink: #1f2933; --soft: #5c6773; --line: #e2e6ea; --paper: #fff; --back: #f3f5f7;
        --blue: #3b6ea8; --red: #c8553d; --teal: #14827a; --amber: #d99a2b; color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
       font: 16px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main, header > div { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
header { background: #12333a; color: #eaf3f2; padding: 44px 0 92px; }
header p { max-width: 46em; margin: 0; color: #b9d0cf; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 10px; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 0 0 6px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
          padding: 24px 28px; margin: 0 0 20px; }
section > p { margin: 0 0 16px; color: var(--soft); max-width: 52em; }
.figures { display: grid; grid-template-columns: repeat(3, 1fr); gap: 16px; margin: -60px 0 20px; }
.figures div { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
               padding: 18px 22px; border-top: 4px solid var(--blue); }
.figures div + div { border-top-color: var(--teal); }
.figures .good { border-top-color: #3f9b5b; } .figures .warn { border-top-color: var(--amber); }
.figures b { display: block; font-size: 2.3rem; line-height: 1.15; letter-spacing: -.02em; }
.figures span { color: var(--soft); font-size: .92rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 28px; }
figure { margin: 0; min-width: 0; } figure img { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: 6px; }
sup { font-size: .75em; line-height: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 9px 10px; border-bottom: 1px solid var(--line);
         vertical-align: top; font-weight: 400; }
thead th { color: var(--soft); font-size: .85rem; }
tbody tr:last-child > * { border-bottom: 0; }
small { display: block; color: var(--soft); font-size: .82rem; }
.summary td, .summary thead th + th, .num { text-align: right; white-space: nowrap; }
.summary tbody tr:first-child { font-weight: 600; }
.summary tbody tr:first-child > * { font-weight: 600; }
.summary small { font-weight: 400; }
.confusion { table-layout: fixed; border-collapse: separate; border-spacing: 4px; }
.confusion caption { text-align: left; font-weight: 600; padding: 0 4px 4px; }
.confusion th, .confusion td { border: 0; } .confusion thead > * > * { padding: 2px 10px; }
.confusion tbody th { color: var(--soft); font-size: .85rem; vertical-align: middle; }
.confusion b { font-size: 1.4rem; } .confusion td { border-radius: 6px; }
.hit { background: rgba(20, 130, 122, calc(.06 + .34 * var(--share))); }
.miss { background: rgba(200, 85, 61, calc(.06 + .34 * var(--share))); }
.time th { width: 22em; } .time td.num { width: 6.5em; } .time .who { width: 3.5em; }
.time > tbody > tr > * { vertical-align: middle; }
.who span { display: inline-block; width: 1.6em; line-height: 1.6em; text-align: center;
            border-radius: 50%; color: #fff; font-size: .8rem; background: var(--blue); }
.who.b span, .bar.b i { background: var(--amber); }
.bar { vertical-align: middle; } .bar i { display: block; height: 12px; border-radius: 3px;
                                          background: var(--blue); }
.params td:nth-child(2) { font-weight: 600; white-space: nowrap; }
.params td:last-child { color: var(--soft); }
footer { color: var(--soft); font-size: .85rem; padding: 4px 0 40px; }
@media (max-width: 760px) { .figures, .pair { grid-template-columns: 1fr; }
  .time .bar { display: none; } section { padding: 18px 16px; overflow-x: auto; } }
@media print { body { background: #fff; } section { break-inside: avoid; } }
$style</style>
</head>
""")
"""Fill in a title and what style the page needs beyond this one."""

FOOT = """\
<footer>This page is one file: it loads nothing and runs no script.</footer>
</main>
</body>
</html>
"""


def listed(title: str, sentences: Iterable[str], first: str = "") -> str:
    """Return a section with a list of sentences, escaped here; nothing where there are none."""
    lines = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    before = f"<p>{first}</p>" if first else ""
    return f"<section><h2>{title}</h2>{before}<ul>{lines}</ul></section>" if lines else ""


def write(page: str, path: str | Path) -> Path:
    """Write a page, folders included; return its path."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target
