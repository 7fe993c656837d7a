"""Integer kernels compute with integers: while they run, no variable of theirs holds a float array.

Before every line and whenever a function of the room returns, its variables are looked at, and what they hold
in containers and dataclasses. Three things are outside:

- The offline half, OFFLINE, which turns scales into integers before there is data. `product_rescale` also has
  the two rescalings that are floats in LiteRT itself, of FULLY_CONNECTED and of XNNPACK.
- What describes a tensor: a `Quantization` has its scales in an array.
- `ptq.gemm`, where floats multiply integers, and the weights and factors that it keeps for this; its own
  tests show that it does so exactly.
"""

import dataclasses
import inspect
import sys
from contextlib import contextmanager
from types import FunctionType

import integer_layers
import numpy as np
import pytest
import quantized_operators as operators
from integer_graphs import CASES, calibrated, samples_for
from integer_lstm import Recipe

import ptq
from ptq.build import Builder
from ptq.graph import Quantization, type_of
from ptq.kernels import integer as room
from ptq.passes.full_integer import quantize_full_integer
from ptq.passes.integer_rules import Scheme

OFFLINE = ("parameters", "product_parameters", "product_rescale")

NOT_LOOKED_INTO = (
    "Quantization", "ExactWeights", "IntegerWeights", "MultiplyShift", "DoubleRescale", "Float32Rescale",
)  # fmt: skip
"""Classes of what is outside."""

NUMERICS = [ptq.LITERT_REFERENCE, ptq.TFLITE_MICRO, ptq.XNNPACK]
REPRODUCE = dataclasses.replace(ptq.LITERT_REFERENCE, upstream_defects="reproduce")
DEPTH = 3
"""How many containers deep: a call holds a list of arrays."""


# --- the watch ------------------------------------------------------------------------------------------


def holds_floats(value, depth=DEPTH):
    """Whether a value is a float array or holds one."""
    if isinstance(value, np.ndarray):
        return np.issubdtype(value.dtype, np.inexact)
    if not depth or type(value).__name__ in NOT_LOOKED_INTO:
        return False
    if isinstance(value, (tuple, list)):
        return any(holds_floats(v, depth - 1) for v in value)
    if isinstance(value, dict):
        return any(holds_floats(v, depth - 1) for v in value.values())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (getattr(value, f.name, None) for f in dataclasses.fields(value))
        return any(holds_floats(v, depth - 1) for v in fields)
    return False


def is_watched(module):
    return module.startswith(room.__name__) and module.rpartition(".")[2] not in OFFLINE


@contextmanager
def watch():
    """Collects (module, function, variable) of every float array, and (module, function) of all functions."""
    found, seen = set(), set()

    def look(frame, event, returned):
        where = frame.f_globals["__name__"], frame.f_code.co_name
        variables = [*frame.f_locals.items(), *([("its result", returned)] if event == "return" else [])]
        found.update((*where, name) for name, value in variables if holds_floats(value))
        return look

    def enter(frame, event, argument):
        module = frame.f_globals.get("__name__", "")
        if not is_watched(module):
            return None
        seen.add((module, frame.f_code.co_name))
        return look(frame, event, argument)

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield found, seen
    finally:
        sys.settrace(before)


def kernel(body, module="ptq.kernels.integer.conv"):
    """A function of the room with that body."""
    names = {"__name__": module, "np": np, "Quantization": Quantization, "holder": holder}
    exec("def kernel(x):\n    " + "\n    ".join(body.split("; ")), names)
    function = names["kernel"]
    assert isinstance(function, FunctionType)
    return function


def holder(values):
    return dataclasses.make_dataclass("Holder", ["values"])(values)


INTEGERS = np.arange(-4, 4, dtype=np.int8)


