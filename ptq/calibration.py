"""Calibration: run the float model on samples and learn the range of each activation.

The samples are those of TensorFlow Lite's `representative_dataset`: a function that returns an iterable, each
element of which is a list of arrays in the order of the model's inputs, or a dictionary of arrays by the
names of the signature's inputs (or of the input tensors).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import kernels
from ptq.errors import InputError, QuantizationError
from ptq.graph import ABSENT, Graph, Operator
from ptq.interpreter import Interpreter
from ptq.kernels.call import Call
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.observers import MinMax, Observer, Range
from ptq.signature_runner import input_names
from ptq.terminal import table

Array = npt.NDArray[Any]
Sample = Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike]
Dataset = Callable[[], Iterable[Sample]] | Iterable[Sample]

SEQUENCE, CELL_STATE = "UNIDIRECTIONAL_SEQUENCE_LSTM", 19
"""An operator whose state changes within an invocation, and the input that it is."""

SAMPLES_PER_TASK = 8
"""How many samples a worker gets at a time, where an executor spreads them."""

TASKS_AHEAD = 64
"""How many tasks wait for workers at most, so that a long data set is never in memory as a whole."""


@dataclass(frozen=True)
class Calibration:
    """The observers of the main graph's float activations, by tensor index; prints as a table.

    names: of the observed tensors. samples: how many there were.
    """

    observers: dict[int, Observer]
    names: dict[int, str]
    samples: int

    def range(self, tensor: int) -> Range | None:
        """The range of a tensor's values that integers should stand for; None if it was not observed."""
        return self.observers[tensor].range() if tensor in self.observers else None

    def merge(self, later: Calibration) -> Calibration:
        """The calibration on the samples of this one followed by those of `later`, of the same model."""
        if self.names != later.names:
            raise InputError("Calibration.merge: calibrations of two models found, expected one model")
        merged = {i: observer.merge(later.observers[i]) for i, observer in self.observers.items()}
        return Calibration(merged, self.names, self.samples + later.samples)

    def __str__(self) -> str:
        header = ["tensor", "smallest", "largest", "range from", "to"]
        rows = []
        for index, observer in self.observers.items():
            numbers = [*(observer.extremes() or (math.nan,) * 2), *(observer.range() or (math.nan,) * 2)]
            rows.append([self.names[index], *(f"{number:.5g}" for number in numbers)])
        return f"{self.samples} samples\n" + table(header, rows, set(header[1:]), cut="tensor")


def calibrate(
    graph: Graph, representative_dataset: Dataset, observer: Observer | None = None,
    executor: Executor | None = None, numerics: Numerics = LITERT_REFERENCE,
) -> Calibration:
    """Run the float model on each sample and observe every float activation of its main graph.

    observer: a choice such as `Percentile(99.9)`; default `MinMax()`, which is TensorFlow's. States of
    recurrent layers start anew with each sample, so that samples do not depend on each other.

    executor: any `concurrent.futures.Executor` spreads the samples, and the result is the same to the last
    bit: `ProcessPoolExecutor()` on one machine, `dask.distributed.Client(...).get_executor()` or
    `mpi4py.futures.MPIPoolExecutor()` on many. (In a script, call it under `if __name__ == "__main__":`.)

    Errors: InputError for no samples or one that does not fit the inputs; QuantizationError, naming the
    tensor, for NaN or infinity in an activation.
    """
    blank = _Blank(graph, observer or MinMax(), numerics)
    samples = representative_dataset() if callable(representative_dataset) else representative_dataset
    if executor is None:
        result = _observe(blank, 0, samples)
    else:
        result = Calibration({}, {}, 0)
        for part in _spread(executor, blank, samples):
            result = part if result.samples == 0 else result.merge(part)
    if result.samples == 0:
        raise InputError(
            "representative_dataset: no samples found, expected at least one; it must be a function that "
            "returns a new generator each time, such as `lambda: ([x] for x in images)`"
        )
    return result


def recorded(graph: Graph) -> Calibration:
    """The ranges that a file itself records for its float activations (`min` and `max` of its tensors).

    TensorFlow writes such files with `_experimental_calibrate_only`.
    """
    observers: dict[int, Observer] = {}
    for index, tensor in enumerate(graph.tensors):
        q = tensor.quantization
        if q is None or tensor.is_constant or tensor.type != "FLOAT32":
            continue
        if q.minimum is not None and q.maximum is not None and q.minimum.size == q.maximum.size == 1:
            observers[index] = MinMax((float(q.minimum[0]), float(q.maximum[0])))
    return Calibration(observers, {i: graph.tensors[i].name for i in observers}, 1)


