"""WHILE, IF and CALL_ONCE: operators that run other subgraphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ptq.errors import GraphError
from ptq.kernels.call import Array, Call, Kernel, Subgraph
from ptq.subgraphs import callees


def while_loop(condition: Subgraph, body: Subgraph, values: Sequence[Array]) -> list[Array]:
    """Run `body` on its own results for as long as `condition` holds on them; returns the last ones.

    values = body(values) while condition(values); the shapes may change from round to round.
    condition returns one array, bool [] or [1]; GraphError for anything else.
    Source: `tflite/kernels/while.cc`, Eval_dynamic and CheckCondOutput.
    """
    values = list(values)
    while _holds(condition(values)[0], ((), (1,))):
        values = body(values)
    return values


def if_else(condition: Array, then: Subgraph, otherwise: Subgraph, values: Sequence[Array]) -> list[Array]:
    """then(values) where `condition`, a bool array of one element, is true, else otherwise(values).

    GraphError for another condition. Source: `tflite/kernels/if.cc`, Eval.
    """
    chosen = then if _holds(condition, ((1,) * condition.ndim,)) else otherwise
    return chosen(list(values))


def _holds(condition: Array, shapes: tuple[tuple[int, ...], ...]) -> bool:
    if condition.dtype != np.bool_ or condition.shape not in shapes:
        raise GraphError(
            f"condition of dtype {condition.dtype} and shape {condition.shape} found, expected one bool"
        )
    return bool(condition.item())


# --- for the registry -----------------------------------------------------------------------------


def _while(call: Call) -> list[Array]:
    condition, body = (call.subgraph(index) for index in callees(call.operator))
    values = [call.array(i) for i in range(len(call.inputs))]
    return _of_declared_types(call, while_loop(condition, body, values))


def _if(call: Call) -> list[Array]:
    then, otherwise = (call.subgraph(index) for index in callees(call.operator))
    values = [call.array(i) for i in range(1, len(call.inputs))]
    return _of_declared_types(call, if_else(call.array(0), then, otherwise, values))


def _call_once(call: Call) -> list[Array]:
    (initializer,) = callees(call.operator)
    if initializer not in call.shared.initialized:
        call.subgraph(initializer)([])
        call.shared.initialized.add(initializer)
    return []


def _of_declared_types(call: Call, results: list[Array]) -> list[Array]:
    for tensor, result in zip(call.output_tensors, results, strict=True):
        if tensor.dtype is not None and tensor.dtype != result.dtype:
            raise GraphError(f"output '{tensor.name}': {result.dtype} found, expected {tensor.dtype}")
    return results


FLOAT: dict[str, Kernel] = {"WHILE": _while, "IF": _if, "CALL_ONCE": _call_once}
