"""ptq's own saved model: an exact round trip, and an error of its own for each thing that can be wrong."""

import copy
import hashlib
import io
import json
import os
import zipfile

import numpy as np
import pytest
from graphs import dense_graph, everything_graph, graphs
from hypothesis import HealthCheck, given, settings

from ptq.errors import FormatError, GraphError, InputError, PtqError, UnsupportedError
from ptq.format import dumps, is_saved_model, load, load_directory, save_directory
from ptq.format.weights import read_weights, write_weights


@pytest.fixture
def saved(tmp_path):
    save_directory(everything_graph(), tmp_path / "model")
    return tmp_path / "model"


def rewrite(directory, change=lambda document: None, weights=None):
    """Change graph.json, and weights.npz with its checksum, as someone would who means harm."""
    document = json.loads((directory / "graph.json").read_text())
    if weights is not None:
        (directory / "weights.npz").write_bytes(weights)
        document["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    change(document)
    (directory / "graph.json").write_text(json.dumps(document))


# round trips


@pytest.mark.parametrize("graph", [dense_graph(), dense_graph("INT8"), everything_graph()])
def test_graphs_survive(tmp_path, graph):
    before = copy.deepcopy(graph)
    save_directory(graph, tmp_path / "new" / "model")
    assert graph == before
    found = load_directory(str(tmp_path / "new" / "model"))
    assert found == graph
    assert dumps(found) == dumps(graph)
    assert sorted(os.listdir(tmp_path / "new" / "model")) == ["graph.json", "weights.npz"]


@settings(
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
    deadline=None,
    max_examples=50,
)
@given(graph=graphs())
def test_random_graphs_survive(tmp_path, graph):
    save_directory(graph, tmp_path)
    assert load_directory(tmp_path) == graph


def test_real_models_survive(shared, tmp_path):
    for path in sorted((shared / "models").glob("*.tflite")):
        graph = load(path)
        save_directory(graph, tmp_path / path.stem)
        assert load_directory(tmp_path / path.stem) == graph


def test_options_of_every_plain_kind_survive(tmp_path):
    graph = dense_graph()
    graph.operators[1].extra = {
        "nothing": None, "real": [float("inf"), -0.0], "tuple": (1, (2.5, "x")), "bytes": b"\0\xff",
        "$array": "looks like a mark", "nested": {"$tuple": [1], 3: True}, "none": b"",
        "order": np.arange(6).reshape(2, 3).T,
        "scalar": np.array(3, np.int16), "class": {"$class": "Graph"},
    }  # fmt: skip
    save_directory(graph, tmp_path)
    assert load_directory(tmp_path) == graph


def test_numpy_numbers_become_plain_ones(tmp_path):
    graph = dense_graph()
    graph.operators[0].options["axis"] = np.int64(3)
    graph.tensors[0].shape = (np.int64(1), np.int32(4))
    save_directory(graph, tmp_path)
    assert load_directory(tmp_path).operators[0].options["axis"] == 3
    assert load_directory(tmp_path).tensors[0].shape == (1, 4)


def test_saving_twice_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        save_directory(everything_graph(), tmp_path / name)
    for file in ("graph.json", "weights.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_saved_model_is_replaced(saved):
    save_directory(dense_graph(), saved)
    assert load_directory(saved) == dense_graph()


def test_numpy_itself_reads_the_weights(saved):
    with np.load(saved / "weights.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    found = read_weights((saved / "weights.npz").read_bytes())
    assert arrays.keys() == found.keys()
    for name, array in arrays.items():
        assert array.dtype == found[name].dtype
        np.testing.assert_array_equal(array, found[name])


# paths


def test_what_is_no_saved_model_of_ptq(tmp_path, saved):
    assert is_saved_model(saved)
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "saved_model.pb").write_bytes(b"x")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "graph.json").write_bytes((saved / "graph.json").read_bytes())
    for name, error, message in [
        ("missing", InputError, "nothing found"),
        ("file", InputError, "a file found"),
        ("half", InputError, "no saved model"),
        ("tensorflow", UnsupportedError, "Converter.from_saved_model reads both"),
    ]:
        assert not is_saved_model(tmp_path / name)
        with pytest.raises(error, match=message):
            load_directory(tmp_path / name)


def test_real_saved_models_of_tensorflow_are_told_apart(shared):
    paths = sorted(path.parent for path in (shared / "saved_models").rglob("saved_model.pb"))
    assert paths
    for path in paths:
        with pytest.raises(UnsupportedError, match="a SavedModel of TensorFlow"):
            load_directory(path)


def test_foreign_files_are_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="new or an empty directory"):
        save_directory(dense_graph(), tmp_path)
    with pytest.raises(InputError, match="cannot be made"):
        save_directory(dense_graph(), tmp_path / "thesis.txt")
    with pytest.raises(InputError, match="cannot be made"):
        save_directory(dense_graph(), tmp_path / "thesis.txt" / "below")
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_graph_that_cannot_be_saved_leaves_nothing(tmp_path):
    graph = dense_graph()
    graph.operators[0].options["object"] = object()
    with pytest.raises(GraphError, match="object found"):
        save_directory(graph, tmp_path / "model")
    graph.operators[0].options["object"] = np.array([None])
    with pytest.raises(GraphError, match="ndarray found"):
        save_directory(graph, tmp_path / "model")
    assert os.listdir(tmp_path) == []


# content


