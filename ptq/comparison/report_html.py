"""What a comparison found, as one HTML page: no script, nothing to load, readable in print."""

from __future__ import annotations

from ptq.comparison.charts import error_plots, histogram, legend, worst_rows
from ptq.comparison.difference import Difference
from ptq.comparison.glossary import GLOSSARY
from ptq.comparison.report import Comparison, Row, largest, steps_text
from ptq.comparison.style import STYLE
from ptq.comparison.svg import escaped, number
from ptq.terminal import middle_cut

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may load for this page: nothing but the style inside of it."""


LONGEST = 72
"""A name in the table is cut to this; in full it is shown when the mouse is on it."""


def page(comparison: Comparison, label_a: str, label_b: str) -> str:
    """The whole page; labels say what a and b are."""
    title = f"ptq compare: {label_a} and {label_b}"
    body = [
        "<h1>ptq compare</h1>",
        f'<p class="sides"><b>a</b> {escaped(label_a)} (the reference)<br><b>b</b> {escaped(label_b)}</p>',
        _summary(comparison),
        *_plots(comparison),
        *_histograms(comparison),
        _layers(comparison),
        _glossary(),
    ]
    head = [
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escaped(title)}</title>", f"<style>{STYLE}</style>", "</head>", "<body>",
    ]  # fmt: skip
    return "\n".join([*head, *body, "</body>", "</html>", ""])


def _summary(comparison: Comparison) -> str:
    sentences = "".join(f"<li>{escaped(sentence)}</li>" for sentence in comparison.conclusions())
    counts = comparison.kinds
    lines = [(kind, counts[kind], "", "", "") for kind in ("", "identical") if counts.get(kind)]
    for kind, rule, rows in comparison.rules:
        worst = max((row.isolated for row in rows), key=largest)
        lines.append((kind, len(rows), rows[0].number, steps_text(worst), rule))
    cells = "".join(
        f"<tr><td>{_badge(kind)}</td>{''.join(_numbers(str(count), first, steps))}"
        f"<td>{escaped(rule)}</td></tr>"
        for kind, count, first, steps, rule in lines
    )
    head = "<tr><th>isolated</th><th>layers</th><th>first #</th><th>max LSB</th><th>why</th></tr>"
    return f"<h2>Summary</h2><ul>{sentences}</ul><table>{head}{cells}</table>"


def _plots(comparison: Comparison) -> list[str]:
    if not comparison.rows:
        return []
    caption = (
        "The largest difference of each layer, in execution order. Isolated: the operator of b on a's "
        "values, its own doing. Cumulative: with what the layers before left behind. No bar: no difference."
    )
    plots = "".join(f"<figure>{plot}</figure>" for plot in error_plots(comparison))
    return ["<h2>Errors layer by layer</h2>", f"<p>{caption}</p>", legend(comparison), plots]


def _histograms(comparison: Comparison) -> list[str]:
    rows = worst_rows(comparison)
    if not rows:
        return []
    alone = rows[0].isolated is not None and rows[0].isolated.counts is not None
    what = "isolated" if alone else "cumulative"
    figures = []
    for row in rows:
        difference = row.isolated if alone else row.cumulative
        assert difference is not None, "rows without it are not among the worst"
        name = f"{row.number} {row.type} {middle_cut(row.name, 40)}"
        share = f"{difference.differing:,} of {difference.count:,} values differ"
        caption = f"<figcaption>{escaped(name)}<br>{_badge(difference.verdict.kind)} {share}</figcaption>"
        figures.append(f"<figure>{caption}{histogram(difference, name)}</figure>")
    head = f"<h2>The worst layers</h2><p>The {what} differences, value by value. Grey: no difference.</p>"
    return [head, '<div class="panels">', *figures, "</div>"]


def _layers(comparison: Comparison) -> str:
    heads = (
        "<tr><th colspan=3></th><th colspan=5>isolated</th><th colspan=4>cumulative</th><th></th></tr>"
        "<tr><th>#</th><th>operator</th><th>tensor</th>"
        "<th>class</th><th>why</th><th>max LSB</th><th>rms LSB</th><th>differ</th>"
        "<th>class</th><th>max LSB</th><th>max error</th><th>SQNR dB</th><th>1 LSB</th></tr>"
    )
    rows = "\n".join(_layer(row) for row in comparison.rows)
    return f'<h2>Layers</h2><table class="layers"><thead>{heads}</thead><tbody>{rows}</tbody></table>'


def _layer(row: Row) -> str:
    own, whole = row.isolated, row.cumulative
    cells = [
        f"<td class=n>{escaped(row.number)}</td>",
        f"<td>{escaped(row.type)}</td>",
        f'<td class="name" title="{escaped(row.name)}">{escaped(middle_cut(row.name, LONGEST))}</td>',
    ]
    if own is None:
        cells.append(f"<td colspan=5>not isolated: {escaped(row.obstacle)}</td>")
    else:
        cells += [f"<td>{_badge(own.verdict.kind)}</td>", f"<td class=why>{escaped(_reason(own))}</td>"]
        cells += _numbers(number(own.max_steps), number(own.rms_steps), _share(own))
    sqnr = "identical" if whole.identical else f"{whole.sqnr:.1f}"
    title = f' title="{escaped(whole.verdict.why)}"' if whole.verdict.why else ""
    cells.append(f"<td{title}>{_badge(whole.verdict.kind)}</td>")
    cells += _numbers(number(whole.max_steps), number(whole.max_error), sqnr, number(whole.step))
    return f"<tr>{''.join(cells)}</tr>"


def _reason(difference: Difference) -> str:
    """The deciding fields by name, or the rule, and the numbers of this layer."""
    verdict = difference.verdict
    cause = " or ".join(verdict.fields) if verdict.fields else verdict.rule
    return "; ".join(words for words in (cause, verdict.detail) if words)


def _numbers(*texts: str) -> list[str]:
    return [f"<td class=n>{escaped(text)}</td>" for text in texts]


def _share(difference: Difference) -> str:
    if difference.count == 0 or difference.differing == 0:
        return "0"
    share = 100 * difference.differing / difference.count
    return f"{share:.2g} %" if share < 99.5 else "100 %"


def _badge(kind: str) -> str:
    return f'<span class="kind {escaped(kind or "none")}">{escaped(kind or "not isolated")}</span>'


def _glossary() -> str:
    terms = "".join(f"<dt>{escaped(term)}</dt><dd>{escaped(words)}</dd>" for term, words in GLOSSARY.items())
    return f"<h2>What the words mean</h2><dl>{terms}</dl>"
