"""How far PORTABLE is from LITERT_REFERENCE: `OPENBLAS_NUM_THREADS=1 python tests/benchmarks/numerics.py`.

Both are right answers: the plain C++ source, and what x86 wheels compute. Hybrid operators on normally
distributed activations and weights, fixed seeds; NumPy alone. For each operator: the share of outputs that
differ in any bit, the largest difference as a part of the largest output, and where it comes from, found by
quantizing the same activations in both ways and by changing the rule for row sums alone. Symmetric
activations of normally distributed data hardly ever lie where the rounding shows.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from ptq.kernels.batch_matmul import batch_matmul_hybrid
from ptq.kernels.conv import conv2d_hybrid
from ptq.kernels.dense import fully_connected_hybrid
from ptq.kernels.depthwise import depthwise_conv2d_hybrid
from ptq.kernels.dynamic_range import quantize_rows
from ptq.kernels.lstm import LstmLayer, unidirectional_sequence_lstm
from ptq.kernels.recurrent import Matrix
from ptq.kernels.rnn import unidirectional_sequence_rnn_hybrid
from ptq.kernels.svdf import svdf_hybrid
from ptq.numerics import LITERT_REFERENCE, PORTABLE
from ptq.terminal import table

STEPS, BATCH, UNITS = 12, 64, 128

LEGEND = """
scale     asymmetric activations: x86 builds round max - min to float32 before they divide it by 255, the
          portable source divides in double precision: the last bit of a row's scale may differ
rounding  x86 builds add 0.5 in float32 and cut: 0.49999997 becomes 1 (no other number goes wrong);
          asymmetric: they round x / scale and then add the zero point, the portable source adds it
          first, in float32, so that what lies near a half, or on it, may go the other way