def set_tensor(field, value):
    return lambda document: document["graph"]["tensors"][0].update({field: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="other"), "not written by ptq"),
        (lambda d: d.update(version=2), "version 2"),
        (lambda d: d.update(weights_sha256="00"), "not the one"),
        (lambda d: d.update(graph=[1]), "no graph"),
        (lambda d: d["graph"].update(colour=1), "other fields"),
        (lambda d: d["graph"].pop("name"), "other fields"),
        (lambda d: d["graph"].update({"$class": "Path"}), "'Path'"),
        (lambda d: d["graph"].update({"$class": []}), r"\[\]"),
        (lambda d: d["graph"].update(inputs=[0.5]), r"Graph.inputs.*0.5"),
        (lambda d: d["graph"].update(inputs=[True]), r"Graph.inputs"),
        (lambda d: d["graph"].update(inputs=[99]), "index 99"),
        (lambda d: d["graph"].update(metadata=[["a", "b"]]), "Graph.metadata"),
        (lambda d: d["graph"].update(subgraphs=[copy.deepcopy(d["graph"])]), "has subgraphs"),
        (set_tensor("shape", [1, "2"]), "Tensor.shape"),
        (set_tensor("shape", [1, -2]), "negative"),
        (set_tensor("shape", [2**62, 2**62]), "elements"),
        (set_tensor("shape", [1] * 100), "100 dimensions"),
        (set_tensor("data", {"$array": "array_0"}), "declared"),
        (set_tensor("data", {"$array": "missing"}), "'missing'"),
        (set_tensor("data", {"$array": ["array_0"]}), "not among its weights"),
        (set_tensor("data", [1, 2]), "Tensor.data"),
        (set_tensor("quantization", {"$class": "Tensor"}), "other fields"),
        (set_tensor("extra", {"$tuple": 3}), "3 found"),
        (set_tensor("extra", {"$dict": [[1]]}), "pairs"),
        (set_tensor("extra", {"$dict": [[[], 1]]}), "impossible key"),
        (set_tensor("extra", {"$bytes": "missing"}), "'missing'"),
    ],
)
def test_each_wrong_value_has_its_error(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(PtqError, match=message):
        load_directory(saved)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 10_000, b"null"])
def test_what_is_no_json(saved, text):
    (saved / "graph.json").write_bytes(text)
    with pytest.raises(FormatError):
        load_directory(saved)


def npz(members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return stream.getvalue()


def npy(header, data=b""):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (b"", "not a valid"),
        (b"PK", "not a valid"),
        (npz({"a.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2**40,)}")}), "not a valid"),
        (
            npz({"a.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999,)}")}),
            "in 0 bytes",
        ),
        (npz({"a.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}")}), "row-major"),
        (
            npz({"a.npy": npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", bytes(4))}),
            "row-major",
        ),
        (
            npz({"a.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n")}),
            "object",
        ),
        (npz({"a.npy": npy("{'descr': '|S4', 'fortran_order': False, 'shape': (1,)}", bytes(4))}), "numbers"),
        (
            npz({"a.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1,", bytes(4))}),
            "not a valid",
        ),
        (npz({"a.npy": b"\x93NUMPY\3\0"}), "version"),
        (npz({"a.npy": b"nonsense"}), "not a valid"),
        (npz({"a.npy": bytes(100_000)}, zipfile.ZIP_DEFLATED), "compressed"),
    ],
)
def test_wrong_weights_have_their_error(weights, message):
    with pytest.raises(FormatError, match=message):
        read_weights(weights)


def test_mutated_weights_give_arrays_or_a_format_error():
    content = write_weights(
        {"a": np.arange(12.0).reshape(3, 4), "b": np.array(3, np.int8), "c": np.zeros((0, 3))}
    )
    outcomes = []
    for seed in range(1500):
        rng = np.random.default_rng(seed)
        mutated = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            mutated[rng.integers(len(mutated))] = rng.integers(256)
        if seed % 5 == 0:
            del mutated[rng.integers(len(mutated)) :]
        try:
            outcomes.append(len(read_weights(bytes(mutated))))
        except FormatError:
            outcomes.append(None)
    assert outcomes.count(None) > 500
    assert sum(outcome is not None for outcome in outcomes) > 20


REPLACEMENTS = [
    None,
    -1,
    0,
    1,
    2**70,
    0.5,
    "x",
    "INT8",
    [],
    {},
    [[]],
    True,
    {"$array": "array_1"},
    {"$tuple": [1]},
]


def places(data):
    """Every (container, key) below `data`."""
    keys = data.keys() if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else []
    for key in keys:
        yield data, key
        yield from places(data[key])


def outcome(directory):
    try:
        dumps(load_directory(directory))
    except PtqError as error:
        assert str(error)
        return "refused"
    return "loaded"


def test_directories_with_mutated_values_give_a_graph_or_an_error(saved):
    text = (saved / "graph.json").read_text()
    outcomes = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        document = json.loads(text)
        everywhere = list(places(document["graph"]))
        for i in rng.integers(len(everywhere), size=rng.integers(1, 3)):
            container, key = everywhere[i]
            container[key] = REPLACEMENTS[rng.integers(len(REPLACEMENTS))]
        (saved / "graph.json").write_text(json.dumps(document))
        outcomes.append(outcome(saved))
    assert min(outcomes.count("refused"), outcomes.count("loaded")) > 50


def test_directories_with_mutated_bytes_give_a_graph_or_an_error(saved):
    text, weights = (saved / "graph.json").read_bytes(), (saved / "weights.npz").read_bytes()
    outcomes = []
    for seed in range(500):
        rng = np.random.default_rng(seed)
        mutated = bytearray(text)
        mutated[rng.integers(len(mutated))] = int(rng.choice(list(b'0123456789-"[]{}.,:aetn $')))
        (saved / "graph.json").write_bytes(mutated)
        kept = rng.integers(len(weights)) if seed % 7 == 0 else len(weights)
        (saved / "weights.npz").write_bytes(weights[:kept])
        outcomes.append(outcome(saved))
    assert outcomes.count("refused") > 50
    assert outcomes.count("loaded") > 5
