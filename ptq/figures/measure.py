"""What the figures are made of: the networks, and how their sizes, times and accuracies are measured."""

from __future__ import annotations

from collections.abc import Callable
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

RUNTIMES = ("LiteRT optimized", "LiteRT XNNPACK", "ptq")
"""What is timed. The reference kernels are not: nobody chooses them for speed."""


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
    """A trained classifier: how many answers were right, by form, of so many examples."""

    name: str
    examples: int
    right: dict[str, int]

    def share(self, form: str) -> float:
        """Of the examples, how many were right: p."""
        return self.right[form] / self.examples

    def standard_error(self, form: str) -> float:
        """sqrt(p * (1 - p) / examples): smaller differences mean nothing."""
        p = self.share(form)
        return float((p * (1 - p) / self.examples) ** 0.5)


def performance(name: str, rounds: int) -> Performance:
    """Build one of NETWORKS, convert it to every form, and time the files; with a progress bar."""
    runtimes = [runtime for runtime in RUNTIMES if runtime == "ptq" or litert_version()]
    with Progress(f"{name:>15}", len(FORMS) * (1 + len(runtimes) * (rounds + 1))) as progress:
        x, contents = _files(NETWORKS[name], progress)
        seconds = {r: _times(r, contents, x, rounds, progress) for r in runtimes}
    sizes = {form: len(content) for form, content in contents.items()}
    return Performance(NETWORKS[name], sizes, seconds)


def classify(name: str, examples: int) -> Accuracy:
    """Run one of CLASSIFIERS in every form on its first test examples; with a progress bar."""
    subject = accuracy.SUBJECTS[name]()
    inputs, labels = subject.inputs[:examples], subject.labels[:examples]
    results = [
        accuracy.measure(form, accuracy.convert(subject, subject.graph, **accuracy.ARITHMETICS[form]), inputs)
        for form in FORMS
    ]
    right = {result.label: int(np.sum(result.classes == labels)) for result in results}
    return Accuracy(name, len(labels), right)


def input_of(graph: Graph) -> Array:
    """A random image, or normally distributed numbers if the network reads none."""
    shape, rng = graph.tensors[graph.inputs[0]].shape, np.random.default_rng(1)
    if len(shape) == 4:
        return random_images(1, shape[1], rng)
    return rng.standard_normal(shape, np.float32)


def _files(network: Network, progress: Progress) -> tuple[Array, dict[str, bytes]]:
    """An input, and the network as a file in every form."""
    graph = network.build()
    contents = {}
    for form in FORMS:
        converter = Converter.from_graph(graph)
        for option, value in accuracy.ARITHMETICS[form].items():
            setattr(converter, option, value)
        contents[form] = converter.convert()
        progress.advance()
    return input_of(graph), contents


def _times(
    runtime: str, contents: dict[str, bytes], x: Array, rounds: int, progress: Progress
) -> dict[str, float]:
    """The median seconds of every form; one runtime at a time, as all forms of a network are in memory."""
    runners = {form: _runner(runtime, content, x) for form, content in contents.items()}
    return interleaved_medians(runners, rounds, progress.advance)


def _runner(runtime: str, content: bytes, x: Array) -> Runner:
    return ptq_runner(content, x) if runtime == "ptq" else litert_runner(content, RESOLVERS[runtime], x)
