"""The description of a model: formulas, tables, and bytes that add up to the file."""

import numpy as np
import pytest

from ptq.build import Builder
from ptq.converter import Converter
from ptq.format import dumps, load
from ptq.graph import Graph, Operator, Quantization, Tensor
from ptq.inspect import (
    decision_table,
    describe,
    operator_table,
    option_text,
    real_value,
    size_table,
    tensor_table,
)
from ptq.passes.report import Decision


def quantized(scale, zero_point, type="INT8", axis=0):
    scales, zeros = np.atleast_1d(np.float32(scale)), np.atleast_1d(np.int64(zero_point))
    return Tensor("t", (2, 3), type, quantization=Quantization(scales, zeros, axis))


@pytest.mark.parametrize(
    ("tensor", "formula"),
    [
        (quantized(0.0078125, 3), "real = 0.0078125 * (int8 - 3)"),
        (quantized(1 / 255, -128), "real = 0.003921569 * (int8 + 128)"),
        (quantized(0.5, 0), "real = 0.5 * int8"),
        (quantized(2.0**-15, 0, "INT16"), "real = 3.0517578e-05 * int16"),
        (quantized(0.5, 127, "UINT8"), "real = 0.5 * (uint8 - 127)"),
        (
            quantized([0.5, 0.25], [0, 0]),
            "real = scale[c] * int8, c along dimension 0; 2 scales, 0.25 to 0.5",
        ),
        (
            quantized([0.5, 0.25], [0, 1]),
            "real = scale[c] * (int8 - zero_point[c]), c along dimension 0; 2 scales, 0.25 to 0.5",
        ),
        (Tensor("t", (2, 3)), "float32, fed as it is"),
        (Tensor("t", (2, 3), "INT32"), "int32, fed as it is"),
        (quantized([], []), "int8, fed as it is"),
    ],
)
def test_the_formula_of_real_values(tensor, formula):
    assert real_value(tensor, "fed as it is") == formula


def test_the_printed_scale_is_the_scale_to_the_last_bit():
    for scale in np.random.default_rng(0).uniform(0, 1, 100).astype(np.float32):
        text = real_value(quantized(scale, 3), "")
        assert np.float32(float(text.split()[2])) == scale


def network():
    rng = np.random.default_rng(1)
    b = Builder("net")
    x = b.input("image", (-1, 8, 8, 16))
    x = b.conv2d(x, rng.normal(size=(16, 3, 3, 16)), np.zeros(16), 2, activation="RELU", name="conv")
    x = b.conv2d(x, np.ones((4, 1, 1, 16)), np.zeros(4), name="small")
    x = b.max_pool2d(x, 2, name="pool")
    x = b.reshape(x, (-1, 16), name="flat")
    return b.finish(b.softmax(x, name="probabilities"))


def hybrid():
    converter = Converter.from_graph(network())
    converter.post_training_quantize = True
    return converter


def columns_of(text, *, header=0):
    """The cells of a table by the places of its header's rule."""
    lines = text.splitlines()[header:]
    starts = [i for i, c in enumerate(lines[1]) if c == "-" and (i == 0 or lines[1][i - 1] == " ")]
    ends = [*starts[1:], None]
    names, *rows = ([line[s:e].strip() for s, e in zip(starts, ends, strict=True)] for line in lines)
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]


def test_the_tensor_table_tells_where_each_constant_stands_in_the_file():
    content = hybrid().convert()
    graph = load(content)
    rows = columns_of(tensor_table(graph, content))
    assert [row["tensor"] for row in rows] == [t.name for t in graph.tensors]
    placed = 0
    for row, tensor in zip(rows, graph.tensors, strict=True):
        size = int(row["bytes"].replace(",", ""))
        assert size == tensor.size * tensor.dtype.itemsize
        if tensor.data is not None:
            start = int(row["at byte"].replace(",", ""))
            assert content[start : start + size] == tensor.data.tobytes()
            placed += 1
        else:
            assert row["at byte"] == ""
    assert placed == 5
    by_name = {row["tensor"]: row for row in rows}
    assert by_name["conv/filter"]["quantization"] == "16 scales, dim 0"
    roles = {"image": "input", "conv/filter": "constant", "conv": "computed", "probabilities": "output"}
    assert {name: by_name[name]["role"] for name in roles} == roles


def test_the_operator_table_tells_arithmetic_and_options():
    rows = columns_of(operator_table(hybrid().convert_to_graph()))
    assert [(row["operator"], row["arithmetic"]) for row in rows] == [
        ("CONV_2D", "hybrid"), ("CONV_2D", "float"), ("MAX_POOL_2D", "float"), ("RESHAPE", "any"),
        ("SOFTMAX", "float"),
    ]  # fmt: skip
    assert rows[0]["options"] == "stride 2x2, SAME, RELU"
    assert rows[1]["options"] == "SAME"
    assert rows[2]["options"] == "window 2x2, stride 2x2, VALID"
    assert rows[0]["shape"] == "1x4x4x16"


def test_an_operator_that_cannot_be_run_is_marked():
    graph = network()
    assert " *" not in operator_table(graph)
    index = graph.add_tensor(Tensor("y", (1, 2)))
    graph.operators.append(Operator("CUSTOM", [graph.outputs[0], -1], [index], custom_code="Mine"))
    text = operator_table(graph)
    assert columns_of(text)[-2]["operator"] == "Mine" and columns_of(text)[-2]["reads"].endswith(" -")
    assert "* ptq has no kernel for this" in text


