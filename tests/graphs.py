"""Graphs for the tests of the file format: one with every feature of the schema, and random ones."""

import numpy as np
from hypothesis import strategies as st

from ptq.format import schema
from ptq.graph import DTYPES, Graph, Operator, Quantization, Signature, Tensor

RAW_BITS = {"INT4": 4, "UINT4": 4, "INT2": 2, "BFLOAT16": 16, "FLOAT8_E4M3FN": 8, "FLOAT8_E5M2": 8}


def dense_graph(weight_type="FLOAT32"):
    """x [1, 4] -> FULLY_CONNECTED -> RELU -> y [1, 3], as a person would write it."""
    graph = Graph(name="main")
    rng = np.random.default_rng(5)
    x = graph.add_tensor(Tensor("x", (1, 4)))
    weights = rng.normal(size=(3, 4)).astype(np.float32)
    w = graph.add_tensor(Tensor("w", (3, 4), data=weights))
    if weight_type == "INT8":
        scale = np.abs(weights).max() / np.float32(127)
        graph.tensors[w].type = "INT8"
        graph.tensors[w].data = np.round(weights / scale).astype(np.int8)
        graph.tensors[w].quantization = Quantization(np.array([scale], np.float32), np.array([0]))
    b = graph.add_tensor(Tensor("b", (3,), data=rng.normal(size=3).astype(np.float32)))
    h = graph.add_tensor(Tensor("h", (1, 3)))
    y = graph.add_tensor(Tensor("y", (1, 3)))
    version = 3 if weight_type == "INT8" else 1
    graph.operators.append(
        Operator("FULLY_CONNECTED", [x, w, b], [h], {"fused_activation_function": "NONE"}, version=version)
    )
    graph.operators.append(Operator("RELU", [h], [y]))
    graph.inputs, graph.outputs = [x], [y]
    return graph


def everything_graph():
    """A graph that uses each part of the schema that ptq keeps without interpreting it."""
    graph = Graph(name="main", description="tout: é")
    add = graph.add_tensor
    x = add(Tensor("x", (1, 2), shape_signature=(-1, 2), extra={"has_rank": True}))
    scales = np.array([0.5, 0.25], np.float32)
    w = add(Tensor("w", (2, 2), "INT8", np.array([[1, -2], [3, 4]], np.int8)))
    graph.tensors[w].quantization = Quantization(
        scales, np.array([0, 0]), 0, np.array([-1.0], np.float32), np.array([1.0], np.float32)
    )
    state = add(Tensor("state", (1, 2), is_variable=True))
    text = add(Tensor("text", (1,), "STRING", np.frombuffer(b"\1\0\0\0\f\0\0\0\16\0\0\0hi", np.uint8)))
    packed = add(Tensor("packed", (3,), "INT4", np.array([0x21, 0x03], np.uint8)))
    blocks = {"scales": 1, "zero_points": -1, "block_size": 32}
    graph.tensors[packed].quantization = Quantization(
        np.zeros(0, np.float32), np.zeros(0, np.int64), extra={"details": ("BlockwiseQuantization", blocks)}
    )
    sparsity = {
        "traversal_order": np.array([0, 1], np.int32),
        "dim_metadata": [
            {"format": "DENSE", "dense_size": 2},
            {
                "format": "SPARSE_CSR",
                "array_segments": ("Uint8Vector", {"values": np.array([0, 1, 1], np.uint8)}),
                "array_indices": ("Int32Vector", {"values": np.array([1], np.int32)}),
            },
        ],
    }
    sparse_data = np.array([5.0], np.float32).view(np.uint8)
    sparse = add(Tensor("sparse", (2, 2), extra={"sparsity": sparsity, "sparse_data": sparse_data}))
    variant = [{"shape": np.array([3], np.int32), "type": "INT8", "has_rank": True}]
    handle = add(Tensor("handle", (), "VARIANT", extra={"variant_tensors": variant}))
    external = add(Tensor("external", (8,), "UINT8", extra={"external_buffer": 1}))
    empty = add(Tensor("empty", (0,), "INT32", np.zeros(0, np.int32)))
    scalar = add(Tensor("scalar", (), "INT64", np.array(7)))
    y = add(Tensor("y", (1, 2)))
    z = add(Tensor("z", (1, 2)))
    custom = {
        "custom_options": b"\x01\x02\x03", "intermediates": [state, handle],
        "mutating_variable_inputs": [False, False, True, False],
    }  # fmt: skip
    graph.operators = [
        Operator("CUSTOM", [x, w, state, -1], [y], version=2, custom_code="Mine", extra=custom),
        Operator(
            "STABLEHLO_CONVOLUTION", [y, packed], [z],
            {
                **schema.defaults("StablehloConvolutionOptions"), "padding": np.array([1, 2], np.int64),
                "window_reversal": np.array([True, False]), "precision_config": ["HIGH", "DEFAULT"],
            },
            "StablehloConvolutionOptions", extra={"debug_metadata_index": 4},
        ),
        Operator(
            "WHILE", [z, text, sparse, external, empty, scalar], [], 
            {"cond_subgraph_index": 1, "body_subgraph_index": 1}, "WhileOptions",
        ),
    ]  # fmt: skip
    graph.inputs, graph.outputs = [x], [z]
    body = Graph([Tensor("in", (2,), "BOOL")], [], [0], [0], name=None, extra={"debug_metadata_index": 0})
    graph.subgraphs = [body]
    graph.signatures = [Signature("serve", {"a": x}, {"b": z}), Signature("body", {"a": 0}, {}, 1)]
    graph.metadata = [("min_runtime_version", b"1.5.0\0"), ("nothing", b"")]
    graph.extra = {
        "metadata_buffer": [b"1.5.0\0"],
        "external_buffer_groups": [{"name": "weights.bin"}],
        "external_buffers": [{"id": 1, "group": 0, "offset": 2**40, "length": 8, "packing": "raw"}],
        "unreferenced_buffers": [np.array([9, 9, 9], np.uint8)],
        "debug_metadata_index": 3,
    }
    return graph


