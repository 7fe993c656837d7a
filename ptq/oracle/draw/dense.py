"""Problems of FULLY_CONNECTED."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq.oracle.draw import layers
from ptq.oracle.draw.core import Draw, Random, pick
from ptq.oracle.draw.reals import real_problems
from ptq.oracle.draw.rows import Form, row_problems
from ptq.oracle.draw.stages import Kind, stage_problems
from ptq.oracle.problem import Given, Problem, Wanted

OPERATOR = "FULLY_CONNECTED"
VERSIONS = {"uint8": 1, "int8": 4, "int16": 7}


KINDS = (
    Kind(OPERATOR, version=4),
    Kind(OPERATOR, version=4, weights_zero_point=True),
    Kind(OPERATOR, np.uint8, np.uint8, version=1),
    Kind(OPERATOR, np.int16, bias=np.int64, version=7),
    Kind(OPERATOR, np.int16, version=11),
)


def integer_boundary() -> Iterable[Problem]:
    """The stages after the sum, for all types."""
    for kind in KINDS:
        yield from stage_problems(kind)


def integer_random(rng: Random) -> Problem:
    """int8, also with a zero point of the weights; uint8; int16 with either type of bias."""
    dtype = pick(rng, (np.int8, np.int8, np.uint8, np.int16))
    bias_type, more = layers.bias_type(rng, dtype)
    input, weights, options = _shapes(rng)
    offset = dtype is np.int8 and bool(rng.integers(2))
    layer = layers.integer_layer(rng, dtype, input, weights, 0, weights[1], bias_type, 0.2, offset)
    version = 11 if more else VERSIONS[np.dtype(dtype).name]
    return Problem(OPERATOR, layer.operands, [layer.wanted], {**options, **more}, version)


FORMS = [
    Form(OPERATOR, True, False, 3, {"asymmetric_quantize_inputs": False}, row_sums=True),
    Form(OPERATOR, False, False, 9, {"asymmetric_quantize_inputs": True}),
    Form(OPERATOR, False, True, 12, {"asymmetric_quantize_inputs": True}, row_sums=True),
]


def hybrid_boundary() -> Iterable[Problem]:
    """Rows of all forms, and the zero that is not computed."""
    for form in FORMS:
        yield from row_problems(form)
    for name in ("RELU_N1_TO_1", "TANH"):
        yield FORMS[2].problem(
            f"{name} of the sum with the bias; NaN becomes the lower bound of an activation that has one",
            [[1.0, -2.0], [0.5, 0.25]], [[90, 3], [-7, 50], [127, 127]], (0.25, np.nan, np.inf),
            (0.01, 0.03, 0.05), fused_activation_function=name,
        )  # fmt: skip
    yield FORMS[0].problem(
        "an input of zeros alone gives the activation of the bias, of which -0 stays",
        [[0, 0]], [[1, 2], [3, 4], [5, 6]], (-0.0, 0.5, -1),
    )  # fmt: skip


def hybrid_random(rng: Random) -> Problem:
    """One scale or several, symmetric or asymmetric rows."""
    several, asymmetric = bool(rng.integers(2)), bool(rng.integers(2))
    input, weights, options = _shapes(rng, 60)
    options["asymmetric_quantize_inputs"] = asymmetric
    if rng.random() < 0.2:
        options["fused_activation_function"] = "TANH"
    x = layers.activations(rng, input)
    if rng.random() < 0.05:
        x = np.zeros_like(x)
    operands = [Given(x), layers.hybrid_weights(rng, weights, 0, several)]
    operands += [layers.real_bias(rng, weights[0])] if rng.integers(4) else []
    return Problem(OPERATOR, operands, [Wanted()], options, 12 if several else 9 if asymmetric else 3)


def float_boundary() -> Iterable[Problem]:
    """Orders and bounds."""
    return real_problems(OPERATOR, 6)


def float_random(rng: Random) -> Problem:
    """Sums that do not round in any order, or such as do."""
    order_free = bool(rng.integers(4))
    input, weights, options = _shapes(rng)
    operands = layers.float_operands(rng, input, weights, weights[0], order_free)
    return Problem(OPERATOR, operands, [Wanted()], options, 6, order_free=order_free)


def _shapes(rng: Random, most: int = 30) -> tuple[tuple[int, ...], tuple[int, int], dict[str, Any]]:
    """Shapes of input and weights, and the options."""
    inner, outputs = int(rng.integers(1, most)), int(rng.integers(1, 12))
    rows = pick(rng, ((), (1,), (3,), (2, 2)))
    keep = bool(rng.integers(2)) and rows != ()
    options = {"keep_num_dims": keep, **layers.activation(rng)}
    return (*rows, inner), (outputs, inner), options


FLOAT = {OPERATOR: Draw(float_boundary, float_random)}
HYBRID = {OPERATOR: Draw(hybrid_boundary, hybrid_random)}
INTEGER = {OPERATOR: Draw(integer_boundary, integer_random)}
