"""Recurrent models that ptq calibrates and quantizes in full: tflite-micro runs them, bit for bit.

The other way to such a file is closed: TensorFlow's converter crashes when it calibrates an LSTM that is not
unrolled, and ai-edge-quantizer refuses the operator.
"""

import numpy as np
import pytest
from litert import assert_same_bits, run_litert
from micro import micro_interpreter, run_micro

import ptq
from ptq import zoo
from ptq.build import Builder
from ptq.builder.recurrent import LSTMWeights

pytestmark = pytest.mark.peers
pytest.importorskip("tflite_micro")


def recurrent(seed, time_major=False, batch=1):
    """An LSTM over 6 steps of 10 features, and two dense layers."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return (rng.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)

    cells = int(rng.integers(4, 20))
    weights = LSTMWeights(
        [normal(cells, 10) for _ in range(4)],
        [normal(cells, cells) for _ in range(4)],
        [normal(cells) for _ in range(4)],
    )
    b = Builder()
    x = b.input("x", (6, batch, 10) if time_major else (batch, 6, 10))
    x = b.unidirectional_sequence_lstm(x, weights, time_major=time_major)
    x = b.fully_connected(b.reshape(x, (batch * 6, cells)), normal(8, cells), normal(8), activation="RELU")
    return b.finish(b.fully_connected(x, normal(3, 8), normal(3)))


def samples(graph, count, seed):
    rng = np.random.default_rng(seed)
    shape = graph.tensors[graph.inputs[0]].shape
    return [[(2 * rng.normal(size=shape)).astype(np.float32)] for _ in range(count)]


def integer_content(graph, dataset):
    converter = ptq.Converter.from_graph(graph)
    converter.representative_dataset = dataset
    converter.inference_input_type = converter.inference_output_type = np.int8
    content = converter.convert()
    assert {decision.arithmetic for decision in converter.report} == {"integer", "any"}  # any: RESHAPE
    return content


@pytest.mark.parametrize("time_major", [False, True], ids=["batch_major", "time_major"])
@pytest.mark.parametrize("seed", range(6))
def test_a_calibrated_lstm_runs_in_both_libraries(seed, time_major):
    graph = recurrent(seed, time_major, batch=1 + seed % 2)
    content = integer_content(graph, samples(graph, 10, seed))
    integers = ptq.load(content)
    lite, micro = (
        ptq.Interpreter(model_content=content, numerics=numerics)
        for numerics in (ptq.LITERT_REFERENCE, ptq.TFLITE_MICRO)
    )
    theirs = micro_interpreter(integers)
    scales = integers.tensors[integers.inputs[0]].quantized
    # micro's states go on from one invocation to the next, and show in the outputs
    for number, (x,) in enumerate(samples(graph, 4, seed + 100)):
        q = ptq.quantizer.quantize(x, scales, np.int8)
        found = micro.run([q])[0]
        assert len(np.unique(found)) > 10
        assert_same_bits(found, run_micro(integers, [q], theirs)[0], number)
        lite.reset_all_variables()
        assert_same_bits(lite.run([q])[0], run_litert(integers, [q])[0], number)


def test_the_trained_lstm_runs_in_micro():
    """Letters are looked up in a float table; all that follows is integers; states go on between names."""
    converter = ptq.Converter.from_graph(zoo.country_lstm())
    converter.representative_dataset = [[x[np.newaxis]] for x in zoo.names.calibration_names().ids[:40]]
    integers = converter.convert_to_graph()
    ours, theirs = ptq.Interpreter(graph=integers, numerics=ptq.TFLITE_MICRO), micro_interpreter(integers)
    answers = set()
    for x in zoo.names.test_names().ids[:40, np.newaxis]:
        found = ours.run([x])[0]
        assert_same_bits(found, run_micro(integers, [x], theirs)[0])
        answers.add(int(found.argmax()))
    assert len(answers) > 4
