"""Boundary problems of windows: which pixel meets which weight, in each arithmetic.

Pixels and weights are small integers, of which no two neighbours are alike, so that every slip shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptq.oracle.draw.core import Array
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted, quantization

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """Shapes of image and filter, and the options that matter. axis: the filter's dimension of outputs."""

    purpose: str
    image: Shape
    filter: Shape
    axis: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """How many channels the output has."""
        return self.filter[self.axis]

    @property
    def all_options(self) -> dict[str, Any]:
        """With a stride of 1 unless it is another."""
        return {"stride_h": 1, "stride_w": 1, **self.options}


def ramp(shape: Shape, step: int, modulus: int) -> Array:
    """Small integers, 0 in the middle: step * n mod the modulus."""
    return np.arange(np.prod(shape)).reshape(shape) * step % modulus - modulus // 2


def options(
    stride: Sequence[int] = (1, 1), dilation: Sequence[int] = (1, 1), padding: str = "SAME"
) -> dict[str, Any]:
    """The options of a window."""
    return {
        "stride_h": stride[0], "stride_w": stride[1], "padding": padding,
        "dilation_h_factor": dilation[0], "dilation_w_factor": dilation[1],
    }  # fmt: skip


def convolution_windows(depthwise: bool) -> Iterator[Window]:
    """What CONV_2D and DEPTHWISE_CONV_2D share."""
    channels, axis = (1, 3) if depthwise else (2, 0)

    def window(purpose: str, size: Shape, kernel: Shape, **more: Any) -> Window:
        filter = (1, *kernel, 2) if depthwise else (2, *kernel, channels)
        given = {"depth_multiplier": 2} if depthwise else {}
        return Window(purpose, (1, *size, channels), filter, axis, {**options(**more), **given})

    yield window(
        "the odd row and column of SAME padding stand behind the image, which is padded with its zero point",
        (4, 2), (3, 3), stride=(2, 1),
    )  # fmt: skip
    yield window("vertical and horizontal strides differ", (5, 5), (2, 3), stride=(3, 2), padding="VALID")
    yield window("dilations differ, and SAME padding depends on them", (5, 4), (2, 3), dilation=(3, 1))
    yield window("SAME padding with strides beyond the kernel is none", (5, 4), (2, 1), stride=(3, 2))


def integer_problem(window: Window, operator: str, version: int) -> Problem:
    """The window on int8 with zero points and a scale for each output."""
    scales = 0.25 + 0.125 * np.arange(window.outputs)
    return Problem(
        operator,
        [
            Given((ramp(window.image, 7, 25) + 5).astype(np.int8), quantization(0.5, 5)),
            Given(ramp(window.filter, 5, 13).astype(np.int8), quantization(scales, 0, window.axis), CONSTANT),
            Given(9 * np.arange(window.outputs, dtype=np.int32), quantization(scales / 2), CONSTANT),
        ],
        [Wanted("INT8", quantization(0.8, -3))],
        window.all_options,
        version,
        purpose=window.purpose,
    )  # fmt: skip


def hybrid_problem(window: Window, operator: str, version: int, several: bool = True) -> Problem:
    """The window on reals, whose scale is no power of two; several: a scale for each output."""
    scales = [0.3 + 0.1 * n for n in range(window.outputs if several else 1)]
    axis = window.axis if several else 0
    return Problem(
        operator,
        [
            Given((ramp(window.image, 7, 25) * 0.37 + 1.1).astype(np.float32)),
            Given(ramp(window.filter, 5, 13).astype(np.int8), quantization(scales, 0, axis), CONSTANT),
            Given(np.arange(window.outputs, dtype=np.float32), None, CONSTANT),
        ],
        [Wanted()],
        window.all_options,
        version,
        purpose=window.purpose,
    )  # fmt: skip


def float_problem(window: Window, operator: str, version: int = 1) -> Problem:
    """The window on reals whose sums do not round."""
    return Problem(
        operator,
        [
            Given(ramp(window.image, 7, 25).astype(np.float32) / 4),
            Given(ramp(window.filter, 5, 13).astype(np.float32) / 2, None, CONSTANT),
            Given(np.arange(window.outputs, dtype=np.float32), None, CONSTANT),
        ],
        [Wanted()],
        window.all_options,
        version,
        purpose=window.purpose,
    )
