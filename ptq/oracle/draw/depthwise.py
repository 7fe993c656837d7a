"""Problems of DEPTHWISE_CONV_2D."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq.oracle.draw import layers
from ptq.oracle.draw.core import Draw, Random, pick
from ptq.oracle.draw.geometry import (
    Window,
    convolution_windows,
    float_problem,
    hybrid_problem,
    integer_problem,
    options,
)
from ptq.oracle.draw.reals import real_problems
from ptq.oracle.draw.rows import Form, row_problems
from ptq.oracle.draw.stages import Kind, stage_problems
from ptq.oracle.problem import Given, Problem, Wanted

OPERATOR = "DEPTHWISE_CONV_2D"
VERSIONS = {"uint8": 1, "int8": 3, "int16": 5}


KINDS = (
    Kind(OPERATOR, version=3),
    Kind(OPERATOR, np.uint8, np.uint8, version=1),
    Kind(OPERATOR, np.int16, bias=np.int64, version=5),
)


def integer_boundary() -> Iterable[Problem]:
    """The stages after the sum, for all types."""
    for kind in KINDS:
        yield from stage_problems(kind)
    yield from (integer_problem(window, OPERATOR, 3) for window in windows())


def windows() -> Iterable[Window]:
    """All windows, and channels."""
    yield from convolution_windows(True)
    yield Window(
        "output channel c * multiplier + m reads input channel c", (1, 2, 2, 3), (1, 2, 1, 6), 3,
        {**options(padding="VALID"), "depth_multiplier": 2},
    )  # fmt: skip


def integer_random(rng: Random) -> Problem:
    """int8, uint8, or int16, whose bias is int64."""
    dtype = pick(rng, (np.int8, np.int8, np.uint8, np.int16))
    image, filter, window = _shapes(rng)
    terms = filter[1] * filter[2]
    layer = layers.integer_layer(rng, dtype, image, filter, 3, terms, without_bias=0.2)
    return Problem(OPERATOR, layer.operands, [layer.wanted], window, VERSIONS[np.dtype(dtype).name])


def hybrid_boundary() -> Iterable[Problem]:
    """Rows and windows."""
    yield from row_problems(Form(OPERATOR, False, True, 6))
    yield from (hybrid_problem(window, OPERATOR, 6) for window in windows())


def hybrid_random(rng: Random) -> Problem:
    """A scale for each output, as the runtime has no other form."""
    image, filter, window = _shapes(rng)
    operands = [Given(layers.activations(rng, image)), layers.hybrid_weights(rng, filter, 3, True, -128)]
    operands += [layers.real_bias(rng, filter[3])] if rng.integers(4) else []
    return Problem(OPERATOR, operands, [Wanted()], window, 6)


def float_boundary() -> Iterable[Problem]:
    """Orders, bounds and windows."""
    yield from real_problems(OPERATOR)
    yield from (float_problem(window, OPERATOR) for window in windows())


def float_random(rng: Random) -> Problem:
    """Sums that round, as well: all numerics add in the same order."""
    image, filter, window = _shapes(rng)
    operands = layers.float_operands(rng, image, filter, filter[3], bool(rng.integers(2)))
    return Problem(OPERATOR, operands, [Wanted()], window)


def _shapes(rng: Random) -> tuple[layers.Shape4, layers.Shape4, dict[str, Any]]:
    """Shapes of image and filter, and the options."""
    channels, multiplier = int(rng.integers(1, 5)), pick(rng, (1, 1, 2, 3))
    kernel, extent, options = layers.window(rng)
    options["depth_multiplier"] = multiplier
    image = layers.image(rng, extent, options["padding"], channels)
    return image, (1, *kernel, channels * multiplier), options


FLOAT = {OPERATOR: Draw(float_boundary, float_random)}
HYBRID = {OPERATOR: Draw(hybrid_boundary, hybrid_random)}
INTEGER = {OPERATOR: Draw(integer_boundary, integer_random)}