def test_the_bytes_add_up_to_the_file():
    content = hybrid().convert()
    rows = columns_of(size_table(load(content), content))
    sizes = {row["what"]: int(row["bytes"].replace(",", "")) for row in rows}
    assert sizes["int8 quantized"] == 16 * 3 * 3 * 16
    assert sizes["float32 as it is"] == 4 * (16 + 4 * 16 + 4)
    assert sizes.pop("all") == len(content) == sum(sizes.values())
    shares = [float(row["share"].removesuffix(" %")) for row in rows]
    assert sum(shares[:-1]) == pytest.approx(100, abs=0.2) and shares[-1] == 100


def test_a_buffer_that_two_tensors_share_counts_once():
    b = Builder("twice")
    x = b.input("x", (1, 64))
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    x = b.fully_connected(x, weights.copy(), name="one")
    graph = b.finish(b.fully_connected(x, weights.copy(), name="two"))
    content = dumps(graph)
    rows = {row["what"]: row for row in columns_of(size_table(load(content), content))}
    assert rows["float32 as it is"]["buffers"] == "1"
    assert rows["float32 as it is"]["bytes"] == "16,384"


def test_the_description_holds_every_part_and_fits():
    content = hybrid().convert()
    text = describe(load(content), "net.tflite", content)
    assert text.startswith(f"net.tflite: {len(content):,} bytes")
    assert "input 0: 'image', float32 [?x8x8x16], tensor 0\n  float32, fed as it is" in text
    assert "\n  float32, returned as it is" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_description_of_a_graph_without_a_file_gives_no_places():
    text = describe(network(), "net")
    assert "at byte" not in text and "structure" not in text


def test_subgraphs_are_described_too():
    graph = network()
    inner = Builder("inner")
    graph.subgraphs.append(inner.finish(inner.tanh(inner.input("x", (1,)), name="inside")))
    text = describe(graph, "net")
    assert "operators of subgraph 1 'inner'" in text and "inside" in text


def test_an_empty_graph_has_a_description():
    assert "no inputs and no outputs" in describe(Graph(), "empty")


def test_names_of_strangers_stay_on_their_line():
    graph = Graph(tensors=[Tensor("a\n\x1b[31mb", (1,))], inputs=[0], name="m", description="x\x1by")
    text = describe(graph, "file\n.tflite")
    assert "\x1b" not in text and r"a\n\x1b[31mb" in text


def test_options_without_news_are_left_out():
    assert option_text(Operator("RELU", [0], [1])) == ""
    dense = {"fused_activation_function": "NONE", "keep_num_dims": False, "asymmetric_quantize_inputs": True}
    assert option_text(Operator("FULLY_CONNECTED", [0, 1], [2], dense)) == "asymmetric inputs"
    assert option_text(Operator("SOFTMAX", [0], [1], {"beta": 1.0})) == "beta 1"
    assert option_text(Operator("MEAN", [0, 1], [2], {"keep_dims": True})) == "keep_dims"
    unknown = {"values": np.array([1, 2]), "none": np.zeros(0), "flag": False, "nothing": None}
    assert option_text(Operator("NEWER", [0], [1], unknown)) == "values [1, 2]"
    assert option_text(Operator("CONV_2D", [0], [1], {"dilation_h_factor": 2, "dilation_w_factor": 1})) == (
        "dilation 2x1"
    )


def decisions(count):
    reasons = [f"{100 + i} int8 weights, 8 scales" for i in range(count)]
    hybrid = [Decision(i, "CONV_2D", f"t{i}", "hybrid", reason) for i, reason in enumerate(reasons)]
    return [*hybrid, Decision(count, "SOFTMAX", "p", "float", "fewer than 1024")]


def test_few_decisions_stand_one_by_one_and_many_together():
    few = columns_of(decision_table(decisions(3)))
    assert [row["#"] for row in few] == ["0", "1", "2", "3"]
    many = columns_of(decision_table(decisions(40)))
    why = "100 to 139 int8 weights, 8 scales"
    assert many == [
        {"count": "40", "operator": "CONV_2D", "arithmetic": "hybrid", "why": why},
        {"count": "1", "operator": "SOFTMAX", "arithmetic": "float", "why": "fewer than 1024"},
    ]
    assert len(columns_of(decision_table(decisions(40), full=True))) == 41


def test_decisions_stand_under_their_subgraphs():
    inner = [Decision(i, "RELU", f"r{i}", "float", "has no weights", 2) for i in range(2)]
    few, many = decision_table([*decisions(1), *inner]), decision_table([*decisions(20), *inner])
    for text, first, count in ((few, "#", ["0", "1"]), (many, "count", ["2"])):
        main, title, rest = text.partition("\n\nsubgraph 2:\n")
        assert title and "RELU" not in main
        assert [row[first] for row in columns_of(rest)] == count


def test_numbers_that_follow_each_other_are_drawn_together():
    graph = Graph(tensors=[Tensor(str(i), (1,)) for i in range(9)])
    graph.operators = [Operator("CUSTOM", [4, 5, 6, 7, -1, -1, 0, 1, 2, 7], [8], custom_code="Mine")]
    row, _ = columns_of(operator_table(graph))
    assert row["reads"] == "4..7 - - 0 1 2 7"
