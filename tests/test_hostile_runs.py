"""Damaged files that still load: running them ends in a result or in a ptq error, never in anything else."""

import time

import numpy as np
import pytest

import ptq
from ptq.errors import PtqError

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


def networks():
    """Small networks of all kinds of operators."""
    b = ptq.Builder()
    x = b.input("x", (1, 6, 6, 4))
    y = b.conv2d(x, normal(32, 3, 3, 4), normal(32), activation="RELU6")
    y = b.depthwise_conv2d(y, normal(1, 6, 6, 32), normal(32), dilation=2)
    y = b.max_pool2d(b.average_pool2d(b.pad(y, [[0, 0], [1, 1], [0, 2], [0, 0]]), 2), 2)
    y = b.transpose(b.tanh(b.logistic(y)), (0, 2, 1, 3))
    y = b.concatenation([y, b.relu(y)], axis=3)
    yield b.finish(b.softmax(b.fully_connected(b.mean(y, (1, 2)), normal(20, 64), normal(20))))

    b = ptq.Builder()
    x = b.input("x", (1, 2, 1, 8))
    y = b.squeeze(b.add(b.mul(b.sub(x, normal(8)), normal(8)), normal(8)), (2,))
    y = b.relu_n1_to_1(b.relu6(b.reshape(y, (1, 16))))
    y = b.fully_connected(y, normal(64, 16), normal(64), activation="RELU")
    yield b.finish(y)
    yield moving()


def moving():
    """Slices, lookups, fillings and resized images, whose operands say how much memory is needed."""
    b = ptq.Builder()
    y = b.op("RESIZE_BILINEAR", [b.input("x", (2, 4, 4, 8)), i32(6, 5)], {"half_pixel_centers": True})
    y = b.op("SPACE_TO_DEPTH", [b.op("RESIZE_NEAREST_NEIGHBOR", [y, i32(4, 4)])], {"block_size": 2})
    y = b.op("DEPTH_TO_SPACE", [y], {"block_size": 2})
    y, _ = b.ops("SPLIT", [i32(3), y], {"num_splits": 2}, output_type="FLOAT32")
    y = b.concatenation(b.ops("SPLIT_V", [y, i32(1, -1), i32(2)], {"num_splits": 2}), axis=2)
    options = {"shrink_axis_mask": 1, "end_mask": 2}
    y = b.op("STRIDED_SLICE", [y, i32(0, 3, 0), i32(0, 0, 4), i32(1, -1, 2)], options)
    y = b.op("SLICE", [y, i32(0, 0, 1), i32(-1, 2, 3)])
    y = b.op("PACK", b.ops("UNPACK", [y], {"num": 2, "axis": 1}), {"values_count": 2, "axis": -1})
    y = b.op("TILE", [b.op("EXPAND_DIMS", [y, i32(0)]), i32(2, 1, 1, 2)])
    y = b.op("GATHER", [b.op("REVERSE_V2", [y, i32(1)]), i32(1, 0, 1)], {"axis": 3})
    sizes = b.op("SHAPE", [y], {"out_type": "INT32"}, output_type="INT32")
    filled = b.op("FILL", [sizes, np.float32(2)], output_shape=y.shape, output_type="FLOAT32")
    indices = b.op("RANGE", [np.array(n, np.int32) for n in (0, 7, 2)])
    rows = b.op("EMBEDDING_LOOKUP", [indices, normal(9, 128)], output_type="FLOAT32")
    zeros = b.op("BROADCAST_TO", [b.op("ZEROS_LIKE", [rows]), i32(2, 4, 128)], version=2)
    return b.finish(b.add(y, filled), zeros)


def i32(*values):
    return np.array(values, np.int32)


def contents():
    for graph in networks():
        for recipe in ("current", "2018"):
            converter = ptq.Converter.from_tflite(ptq.dumps(graph))
            converter.post_training_quantize, converter.recipe = True, recipe
            yield converter.convert()


def damaged(content, rng):
    """The file with one to four of its bytes or words changed, mostly in the structure."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        position = int(rng.integers(8, len(data) - 4))
        if rng.integers(2):
            data[position] ^= 1 << int(rng.integers(8))
        else:
            word = int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**16, int(rng.integers(2**32))]))
            data[position : position + 4] = word.to_bytes(4, "little")
    return bytes(data)


def run(content):
    """Load and run; the shapes are the file's, so that an absurd input is not even made."""
    interpreter = ptq.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    inputs = []
    for details in interpreter.get_input_details():
        if np.prod(details["shape"].astype(np.float64)) > 1e6 or details["dtype"] is None:
            return "too large"
        inputs.append(np.ones(details["shape"], details["dtype"]))
    interpreter.run(inputs)
    return "ran"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # damaged weights overflow as they may
def test_only_ptq_errors_come_out():
    rng = np.random.default_rng(1)
    outcomes = {}
    for content in contents():
        assert run(content) == "ran"
        for _ in range(250):
            start = time.monotonic()
            try:
                outcome = run(damaged(content, rng))
            except PtqError as error:
                outcome = type(error).__name__
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            assert time.monotonic() - start < 20  # no hang; an ordinary run takes milliseconds
    assert outcomes["ran"] > 100
    assert sum(outcomes.values()) == 1500
    assert len(outcomes) >= 4, outcomes
