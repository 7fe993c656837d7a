"""Comparing two models: what is matched, what is measured, and which operator is named."""

import math

import numpy as np
import pytest

from ptq.build import Builder
from ptq.compare import Step, compare, match
from ptq.converter import Converter
from ptq.errors import InputError
from ptq.graph import Operator, Tensor
from ptq.interpreter import Interpreter


def chain(offset=0.0, factor=1.0, names=("sum", "product", "clamped")):
    b = Builder("chain")
    x = b.input("x", (1, 4))
    y = b.add(x, np.array([1, 2, 3, 4], np.float32) + np.float32(offset), name=names[0])
    z = b.mul(y, np.full(4, factor, np.float32), name=names[1])
    return b.finish(b.relu(z, name=names[2]))


X = np.array([[1, -2, 3, -10]], np.float32)


def test_a_model_is_identical_to_itself():
    comparison = compare(chain(), chain(), [X])
    assert comparison.identical and comparison.first_difference is None and comparison.first_below is None
    assert [row.a.name for row in comparison.rows] == ["sum", "product", "clamped"]
    assert "All 3 outputs of operators are bit-identical." in str(comparison)


def test_the_errors_are_those_worked_out_by_hand():
    # a: sum [2 0 6 -6]; b doubles it: product [4 0 12 -12]; relu [2 0 6 0] and [4 0 12 0]
    comparison = compare(chain(), chain(factor=2.0), [X])
    first, product, clamped = comparison.rows
    assert first.identical and first.max_error == 0 and first.sqnr == math.inf
    assert (product.max_error, product.sqnr) == (6.0, 0.0)
    assert (clamped.max_error, clamped.sqnr) == (6.0, 0.0)
    assert comparison.first_difference is product and comparison.first_below is product
    assert not comparison.identical


def test_divergence_by_bits_and_by_noise_are_told_apart():
    # the error 0.5 is small against [2 0 6 -6]: 10 log10(76 / 1) = 18.8 dB; relu keeps [.5 .5 .5 0]
    comparison = compare(chain(), chain(offset=0.5), [X], threshold=18.0)
    assert comparison.first_difference.a.name == "sum"
    assert comparison.first_difference.sqnr == pytest.approx(10 * math.log10(76))
    assert comparison.first_below.a.name == "clamped"
    assert comparison.first_below.sqnr == pytest.approx(10 * math.log10(40 / 0.75))
    text = " ".join(str(comparison).split())
    assert "by bits (outputs not bit-identical): 0 ADD, writing 'sum' (max error 0.5, SQNR 18.8 dB)." in text
    assert "by noise (SQNR below 18 dB): 2 RELU, writing 'clamped'" in text


def test_without_a_drop_below_the_threshold_the_lowest_is_named():
    text = " ".join(str(compare(chain(), chain(offset=0.5), [X], threshold=5)).split())
    assert "(SQNR below 5 dB): none. Lowest SQNR: 2 RELU, writing 'clamped'" in text


def test_other_names_are_matched_by_order_operator_and_shape():
    comparison = compare(chain(), chain(names=("p", "q", "clamped")), [X])
    assert [(row.a.name, row.b.name) for row in comparison.rows] == [
        ("sum", "p"), ("product", "q"), ("clamped", "clamped"),
    ]  # fmt: skip
    assert comparison.identical
    assert "sum / p" in str(comparison)


def test_an_operator_of_one_model_only_is_listed_and_the_others_still_matched():
    b = Builder("longer")
    x = b.input("x", (1, 4))
    y = b.add(x, np.array([1, 2, 3, 4], np.float32), name="s")
    y = b.tanh(b.logistic(y, name="extra"), name="tanh")
    other = b.finish(b.mul(y, np.ones(4, np.float32), name="p"))
    comparison = compare(chain(), other, [X])
    assert [(r.a.name, r.b.name) for r in comparison.rows] == [("sum", "s"), ("product", "p")]
    assert [s.name for s in comparison.only_a] == ["clamped"]
    assert [s.name for s in comparison.only_b] == ["extra", "tanh"]
    assert not comparison.identical
    assert "Only in b, not compared: 1 LOGISTIC 'extra', 2 TANH 'tanh'." in str(comparison)


def test_names_that_occur_twice_are_matched_by_order():
    steps = [Step(i, "ADD", i + 5, "same", (1, 4)) for i in range(3)]
    assert match(steps, steps[:2]) == [(steps[0], steps[0]), (steps[1], steps[1])]


def test_nothing_in_common_is_said():
    b = Builder("other")
    other = b.finish(b.tanh(b.input("x", (1, 4)), name="only"))
    text = str(compare(chain(), other, [X]))
    assert "nothing was compared" in text and "bit-identical" not in text


