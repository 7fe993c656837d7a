"""The rewriting passes, case by case; expected values are worked out by hand or from real arithmetic."""

import numpy as np
import pytest

from ptq.build import Builder
from ptq.errors import InputError, QuantizationError
from ptq.graph import ABSENT
from ptq.interpreter import Interpreter
from ptq.passes.dynamic_range import quantize_dynamic_range
from ptq.passes.explain import explain
from ptq.passes.fold import simplify
from ptq.passes.recipes import CURRENT, FIRST_RELEASE, find_recipe

RNG = np.random.default_rng(0)


def types(graph):
    return [operator.type for operator in graph.operators]


def normal(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


# --- folding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d", "fully_connected"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_batch_norm_and_activation_disappear_into_the_layer(kind, with_bias):
    b = Builder()
    dense = kind == "fully_connected"
    x = b.input("x", (3, 4) if dense else (1, 5, 6, 4))
    weights = {"conv2d": (4, 3, 3, 4), "depthwise_conv2d": (1, 3, 3, 4), "fully_connected": (4, 4)}[kind]
    y = getattr(b, kind)(x, normal(*weights), normal(4) if with_bias else None)
    gamma, beta, mean, variance = normal(4), normal(4), normal(4), np.abs(normal(4)) + 0.1
    graph = b.finish(b.relu6(b.batch_norm(y, gamma, beta, mean, variance)))
    folded = simplify(graph)
    assert types(folded) == [kind.upper().replace("2D", "_2D")]
    assert folded.operators[0].options["fused_activation_function"] == "RELU6"
    folded.validate()
    image = normal(*graph.tensors[graph.inputs[0]].shape)
    before, after = (Interpreter(graph=g).run([image])[0] for g in (graph, folded))
    # folding rounds each weight twice more; 40 roundings of numbers of at most 100 is far above that
    assert np.abs(before - after).max() <= 40 * 2**-23 * 100


def test_folding_by_hand():
    b = Builder()
    x = b.input("x", (1, 2))
    y = b.fully_connected(x, np.array([[1, 2], [3, 4]], np.float32), np.array([5, 6], np.float32))
    y = b.add(b.mul(y, np.array([10, 100], np.float32)), np.array([1, -1], np.float32))
    folded = simplify(b.finish(y))
    _, weights, bias = (folded.tensors[i] for i in folded.operators[0].inputs)
    assert weights.data.tolist() == [[10, 20], [300, 400]]
    assert bias.data.tolist() == [51, 599]
    assert types(folded) == ["FULLY_CONNECTED"]
    assert len(folded.tensors) == 4  # nothing unused is left


def test_what_has_a_second_reader_is_left_alone():
    b = Builder()
    x = b.input("x", (1, 2))
    y = b.fully_connected(x, np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    graph = b.finish(b.mul(b.relu(y), np.array([2, 3], np.float32)), y)
    assert types(simplify(graph)) == ["FULLY_CONNECTED", "RELU", "MUL"]


def test_shared_weights_are_not_scaled_for_both():
    b = Builder()
    x = b.input("x", (1, 2))
    w = b.constant(np.eye(2, dtype=np.float32))
    y = b.mul(b.fully_connected(x, w), np.array([2, 3], np.float32))
    graph = b.finish(b.fully_connected(y, w))
    assert types(simplify(graph)) == ["FULLY_CONNECTED", "MUL", "FULLY_CONNECTED"]


def test_a_constant_that_does_not_run_along_the_channels_is_not_folded():
    b = Builder()
    x = b.input("x", (2, 3))
    y = b.fully_connected(x, normal(3, 3))
    graph = b.finish(b.mul(y, np.array([[2], [3]], np.float32)))
    assert types(simplify(graph)) == ["FULLY_CONNECTED", "MUL"]


def test_constants_are_computed_once_and_dequantize_stays():
    b = Builder()
    x = b.input("x", (1, 2))
    c = b.add(b.constant(np.array([1, 2], np.float32)), np.array([3, 4], np.float32))
    folded = simplify(b.finish(b.add(x, c)))
    assert types(folded) == ["ADD"]
    assert folded.tensors[folded.operators[0].inputs[1]].data.tolist() == [4, 6]


# --- weights to int8 --------------------------------------------------------------------------------


def layer(kind, count, b=None, x=None):
    """A network of one layer with `count` weights."""
    b = b or Builder()
    if kind == "fully_connected":
        x = x or b.input("x", (1, count // 4))
        return b, b.fully_connected(x, normal(4, count // 4), normal(4), name="y")
    x = x or b.input("x", (1, 4, 4, count // 4))
    if kind == "conv2d":
        return b, b.conv2d(x, normal(4, 1, 1, count // 4), normal(4), name="y")
    return b, b.depthwise_conv2d(x, normal(1, 2, 2, count // 4), normal(count // 4), name="y")


@pytest.mark.parametrize("recipe", [CURRENT, FIRST_RELEASE], ids=lambda r: r.name)
@pytest.mark.parametrize("kind", ["fully_connected", "conv2d", "depthwise_conv2d"])
@pytest.mark.parametrize("count", [1020, 1024])
def test_the_minimum_is_1024_elements(recipe, kind, count):
    b, y = layer(kind, count)
    graph, report = quantize_dynamic_range(b.finish(y), recipe)
    weights = [t for t in graph.tensors if t.size == count and t.is_constant]
    assert [t.type for t in weights] == (["INT8"] if count >= 1024 else ["FLOAT32"])
    if count < 1024:
        assert report[0].arithmetic == "float"
        assert "1020 weights, fewer than 1024" in report[0].reason


@pytest.mark.parametrize("kind,axis", [("fully_connected", 0), ("conv2d", 0), ("depthwise_conv2d", 3)])
def test_current_has_a_scale_for_each_output_channel(kind, axis):
    b, y = layer(kind, 2048)
    graph, report = quantize_dynamic_range(b.finish(y), CURRENT)
    weights = graph.tensors[graph.operators[0].inputs[1]]
    assert weights.quantization.scale.size == weights.shape[axis]
    assert weights.quantization.quantized_dimension == axis
    assert report[0].arithmetic == "hybrid"
    assert graph.operators[0].options.get("asymmetric_quantize_inputs", True) is True


def test_2018_is_symmetric_and_stores_depthwise_weights_behind_dequantize():
    b, y = layer("depthwise_conv2d", 2048)
    b, y = layer("conv2d", 2048, b, y)
    graph, report = quantize_dynamic_range(b.finish(y), FIRST_RELEASE)
    assert types(graph) == ["DEQUANTIZE", "DEPTHWISE_CONV_2D", "CONV_2D"]
    assert [d.arithmetic for d in report] == ["any", "float", "hybrid"]
    assert "read through DEQUANTIZE" in report[1].reason
    assert graph.tensors[graph.operators[2].inputs[1]].quantization.scale.size == 1
    graph.validate()


def test_2018_a_shared_weight_with_a_reader_of_another_kind_gets_one_dequantize():
    b = Builder()
    x = b.input("x", (1, 32))
    w = b.constant(normal(32, 32), "shared")
    y = b.fully_connected(x, w, normal(32))
    graph = b.finish(b.add(w, b.fully_connected(y, w, normal(32))))
    before = graph.copy()
    result, _ = quantize_dynamic_range(graph, FIRST_RELEASE)
    assert types(result) == ["FULLY_CONNECTED", "FULLY_CONNECTED", "DEQUANTIZE", "ADD"]
    assert result.tensors[result.operators[3].inputs[0]].name == "shared_dequantize"
    assert graph == before  # the original is untouched


def test_current_a_shared_weight_stays_float_for_its_other_reader():
    b = Builder()
    x = b.input("x", (1, 32))
    w = b.constant(normal(32, 32), "shared")
    graph = b.finish(b.add(w, b.fully_connected(x, w, normal(32))))
    result, _ = quantize_dynamic_range(graph, CURRENT)
    dense, add = result.operators
    assert result.tensors[dense.inputs[1]].type == "INT8"
    assert result.tensors[add.inputs[0]].type == "FLOAT32"
    result.validate()


@pytest.mark.parametrize("recipe", [CURRENT, FIRST_RELEASE], ids=lambda r: r.name)
def test_a_weight_that_is_also_an_output_can_still_be_read_as_float(recipe):
    b = Builder()
    x = b.input("x", (1, 32))
    w = b.constant(normal(32, 32), "shared")
    y = b.fully_connected(x, w, normal(32))
    graph = b.finish(y)
    graph.outputs.append(next(i for i, t in enumerate(graph.tensors) if t.name == "shared"))
    result, _ = quantize_dynamic_range(graph, recipe)
    result.validate()
    assert all(result.tensors[i].type == "FLOAT32" for i in result.outputs)
    weights = Interpreter(graph=result).run([normal(1, 32)])[1]
    # a step is max|w| / 127, and rounding is off by half a step at most
    assert np.abs(weights - w.data).max() <= np.abs(w.data).max() / 127 * 0.5001


def test_a_hybrid_conv_without_bias_gets_one_of_zeros():
    b = Builder()
    x = b.input("x", (1, 4, 4, 64))
    graph = b.finish(b.conv2d(x, normal(16, 1, 1, 64), None))
    result, _ = quantize_dynamic_range(graph, CURRENT)
    bias = result.operators[0].inputs[2]
    assert bias != ABSENT
    assert not result.tensors[bias].data.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_by_name(bad):
    b = Builder()
    x = b.input("x", (1, 32))
    weights = normal(32, 32)
    weights[3, 4] = bad
    graph = b.finish(b.fully_connected(x, b.constant(weights, "spoiled")))
    with pytest.raises(QuantizationError, match="spoiled"):
        quantize_dynamic_range(graph, CURRENT)


def test_unknown_recipes_are_refused_and_the_known_ones_listed():
    with pytest.raises(InputError, match="'current', '2018'"):
        find_recipe("2019")


def test_weights_that_are_computed_stay_float_and_the_report_says_so():
    b = Builder()
    x = b.input("x", (1, 32))
    w = b.input("w", (64, 32))
    graph = b.finish(b.fully_connected(x, w))
    _, report = quantize_dynamic_range(graph, CURRENT)
    assert report[0].reason == "its weights are computed, not stored"
    assert explain(graph, None)[0].reason == "post_training_quantize is off"


# --- where the runtime's hybrid kernel has a defect ---------------------------------------------------


def product(lhs, rhs, between=False):
    b = Builder()
    x = b.input("x", lhs)
    x = b.relu(x) if between else x
    return b.finish(b.op("BATCH_MATMUL", [x, normal(*rhs)], name="y"))


def of_product(graph, recipe):
    converted, report = quantize_dynamic_range(graph, recipe)
    (decision,) = (d for d in report if d.type == "BATCH_MATMUL")
    return converted, decision


@pytest.mark.parametrize("recipe", [CURRENT, FIRST_RELEASE], ids=lambda r: r.name)
def test_a_product_whose_scales_the_runtime_mixes_up_computes_in_float(recipe):
    graph = product((2, 3, 4, 32), (32, 32))
    converted, decision = of_product(graph, recipe)
    assert decision.arithmetic == "float"
    assert (
        "a defect: with several batch dimensions in lhs" in decision.reason and "RESHAPE" in decision.reason
    )
    x = normal(2, 3, 4, 32)
    (expected,), (found,) = (Interpreter(graph=g).run([x]) for g in (graph, converted))
    if recipe is CURRENT:
        assert types(converted) == ["BATCH_MATMUL"]
        assert found.tobytes() == expected.tobytes()
    else:  # as for every operator without a hybrid kernel
        assert types(converted) == ["DEQUANTIZE", "BATCH_MATMUL"]
        assert decision.reason.endswith("weights stored as int8, read through DEQUANTIZE")
        step = np.abs(graph.tensors[1].data).max() / 127
        assert np.abs(found - expected).max() <= step * np.abs(x).sum(axis=-1).max()


@pytest.mark.parametrize(
    "lhs,rhs,current,legacy",
    [
        ((6, 4, 32), (32, 32), "hybrid", "hybrid"),
        ((2, 1, 4, 32), (32, 32), "hybrid", "hybrid"),
        ((2, 3, 4, 32), (1, 32, 32), "hybrid", "hybrid"),  # the runtime merges 3 and 4
        ((4, 32), (2, 2, 32, 32), "float", "hybrid"),  # row sums matter where activations are asymmetric
        ((-1, 4, 32), (32, 32), "hybrid", "hybrid"),
        ((-1, 3, 4, 32), (32, 32), "float", "float"),
        ((-1, 1, 4, 32), (32, 32), "hybrid", "hybrid"),
    ],
)
def test_which_shapes_of_a_product_may_be_hybrid(lhs, rhs, current, legacy):
    for recipe, arithmetic in ((CURRENT, current), (FIRST_RELEASE, legacy)):
        graph, decision = of_product(product(lhs, rhs), recipe)
        assert decision.arithmetic == arithmetic
        for batch in (1, 2):
            Interpreter(graph=graph).run([normal(*(batch if size == -1 else size for size in lhs))])


def test_a_batch_that_may_change_reaches_tensors_between_operators():
    assert of_product(product((-1, 3, 4, 32), (32, 32), between=True), CURRENT)[1].arithmetic == "float"
    assert of_product(product((1, 3, 4, 32), (32, 32), between=True), CURRENT)[1].arithmetic == "hybrid"


@pytest.mark.parametrize("time_major,auxiliary", [(False, None), (True, None), (False, 32), (False, 40)])
def test_a_sequence_that_the_runtime_would_run_again_and_again_computes_in_float(time_major, auxiliary):
    b = Builder()
    x = b.input("x", (2, 5, 32))

    def half():
        return [normal(32, 32), normal(32, 32), normal(32), b.variable("state", (5 if time_major else 2, 32))]

    second = (
        [b.input("a", (2, 5, auxiliary)), normal(32, auxiliary), normal(32, auxiliary)] if auxiliary else []
    )
    options = {"time_major": time_major, "merge_outputs": True}
    graph = b.finish(b.op("BIDIRECTIONAL_SEQUENCE_RNN", [x, *half(), *half(), *second], options))
    converted, report = quantize_dynamic_range(graph, CURRENT)
    assert report[0].arithmetic == ("float" if time_major or auxiliary == 40 else "hybrid")
    Interpreter(graph=converted).run([normal(*converted.tensors[i].shape) for i in converted.inputs])


def test_a_product_without_operands_is_left_to_the_interpreter():
    graph = product((2, 3, 4, 32), (32, 32))
    graph.operators[0].inputs[0] = ABSENT
    assert of_product(graph, CURRENT)[0].tensors[1].type == "INT8"
