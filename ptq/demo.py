"""The main job end to end on a real model: quantize a shipped classifier, run it, and judge the loss."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptq import format, plot, zoo
from ptq.converter import Converter
from ptq.errors import InputError
from ptq.format.files import make_directory
from ptq.graph import Array, Graph
from ptq.inspect import decision_table
from ptq.interpreter import Interpreter
from ptq.passes.report import Report
from ptq.terminal import Progress, human_size, table, wrapped

BATCH = 50
"""Examples per call of the interpreter; no result depends on it, since each is quantized by itself."""


@dataclass(frozen=True)
class Subject:
    """What can be demonstrated: a shipped model, its test examples (inputs, labels), and words for them."""

    graph: Callable[[], Graph]
    examples: Callable[[], tuple[Array, Array]]
    noun: str
    classifier: str
    task: str


_CLOTHES = ("image", "a classifier of clothes", "photographs of clothes (Fashion-MNIST) in 10 classes")
_PLACES = ("name", "a classifier of place names", "names of places (GeoNames) in 12 countries, by letters")
SUBJECTS = {
    "fashion_cnn": Subject(zoo.fashion_cnn, zoo.data.test_images, *_CLOTHES),
    "fashion_ds_cnn": Subject(zoo.fashion_ds_cnn, zoo.data.test_images, *_CLOTHES),
    "country_lstm": Subject(lambda: zoo.country_lstm(BATCH), zoo.names.test_names, *_PLACES),
}
DEFAULT = "fashion_cnn"


@dataclass(frozen=True)
class Model:
    """A written file: recipe is None for the float model."""

    recipe: str | None
    path: Path
    size: int
    report: Report

    @property
    def label(self) -> str:
        """What heads the model's column."""
        return "float" if self.recipe is None else f"int8, {self.recipe}"


@dataclass(frozen=True)
class Run:
    """What a model said of each example: int64 [n], the class of the largest probability; seconds for all."""

    classes: Array
    seconds: float


def demo(
    directory: str | os.PathLike[str],
    count: int,
    figure: str | os.PathLike[str] | None = None,
    name: str = DEFAULT,
) -> str:
    """Write the float and the quantized models to `directory`, run them on `count` test examples, and report.

    figure: a picture of sizes and accuracies is written to this path; it needs matplotlib.
    name: one of SUBJECTS. Raises InputError for another one, if there are not that many examples, or if
    something cannot be written.
    """
    subject = _subject(name)
    inputs, labels = subject.examples()
    if not 1 <= count <= len(inputs):
        raise InputError(
            f"{count} {subject.noun}s found, expected 1 to {len(inputs)}, the number that ptq ships"
        )
    models = write_models(directory, name)
    runs = [classify(model, inputs[:count]) for model in models]
    quantized = models[1]
    if figure is not None:
        title = f"{name}: {subject.classifier}, float and quantized"
        _draw(models, runs, labels[:count], figure, title)
    return "\n\n".join([
        wrapped(f"{name}: {subject.task}, {count:,} test {subject.noun}s not seen in training"),
        "\n".join(f"wrote {model.path}" for model in models),
        result_table(models, runs, labels[:count], subject.noun),
        f"arithmetic of each operator in {quantized.path}",
        decision_table(quantized.report),
        _next_steps(models),
    ])  # fmt: skip


def write_models(directory: str | os.PathLike[str], name: str = DEFAULT) -> list[Model]:
    """Convert a shipped classifier: float, then with each recipe; each becomes a file in `directory`."""
    folder = make_directory(directory)
    graph = _subject(name).graph()
    return [
        _write(Converter.from_graph(graph), recipe, folder / f"{name}_{kind}.tflite")
        for recipe, kind in ((None, "float"), ("current", "int8_current"), ("2018", "int8_2018"))
    ]


def classify(model: Model, inputs: Array) -> Run:
    """Run the model's file on inputs [n, ...], each part from fresh states, with a progress bar."""
    interpreter = Interpreter(model_path=model.path)
    classes, start = [], time.perf_counter()
    with Progress(f"{model.label:>15}", len(inputs)) as progress:
        for first in range(0, len(inputs), BATCH):
            part = inputs[first : first + BATCH]
            interpreter.reset_all_variables()
            # states fix the size of a batch: the last one is filled up with repetitions
            (probabilities,) = interpreter.run([np.resize(part, (BATCH, *part.shape[1:]))])
            classes.append(probabilities[: len(part)].argmax(axis=1))
            progress.advance(len(part))
    return Run(np.concatenate(classes), time.perf_counter() - start)


def result_table(models: list[Model], runs: list[Run], labels: Array, noun: str = "image") -> str:
    """Size, accuracy, agreement and time, a column for each model; the first is the reference."""
    reference_size, reference = models[0].size, runs[0].classes
    right, reference_right = [r.classes == labels for r in runs], runs[0].classes == labels
    gained = [int(np.sum(r & ~reference_right)) for r in right]
    lost = [int(np.sum(~r & reference_right)) for r in right]
    rows = [
        ["bytes", *(f"{m.size:,}" for m in models)],
        ["size", *(human_size(m.size) for m in models)],
        ["bytes, ratio to float", *(f"{m.size / reference_size:.3f}" for m in models)],
        [f"{noun}s classified right", *(_share(r) for r in right)],
        ["gained and lost against float", *(f"+{g} -{b}" for g, b in zip(gained, lost, strict=True))],
        ["same class as float", *(_share(r.classes == reference) for r in runs)],
        [f"time per {noun}", *(f"{1000 * r.seconds / len(labels):.2f} ms" for r in runs)],
    ]
    header = ["", *(m.label for m in models)]
    return table(header, rows, set(header[1:]))


def _subject(name: str) -> Subject:
    if name not in SUBJECTS:
        raise InputError(f"model {name!r} found, expected one of {', '.join(SUBJECTS)}")
    return SUBJECTS[name]


def _write(converter: Converter, recipe: str | None, path: Path) -> Model:
    if recipe is not None:
        converter.post_training_quantize = True
        converter.recipe = recipe
    format.save(converter.convert_to_graph(), path)
    return Model(recipe, path, path.stat().st_size, converter.report)


def _share(agreeing: Array) -> str:
    return f"{100 * np.mean(agreeing):.2f} % ({np.sum(agreeing):,})"


def _draw(
    models: list[Model], runs: list[Run], labels: Array, path: str | os.PathLike[str], title: str
) -> None:
    bars = [
        plot.Bar(model.label, model.size, int(np.sum(run.classes == labels)), len(labels))
        for model, run in zip(models, runs, strict=True)
    ]
    plot.save(plot.size_and_accuracy(bars, title), path)


def _next_steps(models: list[Model]) -> str:
    original, quantized = models[0].path, models[1].path
    return "\n".join([
        "next",
        f"  ptq inspect {quantized}",
        f"  ptq run {quantized} --random 0",
        f"  ptq compare {original} {quantized} --random 0",
    ])  # fmt: skip
