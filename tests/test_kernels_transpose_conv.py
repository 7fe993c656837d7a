"""TRANSPOSE_CONV against loops over Python numbers and literals."""

import numpy as np
import pytest
import scalar

import ptq
from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.graph import Quantization
from ptq.kernels.transpose_conv import transpose_conv_float, transpose_conv_hybrid
from ptq.numerics import LITERT_REFERENCE, LITERT_REFERENCE_ORDERED, PORTABLE

F = np.float32

GEOMETRIES = [  # output height and width, stride, padding; the input is 3 by 2, the kernel 2 by 3
    ((6, 4), (2, 2), "SAME"),
    ((5, 3), (2, 2), "SAME"),
    ((3, 2), (1, 1), "SAME"),
    ((4, 4), (1, 1), "VALID"),
    ((6, 7), (2, 3), "VALID"),
    ((10, 5), (3, 2), "VALID"),
]


def scatter(image, weights, size, stride, padding):
    """(output pixel, input pixel, tap, channel) in the order in which the reference adds them."""
    before = [0, 0]
    if padding == "SAME":
        totals = [(image.shape[a] - 1) * stride[a] + weights.shape[1 + a] - size[a] for a in (0, 1)]
        before = [max(total, 0) // 2 for total in totals]
    for y, x, c in np.ndindex(*image.shape):
        for i, j in np.ndindex(*weights.shape[1:3]):
            row, column = y * stride[0] - before[0] + i, x * stride[1] - before[1] + j
            if 0 <= row < size[0] and 0 <= column < size[1]:
                yield (row, column), (y, x), (i, j), c


def arrays(seed):
    rng = np.random.default_rng(seed)
    image, weights = rng.normal(0.3, 1, (2, 3, 2, 4)), rng.normal(0, 1, (5, 2, 3, 4))
    return image.astype(F), weights.astype(F), rng.normal(0, 1, 5).astype(F)


@pytest.mark.parametrize(("size", "stride", "padding"), GEOMETRIES)
def test_float_adds_in_the_order_of_the_input(size, stride, padding):
    image, weights, bias = arrays(1)
    shape = np.array([2, *size, 5], np.int32)
    arguments = (shape, weights, image, bias, stride, padding, "RELU6")
    ordered = transpose_conv_float(*arguments, LITERT_REFERENCE_ORDERED)
    quick = transpose_conv_float(*arguments)
    for n, o in np.ndindex(2, 5):
        total, magnitude = np.zeros(size, F), np.full(size, abs(bias[o]), np.float64)
        for to, pixel, tap, c in scatter(image[n], weights, size, stride, padding):
            product = F(image[n][pixel][c] * weights[o][tap][c])
            total[to] = F(total[to] + product)
            magnitude[to] += abs(product)
        expected = np.clip(total + bias[o], F(0), F(6))
        assert ordered[n, :, :, o].tobytes() == expected.tobytes()
        assert np.all(np.abs(quick[n, :, :, o].astype(np.float64) - expected) <= 24 * 2.0**-23 * magnitude)


@pytest.mark.parametrize("numerics", [LITERT_REFERENCE, PORTABLE], ids=lambda n: n.name)
@pytest.mark.parametrize(("size", "stride", "padding"), GEOMETRIES)
@pytest.mark.parametrize("per_channel", [True, False])
def test_hybrid_adds_rescaled_products(size, stride, padding, numerics, per_channel):
    image, weights, bias = arrays(2)
    integers = np.clip(np.round(weights * 60), -128, 127).astype(np.int8)
    scale = np.random.default_rng(3).uniform(0.01, 0.1, 5).astype(F)[: 5 if per_channel else 1]
    shape = np.array([2, *size, 5], np.int32)
    result = transpose_conv_hybrid(shape, integers, scale, image, bias, stride, padding, "RELU", numerics)
    for n, one in enumerate(image):
        q, image_scale, zero = scalar.quantize_row(list(one.ravel()), False, numerics is PORTABLE)
        centred = (np.array(q) - zero).reshape(one.shape)
        for o in range(5):
            total = np.zeros(size, F)
            for to, pixel, tap, c in scatter(one, weights, size, stride, padding):
                product = F(int(centred[pixel][c]) * int(integers[o][tap][c]))
                term = F(F(product * scale[o if per_channel else 0]) * image_scale)
                total[to] = F(total[to] + term)
            expected = np.maximum(total + bias[o], F(0))
            assert result[n, :, :, o].tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("width", "padding", "expected"),
    [
        (5, "VALID", [10, 20, 50, 40, 60]),
        (6, "VALID", [10, 20, 50, 40, 60, 0]),
        (4, "SAME", [10, 20, 50, 40]),  # of the one element of padding, none is before
        (3, "SAME", [20, 50, 40]),  # of two, one is before
    ],
)
def test_a_row_by_hand(width, padding, expected):
    """Two pixels, 1 and 2, each lay 10, 20, 30 into the output, two steps apart."""
    image, weights = F([1, 2]).reshape(1, 1, 2, 1), F([10, 20, 30]).reshape(1, 1, 3, 1)
    result = transpose_conv_float(np.array([1, 1, width, 1]), weights, image, None, (1, 2), padding)
    assert result.ravel().tolist() == expected


