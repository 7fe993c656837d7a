"""The layer graph: printing, equality, and what validation refuses."""

import numpy as np
import pytest

from ptq.errors import GraphError, QuantizationError
from ptq.graph import Graph, Operator, Quantization, Signature, Tensor, type_of


def pair(**tensor):
    """x -> RELU -> y, with the fields of y as given."""
    y = Tensor("y", (2, 3), **tensor)
    return Graph([Tensor("x", (2, 3)), y], [Operator("RELU", [0], [1])], [0], [1])


def test_the_text_names_operators_shapes_and_types():
    assert str(pair()).splitlines() == [
        "graph 'main': 1 operators, 2 tensors",
        "  input  x:float32[2x3]",
        "    0 RELU(x:float32[2x3]) -> y:float32[2x3]",
        "  output y:float32[2x3]",
    ]


def test_equality_compares_weights_bit_for_bit():
    def constant(value):
        return Graph([Tensor("c", (1,), data=np.array([value], np.float32))])

    assert constant(np.nan) == constant(np.nan)
    assert constant(0.0) != constant(-0.0)
    assert constant(1) != constant(np.nextafter(np.float32(1), np.float32(2)))
    assert pair() != pair(is_variable=True)
    assert pair() != "a graph"


@pytest.mark.parametrize(
    "signature,message",
    [
        (Signature("", {}, {}), "signature 1: empty key found"),
        (Signature("first", {}, {}), "signature 'first': found twice"),
        (Signature("k", {}, {}, -1), "signature 'k': subgraph -1 found, expected 0 to 1"),
        (Signature("k", {}, {}, 2), "signature 'k': subgraph 2 found, expected 0 to 1"),
        (Signature("k", {"a": 2}, {}), "signature 'k', input 'a': tensor index 2 found, expected 0 to 1"),
        (Signature("k", {}, {"b": -1}), "signature 'k', output 'b': tensor index -1 found"),
        (Signature("k", {"a": 1}, {}), r"input 'a': tensor 1, 'y', found, which is no input of .* of \[0\]"),
        (Signature("k", {}, {"b": 0}), r"output 'b': tensor 0, 'x', found, which is no .* of \[1\]"),
        (Signature("k", {"a": 1}, {}, 1), "input 'a': tensor index 1 found, expected 0 to 0"),
    ],
)
def test_a_signature_names_what_its_subgraph_takes_and_returns(signature, message):
    graph = pair()
    graph.subgraphs = [Graph([Tensor("z", ())], [], [0], [0])]
    graph.signatures = [Signature("first", {"a": 0}, {"b": 1, "c": 1})]
    graph.validate()
    graph.signatures.append(signature)
    with pytest.raises(GraphError, match=message):
        graph.validate()


def test_a_copy_shares_weights_and_nothing_else():
    graph = Graph([Tensor("c", (1,), data=np.ones(1, np.float32))], [Operator("RELU", [0], [0])])
    copy = graph.copy()
    assert copy == graph
    assert copy.tensors[0].data is graph.tensors[0].data
    copy.tensors[0].shape, copy.operators[0].inputs[0] = (5,), 7
    assert (graph.tensors[0].shape, graph.operators[0].inputs) == ((1,), [0])


def quantized(scale, zero_point, axis=0):
    return Quantization(np.array(scale, np.float32), np.array(zero_point, np.int64), axis)


@pytest.mark.parametrize(
    "tensor,error,message",
    [
        ({"data": np.zeros((3, 2), np.float32)}, GraphError, r"\(3, 2\) found, \(2, 3\) declared"),
        ({"data": np.zeros((2, 3), np.int8)}, GraphError, "int8 found, FLOAT32 declared"),
        ({"quantization": quantized([-1], [0])}, QuantizationError, "scale -1.0 found"),
        ({"quantization": quantized([np.nan], [0])}, QuantizationError, "scale nan found"),
        ({"quantization": quantized([1], [0, 0])}, QuantizationError, "1 scales but 2 zero points"),
        ({"quantization": quantized([1, 1], [0, 0], 1)}, QuantizationError, "2 scales along dimension 1"),
        ({"quantization": quantized([1, 1], [0, 0], 5)}, QuantizationError, "2 scales along dimension 5"),
    ],
)
def test_impossible_tensors_are_refused_by_name(tensor, error, message):
    with pytest.raises(error, match=f"'y'.*{message}"):
        Graph([Tensor("x", (2, 3)), Tensor("y", (2, 3), **tensor)]).validate()


def test_a_negative_size_is_refused():
    with pytest.raises(GraphError, match="negative"):
        Graph([Tensor("x", (2, -3))]).validate()


@pytest.mark.parametrize("index", [-2, 2, 2**40])
def test_indices_that_do_not_exist_are_refused(index):
    for place in ("inputs", "outputs"):
        for target in (lambda g: g, lambda g: g.operators[0]):
            graph = pair()
            setattr(target(graph), place, [index])
            with pytest.raises(GraphError, match=f"tensor index {index} found, expected"):
                graph.validate()


def test_cycles_and_double_writers_are_refused():
    graph = pair()
    graph.operators[0].inputs = [1]
    with pytest.raises(GraphError, match="before any operator has written it"):
        graph.validate()
    graph = pair()
    graph.operators.append(Operator("RELU", [0], [1]))
    with pytest.raises(GraphError, match="exactly one producer"):
        graph.validate()
    graph = pair()
    graph.operators[0].outputs = [0]
    with pytest.raises(GraphError):
        graph.validate()


def test_subgraphs_are_validated_too():
    graph = pair()
    graph.subgraphs.append(Graph([], [], [3]))
    with pytest.raises(GraphError, match="graph inputs: tensor index 3"):
        graph.validate()


def test_dtypes_have_names():
    assert type_of(np.int8) == "INT8"
    with pytest.raises(GraphError, match="has no TensorFlow Lite type"):
        type_of(np.dtype("U3"))
