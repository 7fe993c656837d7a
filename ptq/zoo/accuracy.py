"""What quantization costs: `python -m ptq.zoo.accuracy [--figure out.png] [MODEL ...]`.

Each shipped classifier in every arithmetic that ptq has, on all test examples that ptq ships; and what
cross-layer equalization and bias correction repair where one scale has to do for all channels of a layer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptq import plot
from ptq.converter import Converter
from ptq.errors import PtqError
from ptq.format import dumps
from ptq.graph import Array, Graph
from ptq.interpreter import Interpreter
from ptq.passes.bias_correction import correct_bias
from ptq.passes.equalize import Equalized, equalize, typical_steps
from ptq.passes.fold import simplify
from ptq.terminal import Progress, table
from ptq.zoo import country_lstm, data, fashion_cnn, fashion_ds_cnn, names

BATCH = 50
"""Examples per call of the interpreter, on which no result depends; it divides the numbers of examples."""


@dataclass(frozen=True)
class Subject:
    """A trained classifier, folded, with its test examples and training examples to calibrate on."""

    graph: Graph
    inputs: Array
    labels: Array
    calibration: Array

    def samples(self) -> list[list[Array]]:
        """A representative dataset for `Converter` and `correct_bias`."""
        return [[part] for part in _batches(self.calibration)]


@dataclass(frozen=True)
class Result:
    """A variant of a classifier: the size of its file, and its class for each test example (int64 [n])."""

    label: str
    size: int
    classes: Array


def clothes(graph: Graph) -> Subject:
    """A classifier of Fashion-MNIST."""
    return Subject(simplify(graph), *data.test_images(), data.calibration_images().images)


def places(graph: Graph) -> Subject:
    """A classifier of place names."""
    return Subject(simplify(graph), *names.test_names(), names.calibration_names().ids)


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "fashion_cnn": lambda: clothes(fashion_cnn()),
    "fashion_ds_cnn": lambda: clothes(fashion_ds_cnn()),
    "country_lstm": lambda: places(country_lstm(BATCH)),
}

ARITHMETICS: dict[str, dict[str, Any]] = {
    "float": {},
    "float16": {"float16": True},
    "hybrid, 2018": {"post_training_quantize": True, "recipe": "2018"},
    "hybrid, current": {"post_training_quantize": True},
    "int8 per tensor": {"calibrated": True, "per_channel": False},
    "int8 per channel": {"calibrated": True},
    "int16 x int8": {"calibrated": True, "activations": np.int16},
}
"""The options of `Converter`; calibrated: with a representative dataset."""


def convert(subject: Subject, graph: Graph, calibrated: bool = False, **options: Any) -> Graph:
    """The subject, or another graph of it, with the options of one of ARITHMETICS."""
    converter = Converter.from_graph(graph)
    for name, value in options.items():
        setattr(converter, name, value)
    if calibrated:
        converter.representative_dataset = subject.samples
    return converter.convert_to_graph()


def variants(subject: Subject) -> dict[str, Graph]:
    """The subject in every arithmetic, and int8 per tensor repaired in three ways.

    Without layers that can be equalized (an LSTM has none), bias correction alone.
    """
    graphs = {label: convert(subject, subject.graph, **options) for label, options in ARITHMETICS.items()}
    even, report = equalize(subject.graph)
    label, samples = "int8 per tensor", subject.samples()
    corrected, _ = correct_bias(graphs[label], subject.graph, samples)
    if report:
        graphs["+ equalized"] = convert(subject, even, **ARITHMETICS[label])
        graphs["+ bias corrected"] = corrected
        graphs["+ both"], _ = correct_bias(graphs["+ equalized"], even, samples)
    else:
        graphs["+ bias corrected"] = corrected
    return graphs


def measure(label: str, graph: Graph, inputs: Array) -> Result:
    """Run one variant on all inputs, each part from fresh states."""
    interpreter, classes = Interpreter(graph=graph), []
    with Progress(f"{label:>16}", len(inputs)) as progress:
        for part in _batches(inputs):
            interpreter.reset_all_variables()
            classes.append(interpreter.run([part])[0].argmax(axis=1))
            progress.advance(len(part))
    return Result(label, len(dumps(graph)), np.concatenate(classes))


def result_table(results: Sequence[Result], labels: Array) -> str:
    """A row for each variant; the first is the reference of agreement, gains and losses."""
    header = ["", "bytes", "right", "accuracy", "gained", "lost", "same class as float"]
    reference = results[0].classes
    before, rows = reference == labels, []
    for result in results:
        right = result.classes == labels
        rows.append([
            result.label, f"{result.size:,}", f"{right.sum():,}", f"{right.mean():.2%}",
            f"+{np.sum(right & ~before)}", f"-{np.sum(before & ~right)}",
            f"{np.mean(result.classes == reference):.2%}",
        ])  # fmt: skip
    return table(header, rows, set(header[1:]))


def coarsest_depthwise(graph: Graph) -> Equalized:
    """Of the depthwise layers, the one whose typical channel is left the fewest steps, equalized."""
    kinds = {graph.tensors[o.outputs[0]].name: o.type for o in graph.operators}
    pairs = [pair for pair in equalize(graph)[1] if kinds[pair.first] == "DEPTHWISE_CONV_2D"]
    return min(pairs, key=lambda pair: typical_steps(pair.before))


def draw(path: str) -> None:
    """The channel ranges of the coarsest layer of `fashion_ds_cnn`, before and after equalization."""
    layer = coarsest_depthwise(simplify(fashion_ds_cnn()))
    panels = [plot.Ranges("as trained", layer.before), plot.Ranges("equalized", layer.after)]
    title = f"fashion_ds_cnn, '{layer.first}': how far the weights of each channel reach"
    plot.save(plot.channel_ranges(panels, title), path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m ptq.zoo.accuracy", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(SUBJECTS)} (default: all)")
    parser.add_argument("--figure", metavar="PATH", help="draw channel ranges to this file, with matplotlib")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.models) - set(SUBJECTS))
    if unknown:
        parser.error(f"model {unknown[0]!r} found, expected one of {', '.join(SUBJECTS)}")
    try:
        for name in options.models or SUBJECTS:
            subject = SUBJECTS[name]()
            results = [measure(k, graph, subject.inputs) for k, graph in variants(subject).items()]
            print(f"{name}, {len(subject.labels):,} test examples\n{result_table(results, subject.labels)}\n")
        if options.figure:
            draw(options.figure)
    except PtqError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _batches(inputs: Array) -> list[Array]:
    return [inputs[i : i + BATCH] for i in range(0, len(inputs), BATCH)]


if __name__ == "__main__":
    sys.exit(main())
