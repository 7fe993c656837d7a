"""A model's inputs and outputs as arrays: from and to `.npy` and `.npz` files, at random, and as text."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ptq.errors import InputError
from ptq.format.files import read_file, write_file
from ptq.graph import Array, Graph, Tensor
from ptq.quantizer import dequantize
from ptq.signature_runner import input_names
from ptq.terminal import printable, shape_text

MOST_ROWS = 8
"""An output with at most that many rows is shown row by row, as a batch of images is."""


def read_array(path: str | os.PathLike[str]) -> Array:
    """The array in a `.npy` file; nothing in it is executed. InputError if it is no such file."""
    content = read_file(path, "a .npy file")
    try:
        array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # a damaged header raises whatever Python's tokenizer and literals raise
        raise InputError(
            f"'{path}' is no .npy file of numbers ({error}); write one with numpy.save(path, array)"
        ) from error
    return np.asarray(array)


def read_samples(paths: Sequence[str | os.PathLike[str]], graph: Graph) -> list[dict[str, Array]]:
    """Calibration samples by input: from one `.npz` file of arrays by name, or a `.npy` file for each.

    The names are those of a signature's inputs, or of the input tensors. The first dimension of every array
    counts the samples. If an array has no more dimensions than the input, that one is the batch: a sample is
    then a batch of one.
    Errors: InputError for files that do not fit the inputs, or do not all have the same number of samples.
    """
    known = {graph.tensors[index].name: index for index in graph.inputs}
    arrays: dict[str, Array] = {}
    if len(paths) == 1 and Path(paths[0]).suffix == ".npz":
        arrays = _read_archive(paths[0])
        known = input_names(graph, arrays)
    elif len(paths) == len(known):
        arrays = {name: read_array(path) for name, path in zip(known, paths, strict=True)}
    names = list(known)
    if sorted(arrays) != sorted(names):
        found = ", ".join(repr(name) for name in arrays) or f"{len(paths)} files"
        wanted = ", ".join(repr(name) for name in names)
        raise InputError(
            f"calibration samples: {found} found, expected arrays for {wanted}, which numpy.savez(path, "
            "**{name: array}) writes; or a .npy file for each, in this order"
        )
    columns = [_samples(graph.tensors[index], arrays[name]) for name, index in known.items()]
    counts = {name: len(column) for name, column in zip(names, columns, strict=True)}
    if len(set(counts.values())) > 1:
        raise InputError(f"calibration samples: {counts} found, expected as many for each input")
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def random_inputs(graph: Graph, seed: int) -> list[Array]:
    """One array for each input, in the shape that the file gives, from `numpy.random.default_rng(seed)`.

    Floats are normally distributed (mean 0, deviation 1); integers of a quantized tensor are uniform over
    the whole type; other integers are 0 or 1, which any index or flag may be. InputError for other types.
    """
    if seed < 0:
        raise InputError(f"seed {seed} found, expected an integer from 0 on")
    rng = np.random.default_rng(seed)
    return [_random(graph.tensors[index], rng) for index in graph.inputs]


def save_arrays(path: str | os.PathLike[str], arrays: Sequence[Array]) -> list[Path]:
    """Write one array to `path`, several to `path` with _0, _1, ... before its suffix; what was written."""
    target = Path(path)
    paths = [target]
    if len(arrays) != 1:
        paths = [target.with_name(f"{target.stem}_{i}{target.suffix}") for i in range(len(arrays))]
    for each, array in zip(paths, arrays, strict=True):
        content = io.BytesIO()
        np.lib.format.write_array(content, array, allow_pickle=False)
        write_file(each, [content.getvalue()])
    return paths


def value_text(title: str, tensor: Tensor, value: Array, top: int = 5) -> str:
    """An array in a few lines: what it is, its range, and its largest values with their indices.

    The integers of a quantized tensor are shown as the reals that they stand for. An array of a few rows
    is shown row by row, any other one as a whole.
    """
    quantized = tensor.quantized
    reals = value if quantized is None or value.dtype.kind not in "iu" else dequantize(value, quantized)
    what = f"{value.dtype} [{shape_text(value.shape)}]"
    lines = [f"{title}: '{printable(tensor.name)}', {what}{_range(reals)}"]
    if reals.dtype.kind not in "fiub" or reals.size == 0:
        return lines[0]
    row_shape = reals.shape[:-1]
    if np.prod(row_shape, dtype=np.int64) > MOST_ROWS:
        return "\n".join([*lines, f"  largest: {_largest(reals, top)}"])
    for index in np.ndindex(*row_shape):
        label = f"{_index(index)} largest" if index else "largest"
        lines.append(f"  {label}: {_largest(reals[index], top)}")
    return "\n".join(lines)


def _read_archive(path: str | os.PathLike[str]) -> dict[str, Array]:
    content = read_file(path, "a .npz file")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:  # as in `read_array`, or whatever a damaged archive raises
        raise InputError(
            f"'{path}' is no .npz file of numbers ({error}); write one with numpy.savez(path, name=array)"
        ) from error


def _samples(tensor: Tensor, array: Array) -> list[Array]:
    rank = len(tensor.shape)
    if array.ndim == 0 or array.ndim not in (rank, rank + 1):
        raise InputError(
            f"calibration samples: input '{tensor.name}' has shape [{shape_text(tensor.shape)}], an array of "
            f"shape [{shape_text(array.shape)}] found; expected its first dimension to count the samples"
        )
    return list(array) if array.ndim > rank else [array[i : i + 1] for i in range(len(array))]


def _random(tensor: Tensor, rng: np.random.Generator) -> Array:
    dtype = tensor.dtype
    if dtype is None or dtype.kind not in "fiub":
        raise InputError(
            f"input '{tensor.name}': no random values of type {tensor.type}; expected floats, integers or "
            "booleans; give an array instead"
        )
    if dtype.kind == "f":
        return rng.standard_normal(tensor.shape, np.float32).astype(dtype)
    if tensor.quantized is None or dtype.kind == "b":
        return rng.integers(0, 2, tensor.shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, tensor.shape, dtype, endpoint=True)


def _range(reals: Array) -> str:
    if reals.size == 0 or reals.dtype.kind not in "fiu":
        return ""
    finite = reals[np.isfinite(reals)]
    words = f", {finite.min():.6g} to {finite.max():.6g}" if finite.size else ""
    return words + (f", {reals.size - finite.size} not finite" if finite.size < reals.size else "")


def _largest(reals: Array, top: int) -> str:
    """The `top` largest values, NaN last, each after its index; the value alone if there is no index."""
    if reals.ndim == 0:
        return f"{reals:.6g}"
    flat = reals.reshape(-1)
    order = np.argsort(-flat.astype(np.float64), kind="stable")[: max(top, 0)]
    return "  ".join(f"{_index(np.unravel_index(i, reals.shape))} {flat[i]:.6g}" for i in order)


def _index(index: Sequence[int] | tuple[np.intp, ...]) -> str:
    return f"[{', '.join(str(int(i)) for i in index)}]"
