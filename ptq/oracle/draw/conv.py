"""Problems of CONV_2D."""

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

OPERATOR = "CONV_2D"
VERSIONS = {"uint8": 1, "int8": 3, "int16": 4}


KINDS = (
    Kind(OPERATOR, version=3),
    Kind(OPERATOR, np.uint8, np.uint8, version=1),
    Kind(OPERATOR, np.int16, bias=np.int64, version=4),
    Kind(OPERATOR, np.int16, version=8),
)


def integer_boundary() -> Iterable[Problem]:
    """The stages after the sum, for all types."""
    for kind in KINDS:
        yield from stage_problems(kind)
    yield from (integer_problem(window, OPERATOR, 3) for window in windows())


def windows() -> Iterable[Window]:
    """All windows, and groups."""
    yield from convolution_windows(False)
    yield Window(
        "each group of outputs reads its own inputs", (1, 2, 2, 6), (4, 1, 2, 3), 0, options(padding="VALID")
    )


def integer_random(rng: Random) -> Problem:
    """int8, uint8, or int16 with either type of bias; groups."""
    dtype = pick(rng, (np.int8, np.int8, np.uint8, np.int16))
    bias_type, options = layers.bias_type(rng, dtype)
    image, filter, window = _shapes(rng)
    terms = int(np.prod(filter[1:]))
    layer = layers.integer_layer(rng, dtype, image, filter, 0, terms, bias_type)
    version = 8 if options else VERSIONS[np.dtype(dtype).name]
    return Problem(OPERATOR, layer.operands, [layer.wanted], {**window, **options}, version)


FORMS = [Form(OPERATOR, True, False, 2), Form(OPERATOR, False, True, 5)]


def hybrid_boundary() -> Iterable[Problem]:
    """Rows of both forms, and windows."""
    for form in FORMS:
        yield from row_problems(form)
    yield from (hybrid_problem(window, OPERATOR, 5) for window in windows())
    yield hybrid_problem(next(iter(convolution_windows(False))), OPERATOR, 2, several=False)


def hybrid_random(rng: Random) -> Problem:
    """One scale or several; groups and weights of -128 only where the runtime has them, with several."""
    several = bool(rng.integers(4))
    image, filter, window = _shapes(rng, groups=several)
    weights = layers.hybrid_weights(rng, filter, 0, several, -128)
    scales = weights.quantization.scale if weights.quantization is not None else np.ones(1)
    if np.all(scales == scales[0]):
        image = (*image[:3], filter[3])
        weights = Given(np.maximum(weights.array, np.int8(-127)), weights.quantization, weights.kind)
    operands = [Given(layers.activations(rng, image)), weights, layers.real_bias(rng, filter[0])]
    return Problem(OPERATOR, operands, [Wanted()], window, 5)


def float_boundary() -> Iterable[Problem]:
    """Orders, bounds and windows."""
    yield from real_problems(OPERATOR)
    yield from (float_problem(window, OPERATOR) for window in windows())


def float_random(rng: Random) -> Problem:
    """Sums that do not round in any order, or such as do."""
    order_free = bool(rng.integers(4))
    image, filter, window = _shapes(rng)
    operands = layers.float_operands(rng, image, filter, filter[0], order_free)
    return Problem(OPERATOR, operands, [Wanted()], window, order_free=order_free)


def _shapes(rng: Random, groups: bool = True) -> tuple[layers.Shape4, layers.Shape4, dict[str, Any]]:
    """Shapes of image and filter, and the options."""
    count = pick(rng, (1, 1, 2, 3)) if groups else 1
    depth, outputs = int(rng.integers(1, 4)), int(rng.integers(1, 4)) * count
    kernel, extent, options = layers.window(rng, 3)
    return layers.image(rng, extent, options["padding"], depth * count), (outputs, *kernel, depth), options


FLOAT = {OPERATOR: Draw(float_boundary, float_random)}
HYBRID = {OPERATOR: Draw(hybrid_boundary, hybrid_random)}
INTEGER = {OPERATOR: Draw(integer_boundary, integer_random)}