# --- the work -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Blank:
    """What a worker needs beside its samples."""

    graph: Graph
    observer: Observer
    numerics: Numerics

    def observed(self) -> list[int]:
        """The float tensors that are fed, computed or kept, in the order in which they appear."""
        graph = self.graph
        places = [*graph.inputs, *(i for o in graph.operators for i in (*o.inputs, *o.outputs))]
        indices = dict.fromkeys(i for i in places if i != ABSENT)
        return [i for i in indices if graph.tensors[i].type == "FLOAT32" and not graph.tensors[i].is_constant]


def _spread(executor: Executor, blank: _Blank, samples: Iterable[Sample]) -> Iterator[Calibration]:
    """The calibrations of one task's samples after the other, in the order of the samples."""
    waiting: deque[Future[Calibration]] = deque()
    iterator, first = iter(samples), 0
    while task := list(islice(iterator, SAMPLES_PER_TASK)):
        waiting.append(executor.submit(_observe, blank, first, task))
        first += len(task)
        if len(waiting) >= TASKS_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _observe(blank: _Blank, first: int, samples: Iterable[Sample]) -> Calibration:
    """Observe some samples, of which the first has the number `first`."""
    interpreter = Interpreter(graph=blank.graph, numerics=blank.numerics)
    names = {i: blank.graph.tensors[i].name for i in blank.observed()}
    observers = {i: blank.observer.fresh() for i in names}
    variables = [i for i in names if blank.graph.tensors[i].is_variable]

    def note(indices: Sequence[int], values: Sequence[Array | None]) -> None:
        for index, value in zip(indices, values, strict=True):
            if index in observers and value is not None:
                observers[index].observe(value, names[index])

    def hook(position: int, operator: Operator, inputs: list[Array | None], outputs: list[Array]) -> None:
        kept = [(i, x) for i, x in zip(operator.inputs, inputs, strict=True) if i in variables]
        note([i for i, _ in kept], [x for _, x in kept])
        note(operator.outputs, outputs)
        if operator.type == SEQUENCE:
            for state in _cell_states(blank, interpreter.graph, operator, inputs):
                note([operator.inputs[CELL_STATE]], [state])

    interpreter.add_hook(hook)
    count = 0
    for number, sample in enumerate(samples, start=first):
        arrays = in_order(blank.graph, sample, number)
        try:
            note(blank.graph.inputs, arrays)
            interpreter.reset_all_variables()
            interpreter.run(arrays)
            note(variables, [interpreter.get_tensor(i) for i in variables])
        except (InputError, QuantizationError) as error:
            raise type(error)(f"representative_dataset, sample {number}: {error}") from error
        count += 1
    return Calibration(observers, names, count)


def _cell_states(
    blank: _Blank, graph: Graph, operator: Operator, inputs: list[Array | None]
) -> Iterator[Array]:
    """The cell state after each step but the last: the sequence is run again, one step at a time."""
    tensors = [None if i == ABSENT else graph.tensors[i] for i in operator.inputs]
    outputs, axis = [graph.tensors[i] for i in operator.outputs], 0 if operator.options["time_major"] else 1
    inputs, x = list(inputs), np.asarray(inputs[0])
    for step in range(x.shape[axis] - 1):
        inputs[0] = np.take(x, [step], axis)
        call = Call(operator, tensors, inputs, outputs, blank.numerics)
        kernels.evaluate(call, f"{operator.type} at time {step}")
        for place, state in call.new_states.items():
            inputs[place] = state
        yield np.asarray(inputs[CELL_STATE])


def in_order(graph: Graph, sample: Sample, number: int) -> list[Array]:
    """The arrays of a sample in the order of the graph's inputs; InputError unless number and dtypes fit."""
    if isinstance(sample, Mapping):
        sample = _by_name(graph, sample, number)
    if not isinstance(sample, Sequence) or isinstance(sample, str) or len(sample) != len(graph.inputs):
        found = f"{len(sample)} arrays" if isinstance(sample, Sequence) else type(sample).__name__
        raise InputError(
            f"representative_dataset, sample {number}: {found} found, expected a list of {len(graph.inputs)} "
            "arrays, one for each input, or a dictionary of them by name"
        )
    arrays = [np.asarray(value) for value in sample]
    for index, array in zip(graph.inputs, arrays, strict=True):
        tensor = graph.tensors[index]
        if array.dtype != tensor.dtype:
            raise InputError(
                f"representative_dataset, sample {number}: input '{tensor.name}' has dtype {array.dtype}, "
                f"expected {tensor.dtype}; convert it with x.astype(np.{tensor.dtype})"
            )
    return arrays


def _by_name(graph: Graph, sample: Mapping[str, npt.ArrayLike], number: int) -> list[npt.ArrayLike]:
    known = input_names(graph, sample)
    values = {known[name]: value for name, value in sample.items() if name in known}
    if len(values) != len(sample) or set(values) != set(graph.inputs):
        raise InputError(
            f"representative_dataset, sample {number}: inputs {sorted(sample)} found, "
            f"expected {sorted(known)}"
        )
    return [values[index] for index in graph.inputs]
