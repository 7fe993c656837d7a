"""Weights as float16: half the size, the arithmetic unchanged, and no hybrid kernel needed.

Every float constant that an operator reads is stored as float16, whatever its size, biases and scalars
included; a DEQUANTIZE for each, before all other operators, makes it float32 again (Q33). Rounding is to
nearest even, and numbers beyond +-65504, infinities too, become +-65504; NaN stays NaN.
Source: `tflite/converter/transforms/prepare_quantize_dynamic_range.cc`, convertToFloat16Constant. Unlike it,
ptq never touches variables, which it stores as constants too, so that recurrent layers forget their state.
"""

from __future__ import annotations

import numpy as np

from ptq.graph import ABSENT, Graph
from ptq.passes.explain import explain
from ptq.passes.report import Report
from ptq.passes.rewire import (
    Skip,
    Skipped,
    insert_dequantize,
    raise_version,
    redirect,
    retyped,
    skipped_operators,
    subgraphs,
    uses,
)

LARGEST = float(np.finfo(np.float16).max)


def store_float16(model: Graph, skip: Skip | None = None) -> tuple[Graph, Report]:
    """A copy of the model with float16 constants in all subgraphs, and what that means for each operator.

    skip: operators for which it is true keep their float32 constants.
    """
    result = model.copy()
    skipped = skipped_operators(result, skip)
    for graph in subgraphs(result):
        read = sorted({i for o in graph.operators if id(o) not in skipped for i in o.inputs if i != ABSENT})
        tensors = [(index, graph.tensors[index]) for index in read]
        constants = [i for i, t in tensors if t.type == "FLOAT32" and t.is_constant and t.size]
        for position, index in enumerate(constants):
            _store(graph, index, position, skipped)
    raise_version(result, "DEQUANTIZE", 1)
    return result, explain(result, None, skipped, otherwise="reads no float constants")


def _store(graph: Graph, index: int, position: int, skipped: Skipped) -> None:
    """Let all readers of a constant read a DEQUANTIZE of float16, except those that are skipped."""
    constant = graph.tensors[index]
    half = np.asarray(np.clip(np.asarray(constant.data), -LARGEST, LARGEST).astype(np.float16))
    readers = [use for use in uses(graph, index) if id(use[0]) not in skipped]
    stored = retyped(constant, "FLOAT16", half)
    source = index
    if len(readers) < len(uses(graph, index)) or index in graph.outputs:
        source = graph.add_tensor(stored)
    else:
        graph.tensors[index] = stored
    target = graph.add_tensor(retyped(constant, "FLOAT32", name=f"{constant.name}_dequantize"))
    redirect(readers, target)
    insert_dequantize(graph, source, target, position, version=3)
