"""Random quantized operators without weights, for the comparisons with LiteRT and with tflite-micro.

Saturation, ties, extreme factors and zero points at both ends are frequent. 8-bit operands are exhaustive:
all 256 values, or in half of the draws all 65,536 pairs. To be quick, a graph holds many operators.
"""

from dataclasses import dataclass, field

import numpy as np
from litert import assert_same_bits

from ptq.build import Builder
from ptq.graph import Quantization, type_of
from ptq.interpreter import Interpreter
from ptq.numerics import LITERT_REFERENCE

PER_GRAPH = 50
ODD_SHAPES = True
"""Whether to draw scalars, empty arrays and eight dimensions, too, which tflite-micro does not have."""

ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]
F = np.float32


@dataclass
class Operation:
    """One operator: pairs of an array and its quantization, constants, and the output's quantization."""

    kind: str
    inputs: list
    output: Quantization | None
    options: dict = field(default_factory=dict)
    constants: list = field(default_factory=list)
    output_type: str | None = None

    def add(self, builder, number):
        tensors = [
            builder.input(f"input_{number}_{i}", x.shape, type_of(x.dtype), quantization)
            for i, (x, quantization) in enumerate(self.inputs)
        ]
        return builder.op(
            self.kind, tensors + self.constants, self.options, quantization=self.output,
            output_type=self.output_type,
        )  # fmt: skip

    def __str__(self):
        scales = [(q.scale.tolist(), q.zero_point.tolist()) for _, q in self.inputs]
        output = self.output and (self.output.scale.tolist(), self.output.zero_point.tolist())
        shapes = [x.shape for x, _ in self.inputs]
        return f"{self.kind} {self.inputs[0][0].dtype} {shapes} {scales} -> {output} {self.options}"


def compare(operation, count, run, numerics=LITERT_REFERENCE, seed=0):
    """Run `count` operations, each drawn by `operation(rng)`, here and with `run(graph, arrays)`."""
    rng = np.random.default_rng(seed)
    for start in range(0, count, PER_GRAPH):
        builder = Builder("many")
        drawn = [operation(rng) for _ in range(min(PER_GRAPH, count - start))]
        graph = builder.finish(*[o.add(builder, number) for number, o in enumerate(drawn)])
        arrays = [x for o in drawn for x, _ in o.inputs]
        expected = run(graph, arrays)
        found = Interpreter(graph=graph, numerics=numerics).run(arrays)
        for ours, theirs, one in zip(found, expected, drawn, strict=True):
            assert_same_bits(ours, theirs, one)


def run_one(kind, inputs, output, numerics=LITERT_REFERENCE, constants=(), **details):
    """One operator here, on triples (array, scale, zero point); output: its scale and zero point."""
    operation = Operation(kind, [(x, quantization(s, z)) for x, s, z in inputs], quantization(*output))
    for name, value in {"constants": list(constants), **details}.items():
        setattr(operation, name, value)
    builder = Builder()
    graph = builder.finish(operation.add(builder, 0))
    return Interpreter(graph=graph, numerics=numerics).run([x for x, _, _ in inputs])[0]


# --- parameters -----------------------------------------------------------------------------------------


def quantization(scale, zero_point=0):
    return Quantization(np.array([scale], F), np.array([zero_point], np.int64))


def a_scale(rng):
    """Everyday scales, all sizes, and powers of two, which make ties."""
    kind = rng.integers(3)
    if kind == 0:
        return F(np.exp(rng.normal(-4, 1.5)))
    return F(10.0 ** rng.uniform(-6, 2)) if kind == 1 else F(2.0 ** rng.integers(-12, 5))


def a_zero_point(rng, dtype):
    """Often at an end or 0; always 0 for int16."""
    limits = np.iinfo(dtype)
    if dtype == np.int16:
        return 0
    if rng.random() < 0.5:
        return int(rng.choice([limits.min, limits.max, 0]))
    return int(rng.integers(limits.min, limits.max + 1))


def a_quantization(rng, dtype, scale=None):
    return quantization(a_scale(rng) if scale is None else scale, a_zero_point(rng, dtype))


def near(rng, scale, low=-8, high=8):
    """A scale that many powers of two away, now and then exactly."""
    exponent = rng.uniform(low, high)
    return F(scale * 2.0 ** (np.ceil(exponent) if rng.random() < 0.3 and exponent < high - 1 else exponent))


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


# --- values ---------------------------------------------------------------------------------------------


def values(rng, shape, dtype):
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    ends = rng.random(shape) < 0.1
    return np.where(ends, rng.choice([limits.min, limits.max], shape), x).astype(dtype)


def every(dtype):
    """All values of 8 bits; of 16 bits each 29th, and the ends."""
    limits = np.iinfo(dtype)
    x = np.arange(limits.min, limits.max + 1, 1 if dtype != np.int16 else 29)
    return np.append(x, limits.max)[: len(x) + (dtype == np.int16)].astype(dtype)


