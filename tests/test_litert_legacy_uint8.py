"""Quantized MobileNets of before int8, as TensorFlow 1 wrote them, load and run as in LiteRT bit for bit.

All operators have version 1, all tensors are uint8 with one scale, weights included, and a tensor's range
stands beside its scale.
"""

import numpy as np
import pytest
from litert import assert_same_bits, every_tensor_of_litert, run_litert

import ptq
from ptq.build import Builder
from ptq.graph import Quantization

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")

PIXELS = 1 / 128, 128
RELU6 = 6 / 255, 0
LINEAR = 8 / 255, 120


def quantization(scale, zero_point):
    found = Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))
    found.min = np.array([-zero_point * scale], np.float32)
    found.max = np.array([(255 - zero_point) * scale], np.float32)
    return found


class Legacy:
    """Adds operators with random uint8 weights that keep activations of about the size of 1."""

    def __init__(self, seed):
        self.rng, self.builder = np.random.default_rng(seed), Builder("legacy_uint8")

    def input(self, *shape):
        return self.builder.input("input", shape, "UINT8", quantization(*PIXELS))

    def layer(self, kind, x, shape, output=RELU6, **options):
        """An operator with weights of that shape, and ReLU6 unless its output has another range."""
        axis, zero_point = (3 if kind == "DEPTHWISE_CONV_2D" else 0), int(self.rng.integers(90, 166))
        scale = np.float32(1 / (40 * np.sqrt(np.prod(shape) / shape[axis])))
        bias_scale = x.quantization.scale[0] * scale
        weights = np.clip(np.rint(self.rng.normal(zero_point, 40, shape)), 0, 255).astype(np.uint8)
        bias = np.rint(self.rng.normal(0.5, 0.5, shape[axis]) / bias_scale).astype(np.int32)
        number = len(self.builder.graph.operators)
        operands = [
            x,
            self.builder.constant(weights, f"weights_{number}", quantization(scale, zero_point)),
            self.builder.constant(bias, f"bias_{number}", quantization(bias_scale, 0)),
        ]
        options["fused_activation_function"] = "RELU6" if output == RELU6 else "NONE"
        return self.builder.op(kind, operands, options, quantization=quantization(*output))

    def conv(self, x, outputs, size=1, stride=1, output=RELU6):
        shape = outputs, size, size, x.shape[-1]
        return self.layer("CONV_2D", x, shape, output, stride_h=stride, stride_w=stride)

    def depthwise(self, x, stride=1):
        options = {"stride_h": stride, "stride_w": stride, "depth_multiplier": 1}
        return self.layer("DEPTHWISE_CONV_2D", x, (1, 3, 3, x.shape[-1]), **options)

    def other(self, kind, *operands, output=None, **options):
        """An operator without weights, whose output has the scale of its first operand unless it is given."""
        scales = quantization(*output) if output else operands[0].quantization
        return self.builder.op(kind, list(operands), options, quantization=scales)


def legacy_mobilenet(seed, batch=1):
    """A convolution, a separable one, an inverted residual, a smaller separable one, and the classifier."""
    b = Legacy(seed)
    x = b.conv(b.input(batch, 32, 32, 3), 16, 3, 2)
    x = b.conv(b.depthwise(x), 24, output=LINEAR)
    y = b.conv(b.depthwise(b.conv(x, 48)), 24, output=(6 / 255, 131))
    x = b.other("ADD", x, y, output=(10 / 255, 125))
    x = b.conv(b.depthwise(x, 2), 32)
    pooled = {"filter_width": 8, "filter_height": 8, "stride_w": 8, "stride_h": 8, "padding": "VALID"}
    x = b.other("AVERAGE_POOL_2D", x, **pooled)
    x = b.other("RESHAPE", x, np.array([batch, 32], np.int32))
    x = b.layer("FULLY_CONNECTED", x, (10, 32), (12 / 255, 127))
    return b.builder.finish(b.other("SOFTMAX", x, output=(1 / 256, 0), beta=1.0))


def images(seed, count, batch):
    rng = np.random.default_rng(seed)
    ends = rng.choice([0, 255], (batch, 32, 32, 3)).astype(np.uint8)
    return [ends, *rng.integers(0, 256, (count - 1, batch, 32, 32, 3)).astype(np.uint8)]


@pytest.mark.parametrize("seed", range(8))
def test_the_file_loads_and_runs_as_in_litert(tmp_path, seed):
    batch = 1 + seed % 3
    ptq.save(legacy_mobilenet(seed, batch), tmp_path / "legacy.tflite")
    graph = ptq.load(tmp_path / "legacy.tflite")
    assert {tensor.type for tensor in graph.tensors} == {"UINT8", "INT32"}
    assert {operator.version for operator in graph.operators} == {1}
    interpreter = ptq.Interpreter(model_path=tmp_path / "legacy.tflite")
    answers = []
    for image in images(seed, 4, batch):
        answers += interpreter.run([image])
        assert_same_bits(answers[-1], run_litert(graph, [image])[0])
    assert len(np.unique(answers)) > 10


def test_every_layer_is_the_same():
    graph = legacy_mobilenet(99)
    image = images(99, 2, 1)[1]
    interpreter, theirs = ptq.Interpreter(graph=graph), every_tensor_of_litert(graph, [image])
    interpreter.run([image])
    for operator in graph.operators:
        (index,) = operator.outputs
        values = interpreter.get_tensor(index)
        assert_same_bits(values, theirs[index], graph.tensors[index].name)
        assert len(np.unique(values)) > 5, f"{graph.tensors[index].name} says nothing"