lanes     SVDF: x86 builds add the terms of a float sum in four lanes, the portable source in order
row sums  x86 builds add a row's weights in int16; beyond 2,064 weights of one sign that wraps around
12 steps  the differences of earlier steps come back through the state
""".strip()


@dataclass
class Case:
    """compute(symmetric, numerics) gives the output; rows are the activations that it quantizes first."""

    name: str
    rows: Any
    compute: Any
    symmetric: tuple[bool, ...] = (True, False)


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(0, 1, shape).astype(np.float32)


def int8(*shape):
    """Weights as a converter writes them: int8 of a normal distribution, and one scale."""
    weights = normal(*shape) / np.float32(np.sqrt(shape[-1]))
    scale = np.abs(weights).max() / np.float32(127)
    return np.rint(weights / scale).astype(np.int8), np.full(1, scale, np.float32)


def fully_connected(x, weights, scale):
    def compute(symmetric, numerics):
        options = {"asymmetric_quantize_inputs": not symmetric, "numerics": numerics}
        return fully_connected_hybrid(x, weights, scale, **options)

    return compute


def convolution(kernel, x, filter, channels):
    scale = np.exp(normal(channels) / 4) / 1000
    return lambda symmetric, numerics: kernel(x, filter, scale, numerics=numerics)


def batch_matmul(x, rhs, scale):
    return lambda symmetric, numerics: batch_matmul_hybrid(
        x, rhs, scale, asymmetric_quantize_inputs=not symmetric, numerics=numerics
    )


def svdf(x, steps):
    feature, time = int8(UNITS, UNITS), int8(UNITS, 10)

    def compute(symmetric, numerics):
        state = np.zeros((BATCH, UNITS * 10), np.float32)
        for step in range(steps):
            output, state = svdf_hybrid(
                x[step], feature, time, None, state, 2, "NONE", not symmetric, numerics
            )
        return output

    return compute


def rnn(x, steps):
    weights, bias = (int8(UNITS, UNITS), int8(UNITS, UNITS)), np.zeros(UNITS, np.float32)

    def compute(symmetric, numerics):
        state = np.zeros((BATCH, UNITS), np.float32)
        settings = ("TANH", True, not symmetric, numerics)
        return unidirectional_sequence_rnn_hybrid(x[:steps], *weights, bias, state, *settings)[1]

    return compute


def lstm(x, steps):
    gates, scales = zip(*(int8(UNITS, UNITS) for _ in range(4)), strict=True)
    matrix, bias = Matrix.stack("LSTM", gates, scales), np.zeros((4, UNITS), np.float32)

    def compute(symmetric, numerics):
        layer = LstmLayer(matrix, matrix, bias, asymmetric_quantize_inputs=not symmetric)
        state = np.zeros((BATCH, UNITS), np.float32), np.zeros((BATCH, UNITS), np.float32)
        return unidirectional_sequence_lstm(x[:steps], state, layer, True, numerics)[0][-1]

    return compute


def cases():
    x, image = normal(256, 512), normal(8, 28, 28, 32)
    long, one_signed = normal(64, 5000), np.abs(int8(64, 5000)[0]).clip(60)
    halves = np.rint(normal(256, 512) * 40) / np.float32(2)
    halves[:, :2] = -100, 155  # a step of 1, so that every odd number of halves lies between two integers
    yield Case("FULLY_CONNECTED", x, fully_connected(x, *int8(256, 512)))
    yield Case(
        "FULLY_CONNECTED, rows of 5,000 weights >= 60", long,
        fully_connected(long, one_signed, np.full(1, np.float32(0.01))),
    )  # fmt: skip
    on_halves = fully_connected(halves, *int8(256, 512))
    yield Case("FULLY_CONNECTED, multiples of half a step", halves, on_halves, (False,))
    images, asymmetric = image.reshape(8, -1), (False,)
    filter, depthwise = int8(64, 3, 3, 32)[0], int8(1, 3, 3, 32)[0]
    yield Case("CONV_2D per channel", images, convolution(conv2d_hybrid, image, filter, 64), asymmetric)
    yield Case(
        "DEPTHWISE_CONV_2D", images, convolution(depthwise_conv2d_hybrid, image, depthwise, 32), asymmetric
    )
    yield Case("BATCH_MATMUL", x, batch_matmul(x.reshape(8, 32, 512), *int8(512, 256)))
    sequence = normal(STEPS, BATCH, UNITS)
    for name, layer in (("SVDF", svdf), ("RNN sequence", rnn), ("LSTM sequence", lstm)):
        for steps, words in ((1, "1 step"), (STEPS, f"{STEPS} steps")):
            rows = sequence[:steps].reshape(-1, UNITS)
            yield Case(f"{name}, {words}", rows, layer(sequence, steps))


def differing(a, b):
    """The share of elements that differ in any bit."""
    return np.mean(a.view(np.int32) != b.view(np.int32))


def causes(case, symmetric, expected):
    """What differs before the products, and which further rules change the output."""
    ours, theirs = (quantize_rows(case.rows, symmetric, n) for n in (LITERT_REFERENCE, PORTABLE))
    found = []
    if differing(ours.scale, theirs.scale):
        found.append(f"scale ({100 * differing(ours.scale, theirs.scale):.0f} % of rows)")
    integers = [q.centred + q.zero_point[:, None] for q in (ours, theirs)]
    if np.any(integers[0] != integers[1]):
        found.append(f"rounding ({np.sum(integers[0] != integers[1]):,} of {integers[0].size:,} integers)")
    # symmetric activations are equal here: what still differs comes from sums of floats
    if case.name.startswith("SVDF") and differing(
        *(case.compute(True, n) for n in (LITERT_REFERENCE, PORTABLE))
    ):
        found.append("lanes")
    if differing(case.compute(symmetric, replace(LITERT_REFERENCE, row_sums="exact")), expected):
        found.append("row sums")
    return ", ".join(found)


def row(case, symmetric):
    reference, portable = (case.compute(symmetric, n) for n in (LITERT_REFERENCE, PORTABLE))
    share, largest = differing(reference, portable), np.abs(reference - portable).max()
    return [
        case.name, "symmetric" if symmetric else "asymmetric", f"{100 * share:.2f} %",
        f"{largest / np.abs(reference).max():.1e}" if share else "0",
        causes(case, symmetric, reference) if share else "-",
    ]  # fmt: skip


def main():
    rows = [row(case, symmetric) for case in cases() for symmetric in case.symmetric]
    header = ["operator", "activations", "outputs that differ", "largest difference", "due to"]
    print(table(header, rows, {"outputs that differ", "largest difference"}, columns=0), LEGEND, sep="\n\n")


if __name__ == "__main__":
    main()
