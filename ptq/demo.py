"""The main job end to end on a real model: quantize a classifier of clothes, run it, and judge the loss."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptq import format, plot, zoo
from ptq.converter import Converter
from ptq.errors import InputError
from ptq.graph import Array
from ptq.inspect import decision_table
from ptq.interpreter import Interpreter
from ptq.passes.report import Report
from ptq.terminal import Progress, human_size, table, wrapped

BATCH = 50
"""Images per call of the interpreter; no result depends on it, since each image is quantized by itself."""

NAME = "fashion_cnn"


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
    """What a model said of each image: int64 [n], the class of the largest probability; seconds for all."""

    classes: Array
    seconds: float


def demo(
    directory: str | os.PathLike[str], count: int, figure: str | os.PathLike[str] | None = None
) -> str:
    """Write the float and the quantized models to `directory`, run them on `count` test images, and report.

    figure: a picture of sizes and accuracies is written to this path; it needs matplotlib.
    Raises InputError if there are not that many images or something cannot be written.
    """
    images, labels = zoo.data.test_images()
    if not 1 <= count <= len(images):
        raise InputError(f"{count} images found, expected 1 to {len(images)}, the number that ptq ships")
    models = write_models(directory)
    runs = [classify(model, images[:count]) for model in models]
    quantized = models[1]
    if figure is not None:
        _draw(models, runs, labels[:count], figure)
    return "\n\n".join([
        wrapped(
            f"{NAME}: photographs of clothes (Fashion-MNIST) in {len(zoo.data.CLASS_NAMES)} classes, "
            f"{count:,} test images not seen in training"
        ),
        "\n".join(f"wrote {model.path}" for model in models),
        result_table(models, runs, labels[:count]),
        f"arithmetic of each operator in {quantized.path}",
        decision_table(quantized.report),
        _next_steps(models),
    ])  # fmt: skip


def write_models(directory: str | os.PathLike[str]) -> list[Model]:
    """Convert the shipped classifier: float, then with each recipe; each becomes a file in `directory`."""
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"directory '{folder}' cannot be made ({reason}); choose another with -o") from error
    graph = zoo.fashion_cnn()
    return [_write(Converter.from_graph(graph), recipe, folder) for recipe in (None, "current", "2018")]


def classify(model: Model, images: Array) -> Run:
    """Run the model's file on float32 images [n, 28, 28, 1], with a progress bar."""
    interpreter = Interpreter(model_path=model.path)
    classes, start = [], time.perf_counter()
    with Progress(f"{model.label:>15}", len(images)) as progress:
        for first in range(0, len(images), BATCH):
            (probabilities,) = interpreter.run([images[first : first + BATCH]])
            classes.append(probabilities.argmax(axis=1))
            progress.advance(len(probabilities))
    return Run(np.concatenate(classes), time.perf_counter() - start)


def result_table(models: list[Model], runs: list[Run], labels: Array) -> str:
    """Size, accuracy, agreement and time, a column for each model; the first is the reference."""
    reference_size, reference = models[0].size, runs[0].classes
    right, reference_right = [r.classes == labels for r in runs], runs[0].classes == labels
    gained = [int(np.sum(r & ~reference_right)) for r in right]
    lost = [int(np.sum(~r & reference_right)) for r in right]
    rows = [
        ["bytes", *(f"{m.size:,}" for m in models)],
        ["size", *(human_size(m.size) for m in models)],
        ["bytes, ratio to float", *(f"{m.size / reference_size:.3f}" for m in models)],
        ["images classified right", *(_share(r) for r in right)],
        ["gained and lost against float", *(f"+{g} -{b}" for g, b in zip(gained, lost, strict=True))],
        ["same class as float", *(_share(r.classes == reference) for r in runs)],
        ["time per image", *(f"{1000 * r.seconds / len(labels):.2f} ms" for r in runs)],
    ]
    header = ["", *(m.label for m in models)]
    return table(header, rows, set(header[1:]))


def _write(converter: Converter, recipe: str | None, folder: Path) -> Model:
    path = folder / f"{NAME}_{'float' if recipe is None else f'int8_{recipe}'}.tflite"
    if recipe is not None:
        converter.post_training_quantize = True
        converter.recipe = recipe
    format.save(converter.convert_to_graph(), path)
    return Model(recipe, path, path.stat().st_size, converter.report)


def _share(agreeing: Array) -> str:
    return f"{100 * np.mean(agreeing):.2f} % ({np.sum(agreeing):,})"


def _draw(models: list[Model], runs: list[Run], labels: Array, path: str | os.PathLike[str]) -> None:
    bars = [
        plot.Bar(model.label, model.size, int(np.sum(run.classes == labels)), len(labels))
        for model, run in zip(models, runs, strict=True)
    ]
    plot.save(plot.size_and_accuracy(bars, f"{NAME}: a classifier of clothes, float and quantized"), path)


def _next_steps(models: list[Model]) -> str:
    original, quantized = models[0].path, models[1].path
    return "\n".join([
        "next",
        f"  ptq inspect {quantized}",
        f"  ptq run {quantized} --random 0",
        f"  ptq compare {original} {quantized} --random 0",
    ])  # fmt: skip
