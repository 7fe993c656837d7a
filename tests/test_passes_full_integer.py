"""Full integer quantization by hand: scales that are shared, constants, borders, and what stays float."""

import contextlib
import random

import numpy as np
import pytest
from integer_graphs import CASES, calibrated, conv, dense, image, normal, samples_for

import ptq
from ptq import zoo
from ptq.build import Builder
from ptq.calibration import Calibration
from ptq.errors import InputError, PtqError, QuantizationError
from ptq.kernels.integer import INTEGER
from ptq.observers import MinMax
from ptq.passes.full_integer import quantize_full_integer
from ptq.passes.integer_constants import quantize_bias
from ptq.passes.integer_rules import INT8_VERSION, Scheme


def with_ranges(graph, **ranges):
    """A calibration that was not observed but written down, by the tensors' names."""
    index = {t.name: i for i, t in enumerate(graph.tensors)}
    names = {index[name]: name for name in ranges}
    return Calibration({index[n]: MinMax(tuple(map(float, r))) for n, r in ranges.items()}, names, 1)


def quantized(graph, scheme=None, skip=None, **ranges):
    calibration = with_ranges(graph, **ranges) if ranges else calibrated(graph)
    return quantize_full_integer(graph, calibration, scheme or Scheme(), skip)


def parameters(graph, name):
    (tensor,) = (t for t in graph.tensors if t.name == name)
    return float(tensor.quantization.scale[0]), int(tensor.quantization.zero_point[0])


def types(graph):
    return [operator.type for operator in graph.operators]


# --- activations ------------------------------------------------------------------------------------


def test_a_range_becomes_scale_and_zero_point():
    b = Builder()
    x = b.input("x", (1, 2))
    graph, _ = quantized(b.finish(b.add(x, x, name="y")), x=(-1, 254), y=(0.5, 127.5))
    assert parameters(graph, "x_quantized") == (1, -127)
    assert parameters(graph, "y_int8") == (0.5, -128)  # zero belongs to the range


def test_int16_ranges_are_symmetric():
    b = Builder()
    x = b.input("x", (1, 2))
    graph, _ = quantized(b.finish(b.add(x, x, name="y")), Scheme("INT16"), x=(-1, 0), y=(0, 65534))
    assert parameters(graph, "x_quantized") == (np.float32(1 / 32767), 0)
    assert parameters(graph, "y_int16") == (2, 0)


def test_a_mover_hands_its_operand_s_parameters_on():
    b = Builder()
    x = b.reshape(b.relu(b.input("x", (2, 4)), "y"), (4, 2), "z")
    graph, _ = quantized(b.finish(b.relu(x, "out")), x=(-1, 1), y=(0, 255), z=(0, 51), out=(0, 51))
    assert parameters(graph, "z") == parameters(graph, "y") == (1, -128)


def test_operands_of_concatenation_get_the_result_s_parameters():
    b = Builder()
    x = b.input("x", (1, 4))
    y, z = b.relu(x, "y"), b.tanh(b.relu6(x, "w"), "z")
    graph, _ = quantized(
        b.finish(b.concatenation([y, z], name="all")), x=(-9, 9), w=(0, 6), y=(0, 1), z=(0, 1), all=(0, 255)
    )
    assert parameters(graph, "y") == (1, -128)
    # TANH cannot write other than 1/128: a QUANTIZE follows it
    assert parameters(graph, "z_written") == (1 / 128, 0) and parameters(graph, "z") == (1, -128)
    assert types(graph).count("QUANTIZE") == 2


def test_two_demands_on_one_tensor_are_mediated():
    b = Builder()
    x = b.input("x", (1, 4))
    y = b.relu(x, "y")
    first, second = b.concatenation([y, y], name="a"), b.concatenation([y, first_of(b, x)], name="b")
    graph, _ = quantized(b.finish(first, second), x=(-1, 1), y=(0, 1), v=(0, 1), a=(0, 255), b=(0, 51))
    read = {graph.tensors[i].name for o in graph.operators if o.type == "CONCATENATION" for i in o.inputs}
    scales = {parameters(graph, name)[0] for name in read}
    assert scales == {1.0, np.float32(0.2)} and any(name.endswith("_requantized") for name in read)


def first_of(b, x):
    return b.relu6(x, "v")


FIXED = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}


