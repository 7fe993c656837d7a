"""Planted differences: each gets the class and the rule that it was made with."""

import numpy as np
import pytest
from comparison_graphs import EVERY, add_conv, conv, model, scales
from quantizable import CASES

from ptq.arrays import random_inputs
from ptq.build import Builder
from ptq.compare import compare
from ptq.comparison import classify
from ptq.comparison.classify import KINDS
from ptq.comparison.glossary import GLOSSARY
from ptq.comparison.twin import float_twin
from ptq.converter import Converter
from ptq.numerics import (
    LITERT_REFERENCE,
    LITERT_REFERENCE_ORDERED,
    PORTABLE,
    SINGLE_ROUNDING,
    TFLITE_MICRO,
    XNNPACK,
)

RNG = np.random.default_rng(4)
THREE = np.stack([EVERY[..., 0]] * 3, axis=-1) // 3
"""Three channels of which each has every third integer, from -43 to 42."""

DIAGONAL = 8 * np.eye(3, dtype=int)
"""With w = 8 a scale of 1/8 copies a channel: y = 8 x / 8."""


def only_row(a, b, inputs, **numerics):
    (row,) = compare(a, b, inputs, **numerics).rows
    return row


def verdict(a, b, inputs, **numerics):
    return only_row(a, b, inputs, **numerics).isolated.verdict


# --- rounding ----------------------------------------------------------------------------------------


def test_double_and_single_rounding_differ_in_the_ties():
    # y = x / 4: of 256 integers the 64 that are 2 (mod 4) are ties
    quarter = conv([[1]], 0.25, 1.0)
    row = only_row(quarter, quarter, [EVERY], numerics=PORTABLE, numerics_b=SINGLE_ROUNDING)
    assert row.isolated.verdict.kind == "rounding" and row.isolated.verdict.fields == ("rounding",)
    assert row.isolated.verdict.rule.startswith("rounding: double / single (")
    assert (row.isolated.max_steps, row.isolated.differing) == (1, 64)
    assert row.cumulative.verdict == row.isolated.verdict  # nothing comes before it


def test_only_the_rescaling_in_float32_rounds_ties_to_even():
    # y = x / 2: double and single rounding agree, a tie to even does not
    half = conv([[1]], 0.5, 1.0)
    found = verdict(half, half, [EVERY], numerics=PORTABLE, numerics_b=XNNPACK)
    assert found.kind == "rounding" and found.fields == ("product_rescale",)
    assert found.rule.startswith("product_rescale: kernel / float32 (")


def test_rules_that_would_each_do_are_both_named():
    # y = x / 3 has no ties, but a multiplier below a third: both rules round what is left once
    third = conv([[1]], 1 / 3, 1.0)
    found = verdict(third, third, [EVERY], numerics=PORTABLE, numerics_b=XNNPACK)
    assert found.fields == ("rounding", "product_rescale")


def test_integer_against_float_is_half_a_step():
    b = conv([[1]], 0.5, 1.0)
    found = only_row(float_twin(b), b, [EVERY.astype(np.float32)]).isolated
    assert (found.verdict.kind, found.verdict.rule) == ("rounding", "to the nearest integer, half a step")
    assert (found.max_steps, found.differing) == (0.5, 128)


def test_the_kernel_s_own_rounding_is_told_from_the_nearest_integer():
    # two roundings make 1 of 1/4: three quarters of a step
    b = conv([[1]], 0.25, 1.0)
    found = only_row(float_twin(b), b, [EVERY.astype(np.float32)]).isolated
    assert found.verdict.kind == "rounding" and found.max_steps == 0.75
    assert found.verdict.rule == "half a step to the nearest integer, and one of the kernel's"


def float_layers(seed=0, features=64):
    rng = np.random.default_rng(seed)
    b = Builder("float")
    x = b.input("x", (4, features))
    x = b.fully_connected(x, rng.normal(size=(40, features)), rng.normal(size=40), name="dense")
    return b.finish(b.relu(x, name="relu")), rng.normal(size=(4, features)).astype(np.float32)


def integer_form(graph, samples, **options):
    converter = Converter.from_graph(graph)
    converter.representative_dataset = samples
    for name, value in options.items():
        setattr(converter, name, value)
    return Converter.from_graph(graph).convert_to_graph(), converter.convert_to_graph()


def test_quantized_constants_explain_more_than_a_step():
    # one scale for all channels, of which one is far larger than the others
    graph, x = float_layers()
    weights = next(t for t in graph.tensors if t.data is not None and t.data.ndim == 2)
    weights.data[0] *= 40
    a, b = integer_form(graph, [[x]], per_channel=False)
    dense = compare(a, b, [x]).rows[0].isolated
    assert dense.max_steps > 1.5
    assert (dense.verdict.kind, dense.verdict.rule) == ("rounding", "quantized inputs, constants and result")
    assert (
        dense.verdict.detail.startswith("inputs alone ") and "LSB, constants alone " in dense.verdict.detail
    )


