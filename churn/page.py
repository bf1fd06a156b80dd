"""The report's page: HTML and style, with $places that `churn.report` fills; HEAD suits any page."""

from __future__ import annotations

from string import Template

__all__ = ["HEAD", "PAGE"]

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

PAGE = Template(
    HEAD.substitute(title="Attrition, scored in the clear and encrypted", style="")
    + """\
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
<footer>This page is one file: it loads nothing and runs no script.</footer>
</main>
</body>
</html>
"""
)
