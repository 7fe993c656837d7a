"""Whatever a pass does to tensors, a signature still names the same inputs and outputs of its subgraph."""

import numpy as np
import pytest

import ptq
from ptq.calibration import calibrate
from ptq.graph import Signature
from ptq.passes.bias_correction import correct_bias
from ptq.passes.dynamic_range import quantize_dynamic_range
from ptq.passes.equalize import equalize
from ptq.passes.float16 import store_float16
from ptq.passes.fold import simplify
from ptq.passes.full_integer import quantize_full_integer
from ptq.passes.integer_rules import Scheme
from ptq.passes.recipes import CURRENT, FIRST_RELEASE


def network(seed):
    """Two inputs, of which one is returned too, an unused tensor, and much to fold into a convolution."""
    rng = np.random.default_rng(seed)
    b = ptq.Builder(f"network {seed}")
    image, row = b.input("image", (1, 8, 8, 16)), b.input("row", (1, 32))
    b.constant(np.zeros(5, np.float32), "unused")
    x = b.conv2d(image, rng.normal(0, 0.3, (32, 3, 3, 16)))
    x = b.relu(b.add(b.mul(x, rng.uniform(0.5, 2, 32)), rng.normal(size=32)))
    x = b.conv2d(x, rng.normal(0, 0.1, (32, 1, 1, 32)), activation="RELU")
    features = b.mean(x, (1, 2))
    return b.finish(b.fully_connected(features, rng.normal(0, 0.2, (40, 32))), row, b.add(features, row))


def with_signatures():
    """A model of two functions, each with names that are in no order, and one output that has two names."""
    graph, other = network(0), network(1)
    graph.subgraphs = [other]
    graph.signatures = [
        Signature(
            key,
            {"z_image": g.inputs[0], "a_row": g.inputs[1]},
            {"scores": g.outputs[0], "row": g.outputs[1], "b": g.outputs[2], "also_scores": g.outputs[0]},
            number,
        )
        for number, (key, g) in enumerate([("serve", graph), ("other", other)])
    ]
    return graph


def samples():
    rng = np.random.default_rng(2)
    normal = rng.standard_normal
    return [[normal(s, np.float32) for s in ((1, 8, 8, 16), (1, 32))] for _ in range(4)]


def integers(activations, *border):
    def quantize(graph):
        calibration = calibrate(graph, samples)
        return quantize_full_integer(graph, calibration, Scheme(activations, True, *border))[0]

    return quantize


def corrected(graph):
    return correct_bias(integers("INT8", "FLOAT32", "FLOAT32")(graph), graph, samples())[0]


PASSES = {
    "simplify": simplify,
    "equalize": lambda graph: equalize(simplify(graph))[0],
    "float16": lambda graph: store_float16(graph)[0],
    "current": lambda graph: quantize_dynamic_range(graph, CURRENT)[0],
    "2018": lambda graph: quantize_dynamic_range(graph, FIRST_RELEASE)[0],
    "int8, float border": integers("INT8", "FLOAT32", "FLOAT32"),
    "int8": integers("INT8", "INT8", "INT8"),
    "int8, uint8 border": integers("INT8", "UINT8", "UINT8"),
    "int8 in, float out": integers("INT8", "INT8", "FLOAT32"),
    "float in, uint8 out": integers("INT8", "FLOAT32", "UINT8"),
    "int16": integers("INT16", "INT16", "INT16"),
    "bias correction": corrected,
}


def places(graph):
    """Each name of each signature as the place of its tensor among the inputs or outputs, in order."""
    found = []
    for s in graph.signatures:
        run = [graph, *graph.subgraphs][s.subgraph]
        taken = [(name, run.inputs.index(i)) for name, i in s.inputs.items()]
        found.append((s.key, s.subgraph, taken, [(n, run.outputs.index(i)) for n, i in s.outputs.items()]))
    return found


@pytest.mark.parametrize("rewrite", PASSES.values(), ids=PASSES)
def test_signatures_name_the_same_inputs_and_outputs(rewrite):
    graph = with_signatures()
    before = places(graph)
    result = rewrite(graph)
    assert places(result) == before == places(with_signatures())
    assert result != graph
    result.validate()


@pytest.mark.parametrize("rewrite", PASSES.values(), ids=PASSES)
def test_a_signature_returns_what_the_graph_does(rewrite):
    interpreter = ptq.Interpreter(model_content=ptq.dumps(rewrite(with_signatures())))
    runner = interpreter.get_signature_runner("serve")
    given = runner.get_input_details()
    inputs = {}
    for name, value in zip(("z_image", "a_row"), samples()[0], strict=True):
        limit = 1 if given[name]["dtype"] == np.float32 else 50
        inputs[name] = (abs(value) * limit).astype(given[name]["dtype"])
    named = runner(**inputs)
    scores, row, total = interpreter.run([inputs["z_image"], inputs["a_row"]])
    expected = {"scores": scores, "row": row, "b": total, "also_scores": scores}
    assert named.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(named[name], value, err_msg=name)
    assert interpreter.get_signature_runner("other").get_input_details().keys() == given.keys()
