"""The three pictures: sizes, times and accuracies, each with the published numbers."""

from __future__ import annotations

from collections.abc import Sequence

from ptq import plot
from ptq.figures.measure import FORMS, RUNTIMES, Accuracy, Performance
from ptq.figures.published import PHONE
from ptq.plot import Measured, Panel, Picture

LABELS = {
    "float": "float",
    "hybrid, 2018": 'int8 weights, recipe "2018"',
    "hybrid, current": 'int8 weights, recipe "current"',
}
"""FORMS in the legends."""

SCHEMES = {
    "hybrid, 2018": 'recipe "2018": one scale for all weights of a layer',
    "hybrid, current": 'recipe "current": in convolutions, one scale for each output channel',
}
"""What tells the recipes apart, by the names of FORMS."""


def draw_sizes(measured: Sequence[Performance]) -> Picture:
    """The size of each file in MB; black lines: as published."""
    bars = []
    for p in measured:
        known = p.network.published
        published = dict(zip(FORMS, known.megabytes, strict=False)) if known else {}
        for form in FORMS:
            size = p.sizes[form]
            share = "" if form == FORMS[0] else f"({size / p.sizes[FORMS[0]]:.2f})"
            bars.append(Measured(p.network.title, LABELS[form], size / 1e6, published.get(form), note=share))
    title = "The same networks as files: a quarter of the size with int8 weights"
    return plot.bar_panels([Panel(bars, "file size in MB (and relative to float)")], title)


def draw_speedups(measured: Sequence[Performance]) -> Picture:
    """How many times faster the quantized files are, for both recipes; black lines: as published."""
    published = {p.network.title: p.network.speedup for p in measured}
    panels = []
    for form, scheme in SCHEMES.items():
        bars = [
            Measured(p.network.title, runtime, p.speedup(runtime, form))
            for p in measured for runtime in RUNTIMES if runtime in p.seconds
        ]  # fmt: skip
        level = (1.0, "as fast as float")
        panels.append(Panel(bars, "float time / its time", scheme, published=published, level=level))
    title = "How many times faster than its float file a network runs with int8 weights, on one thread"
    if any(runtime not in p.seconds for p in measured for runtime in RUNTIMES):
        title += "\n(LiteRT is not installed: ptq alone)"
    words = f"published ({PHONE}; LSTM: up to)"
    return plot.bar_panels(panels, title, stacked=True, published=words, first_color=3)


def draw_accuracies(found: Sequence[Accuracy], published: Sequence[Performance]) -> Picture:
    """Right answers in per cent: ours with one standard error, and what was published of other networks."""
    ours = [
        Measured(a.name, LABELS[form], 100 * a.share(form), error=100 * a.standard_error(form))
        for a in found for form in FORMS
    ]  # fmt: skip
    label, title = "right answers in %", f"measured here, {found[0].examples:,} test examples each"
    panels = [Panel(ours, label, title, top=100)]
    theirs = [
        Measured(p.network.title, LABELS[form], 100 * share)
        for p in published if p.network.published
        for form, share in zip(FORMS, p.network.published.top1, strict=False)
    ]  # fmt: skip
    if theirs:
        title = "published, not measured here: ImageNet, top-1"
        panels.append(Panel(theirs, label, title, top=100, pale=True))
    return plot.bar_panels(panels, "What quantizing the weights costs in accuracy")
