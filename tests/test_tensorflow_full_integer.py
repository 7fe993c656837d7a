"""Full integer quantization beside TensorFlow's own: from the same ranges, the same files."""

import numpy as np
import pytest
from integer_graphs import (
    CASES,
    assert_same_meaning,
    calibrated,
    random_graph,
    samples_for,
    tensorflow_full_integer,
    tensorflow_int16,
)

import ptq
from ptq.calibration import recorded
from ptq.passes.full_integer import quantize_full_integer
from ptq.passes.integer_rules import Scheme

pytestmark = pytest.mark.peers

MODELS = ["resnet8_cifar10_float", "mobilenet_v1_0.25_224_float", "toycar_autoencoder_float"]
BORDERS = ["FLOAT32", "INT8", "UINT8"]

OTHERWISE = {
    "dense_with_computed_weights": "TensorFlow adds an absent bias (-1), and so chooses another version",
    "sums": "TensorFlow writes int8 SUM, whose reference kernel is defective; ptq leaves it float",
}
"""Cases that TensorFlow has otherwise, and why."""

ALIKE = [
    pytest.param(name, per_channel, id=f"{name}-{'per_channel' if per_channel else 'per_tensor'}")
    for name in CASES
    for per_channel in (True, False)
    if name not in OTHERWISE
    # see test_with_one_scale_tensorflow_forgets_to_quantize_the_weights_again
    and (name != "bias_that_would_overflow" or per_channel)
]


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("name", "per_channel"), ALIKE)
def test_the_case_as_tensorflow_has_it(name, per_channel, border):
    graph = CASES[name]()
    calibration = calibrated(graph)
    ours, _ = quantize_full_integer(graph, calibration, Scheme("INT8", per_channel, border, border))
    assert_same_meaning(ours, tensorflow_full_integer(graph, calibration, border, per_channel))


@pytest.mark.parametrize("seeds", [range(n, n + 25) for n in range(0, 100, 25)], ids=str)
def test_random_graphs_as_tensorflow_has_them(seeds):
    for seed in seeds:
        graph = random_graph(seed, joining=False)
        border, per_channel = BORDERS[seed % 3], seed % 2 == 0
        calibration = calibrated(graph)
        ours, _ = quantize_full_integer(graph, calibration, Scheme("INT8", per_channel, border, border))
        assert_same_meaning(ours, tensorflow_full_integer(graph, calibration, border, per_channel))


def tensorflow_calibrated(graph, samples):
    """The graph with the ranges that TensorFlow's calibrator records."""
    pytest.importorskip("tensorflow")
    from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors

    calibrator = Calibrator(add_intermediate_tensors(ptq.dumps(graph)))
    return ptq.load(calibrator.calibrate(lambda: iter(samples)))


def without_squeeze(graph):
    """TensorFlow writes RESHAPE for SQUEEZE, and so does `meaning`; nothing else differs in the models."""
    return [o.type if o.type != "SQUEEZE" else "RESHAPE" for o in graph.operators]


@pytest.mark.parametrize("per_channel", [True, False], ids=["per_channel", "per_tensor"])
@pytest.mark.parametrize("name", MODELS)
def test_from_tensorflow_s_ranges_the_models_are_the_same(shared, name, per_channel):
    graph = ptq.load(shared / "models" / f"{name}.tflite")
    calibration = recorded(tensorflow_calibrated(graph, samples_for(graph)))
    ours, _ = quantize_full_integer(graph, calibration, Scheme("INT8", per_channel))
    theirs = tensorflow_full_integer(graph, calibration, per_channel=per_channel)
    assert without_squeeze(ours) == without_squeeze(theirs)
    assert_same_meaning(ours, theirs)


@pytest.mark.parametrize("name", MODELS)
def test_ranges_differ_from_tensorflow_s_by_the_order_of_sums_and_by_a_defect(shared, name):
    """Its calibrator logs an operator's inputs once more when it is done; ADD has then written over one."""
    graph = ptq.load(shared / "models" / f"{name}.tflite")
    samples = samples_for(graph)
    theirs = recorded(tensorflow_calibrated(graph, samples))
    ours = ptq.calibration.calibrate(graph, samples)
    assert set(ours.observers) == set(theirs.observers)
    overwritten = {}
    for operator in (o for o in graph.operators if o.type == "ADD"):
        first = next(i for i in operator.inputs if len(graph.consumers(i)) == 1)
        overwritten[first] = operator.outputs[0]
    for index in ours.observers:
        low, high = ours.range(index)
        if index in overwritten:
            above = ours.range(overwritten[index])
            low, high = min(low, above[0]), max(high, above[1])
        # the same sums in another order, over a depth of ten layers
        assert theirs.range(index) == pytest.approx((low, high), rel=1e-4, abs=1e-5)


def test_with_one_scale_tensorflow_forgets_to_quantize_the_weights_again():
    """Where the two scales differ by less than 0.001, as they do for small weights."""
    graph = CASES["bias_that_would_overflow"]()
    calibration = calibrated(graph)
    graph.tensors[graph.operators[0].inputs[1]].data[:] *= 1e-5
    mine, _ = quantize_full_integer(graph, calibration, Scheme("INT8", False))
    theirs = tensorflow_full_integer(graph, calibration, per_channel=False)
    (my_w, my_bias), (other_w, other_bias) = (
        [g.tensors[i] for o in g.operators if o.type == "FULLY_CONNECTED" for i in o.inputs[1:]]
        for g in (mine, theirs)
    )
    assert my_w.quantization.scale == other_w.quantization.scale
    assert np.array_equal(my_bias.data, other_bias.data)
    reals = graph.tensors[graph.operators[0].inputs[1]].data
    assert np.abs(my_w.data * my_w.quantization.scale - reals).max() <= my_w.quantization.scale / 2
    assert np.abs(other_w.data * other_w.quantization.scale - reals).max() > other_w.quantization.scale


# --- int16 activations ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["convolutions", "dense_layers", "pools"])
def test_int16_activations_have_the_scales_weights_and_biases_of_tensorflow(name):
    graph = CASES[name]()
    samples = samples_for(graph)
    calibration = recorded(tensorflow_calibrated(graph, samples))
    ours, _ = quantize_full_integer(graph, calibration, Scheme("INT16"))
    theirs = tensorflow_int16(graph, samples)
    assert [o.type for o in ours.operators] == [o.type for o in theirs.operators]
    for a, b in zip(ours.operators, theirs.operators, strict=True):
        for i, j in zip([*a.inputs, *a.outputs], [*b.inputs, *b.outputs], strict=True):
            mine, other = ours.tensors[i], theirs.tensors[j]
            assert (mine.type, mine.shape) == (other.type, other.shape)
            if mine.quantized is not None:
                assert mine.quantized.scale.tolist() == other.quantized.scale.tolist()
                assert mine.quantized.zero_point.tolist() == other.quantized.zero_point.tolist()
            if mine.data is not None:
                assert np.array_equal(mine.data, other.data)
