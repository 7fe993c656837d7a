"""Recurrent Keras layers from exported SavedModels: one operator where they fit, loops where they do not.

The outputs of TensorFlow, ptq and LiteRT are compared with `bounded`: Keras's formulas in double precision,
and how far any float32 computation of them may be away.
"""

import os

import bounded
import numpy as np
import pytest
from litert import assert_same_bits, litert_interpreter

import ptq
from ptq.saved_model import read, translate

pytestmark = pytest.mark.peers

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

STEPS, INPUTS = 7, 3
WIDE = 28
"""So many inputs that all weights have the 1,024 elements from which on they are quantized."""

LSTM, RNN = "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"


def _last(outputs):
    return outputs[:, -1]


def _dense(x, kernel, bias):
    return bounded.affine((x, kernel), bias=bias)


def _both(layer):
    """Bidirectional: the weights of both directions; what runs backwards is turned around for the end."""

    def run(x, *weights):
        half = len(weights) // 2
        forward = layer(x, *weights[:half])
        backward = layer(x, *weights[half:], backwards=True)[:, ::-1]
        return [bounded.concatenate([forward, backward], 2)]

    return run


def _lstm(*arguments, **options):
    return bounded.lstm(*arguments, **options)[0]


def _stacked(x, *weights):
    first = _lstm(x, *weights[:3])
    return [_dense(_last(_lstm(first, *weights[3:6])), *weights[6:])]


def _lstm_with_states(x, *weights):
    outputs, cell = bounded.lstm(x, *weights)
    return [_last(outputs), _last(outputs), cell]


def _gru_with_dense(x, *weights):
    outputs = bounded.gru(x, *weights[:3])
    return [_dense(outputs, *weights[3:])]


FUSED = {
    "lstm": (lambda k: [k.LSTM(5)], lambda x, *w: [_last(_lstm(x, *w))], [LSTM, "STRIDED_SLICE"]),
    "lstm sequences": (lambda k: [k.LSTM(5, return_sequences=True)], lambda x, *w: [_lstm(x, *w)], [LSTM]),
    "lstm without bias": (
        lambda k: [k.LSTM(5, use_bias=False)], lambda x, *w: [_last(_lstm(x, *w))], [LSTM, "STRIDED_SLICE"]
    ),
    "lstm cell in RNN": (
        lambda k: [k.RNN(k.LSTMCell(5))], lambda x, *w: [_last(_lstm(x, *w))], [LSTM, "STRIDED_SLICE"]
    ),
    "lstm backwards": (
        lambda k: [k.LSTM(5, go_backwards=True)],
        lambda x, *w: [_last(_lstm(x, *w, backwards=True))], ["REVERSE_V2", LSTM, "STRIDED_SLICE"],
    ),
    "lstm backwards sequences": (
        lambda k: [k.LSTM(5, go_backwards=True, return_sequences=True)],
        lambda x, *w: [_lstm(x, *w, backwards=True)], ["REVERSE_V2", LSTM],
    ),
    "bidirectional lstm": (
        lambda k: [k.Bidirectional(k.LSTM(5, return_sequences=True))], _both(_lstm),
        ["REVERSE_V2", LSTM, "REVERSE_V2", LSTM, "CONCATENATION"],
    ),
    "stacked": (
        lambda k: [k.LSTM(6, return_sequences=True), k.LSTM(4), k.Dense(2)], _stacked,
        [LSTM, LSTM, "STRIDED_SLICE", "FULLY_CONNECTED"],
    ),
    "rnn": (
        lambda k: [k.SimpleRNN(5)], lambda x, *w: [_last(bounded.simple_rnn(x, *w))], [RNN, "STRIDED_SLICE"]
    ),
    "rnn relu": (
        lambda k: [k.SimpleRNN(5, activation="relu", return_sequences=True)],
        lambda x, *w: [bounded.simple_rnn(x, *w, activation=bounded.relu)], [RNN],
    ),
    "rnn linear": (
        lambda k: [k.SimpleRNN(5, activation=None, return_sequences=True)],
        lambda x, *w: [bounded.simple_rnn(x, *w, activation=lambda z: z)], [RNN],
    ),
}  # fmt: skip
"""Layers, what they compute, and the operators that they become; the batch is open, and thereby 1."""

