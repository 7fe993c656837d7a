"""The interpreter's contract: tf.lite's method names, every tensor readable, clear refusals."""

import numpy as np
import pytest

import ptq
from ptq.errors import GraphError, InputError, PtqError, UnsupportedError
from ptq.graph import Graph, Operator, Quantization, Signature, Tensor


def network(batch=-1):
    b = ptq.Builder("net")
    x = b.input("x", (batch, 3))
    y = b.relu(b.fully_connected(x, np.eye(3, dtype=np.float32) * 2, np.array([1, 0, -1], np.float32)))
    return b.finish(b.reshape(y, (-1, 3)))


def test_the_method_names_of_tf_lite():
    interpreter = ptq.Interpreter(model_content=ptq.dumps(network()))
    interpreter.allocate_tensors()
    (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(given["index"], np.array([[1, -2, 3]], np.float32))
    interpreter.invoke()
    assert interpreter.get_tensor(wanted["index"]).tolist() == [[3, 0, 5]]
    assert given["dtype"] is np.float32
    assert given["shape_signature"].tolist() == [-1, 3]
    assert given["quantization"] == (0.0, 0)
    assert len(interpreter.get_tensor_details()) == len(interpreter.graph.tensors)


@pytest.mark.peers
def test_details_have_the_fields_and_values_of_litert():
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    content = ptq.dumps(network())
    ours, theirs = ptq.Interpreter(model_content=content), litert.Interpreter(model_content=content)
    ours.allocate_tensors()
    theirs.allocate_tensors()
    for a, b in zip(ours.get_input_details(), theirs.get_input_details(), strict=True):
        assert a.keys() == b.keys()
        for key in ("name", "index", "dtype", "quantization"):
            assert a[key] == b[key]
        for key in ("shape", "shape_signature"):
            assert np.array_equal(a[key], b[key])


@pytest.mark.peers
def test_the_size_of_blocks_is_told():
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    b = ptq.Builder()
    graph = b.finish(b.fully_connected(b.input("x", (1, 64)), np.ones((8, 64), np.float32)))
    index = graph.operators[0].inputs[1]
    weights, empty = graph.tensors[index], np.zeros(0)
    weights.data, weights.type = weights.data.astype(np.int8), "INT8"
    scales = graph.add_tensor(Tensor("scales", (8, 2), "FLOAT16", np.ones((8, 2), np.float16)))
    details = "BlockwiseQuantization", {"scales": scales, "zero_points": -1, "block_size": 32}
    weights.quantization = Quantization(empty.astype(np.float32), empty.astype(np.int64), 0)
    weights.quantization.extra["details"] = details
    content = ptq.dumps(graph)
    for interpreter in (ptq.Interpreter(model_content=content), litert.Interpreter(model_content=content)):
        sizes = [d["quantization_parameters"]["block_size"] for d in interpreter.get_tensor_details()]
        assert sizes == [32 if i == index else 0 for i in range(len(graph.tensors))]


def test_every_intermediate_tensor_stays_readable_and_is_a_copy():
    interpreter = ptq.Interpreter(graph=network())
    interpreter.run([np.array([[1, -2, 3]], np.float32)])
    dense = interpreter.graph.operators[0].outputs[0]
    value = interpreter.get_tensor(dense)
    assert value.tolist() == [[3, -4, 5]]
    value[:] = 0
    assert interpreter.get_tensor(dense).tolist() == [[3, -4, 5]]


def test_run_resizes_the_batch_and_back():
    interpreter = ptq.Interpreter(graph=network())
    assert interpreter.run([np.zeros((5, 3), np.float32)])[0].shape == (5, 3)
    assert interpreter.run([np.zeros((1, 3), np.float32)])[0].shape == (1, 3)


OTHERS = [(3,), (2, 2, 3), (1, 1)]
"""Shapes that a product with three numbers takes, though the model says (-1, 3)."""


@pytest.mark.peers
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("shape", [(4, 3), (0, 3), *OTHERS, (1, 2), (-1, 3), (2**31 - 1, 3)])
def test_an_input_takes_the_shapes_that_it_takes_in_litert(shape, strict):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    b = ptq.Builder()
    x = b.input("x", (-1, 3))
    content = ptq.dumps(b.finish(b.mul(x, np.array([[1, 2, 3]], np.float32))))

    def outcome(interpreter):
        try:
            interpreter.resize_tensor_input(0, shape, strict=strict)
            interpreter.allocate_tensors()
        except (RuntimeError, PtqError):
            return "refused"
        (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.set_tensor(0, np.ones(shape, np.float32))
        interpreter.invoke()
        value = interpreter.get_tensor(result["index"])
        described = [d[key].tolist() for d in (given, result) for key in ("shape", "shape_signature")]
        return described, value.tolist()

    found = outcome(ptq.Interpreter(model_content=content))
    assert found == outcome(litert.Interpreter(model_content=content))
    assert (found != "refused") == (shape in ([(4, 3), (0, 3)] if strict else [(4, 3), (0, 3), *OTHERS]))


def test_resizing_is_visible_before_invoke():
    interpreter = ptq.Interpreter(graph=network())
    interpreter.resize_tensor_input(interpreter.graph.inputs[0], (4, 3))
    interpreter.allocate_tensors()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [4, 3]


def test_a_fixed_batch_cannot_be_resized_by_accident():
    interpreter = ptq.Interpreter(graph=network(batch=1))
    with pytest.raises(InputError, match="signature"):
        interpreter.run([np.zeros((5, 3), np.float32)])


def test_hooks_see_each_operator():
    interpreter = ptq.Interpreter(graph=network())
    seen = []
    interpreter.add_hook(lambda position, op, _, outputs: seen.append((position, op.type, outputs[0].shape)))
    interpreter.run([np.zeros((2, 3), np.float32)])
    assert seen == [(0, "FULLY_CONNECTED", (2, 3)), (1, "RELU", (2, 3)), (2, "RESHAPE", (2, 3))]


def test_the_graph_that_was_given_is_not_changed():
    graph = network()
    before = graph.copy()
    ptq.Interpreter(graph=graph).run([np.zeros((7, 3), np.float32)])
    assert graph == before


def test_signatures_run_by_name():
    graph = network()
    graph.signatures = [Signature("serve", {"image": graph.inputs[0]}, {"scores": graph.outputs[0]})]
    interpreter = ptq.Interpreter(model_content=ptq.dumps(graph))
    assert interpreter.get_signature_list() == {"serve": {"inputs": ["image"], "outputs": ["scores"]}}
    result = interpreter.get_signature_runner("serve")(image=np.array([[1, -2, 3]], np.float32))
    assert result["scores"].tolist() == [[3, 0, 5]]
    with pytest.raises(InputError, match=r"expected \['image'\]"):
        interpreter.get_signature_runner()(x=0)
    with pytest.raises(InputError, match=r"expected one of \['serve'\]"):
        interpreter.get_signature_runner("other")


@pytest.mark.parametrize(
    "value,message",
    [
        (np.zeros((1, 3)), r"dtype float64 found, expected float32"),
        (np.zeros((1, 3), np.int8), r"dtype int8 found, expected float32"),
        (np.zeros((1, 4), np.float32), r"shape \(1, 4\) found, expected \(1, 3\)"),
    ],
)
def test_wrong_inputs_are_refused(value, message):
    interpreter = ptq.Interpreter(graph=network())
    interpreter.allocate_tensors()
    with pytest.raises(InputError, match=message):
        interpreter.set_tensor(interpreter.graph.inputs[0], value)


def test_the_order_of_calls_is_checked():
    interpreter = ptq.Interpreter(graph=network())
    with pytest.raises(InputError, match="allocate_tensors"):
        interpreter.invoke()
    interpreter.allocate_tensors()
    with pytest.raises(InputError, match="'x' has not been set"):
        interpreter.invoke()
    with pytest.raises(InputError, match="no value yet"):
        interpreter.get_tensor(interpreter.graph.outputs[0])
    with pytest.raises(InputError, match="not an input"):
        interpreter.set_tensor(interpreter.graph.outputs[0], np.zeros((1, 3), np.float32))
    with pytest.raises(InputError, match="tensor index 99"):
        interpreter.get_tensor(99)
    with pytest.raises(InputError, match="2 inputs found, expected 1"):
        interpreter.run([0, 0])
    with pytest.raises(InputError, match="exactly one of"):
        ptq.Interpreter()


def unary(type, **more):
    graph = Graph([Tensor("x", (1, 3)), Tensor("y", (1, 3))], [Operator(type, [0], [1], **more)], [0], [1])
    return graph


@pytest.mark.parametrize("type,more", [("CALL", {}), ("CUSTOM", {"custom_code": "Mine"}), ("FFT", {})])
def test_unknown_operators_are_kept_in_files_but_refuse_to_run(type, more):
    graph = unary(type, **more)
    if type != "FFT":
        assert [o.type for o in ptq.load(ptq.dumps(graph)).operators] == [type]
    with pytest.raises(UnsupportedError, match=more.get("custom_code", type)):
        ptq.Interpreter(graph=graph).run([np.zeros((1, 3), np.float32)])


def test_a_shape_that_would_not_fit_into_memory_is_refused_before_it_is_computed():
    b = ptq.Builder()
    x = b.input("x", (1, 8))
    graph = b.finish(b.pad(x, [[0, 0], [0, 8]]))
    paddings = graph.tensors[graph.operators[0].inputs[1]]
    paddings.data = np.array([[0, 0], [0, 2**30]], np.int32)
    with pytest.raises(GraphError, match="at most 2147483648 bytes"):
        ptq.Interpreter(graph=graph).run([np.zeros((1, 8), np.float32)])


def computed_shape():
    """x [batch, 2, 3] -> [batch, 6] beside itself, with a batch that is read from x when the graph runs."""
    b = ptq.Builder()
    x = b.input("x", (-1, 2, 3))
    sizes = b.op("SHAPE", [x], {"out_type": "INT32"}, output_type="INT32")
    ends = [np.array([n], np.int32) for n in (0, 1, 1)]
    batch = b.op("STRIDED_SLICE", [sizes, *ends], {"shrink_axis_mask": 1})
    wanted = b.op("PACK", [batch, np.array(6, np.int32)], {"values_count": 2})
    flat = b.op("RESHAPE", [x, wanted], {"new_shape": None}, output_shape=(1, 6))
    return b.finish(b.concatenation([flat, b.reshape(x, (-1, 6))], axis=1))


def test_a_shape_that_is_computed_is_known_when_it_is_needed():
    interpreter = ptq.Interpreter(graph=computed_shape())
    for batch in (1, 4, 2):
        x = np.arange(6 * batch, dtype=np.float32).reshape(batch, 2, 3)
        (found,) = interpreter.run([x])
        assert found.tolist() == np.concatenate([x.reshape(batch, 6)] * 2, 1).tolist()
        assert interpreter.get_output_details()[0]["shape"].tolist() == [batch, 12]


@pytest.mark.parametrize("kind", ["FILL", "TILE", "BROADCAST_TO", "RANGE", "RESIZE_NEAREST_NEIGHBOR"])
def test_a_computed_size_that_is_absurd_is_refused_before_memory_is_taken(kind):
    b = ptq.Builder()
    size = b.input("size", () if kind == "RANGE" else (2,), "INT32")
    zero, one, image = np.array(0, np.int32), np.array(1, np.int32), np.zeros((1, 1, 1, 1), np.float32)
    inputs = {
        "FILL": [size, np.float32(0)], "RANGE": [zero, size, one], "RESIZE_NEAREST_NEIGHBOR": [image, size],
    }.get(kind, [np.zeros((1, 1), np.float32), size])  # fmt: skip
    graph = b.finish(b.op(kind, inputs, output_shape=(1, 1), output_type="FLOAT32"))
    interpreter = ptq.Interpreter(graph=graph)
    assert interpreter.run([np.full(graph.tensors[0].shape, 3, np.int32)])[0].size in (3, 9)
    for absurd in (2**30, -5):
        with pytest.raises(GraphError, match=str(absurd)):
            interpreter.run([np.full(graph.tensors[0].shape, absurd, np.int32)])


def test_numerics_are_an_argument():
    b = ptq.Builder()
    x = b.input("x", (1, 256))
    rng = np.random.default_rng(0)
    graph = b.finish(b.fully_connected(x, rng.normal(0, 1, (64, 256)).astype(np.float32)))
    converter = ptq.Converter.from_graph(graph)
    converter.post_training_quantize = True
    content = converter.convert()
    different = 0
    for _ in range(20):
        value = rng.normal(0, 1, (1, 256)).astype(np.float32)
        outputs = [
            ptq.Interpreter(model_content=content, numerics=n).run([value])[0]
            for n in (ptq.LITERT_REFERENCE, ptq.PORTABLE)
        ]
        different += outputs[0].tobytes() != outputs[1].tobytes()
    # about one row in four has a scale one unit in the last place apart
    assert 0 < different < 20


@pytest.mark.parametrize("position,type", [(1, "UINT8"), (1, "FLOAT16"), (2, "INT32")])
def test_types_without_a_kernel_are_refused_not_computed_with(position, type):
    graph = network()
    tensor = graph.tensors[graph.operators[0].inputs[position]]
    tensor.type, tensor.data = type, tensor.data.astype(ptq.graph.DTYPES[type])
    with pytest.raises(UnsupportedError, match=f"'{tensor.name}'.*expected float32"):
        ptq.Interpreter(graph=graph).run([np.zeros((1, 3), np.float32)])
