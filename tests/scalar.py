"""Slow, obvious specifications of the hybrid kernels, one Python number at a time.

They share no code with the library: rounding is written out, float32 is NumPy's scalar type.
"""

import math

import numpy as np

F = np.float32


def half_away(value):
    """Round an exactly known real number half away from zero."""
    whole = math.floor(abs(value))
    whole += abs(value) - whole >= 0.5
    return int(math.copysign(whole, value)) if whole else 0


def clip(value, low, high):
    return min(max(value, low), high)


def quantize_row(values, symmetric, portable=False):
    """(q, scale, zero_point) of one row, as the run-time quantizers of TensorFlow Lite compute them."""
    low, high = min([F(0), *values]), max([F(0), *values])
    if low == high:
        return [0] * len(values), F(1), 0
    zero_point, limits = 0, (-127, 127)
    if symmetric:
        reach = max(abs(low), abs(high))
        scale, inverse = F(reach / F(127)), F(F(127) / reach)
    else:
        limits = (-128, 127)
        step = (float(high) - float(low)) / 255 if portable else float(F(high - low)) / 255
        from_low, from_high = -128 - float(low) / step, 127 - float(high) / step
        closer = 128 + abs(float(low) / step) < 127 + abs(float(high) / step)
        zero_point = half_away(clip(from_low if closer else from_high, -128, 127))
        scale = F(step)
        inverse = F(1.0 / float(scale))
    q = []
    for position, value in enumerate(values):
        y = F(value * inverse)
        if portable:
            integer = half_away(float(F(F(zero_point) + y)))
        elif position < 8 * (len(values) // 8):
            integer = int(F(y + F(math.copysign(0.5, y)))) + zero_point
        else:
            integer = half_away(float(y)) + zero_point
        q.append(clip(integer, *limits))
    return q, scale, zero_point


def activate(value, activation):
    low, high = {
        "NONE": (-np.inf, np.inf), "RELU": (0, np.inf), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)
    }[activation]  # fmt: skip
    return F(clip(value, F(low), F(high)))


def add_in_lanes(total, products, lanes=4):
    """total + products as a register of four floats adds them: lane by lane, what fills no register after."""
    whole = len(products) // lanes * lanes
    registers = [F(0)] * lanes
    for k in range(whole):
        registers[k % lanes] = F(registers[k % lanes] + products[k])
    lane_total = registers[0]
    for register in registers[1:]:
        lane_total = F(lane_total + register)
    total = F(total + lane_total)
    for product in products[whole:]:
        total = F(total + product)
    return total


def fully_connected(rows, weights, scales, bias, activation, symmetric, portable=False):
    outputs = []
    everything_zero = all(value == 0 for row in rows for value in row)
    for row in rows:
        q, row_scale, zero_point = quantize_row(list(row), symmetric, portable)
        for o, filter_row in enumerate(weights):
            total = F(0) if bias is None else bias[o]
            if not everything_zero:
                acc = sum(int(w) * (i - zero_point) for w, i in zip(filter_row, q, strict=True))
                scale = F(scales[o] * row_scale) if len(scales) > 1 else F(row_scale * scales[0])
                total = F(total + F(F(acc) * scale))
            outputs.append(activate(total, activation))
    return np.array(outputs, F).reshape(len(rows), len(weights))


def taps(image, kernel, y, x, stride, dilation, padding):
    """The (i, j, row, column) of every tap that lies inside the image."""
    before = []
    for axis in (0, 1):
        extent = (kernel[axis] - 1) * dilation[axis] + 1
        out = -(-image.shape[axis] // stride[axis])
        total = max((out - 1) * stride[axis] + extent - image.shape[axis], 0) if padding == "SAME" else 0
        before.append(total // 2)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            row = y * stride[0] - before[0] + i * dilation[0]
            column = x * stride[1] - before[1] + j * dilation[1]
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                yield i, j, row, column


def convolution_accumulators(image, filter, zero_point, out_shape, depthwise, **geometry):
    """Exact int accumulators [h, w, O] of one image of integers, as nested loops."""
    kernel = filter.shape[1:3]
    outputs = filter.shape[3] if depthwise else filter.shape[0]
    accumulators = np.zeros((*out_shape, outputs), np.int64)
    for y in range(out_shape[0]):
        for x in range(out_shape[1]):
            inside = list(taps(image, kernel, y, x, **geometry))
            for o in range(outputs):
                accumulators[y, x, o] = _accumulate(image, filter, zero_point, inside, o, outputs, depthwise)
    return accumulators


def _accumulate(image, filter, zero_point, inside, o, outputs, depthwise):
    if depthwise:
        c = o // (outputs // image.shape[2])
        return sum(
            int(filter[0, i, j, o]) * (int(image[row, column, c]) - zero_point)
            for i, j, row, column in inside
        )
    depth = filter.shape[3]
    first = o // (outputs // (image.shape[2] // depth)) * depth
    return sum(
        int(filter[o, i, j, k]) * (int(image[row, column, first + k]) - zero_point)
        for i, j, row, column in inside
        for k in range(depth)
    )