def _arrays(dtype, shape):
    count = int(np.prod(shape)) * dtype.itemsize
    return st.binary(min_size=count, max_size=count).map(
        lambda raw: np.frombuffer(bytearray(raw), dtype).reshape(shape).copy()
    )


@st.composite
def tensors(draw):
    """A tensor of any type, constant or not, perhaps quantized."""
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=4)))
    kind = draw(st.sampled_from([*DTYPES, *RAW_BITS]))
    tensor = Tensor(draw(st.text(max_size=6)), shape, kind)
    if kind in RAW_BITS:
        data = _arrays(np.dtype("u1"), ((int(np.prod(shape)) * RAW_BITS[kind] + 7) // 8,))
    else:
        data = _arrays(DTYPES[kind], shape)
    tensor.data = draw(st.none() | data)
    tensor.is_variable = tensor.data is None and draw(st.booleans())
    tensor.shape_signature = draw(st.none() | st.just(shape).map(lambda s: tuple(-1 for _ in s)))
    if draw(st.booleans()):
        count = draw(st.sampled_from([0, 1, *(n for n in shape if n > 1)]))
        axes = [axis for axis, n in enumerate(shape) if n == count] or [0]
        scale = st.floats(2**-40, 2**40, width=32)
        tensor.quantization = Quantization(
            np.array(draw(st.lists(scale, min_size=count, max_size=count)), np.float32),
            np.array(draw(st.lists(st.integers(-128, 127), min_size=count, max_size=count)), np.int64),
            draw(st.sampled_from(axes)),
            draw(st.none() | st.just(np.array([-1.5], np.float32))),
        )
    return tensor


def _option(field):
    if field.kind == "enum":
        return st.sampled_from(schema.ENUMS[field.type])
    if field.kind == "string":
        return st.none() | st.text(max_size=5)
    if field.kind == "[enum]":
        return st.none() | st.lists(st.sampled_from(schema.ENUMS[field.type]), max_size=3)
    dtype = np.dtype(field.form.format)
    if field.kind == "[number]":
        return st.none() | st.integers(0, 3).flatmap(
            lambda n: st.lists(st.integers(0, 1), min_size=n, max_size=n).map(lambda v: np.array(v, dtype))
        )
    if dtype.kind == "f":
        return st.floats(width=32, allow_nan=False)
    if dtype.kind == "b":
        return st.booleans()
    limits = np.iinfo(dtype)
    return st.integers(int(limits.min), int(limits.max))


@st.composite
def graphs(draw):
    """A consistent graph of random tensors and operators with random options; not meant to be run."""
    graph = Graph(
        draw(st.lists(tensors(), min_size=1, max_size=6)), name=draw(st.none() | st.text(max_size=5))
    )
    free = [i for i, tensor in enumerate(graph.tensors) if tensor.data is None and not tensor.is_variable]
    readable = [i for i in range(len(graph.tensors)) if i not in free]
    if free and draw(st.booleans()):
        graph.inputs.append(free[0])
        readable.append(free.pop(0))
    names = [name for union in ("BuiltinOptions", "BuiltinOptions2") for name in schema.UNIONS[union][1:]]
    for output in free:
        op = Operator(draw(st.sampled_from(schema.ENUMS["BuiltinOperator"])), [], [output])
        op.inputs = draw(st.lists(st.sampled_from([-1, *readable]), max_size=3))
        op.version = draw(st.integers(1, 20))
        op.custom_code = draw(st.none() | st.text(max_size=4))
        op.options_type = draw(st.none() | st.sampled_from(names))
        if op.options_type is not None:
            fields = schema.TABLES[op.options_type].values()
            op.options = {field.name: draw(_option(field)) for field in fields}
        graph.operators.append(op)
        readable.append(output)
    graph.outputs = draw(st.lists(st.sampled_from(range(len(graph.tensors))), max_size=2))
    graph.metadata = draw(st.lists(st.tuples(st.text(max_size=4), st.binary(max_size=20)), max_size=2))
    graph.signatures = [
        Signature(
            key,
            {draw(st.text(max_size=3)): i for i in graph.inputs},
            {draw(st.text(max_size=3)): i for i in graph.outputs},
        )
        for key in draw(st.lists(st.text(min_size=1, max_size=4), max_size=2, unique=True))
    ]
    return graph
