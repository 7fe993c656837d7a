"""Observers against plain counting, merging against observing at once, and calibration of whole graphs."""

import math
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integer_graphs import CASES, samples_for

import ptq
from ptq.build import Builder
from ptq.calibration import calibrate, recorded
from ptq.errors import InputError, QuantizationError
from ptq.histogram import HALF, Histogram
from ptq.observers import Entropy, MeanSquaredError, MinMax, MovingAverage, Percentile

OBSERVERS = [MinMax(), MovingAverage(0.75), Percentile(98), MeanSquaredError(), Entropy()]
ORDERLESS = [observer for observer in OBSERVERS if not isinstance(observer, MovingAverage)]


def observed(choice, arrays):
    observer = choice.fresh()
    for x in arrays:
        observer.observe(np.asarray(x, np.float32))
    return observer


numbers = st.floats(-(2.0**100), 2.0**100, width=32)
batches = st.lists(st.lists(numbers, max_size=20), min_size=1, max_size=6)


# --- ranges -----------------------------------------------------------------------------------------


def test_min_max_is_what_occurred():
    assert observed(MinMax(), [[1, -2], [0.5], []]).range() == (-2, 1)
    assert observed(MinMax(), [[]]).range() is None


def test_a_moving_average_fades_what_is_old():
    observer = observed(MovingAverage(0.75), [[0, 8], [-4, 4], [0, 0]])
    assert observer.range() == (-0.75, 0.75 * (0.75 * 8 + 0.25 * 4))  # low: 0, then -1, then -0.75
    assert observer.extremes() == (-4, 8)


def test_a_percentile_cuts_the_same_share_off_both_ends():
    x = np.concatenate([np.linspace(-1, 1, 997, dtype=np.float32), np.float32([-512, 600, 900])])
    low, high = observed(Percentile(99), [x]).range()
    # five values may go at each end, and one bin more may stay
    width = 1024 / HALF
    below, above = np.sort(x)[5], np.sort(x)[-6]
    assert low <= below < low + width and high - width <= above < high
    assert observed(Percentile(100), [x]).range() == (-512, 900)


def test_a_percentile_leaves_a_crowded_end_alone():
    x = np.concatenate([np.zeros(500, np.float32), np.linspace(0, 1, 500, dtype=np.float32)])
    low, high = observed(Percentile(90), [x]).range()
    assert low == 0 and 0.89 < high < 0.91


def quantization_noise(x, low, high):
    scale = (high - low) / 255
    return float(np.sum((np.clip(np.rint((x - low) / scale), 0, 255) * scale + low - x) ** 2))


def test_the_squared_error_is_less_than_that_of_the_whole_range():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=20000), np.full(2, 40.0)]).astype(np.float32)
    low, high = observed(MeanSquaredError(), [x]).range()
    assert high <= 40
    finer = [quantization_noise(x, max(x.min(), -t), t) for t in np.linspace(2, 40, 500)]
    chosen, whole = quantization_noise(x, low, high), quantization_noise(x, x.min(), 40)
    # bounds are tried in steps of 0.5, within which the error of this data changes by less than a tenth
    assert chosen < 1.1 * min(finer) and chosen < whole


def test_entropy_gives_up_a_lonely_outlier():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=20000), [30.0]]).astype(np.float32)
    low, high = observed(Entropy(), [x]).range()
    assert 3 < high < 20 and -high <= low < -3


@pytest.mark.parametrize("choice", OBSERVERS, ids=repr)
def test_zeros_alone_have_the_range_zero(choice):
    assert observed(choice, [np.zeros(5)]).range() == (0, 0)


@pytest.mark.parametrize("choice", OBSERVERS, ids=repr)
@given(data=batches)
def test_a_range_lies_within_what_occurred(choice, data):
    observer = observed(choice, data)
    values = [x for batch in data for x in batch]
    assert (observer.range() is None) == (not values)
    if values:
        low, high = observer.range()
        assert min(values) <= low <= high <= max(values)
        assert observer.extremes() == (min(values), max(values))


