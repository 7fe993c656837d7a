"""WHILE, IF and CALL_ONCE: operators that run other subgraphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ptq import defects
from ptq.errors import GraphError, UnsupportedError
from ptq.kernels.call import Array, Call, Kernel, Subgraph
from ptq.numerics import Numerics
from ptq.subgraphs import callees

Function = Callable[[list[Array]], list[Array]]
"""A subgraph as `while_loop` and `if_else` see it; any Python function of this form will do."""


def while_loop(condition: Function, body: Function, values: Sequence[Array]) -> list[Array]:
    """Run `body` on its own results for as long as `condition` holds on them; returns the last ones.

    values = body(values) while condition(values); the shapes may change from round to round.
    condition returns one array, bool [] or [1]; GraphError for anything else.
    Source: `tflite/kernels/while.cc`, Eval_dynamic and CheckCondOutput.
    """
    values = list(values)
    while _holds(condition(values)[0], ((), (1,))):
        values = body(values)
    return values


def while_loop_in_place(
    condition: Function, body: Function, values: Sequence[Array], passed_on: Mapping[int, int]
) -> list[Array]:
    """`while_loop` as TensorFlow Lite computes it where the body passes input i on as output k.

    The body's inputs lie in the memory of the loop's outputs, into which the body's outputs are copied one
    after the other. Output k, copied from input i < k, therefore takes the new value of i: a loop that swaps
    (a, b) ends with (b, b). The condition sees what was meant. passed_on: {k: i}.
    Raises UnsupportedError where i changes its shape, as its memory may have been freed by then.
    Source: `tflite/kernels/while.cc`, Eval_static, steps 5 and 6.
    """
    meant = held = list(values)
    while _holds(condition(meant)[0], ((), (1,))):
        meant, before = body(held), held
        held = list(meant)
        for k, i in sorted(passed_on.items()):
            if meant[i].shape != before[i].shape:
                found = f"input {i}, whose shape changes, passed on as output {k},"
                raise UnsupportedError(defects.WHILE_FREES.message(found))
            held[k] = held[i] if i < k else meant[k]
    return held


def if_else(condition: Array, then: Function, otherwise: Function, values: Sequence[Array]) -> list[Array]:
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
    passed_on = _passed_on(body)
    if not passed_on or call.numerics.upstream_defects == "intended":
        return _of_declared_types(call, while_loop(condition.run, body.run, values))
    for k, i in passed_on.items():
        if i < k:
            defects.WHILE_OVERWRITES.reproduced(call.numerics, f"input {i} passed on as output {k}")
    return _of_declared_types(call, while_loop_in_place(condition.run, body.run, values, passed_on))


def _passed_on(body: Subgraph) -> dict[int, int]:
    """{k: i} where the body's output k is its input i, which takes another value for the next round."""
    position = {tensor: i for i, tensor in enumerate(body.graph.inputs)}
    sources = {k: position[tensor] for k, tensor in enumerate(body.graph.outputs) if tensor in position}
    return {k: i for k, i in sources.items() if sources.get(i) != i}


def _if(call: Call) -> list[Array]:
    then, otherwise = (call.subgraph(index) for index in callees(call.operator))
    values = [call.array(i) for i in range(1, len(call.inputs))]
    then, otherwise = (_with_distinct_outputs(branch, call.numerics) for branch in (then, otherwise))
    return _of_declared_types(call, if_else(call.array(0), then.run, otherwise.run, values))


def _with_distinct_outputs(branch: Subgraph, numerics: Numerics) -> Subgraph:
    """The branch; if one tensor that it computes is two of its outputs, taking it asks `defects.IF_TWICE`.

    TensorFlow Lite gives the tensor the memory of the last of them; nothing writes the others.
    """
    graph = branch.graph
    computed = [i for i in graph.outputs if i not in graph.inputs and not graph.tensors[i].is_constant]
    if len(set(computed)) == len(computed):
        return branch

    def run(values: list[Array]) -> list[Array]:
        defects.IF_TWICE.reproduced(numerics, "such a branch")
        return branch.run(values)

    return Subgraph(graph, run)


def _call_once(call: Call) -> list[Array]:
    (initializer,) = callees(call.operator)
    if initializer not in call.shared.initialized:
        call.subgraph(initializer).run([])
        call.shared.initialized.add(initializer)
    return []


def _of_declared_types(call: Call, results: list[Array]) -> list[Array]:
    for tensor, result in zip(call.output_tensors, results, strict=True):
        if tensor.dtype is not None and tensor.dtype != result.dtype:
            raise GraphError(f"output '{tensor.name}': {result.dtype} found, expected {tensor.dtype}")
    return results


FLOAT: dict[str, Kernel] = {"WHILE": _while, "IF": _if, "CALL_ONCE": _call_once}
