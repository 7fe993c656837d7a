"""Our converted files beside TensorFlow's own: from the same Keras models, and case by case."""

import os

import numpy as np
import pytest
from litert import assert_same_bits, litert_interpreter, run_litert
from quantizable import CASES
from tensorflow_quantizer import described, tensorflow_quantize

import ptq
from ptq.passes.dynamic_range import quantize_dynamic_range
from ptq.passes.float16 import store_float16
from ptq.passes.recipes import CURRENT, FIRST_RELEASE

pytestmark = pytest.mark.peers

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def plain(keras):
    layers = keras.layers
    image = keras.Input((16, 16, 8), batch_size=1)
    x = layers.Conv2D(32, 3, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=4, strides=2)(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Conv2D(16, 1)(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Dense(20, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def separable(keras):
    layers = keras.layers
    image = keras.Input((12, 12, 64), batch_size=1)
    x = layers.DepthwiseConv2D(5, padding="valid")(image)
    x = layers.add([x, layers.DepthwiseConv2D(5, padding="valid")(image)])
    x = layers.concatenate([layers.Conv2D(24, 3, strides=2)(x), layers.Conv2D(40, 3, strides=2)(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(100, activation="sigmoid")(x))


def sequence(keras, *layers, shape=(6, 32), dtype="float32"):
    x = first = keras.Input(shape, batch_size=1, dtype=dtype)
    for layer in layers:
        x = layer(x)
    return keras.Model(first, x)


def transposed(keras):
    layers = keras.layers
    three = [
        layers.Conv2DTranspose(16, 3, strides=2, use_bias=False),
        layers.Conv2DTranspose(16, 3, strides=2, activation="relu"),
        layers.Conv2DTranspose(16, 3, strides=2),
    ]
    return sequence(keras, *three, shape=(8, 8, 16))


def embedding(keras):
    layers = keras.layers
    parts = [layers.Embedding(100, 32), layers.GlobalAveragePooling1D(), layers.Dense(40, activation="relu")]
    return sequence(keras, *parts, shape=(12,), dtype="int32")


def lstm(keras):  # becomes WHILE, with the weights in its body
    layers = keras.layers
    first = layers.Embedding(100, 32)
    return sequence(keras, first, layers.LSTM(32), layers.Dense(40), shape=(12,), dtype="int32")


def lstm_unrolled(keras):  # many operators share the weights
    return sequence(keras, keras.layers.LSTM(32, unroll=True), keras.layers.Dense(40))


def gru(keras):
    return sequence(keras, keras.layers.GRU(32, return_sequences=True), keras.layers.Dense(40))


def simple_rnn_both_ways(keras):
    return sequence(keras, keras.layers.Bidirectional(keras.layers.SimpleRNN(32)))


MODELS = [plain, separable, transposed, embedding, lstm, lstm_unrolled, gru, simple_rnn_both_ways]


@pytest.fixture(scope="module", params=MODELS, ids=lambda build: build.__name__)
def files(request):
    """The float file, and TensorFlow's: "current", "2018" (legacy, per tensor) and "float16"."""
    tf = pytest.importorskip("tensorflow")
    tf.keras.utils.set_random_seed(3)
    model = request.param(tf.keras)

    def convert(types=(), **options):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.target_spec.supported_types = list(types)
        for name, value in options.items():
            setattr(converter, name, value)
        return converter.convert()

    dynamic = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    legacy = {"experimental_new_dynamic_range_quantizer": False, "_experimental_disable_per_channel": True}
    return {
        "float": convert(),
        "current": convert(**dynamic),
        "2018": convert(**dynamic, **legacy),
        "float16": convert(types=[tf.float16], **dynamic),
    }


def convert(content, variant):
    converter = ptq.Converter.from_tflite(content)
    if variant == "float16":
        converter.float16 = True
    else:
        converter.post_training_quantize, converter.recipe = True, variant
    return converter


@pytest.mark.parametrize("variant", ["current", "2018", "float16"])
def test_the_same_operators_versions_weights_and_scales_in_all_subgraphs(files, variant):
    ours, theirs = ptq.load(convert(files["float"], variant).convert()), ptq.load(files[variant])
    assert len(ours.subgraphs) == len(theirs.subgraphs)
    for mine, other in zip([ours, *ours.subgraphs], [theirs, *theirs.subgraphs], strict=True):
        assert_same_conversion(mine, other)
    constants = [t for g in (ours, *ours.subgraphs) for t in g.tensors if t.is_constant]
    assert sum(t.type in ("INT8", "FLOAT16") for t in constants) >= 2


@pytest.mark.parametrize("variant", ["current", "2018", "float16"])
def test_a_converted_tensorflow_file_runs_as_in_litert_to_the_last_bit(files, variant, tmp_path):
    path = tmp_path / "float.tflite"
    path.write_bytes(files["float"])
    content = convert(path, variant).convert()
    graph = ptq.load(content)
    image = graph.tensors[graph.inputs[0]]
    x = np.random.default_rng(1).random(image.shape, dtype=np.float32)
    x = x if image.type == "FLOAT32" else (99 * x).astype(np.int32)
    ours = ptq.Interpreter(model_content=content, numerics=ptq.LITERT_REFERENCE_ORDERED).run([x])[0]
    assert_same_bits(ours, run_litert(graph, [x])[0], variant)


# --- one case at a time -----------------------------------------------------------------------------

UNREADABLE = {"rnn", *(name for name in CASES if name.startswith("bidirectional"))}
"""Today's converter ends the process on these: it has no such operators, or wants other outputs of them."""

MULTIPLIED = {"sequence_rnn"}
"""Today's converter writes a score of copies of this operator, which all advance the same state."""

MIXED = {
    "lstm_step_partly_large", "lstm_step_with_small_peephole", "svdf_partly_large",
    "sequence_rnn_partly_large",
}  # fmt: skip
"""Today's converter quantizes some weights of these and leaves the others float; ptq leaves all float."""

STATEFUL = ("lstm", "svdf", "sequence")
"""Today's converter makes float16 constants of the states of these, so that they forget."""


def assert_same_conversion(ours, theirs):
    assert [o.type for o in ours.operators] == [o.type for o in theirs.operators]
    (mine, my_outputs), (others, other_outputs) = described(ours), described(theirs)
    for a, b in zip(mine, others, strict=True):
        assert a == b
    assert my_outputs == other_outputs


@pytest.mark.parametrize("case", [name for name in CASES if name not in UNREADABLE | MULTIPLIED | MIXED])
def test_the_case_as_today_s_converter_has_it(case):
    graph = CASES[case]()
    assert_same_conversion(quantize_dynamic_range(graph, CURRENT)[0], tensorflow_quantize(graph, "current"))


@pytest.mark.parametrize("case", [name for name in CASES if name != "conv_grouped"])
def test_the_case_as_the_legacy_converter_has_it(case):
    graph = CASES[case]()
    ours, _ = quantize_dynamic_range(graph, FIRST_RELEASE)
    assert_same_conversion(ours, tensorflow_quantize(graph, "2018"))


# dense_without_bias: today's converter sets its version back to 1, ptq keeps that of the file
@pytest.mark.parametrize(
    "case",
    [n for n in CASES if n not in UNREADABLE | {"dense_without_bias"} and not n.startswith(STATEFUL)],
)
def test_the_case_as_float16(case):
    graph = CASES[case]()
    assert_same_conversion(store_float16(graph)[0], tensorflow_quantize(graph, "current", float16=True))


@pytest.mark.parametrize("case", ["lstm_step_partly_large", "lstm_step_with_small_peephole", "conv_grouped"])
def test_where_ptq_departs_from_tensorflow_the_runtime_refuses_tensorflow_s_file(case):
    recipe = "2018" if case == "conv_grouped" else "current"
    graph = CASES[case]()
    with pytest.raises(RuntimeError, match="failed to prepare"):
        litert_interpreter(tensorflow_quantize(graph, recipe))
    litert_interpreter(quantize_dynamic_range(graph, CURRENT if recipe == "current" else FIRST_RELEASE)[0])


def test_today_s_converter_multiplies_a_sequence_rnn():
    theirs = tensorflow_quantize(CASES["sequence_rnn"](), "current")
    assert [o.type for o in theirs.operators].count("UNIDIRECTIONAL_SEQUENCE_RNN") > 1
