"""Problems of FULLY_CONNECTED."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import ACTIVATIONS, Draw, Random, integers, pick, zero_point
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted, quantization


def integer_random(rng: Random) -> Problem:
    """int8, the multiplier drawn first so that outputs cover their whole range and saturate at both ends."""
    inner, outputs = (int(n) for n in rng.integers(1, 20, 2))
    channels = outputs if rng.integers(2) else 1
    spread = 40 * 127 * inner**0.5
    multiplier = 127 / spread * np.exp(rng.uniform(-3, 2, channels))
    input_scale, output_scale = np.exp(rng.uniform(-5, -1, 2)).astype(np.float32)
    weights_scale = (multiplier * output_scale / input_scale).astype(np.float32)
    bias = rng.integers(-int(spread), int(spread) + 1, outputs).astype(np.int32)
    return Problem(
        "FULLY_CONNECTED",
        [
            Given(integers(rng, (int(rng.integers(1, 4)), inner), np.int8),
                  quantization(input_scale, zero_point(rng, np.int8))),
            Given(integers(rng, (outputs, inner), np.int8), quantization(weights_scale), CONSTANT),
            Given(bias, quantization(input_scale * weights_scale), CONSTANT),
        ],
        [Wanted("INT8", quantization(output_scale, zero_point(rng, np.int8)))],
        {"fused_activation_function": pick(rng, ACTIVATIONS)},
        version=4,
    )  # fmt: skip


def integer_boundary() -> Iterable[Problem]:
    """Accumulators at ties between two outputs, on both sides of zero."""
    accumulators = np.array([-7, -5, -3, -1, 1, 3, 5, 7], np.int32)  # halves of an output
    yield Problem(
        "FULLY_CONNECTED",
        [
            Given(np.full((1, 1), -3, np.int8), quantization(0.5, -3)),
            Given(np.ones((8, 1), np.int8), quantization(0.25), CONSTANT),
            Given(accumulators, quantization(0.125), CONSTANT),
        ],
        [Wanted("INT8", quantization(0.25, 5))],
        version=4,
        purpose="accumulators halfway between two outputs round away from zero, before the zero point is added",
    )


INTEGER = {"FULLY_CONNECTED": Draw(integer_boundary, integer_random)}
