"""Bias correction: the shift by hand, layer after layer, in every arithmetic, and what is left alone."""

import numpy as np
import pytest

from ptq.build import Builder
from ptq.converter import Converter
from ptq.errors import InputError
from ptq.graph import Quantization
from ptq.interpreter import Interpreter
from ptq.passes.bias_correction import correct_bias
from ptq.passes.fold import simplify
from ptq.zoo import country_lstm, names

SAMPLES = [[np.float32([[1, 2]])], [np.float32([[3, 6]])]]


def quantization(*scales):
    return Quantization(np.float32(scales), np.zeros(len(scales), np.int64))


def original():
    b = Builder()
    x = b.input("x", (1, 2))
    return b.finish(b.fully_connected(x, [[1.0, 0.3], [-0.4, 0.5]], [0.0, 10.0], "RELU6", name="dense"))


def hybrid():
    """Weights in steps of 1/4: 0.3 became 0.25, -0.4 became -0.5."""
    b = Builder()
    x = b.input("x", (1, 2))
    weights = b.constant(np.int8([[4, 1], [-2, 2]]), "weights", quantization(0.25))
    return b.finish(b.fully_connected(x, weights, [0.0, 10.0], "RELU6", name="dense"))


def integer(bias_type=np.int32):
    """The same with x in steps of 1/2, and so a bias in steps of 1/8."""
    b = Builder()
    x = b.input("x", (1, 2), "INT8", quantization(0.5))
    weights = b.constant(np.int8([[4, 1], [-2, 2]]), "weights", quantization(0.25))
    bias = b.constant(np.array([0, 80], bias_type), "bias", quantization(0.125))
    options = {"fused_activation_function": "RELU6"}
    y = b.op("FULLY_CONNECTED", [x, weights, bias], options, 4, quantization=quantization(6 / 127))
    return b.finish(y)


def test_one_layer_by_hand():
    # the mean input is (2, 4), so that 0.05 * 4 are missing in one output and -0.1 * 2 too much in the other;
    # a RELU6 comes after all this
    result, report = correct_bias(hybrid(), original(), SAMPLES)
    (layer,) = report
    assert layer.name == "dense"
    np.testing.assert_allclose(layer.shift, [0.2, 0.2], rtol=1e-6)  # 0.3 and -0.4 are float32
    np.testing.assert_allclose(result.tensors[result.operators[0].inputs[2]].data, [0.2, 10.2], rtol=1e-6)
    assert "dense         2           0.2              0.2" in str(report)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_an_integer_bias_moves_by_whole_steps(dtype):
    quantized = integer(dtype)
    result, _ = correct_bias(quantized, original(), lambda: iter(SAMPLES))
    bias = result.tensors[result.operators[0].inputs[2]]
    assert bias.data.tolist() == [2, 82]  # 0.2 / 0.125 = 1.6 steps
    assert bias.data.dtype == dtype
    assert quantized == integer(dtype)


def test_a_bias_at_the_end_of_its_type_stays_there():
    reference = original()
    reference.tensors[reference.operators[0].inputs[2]].data[:] = 1e9, -1e9  # 8e9 steps of 1/8
    result, _ = correct_bias(integer(), reference, SAMPLES)
    assert result.tensors[result.operators[0].inputs[2]].data.tolist() == [2**31 - 1, -(2**31)]


def images(count=12, seed=3):
    rng = np.random.default_rng(seed)
    return [[rng.uniform(0, 1, (1, 6, 6, 2)).astype(np.float32)] for _ in range(count)]


def uneven_network():
    """A depthwise layer whose channels differ by a factor of 60, so that one scale for all is coarse."""
    rng = np.random.default_rng(4)
    b = Builder()
    y = b.conv2d(b.input("x", (1, 6, 6, 2)), rng.normal(0, 1, (4, 3, 3, 2)).astype(np.float32), name="conv")
    filter = rng.uniform(0.5, 1, (1, 3, 3, 4)) * [60, 1, 1, 2]
    y = b.depthwise_conv2d(y, filter.astype(np.float32), activation="RELU", name="depthwise")
    y = b.reshape(y, (1, 144))
    weights = rng.normal(0, 0.1, (3, 144)).astype(np.float32)
    return b.finish(b.fully_connected(y, weights, np.zeros(3, np.float32), name="dense"))


def products(kind, x, w):
    if kind == "FULLY_CONNECTED":
        return x @ w.T
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum("nrckij,oijk->nrco" if kind == "CONV_2D" else "nrckij,zijk->nrck", windows, w)


def means(graph, samples):
    """The mean output of each layer before its activation, and the sum of its products' sizes: in float64."""
    interpreter = Interpreter(graph=graph)
    sums = {}

    def reals(index, value):
        q = graph.tensors[index].quantized
        value = np.asarray(value, np.float64)
        if q is None:
            return value
        # per tensor everywhere here
        return (value - q.zero_point) * q.scale.astype(np.float64)

    def hook(position, operator, inputs, outputs):
        if operator.type not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            return
        x, w, bias = (reals(i, value) for i, value in zip(operator.inputs, inputs, strict=True))
        y, size = products(operator.type, x, w) + bias, products(operator.type, np.abs(x), np.abs(w))
        both = np.stack([y.reshape(-1, len(bias)).mean(axis=0), size.reshape(-1, len(bias)).mean(axis=0)])
        sums[operator.type] = sums.get(operator.type, 0) + both / len(samples)

    interpreter.add_hook(hook)
    for sample in samples:
        interpreter.run(sample)
    return sums


