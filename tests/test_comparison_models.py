"""Whole models: what the isolated operators of real networks do, and that nothing is left unexplained."""

import numpy as np
import pytest

import ptq
from ptq.arrays import random_inputs
from ptq.compare import compare
from ptq.comparison.report_html import page
from ptq.comparison.twin import float_twin
from ptq.converter import Converter
from ptq.numerics import LITERT_REFERENCE, LITERT_REFERENCE_ORDERED, PORTABLE, SINGLE_ROUNDING, XNNPACK

NAMES = "resnet8_cifar10_float", "toycar_autoencoder_float", "mnist_lstm_float"
CAUSES = {"identical", "rounding"}


@pytest.fixture
def load(shared):
    def load(name):
        path = shared / "models" / f"{name}.tflite"
        if not path.exists():
            pytest.skip(f"the reference model {name} is not there")
        return ptq.load(path)

    return load


def integers(graph, **options):
    converter = Converter(graph)
    converter.representative_dataset = [random_inputs(graph, seed) for seed in range(3)]
    for name, value in options.items():
        setattr(converter, name, value)
    return converter.convert_to_graph()


@pytest.mark.parametrize("name", NAMES)
def test_integers_differ_from_floats_by_rounding_layer_by_layer(load, name):
    graph = load(name)
    quantized, inputs = integers(graph), random_inputs(graph, 0)
    found = compare(graph, quantized, inputs)
    assert set(found.kinds) <= CAUSES and not found.only_a
    assert {s.type for s in found.only_b} <= {"QUANTIZE", "DEQUANTIZE"}
    assert found.first_unexplained is None and found.first_isolated is found.rows[0]
    assert all(row.cumulative.verdict.kind != "other" for row in found.rows)
    # the reals of the integers go farther than the floats that the ranges were learned from
    assert set(compare(float_twin(quantized), quantized, inputs).kinds) <= CAUSES | {"saturation"}


@pytest.mark.parametrize("name", NAMES)
def test_two_presets_differ_by_a_rule_that_is_named(load, name):
    quantized = integers(load(name))
    inputs = random_inputs(quantized, 0)
    found = compare(quantized, quantized, inputs, numerics=PORTABLE, numerics_b=SINGLE_ROUNDING)
    differing = [row.isolated for row in found.rows if not row.isolated.identical]
    assert all(d.verdict.fields == ("rounding",) and d.max_steps == 1 for d in differing)
    found = compare(quantized, quantized, inputs, numerics=LITERT_REFERENCE, numerics_b=XNNPACK)
    differing = [row.isolated for row in found.rows if not row.isolated.identical]
    assert all("product_rescale" in d.verdict.fields and d.max_steps == 1 for d in differing)


@pytest.mark.parametrize("name", [*NAMES, "dtln_1_float"])
def test_float_sums_and_hybrid_layers_stay_within_their_bounds(load, name):
    graph = load(name)
    inputs = random_inputs(graph, 0)
    found = compare(graph, graph, inputs, numerics=LITERT_REFERENCE, numerics_b=LITERT_REFERENCE_ORDERED)
    assert set(found.kinds) <= CAUSES
    converter = Converter(graph)
    converter.post_training_quantize = True
    hybrid = converter.convert_to_graph()
    assert set(compare(graph, hybrid, inputs).kinds) <= CAUSES


def test_one_scale_for_all_channels_costs_mobilenet_its_depthwise_layers(load):
    graph = load("mobilenet_v1_0.25_224_float")
    found = compare(integers(graph, per_channel=False), integers(graph), random_inputs(graph, 0))
    worst = found.worst_isolated
    assert worst.type == "DEPTHWISE_CONV_2D" and worst.kind == "rounding"
    inputs, constants = (float(word) for word in worst.isolated.verdict.detail.split() if word[0].isdigit())
    assert constants > 50 > 2 > inputs
    assert len(page(found, "one scale", "a scale for each channel")) > 10_000


def test_a_planted_scale_is_found_in_a_real_model(load):
    """Two channels of one layer in the middle exchange their scales, as a converter's slip would do."""
    quantized = integers(load("resnet8_cifar10_float"))
    wrong = quantized.copy()
    position = [i for i, o in enumerate(wrong.operators) if o.type == "CONV_2D"][4]
    index = wrong.operators[position].inputs[1]
    scales = quantized.tensors[index].quantization.scale.copy()
    first, second = int(np.argmin(scales)), int(np.argmax(scales))
    scales[[first, second]] = scales[[second, first]]
    wrong.tensors[index].quantization.scale = scales
    found = compare(quantized, wrong, random_inputs(quantized, 0))
    row = found.first_unexplained
    assert row.a.operator == position and found.kinds["identical"] == len(found.rows) - 1
    assert row is found.first_difference is found.worst_isolated
    assert all(r.cumulative.verdict.kind in ("identical", "inherited", "rounding", "saturation", "scale")
               for r in found.rows if r is not row)  # fmt: skip
    assert f"'{wrong.tensors[index].name}' differs from a's" in row.isolated.verdict.detail