def test_float_sums_stay_within_the_derived_bound():
    graph, x = float_layers(features=1000)
    a = Converter.from_graph(graph).convert_to_graph()
    found = verdict(a, a, [x], numerics=LITERT_REFERENCE, numerics_b=LITERT_REFERENCE_ORDERED)
    assert found.kind == "rounding" and found.fields == ("float_sums",)
    assert "float sums within K x 2^-23 (sum|x w| + |b|)" in found.rule
    assert found.detail.startswith("K = 1001, 0.0")


def test_hybrid_layers_are_rounding_within_their_bound():
    graph, x = float_layers()
    converter = Converter.from_graph(graph)
    a = converter.convert_to_graph()
    converter.post_training_quantize = True
    row = only_row(a, converter.convert_to_graph(), [x])
    assert row.isolated.verdict.kind == "rounding"
    assert row.isolated.verdict.rule == "int8 weights, and inputs rounded to int8 at run time (hybrid)"


def test_float16_weights_are_rounding_in_float():
    graph, x = float_layers()
    converter = Converter.from_graph(graph)
    a = converter.convert_to_graph()
    converter.float16 = True
    found = verdict(a, converter.convert_to_graph(), [x])
    assert (found.kind, found.rule) == ("rounding", "quantized inputs or constants, in float arithmetic")


def test_the_sign_of_zero_is_rounding():
    graphs = []
    for sign in (1, -1):
        b = Builder("signs")
        graphs.append(b.finish(b.mul(b.input("x", (1, 4)), np.full(4, sign, np.float32), name="y")))
    found = only_row(*graphs, [np.zeros((1, 4), np.float32)]).cumulative.verdict
    assert found.kind == "rounding" and "sign of zero" in found.rule


# --- saturation --------------------------------------------------------------------------------------


def test_a_range_that_is_too_small_saturates():
    # a: y = x; b: y = 2 x in steps of 1/2, clipped to -64 .. 63.5
    a, b = conv([[8]], 1 / 8, 1.0), conv([[8]], 1 / 8, 0.5)
    row = only_row(a, b, [EVERY])
    assert row.isolated.verdict.kind == "saturation"
    # beyond 1.5 steps of 1/2: 65 to 127, and -65 to -128
    assert row.isolated.verdict.rule == "at b's lowest and at b's highest"
    assert row.isolated.verdict.detail == "127 of 256 values, at -64, 63.5"
    assert row.isolated.differing == 64 + 64
    assert row.cumulative.verdict == row.isolated.verdict


def test_a_fused_activation_of_one_model_saturates():
    a, b = conv([[8]], 1 / 8, 1.0), conv([[8]], 1 / 8, 1.0, activation="RELU6")
    found = verdict(a, b, [EVERY])
    assert (found.kind, found.detail) == ("saturation", f"{127 + 120} of 256 values, at 0, 6")
    found = verdict(b, a, [EVERY])
    assert found.kind == "saturation" and found.rule == "at a's lowest and at a's highest"


def test_an_input_that_is_clipped_saturates():
    b = conv([[8]], 1 / 8, 1.0, x_scale=0.5)
    b.tensors[b.operators[0].outputs[0]].quantization = scales(8.0)  # wide enough for everything
    # in reals a's input is twice as far as b's integers of 1/2 reach
    a = float_twin(b)
    row = only_row(a, b, [np.linspace(-126, 126, 256, dtype=np.float32).reshape(EVERY.shape)])
    assert row.isolated.verdict.kind == "saturation"
    assert row.isolated.verdict.rule == "inputs beyond the range of their integers"
    assert row.isolated.verdict.detail.endswith(" of 256 values of 'x'")


# --- scale -------------------------------------------------------------------------------------------


def test_a_wrong_scale_is_a_factor_of_all():
    a, b = conv(DIAGONAL, 1 / 8, 1.0), conv(DIAGONAL, 1 / 4, 1.0)
    row = only_row(a, b, [THREE])
    assert row.isolated.verdict.kind == "scale"
    assert row.isolated.verdict.rule == "a factor of all values"
    assert row.isolated.verdict.detail == (
        "factor 2; 'y/filter' differs from a's by up to 1, more than half a step"
    )
    assert row.isolated.max_steps == 43


