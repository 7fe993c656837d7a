"""Problems of TRANSPOSE_CONV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ptq.oracle.draw import layers
from ptq.oracle.draw.core import Array, Draw, Random, pick
from ptq.oracle.draw.geometry import (
    Window,
    float_problem,
    hybrid_problem,
    integer_problem,
    options,
)
from ptq.oracle.draw.reals import real_problems
from ptq.oracle.draw.rows import Form, row_problems
from ptq.oracle.draw.stages import Kind, stage_problems
from ptq.oracle.problem import CONSTANT, INPUT, Given, Problem, Wanted

OPERATOR = "TRANSPOSE_CONV"
VERSIONS = {"uint8": 3, "int8": 3, "int16": 5}


KINDS = (
    Kind(OPERATOR, version=3),
    Kind(OPERATOR, np.uint8, np.uint8, version=1),
    Kind(OPERATOR, np.int16, bias=np.int64, version=5),
    Kind(OPERATOR, np.int16, version=5),
)


def integer_boundary() -> Iterable[Problem]:
    """The stages after the sum, for all types."""
    for kind in KINDS:
        yield from stage_problems(kind)
    yield from (_with_shape(integer_problem(window, OPERATOR, 3), size) for window, size in windows())


def windows() -> Iterable[tuple[Window, tuple[int, int]]]:
    """Windows and the height and width of their outputs."""

    def window(
        purpose: str, size: tuple[int, int], out: tuple[int, int], kernel: tuple[int, int], **more: Any
    ) -> tuple[Window, tuple[int, int]]:
        given = {k: v for k, v in options(**more).items() if "dilation" not in k}
        return Window(purpose, (1, *size, 2), (2, *kernel, 2), 0, given), out

    yield window(
        "every input lays the kernel into the output, not flipped; an odd row of padding is not in front",
        (2, 2), (4, 3), (3, 3), stride=(2, 2),
    )  # fmt: skip
    yield window(
        "vertical and horizontal strides differ", (2, 2), (5, 4), (2, 3), stride=(3, 1), padding="VALID"
    )
    yield window("outputs that no input reaches have the bias alone", (2, 2), (4, 4), (1, 1), stride=(3, 3))


def _with_shape(problem: Problem, size: tuple[int, int]) -> Problem:
    """The operands in the order of this operator."""
    image, weights, *others = problem.operands
    if image is None or weights is None:
        return problem
    shape = output_shape([len(image.array), *size, len(weights.array)])
    return replace(problem, operands=[shape, weights, image, *others])


def integer_random(rng: Random) -> Problem:
    """int8, uint8, or int16 with either type of bias."""
    dtype = pick(rng, (np.int8, np.int8, np.uint8, np.int16))
    bias_type, more = layers.bias_type(rng, dtype)
    shape, image, filter, window = _shapes(rng)
    taps = -(-filter[1] // window["stride_h"]) * -(-filter[2] // window["stride_w"])
    layer = layers.integer_layer(rng, dtype, image, filter, 0, filter[3] * taps, bias_type, without_bias=0.3)
    operands = [shape, layer.weights, layer.input, *layer.operands[2:]]
    return Problem(OPERATOR, operands, [layer.wanted], {**window, **more}, VERSIONS[np.dtype(dtype).name])


def hybrid_boundary() -> Iterable[Problem]:
    """Rows of both forms, and windows."""
    for form in (Form(OPERATOR, False, False, 3), Form(OPERATOR, False, True, 3)):
        yield from row_problems(form)
    yield from (_with_shape(hybrid_problem(window, OPERATOR, 3), size) for window, size in windows())


def hybrid_random(rng: Random) -> Problem:
    """One scale or one for each output. (Float sums, but all numerics add in the same order.)"""
    shape, image, filter, window = _shapes(rng)
    weights = layers.hybrid_weights(rng, filter, 0, bool(rng.integers(2)), -128)
    operands = [shape, weights, Given(layers.activations(rng, image))]
    operands += [layers.real_bias(rng, filter[0])] if rng.integers(4) else []
    return Problem(OPERATOR, operands, [Wanted()], window, 3)


def float_boundary() -> Iterable[Problem]:
    """Orders, bounds and windows."""
    yield from real_problems(OPERATOR, 4)
    yield from (_with_shape(float_problem(window, OPERATOR, 4), size) for window, size in windows())
    image = np.array([2.0**25, -(2.0**25), 1], np.float32).reshape(1, 1, 3, 1)
    yield Problem(
        OPERATOR,
        [output_shape((1, 1, 3, 1)), Given(np.ones((1, 1, 3, 1), np.float32), None, CONSTANT), Given(image)],
        [Wanted()], {"stride_h": 1, "stride_w": 1}, 4,
        purpose="what reaches an output is added in the order of the input, not in that of the kernel",
        order_free=False,
    )  # fmt: skip


def float_random(rng: Random) -> Problem:
    """Sums that do not round in any order, or such as do."""
    order_free = bool(rng.integers(4))
    shape, image, filter, window = _shapes(rng)
    input, *others = layers.float_operands(rng, image, filter, filter[0], order_free)
    return Problem(
        OPERATOR, [shape, others[0], input, *others[1:]], [Wanted()], window, 4, order_free=order_free
    )


def output_shape(shape: Sequence[int], kind: str = CONSTANT) -> Given:
    """The operand that says how large the output is."""
    return Given(np.array(shape, np.int32), None, kind, "output_shape")


def _shapes(rng: Random) -> tuple[Given, layers.Shape4, layers.Shape4, dict[str, Any]]:
    """The output's shape, one of those that the convolution leads back from; image, filter, options."""
    padding = pick(rng, ("SAME", "VALID"))
    kernel, stride, size = rng.integers(1, 5, 2), rng.integers(1, 4, 2), rng.integers(1, 5, 2)
    channels, outputs, images = (int(rng.integers(1, n)) for n in (5, 4, 3))
    least: Array = (size - 1) * stride + (1 if padding == "SAME" else kernel)
    out = least + rng.integers(0, stride)
    options = {
        "padding": padding, "stride_h": int(stride[0]), "stride_w": int(stride[1]), **layers.activation(rng)
    }  # fmt: skip
    shape = output_shape([images, *layers.pair(out), outputs], pick(rng, (CONSTANT, CONSTANT, INPUT)))
    image, filter = (images, *layers.pair(size), channels), (outputs, *layers.pair(kernel), channels)
    return shape, image, filter, options


FLOAT = {OPERATOR: Draw(float_boundary, float_random)}
HYBRID = {OPERATOR: Draw(hybrid_boundary, hybrid_random)}
INTEGER = {OPERATOR: Draw(integer_boundary, integer_random)}
