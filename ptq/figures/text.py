"""The numbers of the figures as tables, for the terminal and as Markdown, with what they do not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from ptq.figures.measure import FORMS, RUNTIMES, Accuracy, Performance
from ptq.figures.published import PHONE, SOURCES
from ptq.figures.timing import litert_version
from ptq.terminal import table

FLOAT, FIRST, CURRENT = FORMS

NOT_REPRODUCED = """\
- ImageNet top-1 accuracy: it needs the trained weights and 50,000 images, none of which ptq ships. Accuracy
  is measured on the trained networks that it ships instead. The others have the published structure and
  random weights, on which size and time do not depend.
- The phone: the published times are those of a Pixel 2 (ARM) with the kernels of 2018, ours those of this
  machine with the kernels of today. The ratio depends on both, as the rows above show.
- "Up to 3x" was announced for recurrent networks without saying for which. The gain grows with the size: at
  each step all recurrent weights are read, and as int8 they are a quarter of the bytes.
- The published size of Inception-v3 is 0.4 % above ours, which has just the weights of `slim`'s definition.
"""


@dataclass(frozen=True)
class Section:
    """A table with its title, its picture's file name ("" for none), and a remark.

    names: how many columns hold words.
    """

    title: str
    picture: str
    header: tuple[str, ...]
    rows: list[list[str]]
    remark: str
    names: int = 1

    def plain(self) -> str:
        """For a terminal."""
        return f"{self.title}\n{table(self.header, self.rows, set(self.header[self.names :]), columns=0)}"

    def markdown(self) -> str:
        """For `figures.md`."""
        rule = ["---:" if column >= self.names else "---" for column in range(len(self.header))]
        lines = [self.header, rule, *self.rows]
        rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        picture = f"![{self.title}]({self.picture})\n\n" if self.picture else ""
        return f"## {self.title}\n\n{picture}{rows}\n\n{self.remark}"


def size_section(measured: Sequence[Performance]) -> Section:
    """The bytes of every file, and what was published in MB."""
    rows = []
    for p in measured:
        published = p.network.published
        real, small = (f"{mb:g} MB" for mb in published.megabytes) if published else ("", "")
        share = f"{p.sizes[FIRST] / p.sizes[FLOAT]:.3f}"
        rows.append([
            p.network.title, f"{p.sizes[FLOAT]:,}", real, f"{p.sizes[FIRST]:,}", small, share,
            f"{p.sizes[CURRENT]:,}",
        ])  # fmt: skip
    header = ("bytes", "float", "published", '"2018"', "published", '"2018" / float', '"current"')
    remark = "Ours have random weights; quantized with both recipes of `converter.recipe`."
    return Section("Size", "size.png", header, rows, remark)


def latency_section(measured: Sequence[Performance]) -> Section:
    """The time of an inference of every file in every runtime, and what was published of a phone."""
    rows = []
    for p in measured:
        for runtime in (runtime for runtime in RUNTIMES if runtime in p.seconds):
            seconds = p.seconds[runtime]
            cells = [f"{1000 * seconds[FLOAT]:.1f}"]
            for form in (FIRST, CURRENT):
                cells += [f"{1000 * seconds[form]:.1f}", f"{p.speedup(runtime, form):.2f} x"]
            rows.append([p.network.title, runtime, *cells])
        rows.append([p.network.title, f"published ({PHONE})", *_published_times(p), "", ""])
    header = ("ms", "in", "float", '"2018"', "faster", '"current"', "faster")
    remark = (
        "One inference on one thread, batch 1, median of interleaved runs, in the processor's time, which "
        "counts no other program's; faster: float time / its time. "
        "XNNPACK has no hybrid depthwise convolution: the older kernels run those of "
        '"current" one by one, between its own parts, while "2018" only stores them as int8. ptq multiplies '
        "the integers as floats, exactly, and is as fast as float, no faster."
    )
    return Section("Latency", "latency.png", header, rows, remark, names=2)


def accuracy_section(found: Sequence[Accuracy], measured: Sequence[Performance]) -> Section:
    """The right answers of the trained networks, and what was published of others."""
    rows = []
    for a in found:
        shares = [f"{a.right[form]:,} ({a.share(form):.2%})" for form in FORMS]
        rows.append([f"{a.name}, {a.examples:,} examples", *shares, f"{a.standard_error(FLOAT):.2%}"])
    for p in measured:
        if p.network.published:
            real, small = (f"{share:.1%}" for share in p.network.published.top1)
            rows.append([f"{p.network.title}, ImageNet (published)", real, small, "", ""])
    header = ("right", "float", '"2018"', '"current"', "standard error")
    remark = 'What was published of quantized networks is of the first release, as recipe "2018" is.'
    return Section("Accuracy", "accuracy.png", header, rows, remark)


def document(sections: Sequence[Section], command: str) -> str:
    """`figures.md`: what was run, the tables beside their pictures, and what is not reproduced."""
    litert = litert_version()
    runtime = f"ai-edge-litert {litert}" if litert else "without LiteRT, which is not installed"
    paragraphs = [
        "# The announcement's figures, measured again",
        f"Made by `{command}` with ptq {_own_version()}, NumPy {np.__version__}, {runtime}.",
        f"Published: {SOURCES}",
        *(section.markdown() for section in sections),
        f"## What is not reproduced\n\n{NOT_REPRODUCED}",
    ]
    return "\n\n".join(paragraphs)


def _published_times(performance: Performance) -> list[str]:
    """Float, quantized, and how many times faster; of LSTMs the last alone."""
    published = performance.network.published
    if published is None:
        return ["", "", f"up to {performance.network.speedup:g} x"]
    return [*(f"{ms:g}" for ms in published.milliseconds), f"{published.speedup:.2f} x"]


def _own_version() -> str:
    try:
        return version("ptq")
    except PackageNotFoundError:
        return "from a source tree"
