"""What the figures are made of: the networks, and how their sizes, times and accuracies are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ptq import zoo
from ptq.converter import Converter
from ptq.figures.published import (
    INCEPTION_V3,
    MOBILENET_V1,
    MOBILENET_V2,
    RECURRENT_SPEEDUP,
    RESNET_V2_101,
    Published,
)
from ptq.figures.timing import (
    PROCESSOR_TIME,
    RESOLVERS,
    Runner,
    interleaved_medians,
    litert_runner,
    litert_version,
    ptq_runner,
)
from ptq.graph import Array, Graph
from ptq.terminal import Progress
from ptq.zoo import accuracy
from ptq.zoo.standardize import random_images

FORMS = ("float", "hybrid, 2018", "hybrid, current")
"""Names of `ptq.zoo.accuracy.ARITHMETICS`: not quantized, and with the weights of the two recipes."""

TECHNIQUES = ("float", "float16", "hybrid, 2018", "hybrid, current", "int8 per channel", "int16 x int8")
"""Everything that the guide compares, by the same names: all but int8 with one scale for each tensor."""

RUNTIMES = ("LiteRT optimized", "LiteRT XNNPACK", "ptq")
"""What is timed for the figures. The reference kernels are not: nobody chooses them for speed."""

REFERENCE, REFERENCE_ROUNDS = "LiteRT BUILTIN_REF", 3
"""What the guide times, too, and how often at most: one run of the largest network takes half a minute."""


@dataclass(frozen=True)
class Network:
    """A network of random weights to measure. published: what was; None for LSTMs."""

    title: str
    build: Callable[[], Graph]
    published: Published | None = None

    @property
    def speedup(self) -> float:
        """What was published: float time / quantized time."""
        return RECURRENT_SPEEDUP if self.published is None else self.published.speedup


NETWORKS = {
    "mobilenet_v1": Network("MobileNet-v1", zoo.mobilenet_v1, MOBILENET_V1),
    "mobilenet_v2": Network("MobileNet-v2", zoo.mobilenet_v2, MOBILENET_V2),
    "inception_v3": Network("Inception-v3", zoo.inception_v3, INCEPTION_V3),
    "resnet_v2_101": Network("ResNet-v2-101", zoo.resnet_v2_101, RESNET_V2_101),
    "lstm_512": Network("LSTM, 2 x 512", zoo.stacked_lstm),
    "lstm_1024": Network("LSTM, 2 x 1024", partial(zoo.stacked_lstm, 1024)),
}

CLASSIFIERS = tuple(accuracy.SUBJECTS)
"""The trained networks, whose accuracy is measured."""


@dataclass(frozen=True)
class Performance:
    """A network as files. sizes: bytes by form. seconds: by runtime, then form, of one inference."""

    network: Network
    sizes: dict[str, int]
    seconds: dict[str, dict[str, float]]

    def speedup(self, runtime: str, form: str) -> float:
        """Float time / time of this form."""
        return self.seconds[runtime]["float"] / self.seconds[runtime][form]


@dataclass(frozen=True)
class Accuracy:
    """A trained classifier: how many answers were right, by form, of so many examples; sizes: bytes."""

    name: str
    examples: int
    right: dict[str, int]
    sizes: dict[str, int]

    def share(self, form: str) -> float:
        """Of the examples, how many were right: p."""
        return self.right[form] / self.examples

    def standard_error(self, form: str) -> float:
        """sqrt(p * (1 - p) / examples): smaller differences mean nothing."""
        p = self.share(form)
        return float((p * (1 - p) / self.examples) ** 0.5)


def performance(name: str, rounds: int, guide: bool = False) -> Performance:
    """Build one of NETWORKS, convert it to every form, and time the files; with a progress bar.

    guide: in all TECHNIQUES, and in the reference kernels, too.
    """
    forms, wanted = (TECHNIQUES, (*RUNTIMES, REFERENCE)) if guide else (FORMS, RUNTIMES)
    runtimes = {
        runtime: min(rounds, REFERENCE_ROUNDS) if runtime == REFERENCE else rounds
        for runtime in wanted if runtime == "ptq" or litert_version()
    }  # fmt: skip
    runs = sum(count + 1 for count in runtimes.values())
    with Progress(f"{name:>15}", len(forms) * (1 + runs)) as progress:
        x, contents = files(NETWORKS[name], forms, progress.advance)
        seconds = {r: _times(r, contents, x, count, progress) for r, count in runtimes.items()}
    sizes = {form: len(content) for form, content in contents.items()}
    return Performance(NETWORKS[name], sizes, seconds)


def classify(name: str, examples: int, guide: bool = False) -> Accuracy:
    """Run one of CLASSIFIERS on its first test examples, in every form or in all TECHNIQUES."""
    subject = accuracy.SUBJECTS[name]()
    inputs, labels = subject.inputs[:examples], subject.labels[:examples]
    results = [
        accuracy.measure(form, accuracy.convert(subject, subject.graph, **accuracy.ARITHMETICS[form]), inputs)
        for form in (TECHNIQUES if guide else FORMS)
    ]
    right = {result.label: int(np.sum(result.classes == labels)) for result in results}
    return Accuracy(name, len(labels), right, {result.label: result.size for result in results})


def input_of(graph: Graph) -> Array:
    """A random image, or normally distributed numbers if the network reads none."""
    shape, rng = graph.tensors[graph.inputs[0]].shape, np.random.default_rng(1)
    if len(shape) == 4:
        return random_images(1, shape[1], rng)
    return rng.standard_normal(shape, np.float32)


def files(
    network: Network, forms: Sequence[str], done: Callable[[], None] = lambda: None
) -> tuple[Array, dict[str, bytes]]:
    """An input, and the network as a file in every form; done: called after each of them.

    What is to be calibrated is calibrated on that one input: neither size nor time depends on the ranges.
    """
    graph = network.build()
    x, contents = input_of(graph), {}
    for form in forms:
        converter = Converter.from_graph(graph)
        options = dict(accuracy.ARITHMETICS[form])
        if options.pop("calibrated", False):
            converter.representative_dataset = [[x]]
        for option, value in options.items():
            setattr(converter, option, value)
        contents[form] = converter.convert()
        done()
    return x, contents


def _times(
    runtime: str, contents: dict[str, bytes], x: Array, rounds: int, progress: Progress
) -> dict[str, float]:
    """The median seconds of every form; one runtime at a time, as all forms of a network are in memory."""
    runners = {form: _runner(runtime, content, x) for form, content in contents.items()}
    return interleaved_medians(runners, rounds, progress.advance, PROCESSOR_TIME)


def _runner(runtime: str, content: bytes, x: Array) -> Runner:
    return ptq_runner(content, x) if runtime == "ptq" else litert_runner(content, RESOLVERS[runtime], x)