@pytest.mark.parametrize(
    ("body", "variable"),
    [
        ("half = x * np.float32(0.5); return half.astype(np.int8)", "half"),
        ("x = x / 2; x = np.rint(x).astype(np.int8); return x", "x"),
        ("both = x, [x, np.sqrt(x + 8)]; return x", "both"),
        ("held = holder({'exponential': np.exp(x)}); return x", "held"),
        ("one = np.array(0.5); return x", "one"),
        ("return x.astype(np.float16)", "its result"),
    ],
)
def test_a_kernel_that_computes_with_floats_is_caught(body, variable):
    with watch() as (found, _):
        kernel(body)(INTEGERS)
    assert found == {("ptq.kernels.integer.conv", "kernel", variable)}


@pytest.mark.parametrize(
    ("body", "module"),
    [
        ("half = np.right_shift(x, 1); scale = 0.5; return half", "ptq.kernels.integer.conv"),
        ("scales = Quantization(np.ones(1, np.float32), np.zeros(1)); return x", "ptq.kernels.integer.conv"),
        ("half = x / 2; return half", "ptq.kernels.integer.parameters"),
        ("half = x / 2; return half", "ptq.kernels.conv"),
    ],
)
def test_scalars_descriptions_and_other_rooms_may_have_floats(body, module):
    with watch() as (found, _):
        kernel(body, module)(INTEGERS)
    assert not found


# --- what runs under it ---------------------------------------------------------------------------------


def run_case(name, kind, numerics):
    graph = CASES[name]()
    quantized, _ = quantize_full_integer(graph, calibrated(graph), Scheme(kind, True, kind, kind))
    interpreter = ptq.Interpreter(graph=quantized, numerics=numerics)
    tensors = [quantized.tensors[i] for i in quantized.inputs]
    for sample in samples_for(graph, 2):
        interpreter.run(
            [
                ptq.quantizer.quantize(x, t.quantized, t.dtype) if t.quantized is not None else x
                for x, t in zip(sample, tensors, strict=True)
            ]
        )


def run_operator(draw, numerics=REPRODUCE):
    rng = np.random.default_rng(0)
    for _ in range(5):
        builder, drawn = Builder(), draw(rng)
        graph = builder.finish(drawn.add(builder, 0))
        ptq.Interpreter(graph=graph, numerics=numerics).run([x for x, _ in drawn.inputs])


def run_layer(configure, numerics=REPRODUCE):
    rng = np.random.default_rng(0)
    for _ in range(5):
        builder, (inputs, add) = Builder(), configure(rng)
        tensors = [builder.input(f"x{i}", x.shape, type_of(x.dtype), q) for i, (x, q) in enumerate(inputs)]
        graph = builder.finish(add(builder, *tensors))
        ptq.Interpreter(graph=graph, numerics=numerics).run([x for x, _ in inputs])


def run_lstm(seed):
    recipe = Recipe(np.random.default_rng(seed))
    graph = recipe.graph()
    ptq.Interpreter(graph=graph, numerics=REPRODUCE).run([recipe.x(graph)])


def one_input(kind, output, options=None, dtype=np.int8, constants=()):
    """An operator of one input [1, 3, 4, 5] with scale 1/16, and an output with such scale and zero point."""

    def draw(rng):
        x = operators.values(rng, (1, 3, 4, 5), dtype), operators.quantization(1 / 16)
        return operators.Operation(kind, [x], operators.quantization(*output), options or {}, list(constants))

    return draw


I8, U8, I16 = np.int8, np.uint8, np.int16

