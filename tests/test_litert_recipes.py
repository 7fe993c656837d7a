"""What the converter writes runs in LiteRT, and ptq's interpreter computes the same numbers, bit for bit."""

import numpy as np
import pytest
from litert import assert_same_bits, run_litert
from quantizable import CASES

import ptq

pytestmark = pytest.mark.peers

VARIANTS = ("current", "2018", "float16")

def converted(graph, variant):
    converter = ptq.Converter.from_graph(graph)
    if variant == "float16":
        converter.float16 = True
    else:
        converter.post_training_quantize, converter.recipe = True, variant
    graph = converter.convert_to_graph()
    return graph, {(d.type, d.arithmetic) for d in converter.report}


def inputs_of(graph, rng):
    tensors = [graph.tensors[i] for i in graph.inputs]
    return [
        rng.integers(0, 5, t.shape).astype(np.int32) if t.type == "INT32"
        else rng.normal(0, 1, t.shape).astype(np.float32)
        for t in tensors
    ]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", CASES)
def test_the_converted_case_runs_alike(case, variant):
    graph, kinds = converted(CASES[case](), variant)
    inputs = inputs_of(graph, np.random.default_rng(2))
    ours = ptq.Interpreter(graph=graph, numerics=ptq.LITERT_REFERENCE_ORDERED).run(inputs)
    theirs = run_litert(graph, inputs)
    assert [y.shape for y in ours] == [y.shape for y in theirs]
    if any("LSTM" in name and arithmetic == "float" for name, arithmetic in kinds):
        return  # a library adds the float products of an LSTM, in an order of its own
    for mine, other in zip(ours, theirs, strict=True):
        assert_same_bits(mine, other, (case, variant))
