"""What TensorFlow and Keras export, read without them, then run by TensorFlow: the same bits come out."""

import numpy as np
import pytest
from saved_models import wrapped

from ptq.errors import InputError, UnsupportedError
from ptq.saved_model import read, signature_keys

pytestmark = pytest.mark.peers


def convolutions(keras):
    layers = keras.layers
    return keras.Sequential([
        keras.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same", use_bias=False),
        layers.BatchNormalization(), layers.ReLU(6.0), layers.DepthwiseConv2D(3, strides=2),
        layers.Flatten(), layers.Dropout(0.5), layers.Dense(5, activation="softmax"),
    ])  # fmt: skip


def recurrent(keras):
    layers = keras.layers
    return keras.Sequential([
        keras.Input((4, 3)), layers.LSTM(4, return_sequences=True), layers.GRU(3, return_sequences=True),
        layers.Bidirectional(layers.SimpleRNN(2)), layers.Dense(2),
    ])  # fmt: skip


def embedding(keras):
    layers = keras.layers
    return keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(5, 3), layers.Dense(2)])


KERAS = {"convolutions": convolutions, "recurrent": recurrent, "embedding": embedding}


@pytest.fixture
def tf():
    """TensorFlow without its graph optimizer, which computes with constants in another order."""
    import tensorflow

    before = tensorflow.config.optimizer.get_experimental_options()
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield tensorflow
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **before})


def drawn(port):
    """A random input for a port."""
    draw = np.random.default_rng(7)
    return (draw.random([3 if size < 0 else size for size in port.shape]) * 4).astype(port.dtype)


def session_results(tf, directory, flat, arguments):
    """What TensorFlow itself computes for the signature, with its loader for all versions."""
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
        signature = loaded.signature_def[flat.signature_key]
        ends = {name: info.name for name, info in signature.outputs.items()}
        return session.run(ends, {signature.inputs[name].name: value for name, value in arguments.items()})


def check_same(tf, directory, key=None, results=session_results):
    flat = read(directory, key)
    arguments = {port.name: drawn(port) for port in flat.inputs}
    expected = results(tf, directory, flat, arguments)
    found = wrapped(flat)(*(tf.constant(arguments[port.name]) for port in flat.inputs))
    assert {port.name for port in flat.outputs} == set(expected)
    for port, value in zip(flat.outputs, found, strict=True):
        assert value.dtype == port.dtype and value.numpy().tobytes() == expected[port.name].tobytes()
    assert_flat(flat)
    return flat


def assert_flat(flat):
    """Unique names, inputs before use, nothing that should be gone, read-only constants."""
    seen = set()
    for item in flat.nodes:
        assert item.name not in seen
        assert all(text.rpartition(":")[0] in seen for text in item.inputs)
        assert item.op not in ("Identity", "NoOp", "ReadVariableOp", "VarHandleOp", "VariableV2")
        assert "PartitionedCall" not in item.op
        if item.op == "Const":
            assert not item.attributes["value"].flags.writeable
        seen.add(item.name)
    for body in flat.functions.values():
        assert_flat(body)


@pytest.mark.parametrize("name", KERAS)
def test_keras_export(tf, tmp_path, name):
    import keras

    keras.utils.set_random_seed(1)
    model = KERAS[name](keras)
    model.export(tmp_path, verbose=False)
    check_same(tf, tmp_path)


def test_a_keras_model_saved_as_a_module(tf, tmp_path):
    import keras

    tf.saved_model.save(convolutions(keras), str(tmp_path))

    def results(tf, directory, flat, arguments):  # only Python's loader finds these variables
        run = tf.saved_model.load(str(directory)).signatures[flat.signature_key]
        return {k: v.numpy() for k, v in run(**{k: tf.constant(v) for k, v in arguments.items()}).items()}

    check_same(tf, tmp_path, results=results)


def make_module(tf):
    class Module(tf.Module):
        """Two variables of the same name, a constant, a loop, a choice, two signatures."""

        def __init__(self):
            self.w = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="w")
            self.b = {"x": tf.Variable([1.0, 2.0, 3.0], name="w"), "c": tf.constant([5.0, 6.0, 7.0])}

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="left")])
        def first(self, left):
            a, b = tf.split(tf.matmul(left, self.w) + self.b["x"] * self.b["c"], [1, 2], axis=1)
            return {"sum": a + 1, "rest": b}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="n")])
        def second(self, n):
            i, y = tf.constant(0), tf.zeros([2])
            while i < n:
                y, i = y + self.b["x"][:2], i + 1
            if n > 1:
                y = y * self.b["x"][1:]
            return {"y": y}

    return Module()


def test_a_module_with_two_signatures(tf, tmp_path):
    module = make_module(tf)
    signatures = {"first": module.first, "second": module.second}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    assert signature_keys(tmp_path) == ["first", "second"]
    flat = check_same(tf, tmp_path, "first")
    assert [port.name for port in flat.outputs] == ["rest", "sum"]
    check_same(tf, tmp_path, "second")
    with pytest.raises(InputError, match="'first', 'second'"):
        read(tmp_path)