def pairs(rng, dtype):
    """All 65,536 pairs of 8-bit values, as a column and a row; of 16 bits 120 * 120."""
    if dtype != np.int16:
        return every(dtype)[:, None], every(dtype)[None]
    return values(rng, (120, 1), dtype), values(rng, (1, 120), dtype)


def a_shape(rng, rank, largest=4):
    """A shape of up to that many dimensions, now and then none, or empty."""
    smallest = 0 if ODD_SHAPES and rng.random() < 0.03 else 1
    return tuple(int(n) for n in rng.integers(smallest, largest + 1, rng.integers(not ODD_SHAPES, rank + 1)))


def two_shapes(rng):
    """Shapes that broadcast, of up to eight dimensions."""
    shape = a_shape(rng, 7 + ODD_SHAPES)
    other = tuple(1 if rng.random() < 0.3 else size for size in shape)
    other = other[rng.integers(len(shape) + ODD_SHAPES) if rng.random() < 0.4 else 0 :]
    return (shape, other) if rng.random() < 0.5 else (other, shape)


def operands(rng, dtype):
    """Half of the time all pairs, otherwise random shapes."""
    if rng.random() < 0.5:
        return pairs(rng, dtype)
    return tuple(values(rng, shape, dtype) for shape in two_shapes(rng))


def with_scales(rng, dtype, a, b):
    return [(x, a_quantization(rng, dtype, s)) for x, s in zip(operands(rng, dtype), (a, b), strict=True)]


def fused(rng, output=1):
    """An activation, unless the output's scale is so fine that 6 would overflow int32."""
    return {"fused_activation_function": pick(rng, *ACTIVATIONS) if output > 1e-8 else "NONE"}


def but(scale, forbidden):
    """The scale, or one next to it if it is the one with which the runtime ends the process."""
    return F(scale * F(1.001)) if scale == F(forbidden) else scale


# --- two operands ---------------------------------------------------------------------------------------


def addition(kind, dtype, power_of_two=None, finest=None):
    """ADD or SUB. power_of_two: the option for int16; finest: the finest output scale, in binary digits."""
    room = finest or (-13.9 if dtype == np.int16 else -18.9)

    def draw(rng):
        a, b = a_scale(rng), a_scale(rng) if rng.random() < 0.3 else None
        b = near(rng, a) if b is None else b
        output = but(near(rng, max(a, b), room if rng.random() < 0.3 else -3, 8), max(a, b) * 2.0**-19)
        options = fused(rng, output) | ({} if power_of_two is None else {"pot_scale_int16": power_of_two})
        inputs = with_scales(rng, dtype, a, b)
        return Operation(kind, inputs, a_quantization(rng, dtype, output), options)

    return draw


def power_of_two_addition(kind, broadcast):
    """ADD or SUB on int16 with scales that are powers of two: the output has the larger of the operands'."""

    def draw(rng):
        output, shift = int(rng.integers(-15, 5)), int(rng.choice([0, 1, 2, 7, 14, 15, 16, 20]))
        shapes = two_shapes(rng) if broadcast else [two_shapes(rng)[0]] * 2
        scales = [2.0**output, 2.0 ** (output - shift)]
        inputs = [
            (values(rng, shape, np.int16), quantization(scale))
            for shape, scale in zip(shapes, rng.permutation(scales), strict=True)
        ]
        return Operation(kind, inputs, quantization(2.0**output), fused(rng))

    return draw


def multiplication(dtype):
    def draw(rng):
        a, b = F(10.0 ** rng.uniform(-4, 2)), a_scale(rng)
        output = near(rng, F(a * b), -2, 14) if rng.random() < 0.7 else near(rng, F(a * b), -8, 33)
        inputs = with_scales(rng, dtype, a, b)
        return Operation("MUL", inputs, a_quantization(rng, dtype, output), fused(rng, output))

    return draw


def division(dtype):
    def draw(rng):
        a, b = a_scale(rng), a_scale(rng)
        inputs = with_scales(rng, dtype, a, b)
        divisors, scaled = inputs[1]
        zero_point = int(scaled.zero_point[0])
        limits = np.iinfo(dtype)
        other = zero_point + 1 if zero_point < limits.max else zero_point - 1
        inputs[1] = np.where(divisors == zero_point, other, divisors).astype(dtype), scaled
        output = near(rng, F(a / b))
        return Operation("DIV", inputs, a_quantization(rng, dtype, output), fused(rng, output))

    return draw


def squared_difference(dtype):
    def draw(rng):
        a = a_scale(rng)
        b = near(rng, a, -4, 4)
        inputs = with_scales(rng, dtype, a, b)
        output = near(rng, F(4 * max(a, b) ** 2 / 2**14), 0.1, 20)
        return Operation("SQUARED_DIFFERENCE", inputs, a_quantization(rng, dtype, output))

    return draw


def extreme(kind, dtype):
    """MAXIMUM or MINIMUM."""

    def draw(rng):
        shared = a_quantization(rng, dtype)
        return Operation(kind, [(x, shared) for x in operands(rng, dtype)], shared)

    return draw


