"""Signatures in ptq and in LiteRT: the same lists, details, results and refusals, whoever wrote the file."""

import os

import numpy as np
import pytest
from litert import assert_same_bits, litert_interpreter

import ptq
from ptq.errors import InputError
from ptq.graph import Signature

pytestmark = pytest.mark.peers

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def saved_models(tf, directory):
    """Functions that share weights, or one variable, some of them without inputs; a loop and an echo."""

    def spec(*shape, name):
        return tf.TensorSpec(shape, tf.float32, name)

    rng = np.random.default_rng(0)
    module = tf.Module()
    module.w = tf.Variable(rng.normal(size=(32, 64)).astype(np.float32))
    module.total = tf.Variable(np.zeros((1, 4), np.float32))

    @tf.function(input_signature=[spec(None, 32, name="zebra"), spec(None, 32, name="apple")])
    def encode(zebra, apple):
        z = tf.nn.relu(tf.matmul(zebra, module.w))
        return {"z_code": z, "a_code": tf.matmul(apple, module.w) + 1.0, "mix": zebra + apple}

    @tf.function(input_signature=[spec(None, 64, name="code")])
    def decode(code):
        return {"image": tf.matmul(code, module.w, transpose_b=True)}

    @tf.function(input_signature=[spec(1, 4, name="x")])
    def add(x):
        module.total.assign_add(x)
        return {"total": module.total.read_value()}

    @tf.function(input_signature=[])
    def look():
        return {"total": module.total.read_value(), "same": module.total.read_value()}

    @tf.function(input_signature=[])
    def reset():
        module.total.assign(tf.zeros((1, 4)))
        return {"done": tf.constant(True)}

    @tf.function(input_signature=[spec(None, 4, name="x"), spec(None, 4, name="unused")])
    def echo(x, unused):
        return {"x": x, "y": 2.0 * x, "also_y": 2.0 * x}

    @tf.function(input_signature=[spec(None, 4, name="x")])
    def loop(x):
        return {"y": tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, y * 1.5 + x), (0, x))[1]}

    module.functions = [encode, decode, add, look, reset, echo, loop]
    for name, signatures in {
        "one": {"serving_default": encode}, "two": {"encode": encode, "decode": decode},
        "counter": {"add": add, "look": look, "reset": reset}, "loops": {"loop": loop, "echo": echo},
    }.items():  # fmt: skip
        tf.saved_model.save(module, f"{directory}/{name}", signatures=signatures)


def samples():
    rng = np.random.default_rng(1)
    for _ in range(10):
        yield {name: rng.standard_normal((1, 32), np.float32) for name in ("zebra", "apple")}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What TensorFlow's converter writes, by name and kind."""
    tf = pytest.importorskip("tensorflow")
    directory = tmp_path_factory.mktemp("saved models")
    saved_models(tf, directory)
    integers = {"optimizations": [tf.lite.Optimize.DEFAULT], "representative_dataset": samples}
    kinds = {
        "float": {},
        "current": {"optimizations": [tf.lite.Optimize.DEFAULT]},
        "int8, float border": integers,
        "int8": {**integers, "inference_input_type": tf.int8, "inference_output_type": tf.int8},
        "uint8": {**integers, "inference_input_type": tf.uint8, "inference_output_type": tf.uint8},
    }

    def converted(name, kind):
        converter = tf.lite.TFLiteConverter.from_saved_model(f"{directory}/{name}")
        converter.experimental_enable_resource_variables = True
        for option, value in kinds[kind].items():
            setattr(converter, option, value)
        return converter.convert()

    wanted = [("one", kind) for kind in kinds] + [(name, "float") for name in ("two", "counter", "loops")]
    return {pair: converted(*pair) for pair in [*wanted, ("two", "current")]}


def inputs_for(runner, rng, batch):
    """Random inputs by name, with `batch` for unknown dimensions."""
    inputs = {}
    for name, details in runner.get_input_details().items():
        shape = [batch if size < 0 else int(size) for size in details["shape_signature"]]
        wide = rng.normal(0, 1 if details["dtype"] == np.float32 else 30, shape)
        inputs[name] = (abs(wide) if details["dtype"] == np.uint8 else wide).astype(details["dtype"])
    return inputs


def assert_same_details(ours, theirs):
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        assert ours[name].keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_equal(ours[name][key], value, err_msg=f"{name}: {key}")