@pytest.mark.parametrize(("type", "expected"), FIXED.items())
def test_fixed_outputs_do_not_ask_what_was_observed(type, expected):
    b = Builder()
    options = {"beta": 1.0} if type == "SOFTMAX" else {}
    y = b.op(type, [b.input("x", (1, 4))], options, name="y")
    graph, _ = quantized(b.finish(y), x=(-1, 1), y=(0, 0.1))
    assert parameters(graph, "y_int8") == expected


# --- constants --------------------------------------------------------------------------------------


def test_weights_and_bias_of_a_layer():
    b = Builder()
    w, bias = np.float32([[1, -1.27], [0.5, 0]]), np.float32([0.3, -2])
    y = b.fully_connected(b.input("x", (1, 2)), w, bias, name="y")
    graph, report = quantized(b.finish(y), x=(0, 255), y=(-1, 1))
    weights, offsets = (graph.tensors[i] for i in graph.operators[1].inputs[1:])
    assert weights.data.tolist() == [[100, -127], [127, 0]]
    assert weights.quantization.scale == pytest.approx([0.01, 0.5 / 127])
    assert offsets.type == "INT32" and offsets.data.tolist() == [30, -508]  # the data's scale is 1
    assert "4 int8 weights, 2 scales" in str(report)


def test_per_tensor_weights_have_one_scale():
    graph, report = quantized(CASES["convolutions"](), Scheme(per_channel=False))
    weights = [graph.tensors[o.inputs[1]] for o in graph.operators if "CONV" in o.type]
    assert all(w.quantization.scale.size == 1 for w in weights) and "one scale" in str(report)


def test_a_bias_beyond_half_the_accumulator_raises_the_scale_and_is_reported():
    b = Builder()
    w, bias = np.float32([[1.27], [1.27]]), np.float32([0, 2.0**29])
    y = b.fully_connected(b.input("x", (1, 1)), w, bias, name="y")
    graph, report = quantized(b.finish(y), x=(0, 255), y=(0, 2.0**29))
    weights, offsets = (graph.tensors[i] for i in graph.operators[1].inputs[1:])
    # 2^29 / 0.01 steps are too many: 2^30 - 1 of them (a float32 division: 2^30) stand for 2^29
    assert offsets.data.tolist() == [0, 2**30] and weights.data.tolist() == [[127], [3]]
    assert weights.quantization.scale.tolist() == pytest.approx([0.01, 0.5])
    assert "scale raised by up to 50" in str(report)


def test_biases_round_half_away_and_saturate():
    values = np.float32([0.5, -0.5, 1.5, 3e9, -3e9])
    assert quantize_bias(values, np.ones(1, np.float32), np.int32).tolist() == [
        1, -1, 2, 2**31 - 1, -(2**31) + 1
    ]  # fmt: skip
    wide = quantize_bias(np.float32([3e9, 1e20, -1e20]), np.ones(1, np.float32), np.int64)
    assert wide.tolist() == [3_000_000_000, 2**63 - 1, -(2**63) + 1]


