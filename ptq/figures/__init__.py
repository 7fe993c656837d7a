"""The figures of the announcement of post-training quantization, made again: size, latency, accuracy.

    print(ptq.figures.make_figures("figures", ["mobilenet_v1", "fashion_cnn"]))

writes pictures and a page with their numbers, `figures.md`, beside what was published. On the command line:
`ptq figures -o DIR`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ptq import plot
from ptq.errors import InputError
from ptq.figures.draw import draw_accuracies, draw_sizes, draw_speedups
from ptq.figures.guide import guide_sections
from ptq.figures.measure import CLASSIFIERS, NETWORKS, classify, performance
from ptq.figures.text import Section, accuracy_section, document, latency_section, size_section
from ptq.format.files import make_directory, write_file
from ptq.plot import Picture

__all__ = ["CLASSIFIERS", "MODELS", "NETWORKS", "make_figures"]

MODELS = (*NETWORKS, *CLASSIFIERS)
"""What can be measured: networks of random weights for size and latency, trained ones for accuracy."""

ROUNDS, QUICK_ROUNDS = 7, 2
"""How often each file is timed."""

EXAMPLES, QUICK_EXAMPLES = 2000, 200
"""How many test examples a trained network classifies."""

PAGE = "figures.md"


def make_figures(
    directory: str | os.PathLike[str], models: Sequence[str] = MODELS, quick: bool = False,
    guide: bool = False,
) -> str:  # fmt: skip
    """Measure the models, write the figures and `figures.md` to `directory`; returns the tables as text.

    models: of MODELS; of networks of one kind only, there are only their figures. quick: fewer runs and
    examples. guide: also the tables of the model optimization guide, for which every technique is measured.
    Raises InputError for another model, if something cannot be written, and without matplotlib.
    """
    unknown = [name for name in models if name not in MODELS]
    if unknown or not models:
        found = repr(unknown[0]) if unknown else "none"
        raise InputError(f"model {found} found, expected some of {', '.join(MODELS)}")
    folder = make_directory(directory)
    plot.picture.new_figure()  # fails now rather than after minutes, if there is no matplotlib
    figures = _measured(models, quick, guide)
    for section, picture in figures:
        if picture is not None:
            plot.save(picture, folder / section.picture)
    command = "ptq figures" + (" --guide" if guide else "") + (" --quick" if quick else "")
    if set(models) != set(MODELS):
        command += f" --models {' '.join(models)}"
    sections = [section for section, _ in figures]
    write_file(folder / PAGE, [document(sections, command).encode()])
    written = [f"wrote {folder / name}" for name in (*(s.picture for s in sections if s.picture), PAGE)]
    return "\n\n".join([*(section.plain() for section in sections), "\n".join(written)])


def _measured(models: Sequence[str], quick: bool, guide: bool) -> list[tuple[Section, Picture | None]]:
    rounds, examples = (QUICK_ROUNDS, QUICK_EXAMPLES) if quick else (ROUNDS, EXAMPLES)
    measured = [performance(name, rounds, guide) for name in NETWORKS if name in models]
    found = [classify(name, examples, guide) for name in CLASSIFIERS if name in models]
    figures: list[tuple[Section, Picture | None]] = []
    if measured:
        figures.append((size_section(measured), draw_sizes(measured)))
        figures.append((latency_section(measured), draw_speedups(measured)))
    if found:
        figures.append((accuracy_section(found, measured), draw_accuracies(found, measured)))
    if guide:
        figures += [(section, None) for section in guide_sections(measured, found)]
    return figures