@pytest.mark.parametrize("use_resource", [False, True])
def test_tensorflow_1(tf, tmp_path, use_resource):
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        w = v1.get_variable("w", [3, 2], use_resource=use_resource)
        b = v1.get_variable("b", [2], use_resource=use_resource)
        y = tf.nn.relu(tf.matmul(x, w) + b, name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "saved"), {"x": x}, {"y": y})
        convert = v1.graph_util.convert_variables_to_constants
        frozen = convert(session, graph.as_graph_def(), ["y"]).SerializeToString()
    flat = check_same(tf, tmp_path / "saved")
    (tmp_path / "frozen.pb").write_bytes(frozen)
    constants = [
        {item.attributes["value"].tobytes() for item in graph.nodes if item.op == "Const"}
        for graph in (flat, read(tmp_path / "frozen.pb"))
    ]
    assert constants[0] == constants[1] and len(constants[0]) == 2


def test_a_variable_in_parts(tf, tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 5], name="x")
        w = v1.get_variable("w", [5, 2], partitioner=v1.fixed_size_partitioner(2), use_resource=True)
        y = tf.matmul(x, tf.convert_to_tensor(w))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "saved"), {"x": x}, {"y": y})
    flat = check_same(tf, tmp_path / "saved")
    shapes = [item.attributes["value"].shape for item in flat.nodes if item.op == "Const"]
    assert shapes.count((3, 2)) == shapes.count((2, 2)) == 1


def test_variables_have_the_values_of_the_checkpoint(tf, tmp_path):
    module = make_module(tf)
    tf.saved_model.save(module, str(tmp_path), signatures=module.first)
    reader = tf.train.load_checkpoint(str(tmp_path / "variables" / "variables"))
    flat = read(tmp_path)
    prefix = "StatefulPartitionedCall/StatefulPartitionedCall"
    for name, key in [(f"{prefix}/MatMul", "w"), (prefix, "b/x")]:
        saved = reader.get_tensor(f"{key}/.ATTRIBUTES/VARIABLE_VALUE")
        found = [item for item in flat.nodes if item.name == f"{name}/ReadVariableOp"]
        np.testing.assert_array_equal(found[0].attributes["value"], saved)


def test_every_node_is_as_tensorflow_wrote_it(tf, tmp_path):
    """Operator, attributes and constants against TensorFlow's own reading of the file, node by node."""
    import keras
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.framework import op_def_registry

    recurrent(keras).export(tmp_path, verbose=False)
    model = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    bodies = {item.signature.name: item for item in graph.library.function}
    flat = read(tmp_path)
    compared = 0
    for name, body in flat.functions.items():
        written = {item.name: item for item in bodies[name].node_def}
        for item in body.nodes:
            if item.op == "Placeholder" or (item.op == "Const" and item.name.endswith("ReadVariableOp")):
                continue
            assert item.op == written[item.name].op
            defaults = {a.name: a.default_value for a in op_def_registry.get(item.op).attr}
            for key, value in item.attributes.items():
                stored = written[item.name].attr.get(key) or defaults[key]
                assert same_attribute(tf, stored, value), (item.name, key)
                compared += 1
    assert compared > 100


def same_attribute(tf, stored, value):
    kind = stored.WhichOneof("value")
    if kind == "tensor":
        return np.array_equal(tf.make_ndarray(stored.tensor), value)
    if kind == "type":
        return value == ("variant" if stored.type == 21 else tf.as_dtype(stored.type).as_numpy_dtype)
    if kind == "shape":
        return tf.TensorShape(stored.shape) == tf.TensorShape(value and [None if s < 0 else s for s in value])
    if kind == "s":
        return stored.s.decode() == value
    if kind == "list":
        items = [item for _, items in stored.list.ListFields() for item in items]
        if stored.list.type:
            items = [np.dtype(tf.as_dtype(item).as_numpy_dtype) for item in items]
        if stored.list.shape:
            items = [None if item.unknown_rank else tuple(d.size for d in item.dim) for item in items]
        return tuple(items) == value
    return getattr(stored, kind) == value


def test_a_table_is_refused_by_name(tf, tmp_path):
    class Module(tf.Module):
        def __init__(self):
            values = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64))
            self.table = tf.lookup.StaticHashTable(values, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def run(self, x):
            return self.table.lookup(x)

    tf.saved_model.save(Module(), str(tmp_path))
    with pytest.raises(UnsupportedError, match=r"in '.*LookupTableFindV2' \(LookupTableFindV2\)"):
        read(tmp_path)


def test_a_model_that_counts_its_calls_is_refused(tf, tmp_path):
    class Module(tf.Module):
        def __init__(self):
            self.calls = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def run(self, x):
            self.calls.assign_add(1.0)
            return x

    tf.saved_model.save(Module(), str(tmp_path))
    with pytest.raises(UnsupportedError, match="changes a variable"):
        read(tmp_path)


SHARED = [
    "kws_ds_cnn", "tfjs_small/int64_multiply", "tfjs_small/model_multi_output",
    "tfjs_small/model_single_input_multi_output", "tfjs_small/module_with_multiple_signatures",
    "tfjs_small/times_three_float", "tfjs_small/times_two_int", "tfjs_small/uint8_multiply",
]  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
def test_models_of_others(tf, shared, name):
    directory = shared / "saved_models" / name
    for key in signature_keys(directory):
        check_same(tf, directory, key)
