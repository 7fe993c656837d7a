"""The converter: a trained float model in, the bytes of a smaller .tflite file out."""

from __future__ import annotations

import os
from typing import Any

from ptq.errors import InputError, UnsupportedError
from ptq.format import dumps, load, load_directory
from ptq.graph import Graph
from ptq.passes.dynamic_range import explain, find_recipe, quantize_dynamic_range
from ptq.passes.fold import simplify
from ptq.passes.report import Report

PathLike = str | os.PathLike[str]


class Converter:
    """Converts a float model; the options are attributes that are set before `convert()`.

    post_training_quantize: quantize the weights to int8 for hybrid kernels.
    recipe: "current" (per channel, as TensorFlow's converter does today) or "2018" (per tensor).
    report: after `convert()`, the arithmetic of each operator and the reason for it.
    """

    __slots__ = ("_graph", "post_training_quantize", "recipe", "report")

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.post_training_quantize = False
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
        object.__setattr__(self, name, value)

    def convert(self) -> bytes:
        """The bytes of the converted .tflite file; fills `report`."""
        return dumps(self.convert_to_graph())

    def convert_to_graph(self) -> Graph:
        """The converted graph itself; fills `report`."""
        recipe = find_recipe(self.recipe)
        if not self.post_training_quantize:
            self.report = explain(self._graph, None)
            return self._graph.copy()
        graph, self.report = quantize_dynamic_range(self._graph, recipe)
        return graph