def test_a_constant_operand_has_its_own_range():
    b = Builder()
    y = b.add(b.input("x", (1, 3)), np.float32([-1, 0, 254]), name="y")
    graph, _ = quantized(b.finish(y), x=(-1, 1), y=(-1, 1))
    constant = graph.tensors[graph.operators[1].inputs[1]]
    assert (constant.data.tolist(), constant.quantization.scale[0]) == ([-128, -127, 127], 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_constants_that_are_not_finite_are_named(bad):
    b = Builder()
    w = b.constant(np.float32([[bad, 1]]), "heavy")
    graph = b.finish(b.fully_connected(b.input("x", (1, 2)), w, name="y"))
    with pytest.raises(QuantizationError, match="'heavy'"):
        quantized(graph, x=(0, 1), y=(0, 1))


# --- borders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("border", ["FLOAT32", "INT8", "UINT8"])
def test_the_model_takes_and_returns_what_was_asked_for(border):
    graph, _ = quantized(CASES["dense_layers"](), Scheme("INT8", True, border, border))
    first, last = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    assert (first.type, last.type) == (border, border) and first.name == "x"
    expected = {"FLOAT32": ["QUANTIZE", "DEQUANTIZE"], "INT8": [], "UINT8": ["QUANTIZE", "QUANTIZE"]}
    assert [kind for kind in types(graph) if "QUANTIZE" in kind] == expected[border]
    if border == "UINT8":
        assert last.quantization.zero_point == 0 and last.quantization.scale == 1 / 256


def test_signatures_follow_the_outputs():
    graph = CASES["dense_layers"]()
    graph.signatures = [ptq.graph.Signature("main", {"x": graph.inputs[0]}, {"y": graph.outputs[0]})]
    result, _ = quantized(graph, Scheme("INT8", True, "INT8", "UINT8"))
    assert result.signatures[0].outputs == {"y": result.outputs[0]}
    assert result.signatures[0].inputs == {"x": result.inputs[0]}


def test_the_original_graph_is_left_alone():
    graph = CASES["convolutions"]()
    before = ptq.dumps(graph)
    quantized(graph)
    assert ptq.dumps(graph) == before


# --- what stays float -------------------------------------------------------------------------------


def reasons(report):
    return {d.type: (d.arithmetic, d.reason) for d in report}


def test_an_operator_without_an_integer_kernel_stands_between_dequantize_and_quantize():
    graph, report = quantized(CASES["float_in_the_middle"]())
    assert types(graph)[1:6] == ["CONV_2D", "DEQUANTIZE", "FLOOR", "QUANTIZE", "CONV_2D"]
    assert reasons(report)["FLOOR"] == ("float", "ptq has no int8 kernel for this operator")


@pytest.mark.parametrize("kind", ["EXP", "ABS", "ELU"])
def test_an_operator_with_an_integer_kernel_may_lack_a_rule_of_the_converter(kind):
    b = Builder()
    _, report = quantized(b.finish(b.op(kind, [b.relu(b.input("x", (1, 4)))])))
    assert kind in INTEGER
    expected = "the converter has no rule for int8 activations of this operator"
    assert reasons(report)[kind] == ("float", expected)


def test_an_lstm_has_no_int16_activations():
    converter = ptq.Converter.from_graph(zoo.country_lstm(batch=2))
    converter.activations = np.int16
    converter.representative_dataset = [[zoo.names.calibration_names().ids[:2]]]
    converter.convert()
    found = reasons(converter.report)["UNIDIRECTIONAL_SEQUENCE_LSTM"]
    assert found == ("float", "ptq has no int16 kernel for this operator")


def test_a_quantize_between_integers_changes_their_scale():
    _, report = quantized(CASES["dense_layers"](), Scheme("INT8", True, "UINT8", "UINT8"))
    found = [(d.arithmetic, d.reason) for d in report if d.type == "QUANTIZE"]
    assert found == [("integer", "integers to another scale")] * 2


def test_two_float_operators_in_a_row_stay_in_floats():
    b = Builder()
    x = b.op("FLOOR", [b.op("SQRT", [b.relu(b.input("x", (1, 4)))])])
    graph, _ = quantized(b.finish(b.op("RELU", [x])))
    assert types(graph)[1:-1] == ["RELU", "DEQUANTIZE", "SQRT", "FLOOR", "QUANTIZE", "RELU"]


def test_what_the_user_skips():
    graph, report = quantized(CASES["dense_layers"](), skip=lambda operator, name: operator.type == "SOFTMAX")
    assert reasons(report)["SOFTMAX"] == ("float", "skipped by the user")
    assert types(graph)[-2:] == ["DEQUANTIZE", "SOFTMAX"]


def test_reasons_of_layers_that_cannot_be_quantized():
    b = Builder()
    x, w = b.input("x", (1, 4, 4, 2)), b.input("w", (3, 1, 1, 2))
    computed = b.conv2d(x, b.relu(w), normal(3))
    tanh = b.fully_connected(b.reshape(x, (1, 32)), normal(4, 32), normal(4), activation="TANH")
    written_down = {tensor.name: (0, 1) for tensor in b.graph.tensors if not tensor.is_constant}
    _, report = quantized(b.finish(computed, tanh), **written_down)
    assert reasons(report)["CONV_2D"][1] == "its weights are computed, not stored"
    assert reasons(report)["FULLY_CONNECTED"][1] == "no integer kernel with fused TANH"


def test_what_was_not_observed_stays_float():
    b = Builder()
    x = b.relu(b.input("x", (1, 4)), "y")
    _, report = quantized(b.finish(b.relu6(x, "z")), x=(-1, 1), y=(0, 1))
    assert reasons(report)["RELU6"] == ("float", "'z' has no observed range")


def test_an_empty_range_that_was_never_run():
    b = Builder()
    x = b.relu(b.input("x", (0, 4)), "y")
    graph, report = quantize_full_integer(
        b.finish(x), ptq.calibration.calibrate(b.graph, [[np.zeros((0, 4), np.float32)]]), Scheme()
    )
    assert types(graph) == ["RELU"] and "has no observed range" in str(report)


# --- the converter ----------------------------------------------------------------------------------


def test_the_converter_s_options():
    graph = CASES["convolutions"]()
    converter = ptq.Converter.from_graph(graph)
    converter.representative_dataset = lambda: iter(samples_for(graph))
    converter.inference_input_type = converter.inference_output_type = np.int8
    interpreter = ptq.Interpreter(model_content=converter.convert())
    assert interpreter.get_input_details()[0]["dtype"] == np.int8
    assert converter.report.counts() == {"integer": 3}
    assert converter.calibration.samples == 3
    converter.activations = np.int16
    with pytest.raises(InputError, match="inference_input_type: INT8 found, expected one of FLOAT32, INT16"):
        converter.convert()
    converter.inference_input_type = converter.inference_output_type = np.int16
    converter.convert()
    converter.activations = np.float32
    with pytest.raises(InputError, match="activations: FLOAT32 found"):
        converter.convert()


def test_a_calibration_may_be_given_instead_of_samples():
    graph = CASES["convolutions"]()
    converter = ptq.Converter.from_graph(graph)
    converter.calibration = calibrated(graph)
    given = converter.convert()
    converter.representative_dataset = samples_for(graph)
    assert converter.convert() == given


def test_an_observer_is_checked_at_once_and_used():
    graph = CASES["convolutions"]()
    converter = ptq.Converter.from_graph(graph)
    with pytest.raises(InputError, match=r"Converter\.observer"):
        converter.observer = "percentile"
    converter.representative_dataset = samples_for(graph)
    whole = converter.convert()
    converter.observer = ptq.observers.Percentile(90)
    assert converter.convert() != whole


def test_float16_and_integers_exclude_each_other():
    converter = ptq.Converter.from_graph(CASES["convolutions"]())
    converter.float16, converter.representative_dataset = True, []
    with pytest.raises(InputError, match="float16"):
        converter.convert()


def test_operators_of_subgraphs_stay_float():
    b = Builder()
    graph = b.finish(dense(b, b.input("x", (2, 8))))
    inner = Builder()
    graph.subgraphs = [inner.finish(conv(inner, image(inner)))]
    _, report = quantize_full_integer(graph, calibrated(graph), Scheme())
    assert {(d.subgraph, d.arithmetic) for d in report if d.type in ("FULLY_CONNECTED", "CONV_2D")} == {
        (0, "integer"), (1, "float")
    }  # fmt: skip


# --- damaged graphs ---------------------------------------------------------------------------------


def damage(graph, rng):
    operator = rng.choice(graph.operators)
    place = rng.randrange(len(operator.inputs)) if operator.inputs else 0
    kind = rng.randrange(6)
    if kind == 0:
        del operator.inputs[place:]
    elif kind == 1 and operator.inputs:
        operator.inputs[place] = -1
    elif kind == 2 and operator.inputs:
        operator.inputs[place] = rng.randrange(len(graph.tensors))
    elif kind == 3:
        operator.type = rng.choice([*INT8_VERSION, "UNIDIRECTIONAL_SEQUENCE_LSTM"])
    elif kind == 4:
        operator.options, operator.outputs = {}, operator.outputs[:-1]
    else:
        tensor = rng.choice(graph.tensors)
        if tensor.data is not None:
            tensor.data = tensor.data.reshape(-1)[:2]
            tensor.shape = tensor.data.shape


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_graph_ends_in_a_graph_or_an_error_of_ptq(name):
    whole = CASES[name]()
    calibration, rng = calibrated(whole), random.Random(name)
    for _ in range(20):
        graph = whole.copy()
        damage(graph, rng)
        with contextlib.suppress(PtqError):
            ptq.dumps(quantize_full_integer(graph, calibration, Scheme(rng.choice(["INT8", "INT16"])))[0])