@pytest.mark.parametrize(("values", "middle"), [((2**25, 1, -(2**25)), 0), ((2**25, -(2**25), 1), 1)])
def test_the_order_shows_where_terms_cancel(values, middle):
    image, weights = F(values).reshape(1, 1, 3, 1), np.ones((1, 1, 3, 1), F)
    shape = np.array([1, 1, 3, 1])
    result = transpose_conv_float(shape, weights, image, numerics=LITERT_REFERENCE_ORDERED)
    assert result[0, 0, 1, 0] == middle
    across = image.reshape(1, 1, 1, 3), weights.reshape(1, 1, 1, 3)
    result = transpose_conv_float(np.ones(4, int), across[1], across[0], numerics=LITERT_REFERENCE_ORDERED)
    assert result.ravel() == middle


def test_a_stride_beyond_the_kernel_leaves_the_bias():
    image, weights = np.ones((1, 2, 2, 1), F), np.full((1, 1, 1, 1), 3, F)
    result = transpose_conv_float(np.array([1, 3, 4, 1]), weights, image, F([0.5]), (2, 2), "SAME")
    assert result[0, :, :, 0].tolist() == [[3.5, 0.5, 3.5, 0.5], [0.5] * 4, [3.5, 0.5, 3.5, 0.5]]


@pytest.mark.parametrize(
    ("shape", "weights", "image", "stride"),
    [
        ((1, 4, 4), (2, 3, 3, 1), (1, 2, 2, 1), (2, 2)),
        (((1, 4, 4, 2),), (2, 3, 3, 1), (1, 2, 2, 1), (2, 2)),
        ((1, 4, 4, 2), (2, 3, 3), (1, 2, 2, 1), (2, 2)),
        ((1, 4, 4, 2), (2, 3, 3, 1), (2, 2, 1), (2, 2)),
        ((2, 4, 4, 2), (2, 3, 3, 1), (1, 2, 2, 1), (2, 2)),
        ((1, 4, 4, 3), (2, 3, 3, 1), (1, 2, 2, 1), (2, 2)),
        ((1, 4, 4, 2), (2, 3, 3, 2), (1, 2, 2, 1), (2, 2)),
        ((1, 5, 4, 2), (2, 3, 3, 1), (1, 2, 2, 1), (2, 2)),
        ((1, 0, 4, 2), (2, 3, 3, 1), (1, 0, 2, 1), (2, 2)),
        ((1, -4, 4, 2), (2, 3, 3, 1), (1, 2, 2, 1), (2, 2)),
        ((1, 4, 4, 2), (2, 3, 3, 0), (1, 2, 2, 0), (2, 2)),
        ((1, 4, 4, 2), (2, 3, 3, 1), (1, 2, 2, 1), (0, 2)),
    ],
)
def test_operands_that_do_not_fit_are_named(shape, weights, image, stride):
    with pytest.raises(ShapeError):
        transpose_conv_float(np.array(shape), np.ones(weights, F), np.ones(image, F), None, stride)
    with pytest.raises(ShapeError):
        one = np.ones(1, F)
        transpose_conv_hybrid(
            np.array(shape), np.ones(weights, np.int8), one, np.ones(image, F), None, stride
        )


def test_hybrid_refuses_what_has_no_answer():
    shape, weights, image = np.array([1, 2, 2, 3]), np.ones((3, 1, 1, 1), np.int8), np.ones((1, 2, 2, 1), F)
    with pytest.raises(ShapeError, match="2 scales found, expected 1 or 3"):
        transpose_conv_hybrid(shape, weights, np.ones(2, F), image)
    with pytest.raises(QuantizationError, match="NaN"):
        transpose_conv_hybrid(shape, weights, np.ones(3, F), image * F(np.nan))


def run(output_shape, axis, scales):
    b = ptq.Builder()
    x = b.input("x", (1, 2, 2, 3))
    quantization = Quantization(np.array(scales, F), np.zeros(len(scales), np.int64), axis)
    weights = b.constant(np.ones((3, 2, 2, 3), np.int8), "w", quantization)
    options = {"stride_h": 2, "stride_w": 2}
    y = b.op("TRANSPOSE_CONV", [output_shape, weights, x], options, 2, output_type="FLOAT32")
    return ptq.Interpreter(graph=b.finish(y)).run([np.full((1, 2, 2, 3), 255, F)])[0]  # a scale of 1


def test_scales_and_sizes_that_litert_misreads_are_refused():
    shape = np.array([1, 4, 4, 3], np.int32)
    assert run(shape, 0, [1, 2, 3])[0, 0, 0].tolist() == [765, 1530, 2295]
    assert run(shape, 0, [2])[0, 0, 0].tolist() == run(shape, 3, [2])[0, 0, 0].tolist() == [1530] * 3
    with pytest.raises(UnsupportedError, match="scales along dimension 3"):
        run(shape, 3, [1, 2, 3])
    with pytest.raises(UnsupportedError, match=r"3 outputs and one scale.*='intended'\)$"):
        run(shape, 1, [2])
    with pytest.raises(UnsupportedError, match="dtype int64 found, expected int32"):
        run(shape.astype(np.int64), 0, [1])