LOOPS = {
    "gru": (lambda k: [k.GRU(5)], lambda x, *w: [_last(bounded.gru(x, *w))]),
    "gru sequences": (lambda k: [k.GRU(5, return_sequences=True), k.Dense(2)], _gru_with_dense),
    "bidirectional gru": (lambda k: [k.Bidirectional(k.GRU(5, return_sequences=True))], _both(bounded.gru)),
}
"""Layers without an operator of their own."""


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """exports a model of layers; returns its directory, TensorFlow's function of it, and its weights."""
    tensorflow = pytest.importorskip("tensorflow")
    keras, made = tensorflow.keras, {}

    def exported(name, layers, steps=STEPS, inputs=INPUTS):
        if (name, steps) not in made:
            keras.utils.set_random_seed(len(made))
            given = keras.Input((steps, inputs), name="x")
            value = given
            for layer in layers(keras.layers):
                value = layer(value)
            model = keras.Model(given, value)
            rng = np.random.default_rng(len(made))
            model.set_weights([rng.normal(0, 0.5, w.shape).astype(np.float32) for w in model.get_weights()])
            directory = tmp_path_factory.mktemp("exported")
            model.export(directory, verbose=False)
            made[name, steps] = directory, tensorflow.saved_model.load(directory), model.get_weights()
        directory, loaded, weights = made[name, steps]
        function = loaded.signatures["serving_default"]
        return directory, lambda x: {k: v.numpy() for k, v in function(x=x).items()}, weights

    return exported


def types(graph):
    return [operator.type for operator in graph.operators]


def draw(batch=1, steps=STEPS, seed=0, inputs=INPUTS):
    return np.random.default_rng(seed).normal(size=(batch, steps, inputs)).astype(np.float32)


def run_ptq(graph, x):
    interpreter = ptq.Interpreter(graph=graph)
    interpreter.resize_tensor_input(graph.inputs[0], x.shape)
    return dict(zip(graph.signatures[0].outputs, interpreter.run([x]), strict=True))