def assert_same_signatures(graph):
    """Call every signature of a graph twice, in ptq and in LiteRT."""
    ours = ptq.Interpreter(graph=graph, numerics=ptq.LITERT_REFERENCE_ORDERED)
    theirs = litert_interpreter(graph)
    ours.allocate_tensors()
    listed = ours.get_signature_list()
    assert listed and list(listed.items()) == list(theirs.get_signature_list().items())
    rng = np.random.default_rng(3)
    for batch in (1, 3):
        for key in [*listed, *reversed(listed)]:
            a, b = ours.get_signature_runner(key), theirs.get_signature_runner(key)
            inputs = inputs_for(b, rng, batch)
            found, expected = a(**inputs), b(**inputs)
            assert list(found) == list(expected)
            for name, value in expected.items():
                assert_same_bits(found[name], np.asarray(value), (key, name))
            assert_same_details(a.get_input_details(), b.get_input_details())
            assert_same_details(a.get_output_details(), b.get_output_details())


PAIRS = [
    ("one", "float"), ("one", "current"), ("one", "int8, float border"), ("one", "int8"), ("one", "uint8"),
    ("two", "float"), ("two", "current"), ("counter", "float"), ("loops", "float"),
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=": ".join)
def test_the_signatures_of_tensorflows_files(files, pair):
    assert_same_signatures(ptq.load(files[pair]))


OURS = {
    "current": {"post_training_quantize": True},
    "int8, float border": {"representative_dataset": samples},
    "int8": dict.fromkeys(("inference_input_type", "inference_output_type"), np.int8),
    "uint8": dict.fromkeys(("inference_input_type", "inference_output_type"), np.uint8),
}


def described(graph):
    """The signatures in order, each tensor as its own name, type, shape signature and quantization."""
    found = []
    for s in graph.signatures:
        tensors = [graph, *graph.subgraphs][s.subgraph].tensors
        for name, t in [(n, tensors[i]) for names in (s.inputs, s.outputs) for n, i in names.items()]:
            found.append((s.key, s.subgraph, name, t.name, t.type, t.shape_signature, t.quantized))
    return found


@pytest.mark.parametrize("pair", [p for p in PAIRS if p[1] in OURS], ids=": ".join)
def test_our_conversion_gives_the_signatures_of_tensorflows(files, pair):
    name, kind = pair
    converter = ptq.Converter.from_tflite(files[name, "float"])
    if kind != "current":
        converter.representative_dataset = samples
    for option, value in OURS[kind].items():
        setattr(converter, option, value)
    graph = ptq.load(converter.convert())
    expected = described(ptq.load(files[pair]))
    assert len(expected) >= 5
    assert [row[:6] for row in described(graph)] == [row[:6] for row in expected]
    for (*_, ours), (*_, theirs) in zip(described(graph), expected, strict=True):
        assert (ours and (ours.scale, ours.zero_point)) == (theirs and (theirs.scale, theirs.zero_point))
    assert_same_signatures(graph)


def test_names_in_any_order_are_listed_as_litert_does(files):
    graph = ptq.load(files["two", "float"])
    decode, encode = graph.signatures
    encode.inputs = dict(reversed(encode.inputs.items()))
    encode.outputs = dict(zip(("\u00e9", "Z", "a"), encode.outputs.values(), strict=True))
    graph.signatures = [encode, decode, Signature("again", decode.inputs, decode.outputs)]
    assert_same_signatures(graph)


def test_what_ptq_refuses_litert_refuses(files):
    graph = ptq.load(files["two", "float"])
    ours, theirs = ptq.Interpreter(graph=graph), litert_interpreter(graph)
    for key in (None, "", "other"):
        with pytest.raises(ValueError, match="signature_key"):
            theirs.get_signature_runner(key)
        with pytest.raises(InputError, match=r"expected one of \['decode', 'encode'\]"):
            ours.get_signature_runner(key)
    x = np.zeros((1, 32), np.float32)
    for inputs in ({}, {"apple": x}, {"apple": x, "other": x}, {"apple": x, "zebra": x.astype(np.float64)}):
        with pytest.raises(ValueError):
            theirs.get_signature_runner("encode")(**inputs)
        with pytest.raises(InputError, match="encode"):
            ours.get_signature_runner("encode")(**inputs)