@pytest.mark.parametrize("choice", OBSERVERS, ids=repr)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error_that_names_the_tensor(choice, bad):
    with pytest.raises(QuantizationError, match=r"'conv_1'.*not finite"):
        choice.fresh().observe(np.array([1, bad], np.float32), "conv_1")


@pytest.mark.parametrize("make", [lambda: Percentile(0), lambda: Percentile(101), lambda: MovingAverage(1)])
def test_impossible_settings_are_refused(make):
    with pytest.raises(InputError, match="expected 0 <"):
        make()


# --- histograms and merging -------------------------------------------------------------------------


def plain_histogram(values):
    """Counted one by one, with exact integers: a float32 is a fraction with a power of two below."""
    largest = max(abs(x) for x in values)
    if largest == 0:
        return None, {0: len(values)}
    exponent = math.frexp(largest)[1]
    counts = {}
    for x in values:
        numerator, denominator = float(x).as_integer_ratio()
        shift = 11 - exponent
        numerator, denominator = numerator * 2 ** max(shift, 0), denominator * 2 ** max(-shift, 0)
        counts[numerator // denominator] = counts.get(numerator // denominator, 0) + 1
    return exponent, counts


@given(values=st.lists(numbers, min_size=1, max_size=30))
def test_a_histogram_counts_as_one_would_by_hand(values):
    exponent, counts = plain_histogram(values)
    histogram = Histogram.of(np.array(values, np.float32))
    assert histogram.exponent == exponent
    assert {int(i) - HALF: int(histogram.counts[i]) for i in np.flatnonzero(histogram.counts)} == counts


@given(data=batches)
def test_a_merged_histogram_is_that_of_all_values_at_once(data):
    merged = Histogram()
    for batch in data:
        merged = merged.merge(Histogram.of(np.array(batch, np.float32)))
    at_once = Histogram.of(np.array([x for batch in data for x in batch], np.float32))
    assert merged.exponent == at_once.exponent
    assert np.array_equal(merged.counts, at_once.counts)


@pytest.mark.parametrize("choice", OBSERVERS, ids=repr)
@given(data=batches, cuts=st.lists(st.integers(0, 6), max_size=3))
def test_the_split_does_not_matter(choice, data, cuts):
    ends = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    merged = choice.fresh()
    for start, end in pairwise(ends):
        merged = merged.merge(observed(choice, data[start:end]))
    assert merged.range() == observed(choice, data).range()
    assert merged.extremes() == observed(choice, data).extremes()


@pytest.mark.parametrize("choice", ORDERLESS, ids=repr)
@given(data=batches, order=st.randoms())
def test_the_order_does_not_matter(choice, data, order):
    shuffled = order.sample(data, len(data))
    assert observed(choice, shuffled).range() == observed(choice, data).range()


# --- calibrate --------------------------------------------------------------------------------------


def small():
    b = Builder()
    x = b.input("image", (-1, 4))
    y = b.relu(b.add(x, np.float32([1, 2, 3, 4])))
    return b.finish(b.mul(y, np.float32([2])))


def test_every_activation_is_observed_and_no_constant():
    graph = small()
    samples = [[np.float32([[-5, 0, 0, 1]])], [np.float32([[0, 7, 0, 0]])]]
    calibration = calibrate(graph, lambda: iter(samples))
    by_name = {calibration.names[i]: calibration.range(i) for i in calibration.observers}
    assert by_name == {"image": (-5, 7), "add": (-4, 9), "relu": (0, 9), "mul": (0, 18)}
    assert calibration.samples == 2
    assert "2 samples" in str(calibration) and "relu" in str(calibration)


def test_samples_may_be_dictionaries_lists_and_batches():
    x = np.float32([[1, 2, 3, 4], [0, 0, 0, 9]])
    expected = calibrate(small(), [[x[:1]], [x[1:]]])
    for samples in ([[x]], [{"image": x}], [(x[1:],), {"image": x[:1]}]):
        found = calibrate(small(), samples)
        assert [found.range(i) for i in found.observers] == [expected.range(i) for i in expected.observers]


def test_the_names_of_a_signature_are_understood():
    graph = small()
    graph.signatures = [ptq.graph.Signature("serving_default", {"pixels": graph.inputs[0]}, {})]
    for name in ("pixels", "image"):
        assert calibrate(graph, [{name: np.ones((1, 4), np.float32)}]).range(graph.inputs[0]) == (1, 1)
    with pytest.raises(InputError, match=r"inputs \['x'\] found, expected \['pixels'\]"):
        calibrate(graph, [{"x": np.ones((1, 4), np.float32)}])


@pytest.mark.parametrize("choice", OBSERVERS, ids=repr)
@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_workers_give_the_same_to_the_last_bit(choice, pool):
    graph = CASES["convolutions"]()
    samples = samples_for(graph, 20)
    alone = calibrate(graph, samples, choice)
    with pool(2) as executor:
        together = calibrate(graph, samples, choice, executor)
    assert together == alone and together.samples == 20


@pytest.mark.peers
def test_a_dask_cluster_gives_the_same_to_the_last_bit():
    distributed = pytest.importorskip("distributed")
    graph = CASES["convolutions"]()
    samples = samples_for(graph, 20)
    cluster = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.Client(**cluster) as client:
        together = calibrate(graph, samples, Percentile(99), client.get_executor())
    assert together == calibrate(graph, samples, Percentile(99))


def test_parts_of_the_data_merge_into_the_whole():
    graph = CASES["dense_layers"]()
    samples = samples_for(graph, 6)
    parts = [calibrate(graph, samples[:2]), calibrate(graph, samples[2:])]
    assert parts[0].merge(parts[1]) == calibrate(graph, samples)
    with pytest.raises(InputError, match="two models"):
        parts[0].merge(calibrate(small(), [[np.ones((1, 4), np.float32)]]))


def test_states_start_anew_with_each_sample():
    rng = np.random.default_rng(3)
    b = Builder()
    x = b.input("x", (1, 4))
    b.finish(b.rnn(x, *(rng.normal(size=s).astype(np.float32) for s in ((4, 4), (4, 4), (4,)))))
    samples = [[rng.normal(size=(1, 4)).astype(np.float32)] for _ in range(4)]
    forwards, backwards = calibrate(b.graph, samples), calibrate(b.graph, samples[::-1])
    assert forwards == backwards
    state = next(i for i, t in enumerate(b.graph.tensors) if t.is_variable)
    assert forwards.range(state) != (0, 0)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ([], "0 arrays found, expected a list of 1"),
        ([np.ones((1, 4))], "'image' has dtype float64, expected float32"),
        ([np.ones((1, 5), np.float32)], "'image'.*cannot be resized"),
        ({"picture": np.ones((1, 4), np.float32)}, r"inputs \['picture'\] found, expected \['image'\]"),
        (3, "int found"),
        ("image", "5 arrays found|str found"),
    ],
)
def test_a_sample_that_does_not_fit_is_named_by_its_number(sample, message):
    good = [np.ones((1, 4), np.float32)]
    with pytest.raises(InputError, match=f"(?s)sample 1: .*{message}"):
        calibrate(small(), [good, sample])


def test_no_samples_at_all():
    with pytest.raises(InputError, match="no samples found"):
        calibrate(small(), lambda: iter([]))


def test_nan_in_an_activation_is_named_with_its_sample():
    b = Builder()
    b.finish(b.op("LOG", [b.input("x", (1, 2))], name="logarithm"))
    with pytest.raises(QuantizationError, match=r"sample 1: tensor 'logarithm'.*nan"):
        calibrate(b.graph, [[np.float32([[1, 2]])], [np.float32([[1, -2]])]])


def test_ranges_that_a_file_records_are_read():
    graph = small()
    none = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    for index, low in ((graph.inputs[0], -3.5), (graph.outputs[0], 0.25)):
        ends = np.float32([low]), np.float32([low + 2])
        graph.tensors[index].quantization = ptq.Quantization(*none, *ends)
    calibration = recorded(ptq.load(ptq.dumps(graph)))
    assert [calibration.range(i) for i in calibration.observers] == [(-3.5, -1.5), (0.25, 2.25)]
    assert calibration.range(99) is None