def convert(graph, samples, **options):
    converter = Converter.from_graph(graph)
    converter.representative_dataset = lambda: samples
    for name, value in options.items():
        setattr(converter, name, value)
    return converter.convert_to_graph()


def test_each_layer_is_right_on_average_afterwards():
    graph, samples = simplify(uneven_network()), images()
    quantized = convert(graph, samples, per_channel=False)
    result, report = correct_bias(quantized, graph, samples)
    assert [layer.name for layer in report] == ["conv", "depthwise", "dense"]
    wanted, before, after = (means(g, samples) for g in (graph, quantized, result))
    operators = {o.type: o for o in result.operators}
    for kind, (target, size) in wanted.items():
        # a bias is rounded to its step; both means are rounded to float32 once, and so are their weights, and
        # their 9 to 144 products and sums each lose a unit of the sum of the products' sizes at most
        step = float(result.tensors[operators[kind].inputs[2]].quantization.scale[0])
        bound = step / 2 + (144 + 3) * 2.0**-24 * (size + after[kind][1])
        assert np.all(np.abs(after[kind][0] - target) <= bound), kind
        assert np.max(np.abs(before[kind][0] - target) / bound) > 3, kind


@pytest.mark.parametrize(
    "options",
    [{"inference_input_type": np.int8}, {"inference_input_type": np.uint8}, {"per_channel": True},
     {"activations": np.int16}],
    ids=["int8 input", "uint8 input", "per channel", "int16"],
)  # fmt: skip
def test_every_scheme(options):
    graph, samples = simplify(uneven_network()), images()
    quantized = convert(graph, samples, **options)
    result, report = correct_bias(quantized, graph, samples)
    assert len(report) == 3
    changed = [a.name for a, b in zip(quantized.tensors, result.tensors, strict=True) if a != b]
    assert 0 < len(changed) <= 3
    assert all("bias" in name for name in changed)


def test_a_batch_counts_as_so_many_samples():
    b = Builder()
    x = b.input("x", (-1, 2))
    graph = b.finish(b.fully_connected(x, [[1.0, 0.3], [-0.4, 0.5]], [0.0, 10.0]))
    quantized = convert(graph, SAMPLES, per_channel=False)
    together = [[np.concatenate([x for (x,) in SAMPLES])]]
    assert correct_bias(quantized, graph, SAMPLES)[0] == correct_bias(quantized, graph, together)[0]


def test_a_recurrent_model_between_its_states():
    graph, ids = simplify(country_lstm()), names.calibration_names().ids[:5]
    converter = Converter.from_graph(graph)
    converter.post_training_quantize = True
    result, report = correct_bias(converter.convert_to_graph(), graph, [[x[None]] for x in ids])
    assert [layer.name for layer in report] == ["dense"]
    result.validate()


def without_bias(b, x):
    return b.fully_connected(x, b.constant(np.int8([[4, 1], [-2, 2]]), "weights", quantization(0.25)))


def shared_bias(b, x):
    weights = b.constant(np.int8([[4, 1], [-2, 2]]), "weights", quantization(0.25))
    bias = b.constant(np.float32([1, 2]))
    return b.fully_connected(b.fully_connected(x, weights, bias), weights, bias)


def float_weights(b, x):
    return b.fully_connected(x, [[1.0, 0.25], [-0.5, 0.5]], [0.0, 10.0])


def float_weights_twice(b, x):
    return float_weights(b, float_weights(b, x))


@pytest.mark.parametrize(
    ("build", "reference", "reason"),
    [(without_bias, float_weights, "it has no bias"),
     (shared_bias, float_weights_twice, "its bias is computed, or used elsewhere, too"),
     (float_weights, float_weights, "its weights are not quantized")],
    ids=["none", "shared", "float"],
)  # fmt: skip
def test_what_cannot_be_corrected_says_why(build, reference, reason):
    graphs = []
    for function in (build, reference):
        b = Builder()
        graphs.append(b.finish(function(b, b.input("x", (1, 2)))))
    result, report = correct_bias(*graphs, SAMPLES)
    assert result == graphs[0]
    assert len(report) == 0
    assert {why for _, why in report.skipped} == {reason}
    assert reason in str(report)


def test_wrong_arguments_say_so():
    with pytest.raises(InputError, match="no samples"):
        correct_bias(hybrid(), original(), [])
    with pytest.raises(InputError, match="sample 1: 2 arrays found"):
        correct_bias(hybrid(), original(), [SAMPLES[0], SAMPLES[0] * 2])
    with pytest.raises(InputError, match="do not match"):
        correct_bias(hybrid(), uneven_network(), SAMPLES)
    b = Builder()
    y = b.conv2d(b.input("x", (1, -1, 4, 1)), np.ones((1, 1, 1, 1), np.float32))
    graph = b.finish(y)
    shapes = [[np.ones((1, n, 4, 1), np.float32)] for n in (3, 4)]
    with pytest.raises(InputError, match="'x' has several shapes"):
        correct_bias(graph, graph, shapes)
