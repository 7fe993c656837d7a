"""Single tensors of an executor: resized, fed and described as `tf.lite.Interpreter` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError
from ptq.executor import Executor
from ptq.graph import Tensor

Array = npt.NDArray[Any]


def resize(executor: Executor, index: int, shape: Sequence[int], strict: bool) -> None:
    """Give an input another shape; `allocate` has to follow, and tells whether the operators take it.

    strict: only dimensions that the model declares as unknown (-1 in its shape signature) may change.
    Source: `tflite/core/subgraph.cc`, ResizeInputTensor and ResizeInputTensorStrict.
    """
    tensor = executor.graph.tensors[index]
    wanted = tuple(int(size) for size in shape)
    signature = tensor.shape_signature or tensor.shape
    fits = len(wanted) == len(signature) and all(s in (-1, w) for s, w in zip(signature, wanted, strict=True))
    if strict and not fits:
        raise InputError(
            f"input '{tensor.name}': cannot be resized from {tensor.shape} to {wanted}; expected "
            f"{len(signature)} dimensions that agree with the signature {signature}"
        )
    if wanted != tensor.shape or not executor.allocated:
        executor.resize(index, wanted)


def feed(executor: Executor, index: int, value: npt.ArrayLike) -> None:
    """Set the value of an input or a state to a copy of an array of its shape and dtype."""
    tensor, array = executor.graph.tensors[index], np.asarray(value)
    if tensor.dtype is None or array.dtype != tensor.dtype:
        raise InputError(
            f"input '{tensor.name}': dtype {array.dtype} found, expected {tensor.dtype}; "
            f"convert it with x.astype(np.{tensor.dtype})"
        )
    if array.shape != tensor.shape:
        raise InputError(
            f"input '{tensor.name}': shape {array.shape} found, expected {tensor.shape}; "
            f"reshape it, or call resize_tensor_input({index}, {array.shape})"
        )
    executor.values[index] = np.array(array, order="C")


def read(executor: Executor, index: int) -> Array:
    """A copy of a tensor's value; InputError if it has none yet."""
    tensors = executor.graph.tensors
    if not 0 <= index < len(tensors):
        raise InputError(f"tensor index {index} found, expected 0 to {len(tensors) - 1}")
    if index not in executor.values:
        raise InputError(f"tensor '{tensors[index].name}' has no value yet; call set_tensor and invoke first")
    return executor.values[index].copy()


def check_fed(executor: Executor) -> None:
    """InputError for an input that has no value."""
    for index in executor.graph.inputs:
        if index not in executor.values:
            name = executor.graph.tensors[index].name
            raise InputError(f"input '{name}' has not been set; call set_tensor({index}, ...) first")


def details(tensor: Tensor, index: int) -> dict[str, Any]:
    """What a tensor is: name, index, shape, dtype and quantization, in tf.lite's structure."""
    quantized = tensor.quantized
    scales = quantized.scale if quantized else np.zeros(0, np.float32)
    zero_points = quantized.zero_point if quantized else np.zeros(0, np.int64)
    single = (float(scales[0]), int(zero_points[0])) if len(scales) == 1 else (0.0, 0)
    return {
        "name": tensor.name,
        "index": index,
        "shape": np.array(tensor.shape, np.int32),
        "shape_signature": np.array(tensor.shape_signature or tensor.shape, np.int32),
        "dtype": tensor.dtype.type if tensor.dtype is not None else None,
        "quantization": single,
        "quantization_parameters": {
            "scales": scales,
            "zero_points": zero_points.astype(np.int32),
            "quantized_dimension": quantized.quantized_dimension if quantized else 0,
            "block_size": _block_size(tensor),
        },
        "sparsity_parameters": tensor.extra.get("sparsity") or {},
    }


def _block_size(tensor: Tensor) -> int:
    """How many elements share a scale in blockwise quantization, which ptq does not compute; else 0."""
    match tensor.quantization and tensor.quantization.extra.get("details"):
        case ("BlockwiseQuantization", {"block_size": int(size)}):
            return size
    return 0