def run_litert(graph, x):
    interpreter = litert_interpreter(graph)
    interpreter.resize_tensor_input(graph.inputs[0], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(graph.inputs[0], x)
    interpreter.invoke()
    return {name: interpreter.get_tensor(i) for name, i in graph.signatures[0].outputs.items()}


def assert_all_near(graph, tensorflow, x, expected):
    """TensorFlow, ptq and LiteRT are as near to the formulas as float32 is."""
    names = [f"output_{n}" for n in range(len(expected))]
    if len(expected) == 1:
        names = list(graph.signatures[0].outputs)
    results = {"TensorFlow": tensorflow(x), "ptq": run_ptq(graph, x), "LiteRT": run_litert(graph, x)}
    for who, found in results.items():
        for name, value in zip(names, expected, strict=True):
            bounded.assert_within(found[name], value, (who, name))


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("steps", [STEPS, None])
def test_layers_that_are_one_operator(export, name, steps):
    layers, formula, operators = FUSED[name]
    directory, tensorflow, weights = export(name, layers, steps)
    graph = translate(read(directory))
    assert types(graph) == operators and not graph.subgraphs
    for length in [STEPS] if steps else [STEPS, 1, 11]:
        x = draw(steps=length)
        assert_all_near(graph, tensorflow, x, formula(bounded.exactly(x), *weights))


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("steps", [STEPS, None])
def test_layers_that_stay_loops(export, name, steps):
    layers, formula = LOOPS[name]
    directory, tensorflow, weights = export(name, layers, steps)
    graph = translate(read(directory))
    assert types(graph).count("WHILE") == len(graph.subgraphs) // 2 == (2 if "bi" in name else 1)
    assert LSTM not in types(graph) and RNN not in types(graph)
    for batch, length in [(1, STEPS), (3, STEPS)] + ([] if steps else [(2, 11)]):
        x = draw(batch, length)
        assert_all_near(graph, tensorflow, x, formula(bounded.exactly(x), *weights))


def test_weights_are_keras_weights(export):
    layers, _, _ = FUSED["lstm"]
    directory, _, (kernel, recurrent, bias) = export("lstm", layers)
    graph = translate(read(directory))
    data = [None if i < 0 else graph.tensors[i].data for i in graph.operators[0].inputs]
    for gate in range(4):
        columns = slice(5 * gate, 5 * gate + 5)
        assert_same_bits(data[1 + gate], kernel[:, columns].T)
        assert_same_bits(data[5 + gate], recurrent[:, columns].T)
        assert_same_bits(data[12 + gate], bias[columns])
    states = [graph.tensors[i] for i in graph.operators[0].inputs[18:20]]
    assert [(state.shape, state.is_variable) for state in states] == [((1, 5), True)] * 2


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell_state", [False, True])
def test_returned_states(tmp_path, sequences, cell_state):
    """The hidden state is the last output; the operator does not give the cell state, so the loop stays."""
    tensorflow = pytest.importorskip("tensorflow")
    keras = tensorflow.keras
    keras.utils.set_random_seed(3)
    given = keras.Input((STEPS, INPUTS), name="x")
    outputs = keras.layers.LSTM(5, return_sequences=sequences, return_state=True)(given)
    model = keras.Model(given, outputs if cell_state else outputs[:2])
    model.export(tmp_path, verbose=False)
    graph = translate(read(tmp_path))
    assert ("WHILE" in types(graph)) == cell_state and (LSTM in types(graph)) != cell_state
    function = tensorflow.saved_model.load(tmp_path).signatures["serving_default"]
    x = draw()
    steps, cell = bounded.lstm(bounded.exactly(x), *model.get_weights())
    expected = [steps if sequences else _last(steps), _last(steps), cell][: 3 if cell_state else 2]
    assert_all_near(graph, lambda x: {k: v.numpy() for k, v in function(x=x).items()}, x, expected)


def test_a_cell_state_beyond_ten_is_not_clipped(tmp_path):
    """TensorFlow's converter writes cell_clip = 10 where it fuses, which Keras does not do."""
    tensorflow = pytest.importorskip("tensorflow")
    keras = tensorflow.keras
    given = keras.Input((50, 1), name="x")
    model = keras.Model(given, keras.layers.LSTM(1)(given))
    kernel, open_gates = np.float32([[0, 0, 5, 0]]), np.float32([9, 9, 0, 9])  # only the candidate looks at x
    model.set_weights([kernel, np.zeros_like(kernel), open_gates])
    model.export(tmp_path, verbose=False)
    graph = translate(read(tmp_path))
    x = np.repeat(np.float32([1, -1]), [30, 20]).reshape(1, 50, 1)  # the cell state: up to 30, down to 10
    outputs, cell = bounded.lstm(bounded.exactly(x), *model.get_weights())
    assert cell.value.item() > 9  # with the clip it would be -10
    function = tensorflow.saved_model.load(tmp_path).signatures["serving_default"]
    assert_all_near(graph, lambda x: {k: v.numpy() for k, v in function(x=x).items()}, x, [_last(outputs)])
    assert graph.operators[0].options["cell_clip"] == 0


def test_states_last_until_they_are_reset(export):
    """A second call continues: as if both inputs were one; TensorFlow's function begins anew each time."""
    layers, formula, _ = FUSED["lstm sequences"]
    directory, _, weights = export("lstm sequences", layers)
    graph = translate(read(directory))
    halves = draw(seed=1), draw(seed=2)
    expected = formula(bounded.exactly(np.concatenate(halves, axis=1)), *weights)[0]
    litert, ours = litert_interpreter(graph), ptq.Interpreter(graph=graph)
    for n, x in enumerate(halves):
        part = expected[:, n * STEPS : (n + 1) * STEPS]
        bounded.assert_within(ours.run([x])[0], part)
        litert.set_tensor(graph.inputs[0], x)
        litert.invoke()
        bounded.assert_within(litert.get_tensor(graph.outputs[0]), part)
    litert.reset_all_variables()
    ours.reset_all_variables()
    alone = formula(bounded.exactly(halves[1]), *weights)[0]
    litert.invoke()
    bounded.assert_within(ours.run([halves[1]])[0], alone)
    bounded.assert_within(litert.get_tensor(graph.outputs[0]), alone)
    assert (np.abs(alone.value - part.value) > alone.error + part.error).any()


@pytest.mark.parametrize("recipe", ["current", "2018"])
@pytest.mark.parametrize(
    "layers", [lambda k: [k.LSTM(64), k.Dense(10)], lambda k: [k.GRU(48), k.Dense(10)]], ids=["lstm", "gru"]
)
def test_quantized_weights_run_with_the_same_bits(export, layers, recipe, request):
    """Hybrid kernels, in the operator and in the subgraphs of a loop."""
    directory, _, _ = export(f"large {request.node.callspec.id}", layers, inputs=WIDE)
    converter = ptq.Converter(translate(read(directory)))
    converter.post_training_quantize, converter.recipe = True, recipe
    graph = ptq.load(converter.convert())
    tensors = [tensor for g in (graph, *graph.subgraphs) for tensor in g.tensors]
    assert {t.type for t in tensors if t.is_constant and t.size >= 1024} == {"INT8"}
    ours = ptq.Interpreter(graph=graph, numerics=ptq.LITERT_REFERENCE_ORDERED)
    litert = litert_interpreter(graph)
    for seed in range(3):
        x = draw(seed=seed, inputs=WIDE)
        litert.set_tensor(graph.inputs[0], x)
        litert.invoke()
        assert_same_bits(ours.run([x])[0], litert.get_tensor(graph.outputs[0]), seed)


def test_loops_and_choices_of_functions(tmp_path):
    """A loop that passes b on as a, which TensorFlow Lite would overwrite, and a choice."""
    tensorflow = pytest.importorskip("tensorflow")
    vector = tensorflow.TensorSpec((2,), tensorflow.float32, name="x")

    @tensorflow.function(input_signature=[vector])
    def function(x):
        def grow(i, a, b):
            return i + 1, a + b, a

        _, a, b = tensorflow.while_loop(lambda i, a, b: i < 5, grow, (tensorflow.constant(0), x, x * 3.0))
        chosen = tensorflow.cond(x[0] > 0, lambda: (a - b, b), lambda: (tensorflow.nn.relu(a), a))
        return {"first": chosen[0], "second": chosen[1]}

    module = tensorflow.Module()
    module.function = function
    tensorflow.saved_model.save(module, tmp_path, signatures=function)
    graph = translate(read(tmp_path))
    assert {"WHILE", "IF"} <= set(types(graph))
    for x in (np.float32([1, 2]), np.float32([-1, 2])):  # whole numbers: float32 is exact
        expected = {name: value.numpy() for name, value in function(x).items()}
        assert expected["second"].tolist() != expected["first"].tolist()
        for found in (run_ptq(graph, x), run_litert(graph, x)):
            for name, value in expected.items():
                assert_same_bits(found[name], value, name)


@pytest.mark.parametrize("rows", [5, None])
@pytest.mark.parametrize("name", ["map_fn", "scan"])
def test_functions_that_fill_lists(tmp_path, name, rows):
    """Lists of all kinds: unpacked, filled, and with the first item set before the loop."""
    tensorflow = pytest.importorskip("tensorflow")
    functions = {
        "map_fn": lambda x: tensorflow.map_fn(lambda row: tensorflow.nn.relu(row) * 2.0, x),
        "scan": lambda x: tensorflow.scan(lambda before, row: before * 0.5 + row, x),
    }
    spec = tensorflow.TensorSpec((rows, 3), tensorflow.float32, name="x")
    module = tensorflow.Module()
    module.function = tensorflow.function(functions[name], input_signature=[spec])
    tensorflow.saved_model.save(module, tmp_path, signatures=module.function)
    graph = translate(read(tmp_path))
    assert "WHILE" in types(graph)
    for count in [rows] if rows else [1, 4]:
        x = np.random.default_rng(count).integers(-8, 9, (count, 3)).astype(np.float32)  # halves are exact
        expected = module.function(x).numpy()
        for found in (run_ptq(graph, x), run_litert(graph, x)):
            assert_same_bits(next(iter(found.values())), expected, count)