def comparison(kind, dtype, largest=0.999, shared=False):
    """Scales below 1; shared: the same for both operands."""

    def draw(rng):
        a = but(min(a_scale(rng), F(largest)), 1)
        b = but(min(near(rng, a, -2, 2), F(largest)), 1)
        scaled = [a_quantization(rng, dtype, s) for s in (a, b)]
        if shared:
            scaled[1] = scaled[0]
        inputs = list(zip(operands(rng, dtype), scaled, strict=True))
        return Operation(kind, inputs, None, output_type="BOOL")

    return draw


def prelu(dtype):
    def draw(rng):
        slopes = np.int8 if dtype == np.int16 else dtype
        shape = two_shapes(rng)[0]
        inside = tuple(1 if rng.random() < 0.5 else size for size in shape)
        inside = inside[rng.integers(len(shape) + ODD_SHAPES) :]
        x, alpha = values(rng, shape, dtype), values(rng, inside, slopes)
        if rng.random() < 0.2 and dtype != np.int16:
            x, alpha = np.repeat(every(dtype), 256).reshape(256, 256), every(dtype)[None]
        a, b = a_scale(rng), a_scale(rng)
        inputs = [(x, a_quantization(rng, dtype, a)), (alpha, a_quantization(rng, slopes, b))]
        return Operation("PRELU", inputs, a_quantization(rng, dtype, near(rng, a, -4, 8)))

    return draw


# --- one operand ----------------------------------------------------------------------------------------


def unary(kind, dtype, low=-8, high=12, options=lambda rng: {}):
    """Every value of the type, with an output scale within 2^low to 2^high of the input's."""

    def draw(rng):
        scale = a_scale(rng)
        inputs = [(every(dtype), a_quantization(rng, dtype, scale))]
        return Operation(kind, inputs, a_quantization(rng, dtype, near(rng, scale, low, high)), options(rng))

    return draw


def alpha(rng):
    slope = pick(rng, 0.0, 0.1, 0.2, 0.3, 1.0, 1.5, -0.25, -2.0, float(rng.uniform(-1, 2)), 1e-6)
    return {"alpha": float(F(slope))}


def rsqrt(rng):
    x, scale = a_quantization(rng, np.int8), near(rng, F(0.05), -4, 4)
    inside = every(np.int8)[every(np.int8) >= x.zero_point[0]]
    return Operation("RSQRT", [(inside, x)], a_quantization(rng, np.int8, scale))


def l2_normalization(dtype):
    def draw(rng):
        shape = (*rng.integers(1, 5, rng.integers(0, 3)).tolist(), int(rng.integers(1, 40)))
        x = values(rng, shape, dtype)
        scaled = a_quantization(rng, dtype)
        if rng.random() < 0.2:  # hardly anything but zeros
            x = (int(scaled.zero_point[0]) + (rng.random(shape) < 0.05)).astype(dtype)
        output = quantization(1 / 128, 0 if dtype == np.int8 else 128)
        return Operation("L2_NORMALIZATION", [(x, scaled)], output)

    return draw


# --- windows and axes -----------------------------------------------------------------------------------


def pool(kind, dtype):
    def draw(rng):
        height, width = (int(n) for n in rng.integers(1, 12, 2))
        size = [int(rng.integers(1, n + 1)) for n in (height, width)]
        padding = pick(rng, "SAME", "VALID")
        if rng.random() < 0.2:
            size = [height, width]
        elif padding == "SAME" and rng.random() < 0.2:
            size = [int(rng.integers(1, 20)) for _ in size]
        x = values(rng, (int(rng.integers(1, 3)), height, width, int(rng.integers(1, 9))), dtype)
        options = {
            "padding": padding, "stride_h": int(rng.integers(1, 5)), "stride_w": int(rng.integers(1, 5)),
            "filter_height": size[0], "filter_width": size[1], **fused(rng),
        }  # fmt: skip
        shared = a_quantization(rng, dtype)
        return Operation(kind, [(x, shared)], shared, options)

    return draw


def reduction(kind, dtype):
    def draw(rng):
        shape = a_shape(rng, 5, largest=6)
        rank = len(shape)
        axes = rng.permutation(rank)[: rng.integers(0, rank + 1)]
        axes = np.where(rng.random(axes.shape) < 0.3, axes - rank, axes).astype(np.int32)
        if axes.size and rng.random() < 0.1:
            axes = np.append(axes, axes[:1])
        x = a_quantization(rng, dtype)
        output = x
        if kind in ("MEAN", "SUM"):
            terms = int(np.prod([shape[axis] for axis in set(axes % max(rank, 1))])) if rank else 1
            reach = 8 if rng.random() < 0.8 else 30
            step = float(x.scale[0]) * (max(terms, 1) if kind == "SUM" else 1)
            output = a_quantization(rng, dtype, near(rng, F(step), -4, reach))
        keep = bool(rng.random() < 0.5 or (len(axes) >= rank and not ODD_SHAPES))
        return Operation(kind, [(values(rng, shape, dtype), x)], output, {"keep_dims": keep}, [axes])

    return draw