def test_nan_in_one_model_counts_as_divergent():
    comparison = compare(chain(), chain(factor=math.nan), [X])
    row = comparison.first_difference
    assert row.a.name == "product" and math.isnan(row.sqnr) and math.isnan(row.max_error)
    assert comparison.first_below is row


def test_infinities_in_the_same_places_are_identical_and_elsewhere_divergent():
    infinite = np.array([[np.inf, 1, -np.inf, 0]], np.float32)
    assert compare(chain(), chain(), [infinite]).identical
    assert compare(chain(), chain(factor=-1.0), [infinite]).first_below.a.name == "product"


def test_minus_zero_differs_in_bits_but_has_no_error():
    b, c = Builder("a"), Builder("b")
    plus = b.finish(b.mul(b.input("x", (1, 4)), np.ones(4, np.float32), name="y"))
    minus = c.finish(c.mul(c.input("x", (1, 4)), -np.ones(4, np.float32), name="y"))
    row = compare(plus, minus, [np.zeros((1, 4), np.float32)]).first_difference
    assert row is not None and row.max_error == 0 and row.sqnr == math.inf


def test_integers_with_scales_count_as_their_reals():
    def quantizing(scale):
        b = Builder("q")
        return b.finish(b.quantize(b.input("x", (1, 4)), scale, name="q"))

    values = np.array([[1, -2, 3, -10]], np.float32)
    coarse = compare(quantizing(0.5), quantizing(1.0), [values])
    assert coarse.identical  # other integers, the same reals
    row = compare(quantizing(0.5), quantizing(4.0), [values]).rows[0]
    # 4.0: [0 -1 1 -3] * 4 (0.25 -> 0; -0.5, 2.5 away from zero) = [0 -4 4 -12]; errors 1 2 1 2
    assert row.max_error == 2.0 and row.sqnr == pytest.approx(10 * math.log10(114 / 10))


def wide(rng):
    b = Builder("wide")
    x = b.input("x", (-1, 12, 12, 128))
    x = b.depthwise_conv2d(x, rng.normal(size=(1, 3, 3, 128)), rng.normal(size=128), name="depthwise")
    x = b.conv2d(x, rng.normal(size=(16, 1, 1, 128)), rng.normal(size=16), name="pointwise")
    return b.finish(b.mean(x, (1, 2), name="mean"))


def test_inserted_dequantize_operators_are_skipped():
    rng = np.random.default_rng(3)
    converter = Converter.from_graph(wide(rng))
    original = converter.convert_to_graph()
    converter.post_training_quantize, converter.recipe = True, "2018"
    quantized = converter.convert_to_graph()
    assert quantized.operators[0].type == "DEQUANTIZE"
    images = rng.normal(size=(2, 12, 12, 128)).astype(np.float32)
    comparison = compare(original, quantized, [images])
    assert [(r.a.operator, r.b.operator, r.a.type) for r in comparison.rows] == [
        (0, 1, "DEPTHWISE_CONV_2D"), (1, 2, "CONV_2D"), (2, 3, "MEAN"),
    ]  # fmt: skip
    assert (comparison.constant_a, comparison.constant_b) == (0, 1)
    assert not comparison.only_a and not comparison.only_b
    assert "Computed from constants in b, not compared: 1 operator" in str(comparison)
    last = comparison.rows[-1]
    outputs = [Interpreter(graph=g).run([images])[0] for g in (original, quantized)]
    assert last.max_error == np.max(np.abs(outputs[0].astype(float) - outputs[1]))
    assert 20 < last.sqnr < 60


def test_a_variable_with_initial_data_is_no_constant():
    graph = chain()
    state = graph.add_tensor(Tensor("state", (1, 4), is_variable=True))
    out = graph.add_tensor(Tensor("from state", (1, 4)))
    graph.operators.append(Operator("TANH", [state], [out]))
    assert "from state" in [row.a.name for row in compare(graph, graph, [X]).rows]


def test_wrong_inputs_name_the_model():
    with pytest.raises(InputError, match=r"model a: run: 2 inputs found, expected 1"):
        compare(chain(), chain(), [X, X])
    b = Builder("other")
    other = b.finish(b.relu(b.input("x", (1, 5)), name="clamped"))
    with pytest.raises(InputError, match=r"model b: input 'x': .*\(1, 5\).*\(1, 4\)"):
        compare(chain(), other, [X])


def test_the_table_fits_and_shows_every_pair():
    names = ("n" * 200, "m", "k")
    comparison = compare(chain(names=names), chain(offset=0.5, names=names), [X])
    assert max(map(len, str(comparison).splitlines())) <= 100
    assert "n" * 200 in comparison.text(columns=0)