def test_scales_of_the_wrong_channels_are_factors_of_those():
    a = conv(DIAGONAL, [1 / 8, 1 / 4, 1 / 8], 1.0)
    b = conv(DIAGONAL, [1 / 4, 1 / 8, 1 / 8], 1.0)
    found = verdict(a, b, [THREE])
    assert (found.kind, found.rule) == ("scale", "a factor of single channels")
    assert found.detail.startswith("2 of 3 channels; channel 0: factor 2; channel 1: factor 0.5; 'y/filter'")


def test_a_missing_zero_point_is_an_offset():
    # the bias that would take an input's zero point into account is missing: 10 steps
    a, b = conv(DIAGONAL, 1 / 8, 1.0), conv(DIAGONAL, 1 / 8, 1.0, bias=[80, 80, 80])
    found = verdict(a, b, [THREE])
    assert (found.kind, found.rule) == ("scale", "an offset of all values")
    assert found.detail.startswith("offset +10 LSB (+10); 'y/bias' differs from a's by up to 10")


def test_an_operator_that_clamps_on_another_scale_is_named():
    # RELU6 of micro clamps in the input's scale and copies: a factor, or an offset, is left
    b = Builder("relu6")
    sample = np.linspace(-3, 9, 64, dtype=np.float32).reshape(1, 64)
    _, integers = integer_form(b.finish(b.relu6(b.input("x", (1, 64)), name="y")), [[sample]])
    rows = compare(integers, integers, [sample], numerics=LITERT_REFERENCE, numerics_b=TFLITE_MICRO).rows
    (row,) = [row for row in rows if row.a.type == "RELU6"]
    assert row.kind == "scale" and row.isolated.verdict.fields == ("integer_kernels",)


# --- other -------------------------------------------------------------------------------------------


def test_other_weights_are_named():
    a = conv(RNG.integers(-50, 50, (4, 3)), 1 / 64, 1.0)
    b = conv(RNG.integers(-50, 50, (4, 3)), 1 / 64, 1.0)
    found = verdict(a, b, [THREE])
    assert (found.kind, found.rule) == ("other", "not the same operator")
    assert found.detail.startswith("'y/filter' differs from a's by up to")


def test_nan_is_other():
    graphs = []
    for kind in ("ABS", "SQRT"):
        b = Builder(kind)
        graphs.append(b.finish(b.op(kind, [b.input("x", (1, 4))], name="y")))
    found = verdict(*graphs, [np.array([[1, -1, 4, 9]], np.float32)])
    assert (found.kind, found.rule) == ("other", "NaN or infinity in one of the two")


def test_a_hybrid_operator_without_a_bound_says_so():
    converter = Converter.from_graph(CASES["lstm_sequence"]())
    a = converter.convert_to_graph()
    converter.post_training_quantize = True
    found = verdict(a, converter.convert_to_graph(), random_inputs(a, 0))
    assert found.kind == "other" and "no bound is derived (hybrid)" in found.rule


# --- cumulative --------------------------------------------------------------------------------------


def chain(first_scale):
    graph = model(1.0, THREE.shape)
    middle = add_conv(graph, 0, "first", DIAGONAL, first_scale, 1.0)
    graph.outputs = [add_conv(graph, middle, "second", DIAGONAL, 1 / 8, 1.0)]
    return graph


def test_the_cause_is_isolated_and_its_consequences_are_not():
    wrong = chain(1 / 8)
    wrong.tensors[1].data = RNG.integers(-9, 9, (3, 1, 1, 3)).astype(np.int8)
    square = EVERY[..., 0] // 4
    found = compare(chain(1 / 8), wrong, [np.stack([square, square.swapaxes(1, 2), -square], axis=-1)])
    first, second = found.rows
    assert first.kind == "other" and first.cumulative.verdict.kind == "other"
    assert second.kind == "identical" and second.cumulative.verdict.kind == "inherited"
    assert second.isolated.max_steps == 0 and second.cumulative.max_steps == first.isolated.max_steps
    assert found.first_isolated is first is found.first_unexplained is found.worst_isolated


def test_classes_are_counted_and_rules_grouped():
    found = compare(chain(1 / 8), chain(1 / 4), [THREE])
    assert found.kinds == {"identical": 1, "scale": 1}
    ((kind, rule, rows),) = found.rules
    assert (kind, rule, [row.a.name for row in rows]) == ("scale", "a factor of all values", ["first"])
    assert set(found.kinds) <= {*KINDS, ""}
    text = " ".join(str(found).split())
    assert "a's values): 0 CONV_2D, writing 'first' (43 LSB; scale: a factor of all values; factor 2;" in text
    assert "First isolated divergence beyond rounding: the same." in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_is_defined_for_the_user(kind):
    assert f"\n{kind:12}" in classify.__doc__ and kind in GLOSSARY
