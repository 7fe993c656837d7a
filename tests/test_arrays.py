"""Arrays of a model's inputs and outputs: in files, at random, and as text."""

import pickle

import numpy as np
import pytest

from ptq.arrays import random_inputs, read_array, save_arrays, value_text
from ptq.errors import InputError
from ptq.graph import Graph, Quantization, Tensor


def scales(scale, zero_point):
    return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))


@pytest.mark.parametrize(
    "array",
    [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(3, np.int8), np.zeros((0, 4), bool),
     np.asfortranarray(np.arange(6).reshape(2, 3))],
)  # fmt: skip
def test_what_is_saved_is_read_again_and_numpy_reads_it_too(tmp_path, array):
    path = tmp_path / "x.npy"
    assert save_arrays(path, [array]) == [path]
    for again in (read_array(path), np.load(path)):
        assert again.dtype == array.dtype and np.array_equal(again, array)


def test_several_arrays_become_several_files(tmp_path):
    paths = save_arrays(tmp_path / "y.npy", [np.zeros(1), np.ones(2)])
    assert [p.name for p in paths] == ["y_0.npy", "y_1.npy"]
    assert np.array_equal(np.load(paths[1]), np.ones(2))


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    objects, plain = tmp_path / "objects.npy", tmp_path / "plain.npy"
    np.save(objects, np.array([Evil()], dtype=object), allow_pickle=True)
    plain.write_bytes(pickle.dumps(Evil()))
    for path in (objects, plain):
        with pytest.raises(InputError, match=r"is no \.npy file of numbers"):
            read_array(path)
    assert not (tmp_path / "executed").exists()


def npy(shape, dtype="<f4"):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x93NUMPY", b"no numbers", npy("(2, 3)") + b"\0" * 23, npy("(1000000000000,)"), npy("(-4,)"),
        npy("(2"), npy("(2, 3)", "O") + b"\0" * 48, npy("(2, 3)", "nonsense"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_array_is_named(tmp_path, content):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npy"):
        read_array(path)


def test_an_archive_of_arrays_is_no_array(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(InputError, match=r"x\.npz.*numpy\.save"):
        read_array(tmp_path / "x.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing\.npy.*No such file"):
        read_array(tmp_path / "missing.npy")


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.*cannot be written"):
        save_arrays(tmp_path / "nowhere" / "x.npy", [np.zeros(1)])


def inputs_graph():
    tensors = [
        Tensor("image", (2, 500)),
        Tensor("half", (3,), "FLOAT16"),
        Tensor("bytes", (4000,), "INT8", quantization=scales(0.5, 3)),
        Tensor("index", (100,), "INT64"),
        Tensor("flag", (50,), "BOOL"),
    ]
    return Graph(tensors, inputs=list(range(len(tensors))))


def test_random_inputs_fit_the_graph_and_follow_the_seed():
    graph = inputs_graph()
    first, again, other = random_inputs(graph, 1), random_inputs(graph, 1), random_inputs(graph, 2)
    for tensor, a, b in zip(graph.tensors, first, again, strict=True):
        assert a.shape == tensor.shape and a.dtype == tensor.dtype
        assert a.tobytes() == b.tobytes()
    assert not np.array_equal(first[0], other[0])
    assert abs(first[0].mean()) < 0.2 and 0.8 < first[0].std() < 1.2
    assert first[2].min() == -128 and first[2].max() == 127
    assert set(first[3]) == {0, 1} and set(first[4]) == {False, True}


def test_random_inputs_refuse_what_they_cannot_make():
    with pytest.raises(InputError, match=r"input 'text'.*STRING"):
        random_inputs(Graph([Tensor("text", (1,), "STRING")], inputs=[0]), 1)
    with pytest.raises(InputError, match="seed -1"):
        random_inputs(inputs_graph(), -1)


def test_the_largest_values_of_each_row_come_with_their_indices():
    value = np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], np.float32)
    text = value_text("output 0", Tensor("p", (2, 3)), value, top=2)
    assert text.splitlines() == [
        "output 0: 'p', float32 [2x3], 0.1 to 0.7",
        "  [0] largest: [1] 0.7  [2] 0.2",
        "  [1] largest: [0] 0.5  [1] 0.25",
    ]


def test_many_rows_are_shown_as_a_whole():
    value = np.zeros((3, 5, 2), np.float32)
    value[2, 4, 1] = 9
    assert value_text("o", Tensor("t", value.shape), value, top=1).splitlines()[1] == "  largest: [2, 4, 1] 9"


def test_quantized_values_are_shown_as_reals():
    value = np.array([-128, 5], np.int8)
    text = value_text("o", Tensor("t", (2,), "INT8", quantization=scales(0.5, 3)), value)
    assert text == "o: 't', int8 [2], -65.5 to 1\n  largest: [1] 1  [0] -65.5"


def test_values_that_are_no_numbers_come_last_and_are_counted():
    text = value_text("o", Tensor("t", (3,)), np.array([np.nan, 1, 2], np.float32))
    assert text == "o: 't', float32 [3], 1 to 2, 1 not finite\n  largest: [2] 2  [1] 1  [0] nan"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((0, 2), np.float32), "o: 't', float32 [0x2]"),
        (np.array(2.5, np.float32), "o: 't', float32 [scalar], 2.5 to 2.5\n  largest: 2.5"),
        (np.array([True, False]), "o: 't', bool [2]\n  largest: [0] 1  [1] 0"),
        (np.array([1 + 2j], np.complex64), "o: 't', complex64 [1]"),
    ],
)
def test_unusual_values_have_a_text(value, text):
    assert value_text("o", Tensor("t", value.shape), value) == text


def test_saving_goes_through_memory_not_a_half_written_file(tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(InputError, match="No space left"):
        save_arrays(tmp_path / "x.npy", [np.zeros(3)])
    assert list(tmp_path.iterdir()) == []


def test_the_handmade_header_is_the_real_format(tmp_path):
    (tmp_path / "x.npy").write_bytes(npy("(2, 3)") + np.arange(6, dtype="<f4").tobytes())
    assert np.array_equal(read_array(tmp_path / "x.npy"), np.arange(6).reshape(2, 3))
