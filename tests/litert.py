"""Runs a graph in LiteRT's reference kernels (BUILTIN_REF), the implementation that ptq is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import ptq.format
from ptq.build import Builder
from ptq.graph import Array, Graph, Tensor, type_of


def litert_interpreter(graph: Graph, kernels: str = "BUILTIN_REF") -> Any:
    """An allocated LiteRT interpreter: the reference kernels and no delegate, or "AUTO", XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType[kernels]
    content = ptq.format.dumps(graph)
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter


def run_litert(graph: Graph, inputs: Sequence[Array], kernels: str = "BUILTIN_REF") -> list[Array]:
    """The outputs of `graph` for `inputs`, computed by LiteRT."""
    interpreter = litert_interpreter(graph, kernels)
    for details, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]


def litert_op(build: Callable[..., Tensor], *inputs: Array) -> Array:
    """The output of the one operator that `build(builder, *tensors)` adds, computed by LiteRT."""
    builder = Builder("single")
    tensors = [
        builder.input(f"input_{i}", value.shape, type_of(value.dtype)) for i, value in enumerate(inputs)
    ]
    graph = builder.finish(build(builder, *tensors))
    return run_litert(graph, inputs)[0]


def assert_same_bits(found: Array, expected: Array, context: object = "") -> None:
    """Equal dtype, shape and bits; any NaN equals any NaN, as its payload has no meaning."""
    assert found.dtype == expected.dtype, (context, found.dtype, expected.dtype)
    assert found.shape == expected.shape, (context, found.shape, expected.shape)
    if not np.issubdtype(found.dtype, np.floating):
        np.testing.assert_array_equal(found, expected, err_msg=str(context))
        return
    bits = np.dtype(f"u{found.dtype.itemsize}")
    same = np.ascontiguousarray(found).view(bits) == np.ascontiguousarray(expected).view(bits)
    same |= np.isnan(found) & np.isnan(expected)
    if not same.all():
        where = tuple(int(i) for i in np.argwhere(~same)[0])
        raise AssertionError(
            f"{context}: {np.sum(~same)} of {same.size} differ, first at {where}: "
            f"found {found[where]!r}, expected {expected[where]!r}"
        )


def every_tensor_of_litert(graph: Graph, inputs: Sequence[Array]) -> dict[int, Array]:
    """The value of every tensor, intermediate ones included, after LiteRT has run `graph`."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=ptq.format.dumps(graph),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    for details, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], value)
    interpreter.invoke()
    return {d["index"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_tensor_details()}
