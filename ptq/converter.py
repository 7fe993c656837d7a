"""The converter: a trained float model in, the bytes of a smaller .tflite file out."""

from __future__ import annotations

import os
from typing import Any

from ptq.errors import InputError, UnsupportedError
from ptq.format import dumps, load, load_directory
from ptq.graph import Graph
from ptq.passes.dynamic_range import quantize_dynamic_range
from ptq.passes.explain import explain
from ptq.passes.float16 import store_float16
from ptq.passes.fold import simplify
from ptq.passes.recipes import find_recipe
from ptq.passes.report import Report
from ptq.passes.rewire import Skip

PathLike = str | os.PathLike[str]


class Converter:
    """Converts a float model; the options are attributes that are set before `convert()`.

    post_training_quantize: quantize the weights to int8 for hybrid kernels.
    recipe: "current" (per channel, as TensorFlow's converter does today) or "2018" (per tensor).
    float16: store the float constants in half the bytes instead; all arithmetic stays float.
    skip: a function of an operator and the name of its output tensor; where it is true, the operator keeps
    its float weights: `converter.skip = lambda operator, name: operator.type == "CONV_2D"`. None: skip none.
    report: after `convert()`, the arithmetic of each operator and the reason for it.
    """

    __slots__ = ("_graph", "float16", "post_training_quantize", "recipe", "report", "skip")

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.post_training_quantize = False
        self.float16 = False
        self.skip: Skip | None = None
        self.recipe = "current"
        self.report = Report()

    @staticmethod
    def from_saved_model(saved_model_dir: PathLike) -> Converter:
        """Read a directory that `ptq.save_directory` wrote (graph and weights)."""
        return Converter.from_graph(load_directory(saved_model_dir))

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
        if name in ("representative_dataset", "inference_input_type", "inference_output_type"):
            raise UnsupportedError(
                f"Converter.{name}: full integer quantization is not part of this version; "
                "use post_training_quantize = True for int8 weights with float activations"
            )
        if name not in self.__slots__:
            options = ", ".join(slot for slot in self.__slots__ if not slot.startswith("_"))
            raise InputError(f"Converter has no option '{name}'; expected one of {options}")
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
        if self.float16 and self.post_training_quantize:
            raise InputError(
                "Converter: both float16 and post_training_quantize are set, expected one; "
                "weights are stored either as float16 or as int8"
            )
        if self.float16:
            graph, self.report = store_float16(self._graph, self.skip)
        elif self.post_training_quantize:
            graph, self.report = quantize_dynamic_range(self._graph, recipe, self.skip)
        else:
            graph, self.report = self._graph.copy(), explain(self._graph, None)
        return graph
