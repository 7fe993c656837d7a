"""Builder methods for layers with weights, pools and reductions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.builder.core import Value, shape_of
from ptq.builder.elementwise import ElementwiseMethods
from ptq.graph import Array, Tensor

Pair = int | tuple[int, int]
"""One number for both directions, or (vertical, horizontal)."""


class LayerMethods(ElementwiseMethods):
    """Convolutions, dense layers, batch normalisation, pools and means."""

    # --- layers with weights ----------------------------------------------------------------------

    def conv2d(
        self, x: Tensor, filter: Value, bias: Value | None = None, stride: Pair = 1,
        padding: str = "SAME", activation: str = "NONE", dilation: Pair = 1, name: str | None = None
    ) -> Tensor:
        """CONV_2D; filter [outputs, height, width, inputs / groups], bias [outputs], 0 if not given."""
        options = {**_geometry(padding, stride, activation), **_dilation(dilation)}
        shape = shape_of(filter)
        grouped = shape[-1:] != x.shape[-1:]
        roles = ("input", "filter", "bias")
        version = 6 if grouped else 1
        inputs = [x, filter, _zeros(*shape[:1]) if bias is None else bias]
        return self.op("CONV_2D", inputs, options, version, roles=roles, name=name)

    def depthwise_conv2d(
        self, x: Tensor, filter: Value, bias: Value | None = None, stride: Pair = 1,
        padding: str = "SAME", activation: str = "NONE", dilation: Pair = 1, name: str | None = None
    ) -> Tensor:
        """DEPTHWISE_CONV_2D; filter [1, height, width, channels * multiplier], bias alike or 0."""
        outputs = (0, *shape_of(filter))[-1]
        multiplier = outputs // max(x.shape[-1], 1) if x.shape else 0
        options = {**_geometry(padding, stride, activation), **_dilation(dilation)}
        options["depth_multiplier"] = multiplier
        roles = ("input", "filter", "bias")
        version = 1 if _pair(dilation) == (1, 1) else 2
        inputs = [x, filter, _zeros(outputs) if bias is None else bias]
        return self.op("DEPTHWISE_CONV_2D", inputs, options, version, roles=roles, name=name)

    def fully_connected(
        self, x: Tensor, weights: Value, bias: Value | None = None, activation: str = "NONE",
        keep_num_dims: bool = False, name: str | None = None
    ) -> Tensor:
        """FULLY_CONNECTED; weights [outputs, inputs], bias [outputs]; x is seen as rows of `inputs`."""
        options = {"fused_activation_function": activation, "keep_num_dims": keep_num_dims}
        version = 6 if bias is None else 5 if keep_num_dims else 1
        roles = ("input", "weights", "bias")
        return self.op("FULLY_CONNECTED", [x, weights, bias], options, version, roles=roles, name=name)

    def batch_matmul(
        self, x: Value, y: Value, adj_x: bool = False, adj_y: bool = False, name: str | None = None
    ) -> Tensor:
        """BATCH_MATMUL: x @ y, [..., m, k] and [..., k, n]; transposed first where adj_x or adj_y is true."""
        options = {"adj_x": adj_x, "adj_y": adj_y}
        return self.op("BATCH_MATMUL", [x, y], options, roles=("lhs", "rhs"), name=name)

    def transpose_conv(
        self, x: Tensor, filter: Value, bias: Value | None = None, stride: Pair = 1, padding: str = "SAME",
        size: Pair | None = None, activation: str = "NONE", name: str | None = None
    ) -> Tensor:
        """TRANSPOSE_CONV; filter [outputs, height, width, inputs], bias [outputs] or none.

        size: of the output, of which several are possible; as Keras chooses it unless given, the input's
        size times the stride, and with VALID padding what the filter reaches beyond. x's batch size is fixed.
        """
        outputs, *kernel = (*shape_of(filter), 0, 0, 0)[:3]
        if size is None:
            sizes = zip((*x.shape, 0, 0, 0)[1:3], kernel, _pair(stride), strict=True)
            beyond = padding == "VALID"
            height, width = (n * s + (max(k - s, 0) if beyond else 0) for n, k, s in sizes)
        else:
            height, width = _pair(size)
        output = np.array([*x.shape[:1], height, width, outputs], np.int32)
        version = 4 if activation != "NONE" else 1 if bias is None else 3
        return self.op(
            "TRANSPOSE_CONV", [output, filter, x, bias], _geometry(padding, stride, activation), version,
            roles=("output_shape", "filter", "input", "bias"), output_type=x.type, name=name,
        )  # fmt: skip

    def batch_norm(
        self, x: Tensor, gamma: npt.ArrayLike, beta: npt.ArrayLike, mean: npt.ArrayLike,
        variance: npt.ArrayLike, epsilon: float = 1e-3, name: str | None = None
    ) -> Tensor:
        """Batch normalisation at inference, as MUL and ADD of constants, which a pass folds later.

        output = x * multiplier + offset,  multiplier = gamma / sqrt(variance + epsilon),
        offset = beta - mean * multiplier; both in double precision, rounded to float32 at the end.
        """
        spread = np.sqrt(np.asarray(variance, np.float64) + epsilon)
        multiplier = np.asarray(gamma, np.float64) / spread
        offset = np.asarray(beta, np.float64) - np.asarray(mean, np.float64) * multiplier
        label = name or "batch_norm"
        scaled = self.mul(x, multiplier.astype(np.float32), name=f"{label}/mul")
        return self.add(scaled, offset.astype(np.float32), name=f"{label}/add")

    # --- pools and reductions ---------------------------------------------------------------------

    def average_pool2d(
        self, x: Tensor, size: Pair, stride: Pair | None = None, padding: str = "VALID",
        activation: str = "NONE", name: str | None = None
    ) -> Tensor:
        """AVERAGE_POOL_2D over windows of `size`, which do not overlap unless `stride` is given."""
        options = _pool(size, stride, padding, activation)
        return self.op("AVERAGE_POOL_2D", [x], options, name=name)

    def max_pool2d(
        self, x: Tensor, size: Pair, stride: Pair | None = None, padding: str = "VALID",
        activation: str = "NONE", name: str | None = None
    ) -> Tensor:
        """MAX_POOL_2D over windows of `size`, which do not overlap unless `stride` is given."""
        options = _pool(size, stride, padding, activation)
        return self.op("MAX_POOL_2D", [x], options, name=name)

    def mean(
        self, x: Tensor, axes: int | Sequence[int], keep_dims: bool = False, name: str | None = None
    ) -> Tensor:
        """MEAN over `axes`; mean(x, (1, 2)) is global average pooling."""
        axis = np.atleast_1d(np.array(axes, np.int32))
        return self.op("MEAN", [x, axis], {"keep_dims": keep_dims}, roles=("input", "axis"), name=name)


def _zeros(*shape: int) -> Array:
    """A bias that changes nothing: LiteRT's hybrid convolutions refuse to run without any."""
    return np.zeros(shape, np.float32)


def _pair(value: Pair) -> tuple[int, int]:
    vertical, horizontal = (value, value) if isinstance(value, int) else value
    return int(vertical), int(horizontal)


def _geometry(padding: str, stride: Pair, activation: str) -> dict[str, Any]:
    stride_h, stride_w = _pair(stride)
    strides = {"stride_w": stride_w, "stride_h": stride_h}
    return {"padding": padding, **strides, "fused_activation_function": activation}


def _dilation(dilation: Pair) -> dict[str, Any]:
    dilation_h, dilation_w = _pair(dilation)
    return {"dilation_w_factor": dilation_w, "dilation_h_factor": dilation_h}


def _pool(size: Pair, stride: Pair | None, padding: str, activation: str) -> dict[str, Any]:
    filter_h, filter_w = _pair(size)
    options = _geometry(padding, size if stride is None else stride, activation)
    return {**options, "filter_width": filter_w, "filter_height": filter_h}
