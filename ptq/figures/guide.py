"""The tables of the model optimization guide: what each technique costs and gains, network by network."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.figures.measure import REFERENCE_ROUNDS, TECHNIQUES, Accuracy, Performance
from ptq.figures.text import Section

FLOAT = TECHNIQUES[0]

HEADER = (
    "float", "float16", 'dynamic range, "2018"', 'dynamic range, "current"', "int8", "int16 activations"
)  # fmt: skip
"""TECHNIQUES as the tables call them."""


def guide_sections(measured: Sequence[Performance], found: Sequence[Accuracy]) -> list[Section]:
    """Size, latency and accuracy by technique; of networks of one kind only, what there is of them."""
    sections = [sizes_by_technique(measured, found)]
    if measured:
        sections.append(times_by_technique(measured))
    if found:
        sections.append(accuracies_by_technique(found))
    return sections


def sizes_by_technique(measured: Sequence[Performance], found: Sequence[Accuracy]) -> Section:
    """The bytes of every file, and their share of the float file's."""
    files = [(p.network.title, p.sizes) for p in measured] + [(a.name, a.sizes) for a in found]
    rows = []
    for name, sizes in files:
        others = (f"{sizes[t]:,} ({sizes[t] / sizes[FLOAT]:.3f})" for t in TECHNIQUES[1:])
        rows.append([name, f"{sizes[FLOAT]:,}", *others])
    remark = (
        "In parentheses: relative to the float file. Dynamic range leaves biases and small weights float; "
        "each channel with a scale of its own costs 12 bytes. Beside int16 activations an LSTM stays float."
    )
    return Section("Size by technique", "", ("bytes", *HEADER), rows, remark)


def times_by_technique(measured: Sequence[Performance]) -> Section:
    """The time of an inference of every file in every runtime, and how many times faster than float."""
    rows = []
    for p in measured:
        for runtime, seconds in p.seconds.items():
            others = (f"{1000 * seconds[t]:.1f} ({p.speedup(runtime, t):.2f} x)" for t in TECHNIQUES[1:])
            rows.append([p.network.title, runtime, f"{1000 * seconds[FLOAT]:.1f}", *others])
    remark = (
        "Milliseconds, measured as those above, in the reference kernels at most "
        f"{REFERENCE_ROUNDS} times; in parentheses: float time / its time, in the same runtime."
    )
    return Section("Latency by technique", "", ("ms", "in", *HEADER), rows, remark, names=2)


def accuracies_by_technique(found: Sequence[Accuracy]) -> Section:
    """The right answers of the trained networks."""
    rows = [[a.name, *(f"{a.right[t]:,} ({a.share(t):.2%})" for t in TECHNIQUES)] for a in found]
    errors = ", ".join(f"{a.standard_error(FLOAT):.2%}" for a in found)
    remark = (
        f"Of {found[0].examples:,} test examples. One standard error is {errors}, row by row: differences "
        "below it mean nothing."
    )
    return Section("Accuracy by technique", "", ("right", *HEADER), rows, remark)