OPERATORS = {
    "ADD": operators.addition("ADD", I8),
    "ADD on uint8": operators.addition("ADD", U8),
    "ADD of powers of two": operators.power_of_two_addition("ADD", broadcast=False),
    "SUB": operators.addition("SUB", I8),
    "SUB of powers of two": operators.power_of_two_addition("SUB", broadcast=True),
    "MUL": operators.multiplication(I16),
    "DIV": operators.division(U8),
    "SQUARED_DIFFERENCE": operators.squared_difference(I8),
    "LESS": operators.comparison("LESS", I8),
    "PRELU": operators.prelu(I8),
    "RELU6": operators.unary("RELU6", U8),
    "ABS": operators.unary("ABS", I16),
    "RSQRT": operators.rsqrt,
    "LEAKY_RELU": operators.unary("LEAKY_RELU", I16, options=operators.alpha),
    "HARD_SWISH": operators.unary("HARD_SWISH", I8, low=-6.9, high=14),
    "L2_NORMALIZATION": operators.l2_normalization(I8),
    "AVERAGE_POOL_2D": operators.pool("AVERAGE_POOL_2D", U8),
    "MAX_POOL_2D": operators.pool("MAX_POOL_2D", I16),
    "MEAN": operators.reduction("MEAN", I8),
    "SUM": operators.reduction("SUM", U8),
    "REDUCE_MAX": operators.reduction("REDUCE_MAX", I8),
    "LOG_SOFTMAX": one_input("LOG_SOFTMAX", (1 / 16, 127)),
    "SOFTMAX": one_input("SOFTMAX", (1 / 256, -128), {"beta": 1.0}),
    "SOFTMAX on int16": one_input("SOFTMAX", (1 / 32768, 0), {"beta": 1.0}, I16),
    "LOGISTIC": one_input("LOGISTIC", (1 / 256, -128)),
    "LOGISTIC on int16": one_input("LOGISTIC", (1 / 32768, 0), None, I16),
    "TANH on int16": one_input("TANH", (1 / 32768, 0), None, I16),
    "EXP on int16": one_input("EXP", (0.01, 0), None, I16),
    "ELU": one_input("ELU", (0.01, 3)),
    "QUANTIZE": one_input("QUANTIZE", (0.01, 3)),
    "RESIZE_BILINEAR": one_input("RESIZE_BILINEAR", (0.02, 0), {}, I8, [np.array([5, 7], np.int32)]),
}

LAYERS = {
    "CONV_2D": integer_layers.conv2d(I8),
    "CONV_2D on int16": integer_layers.conv2d(I16),
    "CONV_2D on uint8": integer_layers.conv2d(U8),
    "DEPTHWISE_CONV_2D": integer_layers.depthwise(I8),
    "DEPTHWISE_CONV_2D on uint8": integer_layers.depthwise(U8),
    "FULLY_CONNECTED": integer_layers.fully_connected(I8),
    "FULLY_CONNECTED on int16": integer_layers.fully_connected(I16),
    "TRANSPOSE_CONV": integer_layers.transpose_conv(I8),
    "BATCH_MATMUL": integer_layers.batch_matmul(I8, I8),
}


@pytest.mark.parametrize("numerics", NUMERICS, ids=lambda n: n.name)
@pytest.mark.parametrize("kind", ["INT8", "INT16"])
def test_models_hold_no_floats(kind, numerics):
    with watch() as (found, seen):
        for name in CASES:
            run_case(name, kind, numerics)
    assert not found and seen


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_hold_no_floats(name):
    with watch() as (found, seen):
        run_operator(OPERATORS[name])
    assert not found and seen


@pytest.mark.parametrize("numerics", NUMERICS, ids=lambda n: n.name)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_hold_no_floats(name, numerics):
    with watch() as (found, seen):
        run_layer(LAYERS[name], numerics)
    assert not found and seen


@pytest.mark.parametrize("seed", range(6))
def test_lstm_layers_hold_no_floats(seed):
    with watch() as (found, seen):
        run_lstm(seed)
    assert not found and seen


def test_every_kernel_of_the_room_has_been_watched():
    with watch() as (_, seen):
        for draw in OPERATORS.values():
            run_operator(draw)
        for configure in LAYERS.values():
            run_layer(configure)
        for seed in range(6):
            run_lstm(seed)
        run_operator(OPERATORS["RELU6"], ptq.TFLITE_MICRO)
    # what checks its operands first, as `rsqrt_integer` does, is seen in the `_rsqrt` that computes
    seen = {(module, name if name.endswith("_integer") else f"{name[1:]}_integer") for module, name in seen}
    kernels = {
        (module.__name__, name)
        for _, module in inspect.getmembers(room, inspect.ismodule)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.endswith("_integer") and function.__module__ == module.__name__
    }
    assert len(kernels) > 25 and kernels - seen == set()
