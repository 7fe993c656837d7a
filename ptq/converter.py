"""The converter: a trained float model in, the bytes of a smaller .tflite file out."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.calibration import Calibration, Dataset, calibrate
from ptq.errors import InputError
from ptq.format import dumps, is_saved_model, load, load_directory
from ptq.graph import Graph
from ptq.observers import MinMax, Observer
from ptq.passes.dynamic_range import quantize_dynamic_range
from ptq.passes.explain import explain
from ptq.passes.float16 import store_float16
from ptq.passes.fold import simplify
from ptq.passes.full_integer import quantize_full_integer
from ptq.passes.integer_rules import Scheme
from ptq.passes.recipes import find_recipe
from ptq.passes.report import Report
from ptq.passes.rewire import Skip
from ptq.quality import Quality, measure

PathLike = str | os.PathLike[str]


def _is_tensorflows(path: Path) -> bool:
    """Whether TensorFlow wrote this: a directory with saved_model.pb, or a frozen graph in one file."""
    return path.is_file() or (path / "saved_model.pb").exists()


class Converter:
    """Converts a float model; the options are attributes that are set before `convert()`.

    post_training_quantize: quantize the weights to int8 for hybrid kernels.
    recipe: "current" (per channel, as TensorFlow's converter does today) or "2018" (per tensor).
    float16: store the float constants in half the bytes instead; all arithmetic stays float.
    representative_dataset: a function that returns samples of the model's inputs (see `ptq.calibration`).
    Where it is given, the model is quantized to integers in full, and the options below count.
    activations: np.int8, or np.int16, which is more accurate and slower; weights are int8 either way.
    per_channel: a scale for each output channel of the weights, or one for all of them.
    inference_input_type, inference_output_type: np.float32, or the integers that the model takes and returns:
    np.int8, np.uint8 (np.int16 for int16 activations).
    observer: how ranges follow from samples; `ptq.observers.MinMax()` is what TensorFlow does.
    executor: spreads the samples over workers; see `ptq.calibration.calibrate`.
    calibration: after `convert()`, the observed ranges; prints as a table. Set it instead of
    representative_dataset where ranges are known already: `ptq.calibration.recorded(graph)`.
    skip: a function of an operator and the name of its output tensor; where it is true, the operator keeps
    its float weights: `converter.skip = lambda operator, name: operator.type == "CONV_2D"`. None: skip none.
    report: after `convert()`, the arithmetic of each operator and the reason for it.
    """

    __slots__ = (
        "_graph", "activations", "calibration", "executor", "float16", "inference_input_type",
        "inference_output_type", "observer", "per_channel", "post_training_quantize", "recipe", "report",
        "representative_dataset", "skip",
    )  # fmt: skip

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.post_training_quantize = False
        self.float16 = False
        self.skip: Skip | None = None
        self.recipe = "current"
        self.report = Report()
        self.representative_dataset: Dataset | None = None
        self.activations: npt.DTypeLike = np.int8
        self.per_channel = True
        self.inference_input_type: npt.DTypeLike = np.float32
        self.inference_output_type: npt.DTypeLike = np.float32
        self.observer: Observer = MinMax()
        self.executor: Executor | None = None
        self.calibration: Calibration | None = None

    @staticmethod
    def from_saved_model(saved_model_dir: PathLike, signature_key: str | None = None) -> Converter:
        """Read a SavedModel of TensorFlow, or a directory that `ptq.save_directory` wrote.

        A frozen GraphDef of TensorFlow 1 is read too: the path of the .pb file.
        signature_key: which of TensorFlow's signatures; "serving_default" or the only one if not given.
        """
        if is_saved_model(saved_model_dir) or not _is_tensorflows(Path(saved_model_dir)):
            if signature_key is not None:
                raise InputError(
                    f"'{saved_model_dir}': signature '{signature_key}' asked for, but this is no SavedModel "
                    "of TensorFlow; leave signature_key out"
                )
            return Converter.from_graph(load_directory(saved_model_dir))
        from ptq import saved_model  # heavy, and not needed for other sources

        return Converter(saved_model.translate(saved_model.read(saved_model_dir, signature_key)))

    @staticmethod
    def from_tflite(model: PathLike | bytes) -> Converter:
        """Read a float .tflite file, by path or as bytes."""
        return Converter(load(model))

    @staticmethod
    def from_graph(graph: Graph) -> Converter:
        """Take a graph built by hand: constants and batch normalization are folded, activations fused."""
        graph.validate()
        return Converter(simplify(graph))

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__slots__:
            options = ", ".join(slot for slot in self.__slots__ if not slot.startswith("_"))
            raise InputError(f"Converter has no option '{name}'; expected one of {options}")
        if name == "observer" and not isinstance(value, Observer):
            raise InputError(
                f"Converter.observer: {value!r} found, expected one of ptq.observers such as Percentile(99.9)"
            )
        if name == "skip" and value is not None and not callable(value):
            raise InputError(
                f"Converter.skip: {type(value).__name__} found, expected a function of an operator and the "
                "name of its output tensor, which returns True for what stays float"
            )
        object.__setattr__(self, name, value)

    def convert(self) -> bytes:
        """The bytes of the converted .tflite file; fills `report`."""
        return dumps(self.convert_to_graph())

    def convert_to_graph(self) -> Graph:
        """The converted graph itself; fills `report`."""
        recipe = find_recipe(self.recipe)
        integers = self.representative_dataset is not None or self.calibration is not None
        if not integers and (self.inference_input_type, self.inference_output_type) != (np.float32,) * 2:
            raise InputError(
                "Converter: inference_input_type or inference_output_type is set, but no "
                "representative_dataset; integers need observed ranges"
            )
        if self.float16 and self.post_training_quantize:
            raise InputError(
                "Converter: both float16 and post_training_quantize are set, expected one; "
                "weights are stored either as float16 or as int8"
            )
        if integers:
            graph = self._quantize_full_integer()
        elif self.float16:
            graph, self.report = store_float16(self._graph, self.skip)
        elif self.post_training_quantize:
            graph, self.report = quantize_dynamic_range(self._graph, recipe, self.skip)
        else:
            graph, self.report = self._graph.copy(), explain(self._graph, None)
        return graph

    def quality(self, samples: Dataset | None = None) -> Quality:
        """What full integer quantization costs each layer: ranges, saturation and SQNR; prints as a table.

        samples: on which the float model and a new conversion run; default `representative_dataset`.
        """
        samples = self.representative_dataset if samples is None else samples
        if samples is None:
            raise InputError("Converter.quality: no samples found; set representative_dataset or give some")
        return measure(self._graph, self.convert_to_graph(), samples() if callable(samples) else samples)

    def _quantize_full_integer(self) -> Graph:
        if self.float16:
            raise InputError(
                "Converter: float16 and calibration are both asked for, expected one of them; constants are "
                "stored either as float16 or as integers"
            )
        scheme = Scheme.of(
            self.activations, self.per_channel, self.inference_input_type, self.inference_output_type
        )
        if self.representative_dataset is not None:
            dataset = self.representative_dataset
            self.calibration = calibrate(self._graph, dataset, self.observer, self.executor)
        assert self.calibration is not None, "convert_to_graph asks for one of the two"
        graph, self.report = quantize_full_integer(self._graph, self.calibration, scheme, self.skip)
        return graph
