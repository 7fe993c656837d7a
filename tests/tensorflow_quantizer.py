"""TensorFlow's own weight quantizers on a .tflite file, today's and the legacy one.

TensorFlow has no Python entry point for this, but its library exports the C++ function
`mlir::lite::toco_legacy::QuantizeWeights(FlatBufferBuilder*, const Model*, BufferType, bool, QuantizerType)`,
which is called here as compiled code calls it. The builder is a structure of 128 bytes whose initial content
is known from FlatBuffers 25.9.23; so this works with the pinned version of TensorFlow only, and skips others.
"""

import ctypes
import os
import struct
from pathlib import Path

import pytest

import ptq

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

VERSION = "2.21.0"
FUNCTION = (
    "_ZN4mlir4lite11toco_legacy15QuantizeWeightsEPN11flatbuffers21FlatBufferBuilderImplILb0EEE"
    "PKN6tflite5ModelENS1_10BufferTypeEbNS1_13QuantizerTypeE"
)
OK = 1
ALIGNMENT = 64


def tensorflow_quantize(graph, recipe, float16=False):
    """The graph with weights quantized by TensorFlow: "current" by MLIR, "2018" by the legacy pass."""
    tf = pytest.importorskip("tensorflow")
    if tf.__version__ != VERSION:
        pytest.skip(f"tensorflow {tf.__version__} found, {VERSION} is called into")
    library = ctypes.CDLL(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
    quantize = getattr(library, FUNCTION)
    quantize.restype = None
    quantize.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int, ctypes.c_bool, ctypes.c_int]
    memory, model = _aligned(ptq.format.dumps(graph))
    builder, status = _flatbuffer_builder(), ctypes.c_uint64()
    current = recipe == "current"
    # a returned absl::Status is written where the first, hidden argument points to
    quantize(
        ctypes.addressof(status), ctypes.addressof(builder), model, int(float16), current, int(current)
    )
    del memory
    if status.value != OK:
        raise ValueError(f"TensorFlow refused the file: status {status.value:#x}")
    (size,), (start,) = struct.unpack_from("<I", builder, 48), struct.unpack_from("<Q", builder, 64)
    return ptq.load(ctypes.string_at(start, size))


def _aligned(content):
    """The file in memory that is aligned as its tables ask for, and the address of its root table."""
    memory = ctypes.create_string_buffer(len(content) + 2 * ALIGNMENT)
    start = -(-ctypes.addressof(memory) // ALIGNMENT) * ALIGNMENT
    ctypes.memmove(start, content, len(content))
    return memory, start + struct.unpack_from("<I", content)[0]


def _flatbuffer_builder():
    """A FlatBufferBuilder as its constructor leaves it; all other fields are zero."""
    builder = ctypes.create_string_buffer(128)
    struct.pack_into("<Q", builder, 16, 1024)  # buf_.initial_size_
    struct.pack_into("<I", builder, 24, 2**31 - 1)  # buf_.max_size_
    struct.pack_into("<Q", builder, 32, 8)  # buf_.buffer_minalign_
    struct.pack_into("<Q", builder, 104, 1)  # minalign_
    struct.pack_into("<?", builder, 113, True)  # dedup_vtables_
    return builder


# --- comparison -------------------------------------------------------------------------------------


def described(graph):
    """What a graph computes, without names and numbers: each operator with what it reads.

    A constant is its type, shape, bytes and scales; a DEQUANTIZE belongs to the operator that reads it, as
    the order of several DEQUANTIZE before an operator has no meaning. Returns operators and outputs.
    """
    known = {index: ("input", number) for number, index in enumerate(graph.inputs)}
    operators = []
    for operator in graph.operators:
        read = [None if index < 0 else _described_tensor(graph, index, known) for index in operator.inputs]
        while read and read[-1] is None:
            read.pop()
        if operator.type == "DEQUANTIZE":
            known[operator.outputs[0]] = ("DEQUANTIZE", operator.version, *read)
            continue
        for number, index in enumerate(operator.outputs):
            known[index] = ("result", len(operators), number, *_kind(graph.tensors[index]))
        options = {name: str(value) for name, value in operator.options.items()}
        operators.append((operator.type, operator.version, options, read))
    return operators, [_described_tensor(graph, index, known) for index in graph.outputs]


def _described_tensor(graph, index, known):
    tensor = graph.tensors[index]
    if tensor.data is not None:
        return ("constant", *_kind(tensor), tensor.data.tobytes())
    return known.get(index, ("variable", tensor.shape))


def _kind(tensor):
    scales = tensor.quantized
    if scales is None:
        return tensor.type, tensor.shape, None
    axis = scales.quantized_dimension if scales.per_channel else None
    return tensor.type, tensor.shape, (scales.scale.tobytes(), scales.zero_point.tobytes(), axis)
