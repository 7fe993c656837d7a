"""What the converter says of directories that it cannot convert: what it found, where, what it expected, and
what to do about it. The words are looked for in this order of the columns, in any order of the sentence."""

import pytest
import tables
from saved_models import PLACEHOLDER, call, function, node, write
from test_saved_model_hostile_directories import Directory, small

import ptq
from ptq.errors import FormatError, GraphError, InputError, UnsupportedError

AGAIN = "copy the whole model again, or export it again with TensorFlow"


def refusal(path, signature_key=None):
    """The kind of the error and its message."""
    with pytest.raises(ptq.errors.PtqError) as caught:
        ptq.Converter.from_saved_model(path, signature_key)
    return type(caught.value), str(caught.value)


def entry_of_w(**changes):
    """An index in which something is said of w that is not so."""

    def files(model):
        said = {"kind": 1, "shape": (2,), "size": 8} | changes
        entries = dict(model.entries) | {b"w": tables.entry(**said)}
        return {"index": tables.table([sorted(entries.items())])}

    return files


def head(**changes):
    """An index with another header."""
    return lambda model: {
        "index": tables.table([sorted((dict(model.entries) | {b"": tables.header(2, **changes)}).items())])
    }


VARIABLES = {
    "another value": (
        lambda model: {"data": [b"wwwwwwwx", model.data[1]]}, FormatError,
        "has the checksum 0x", "variable 'w'", "expected 0x", AGAIN,
    ),
    "a data file cut off": (
        lambda model: {"data": [b"wwww", model.data[1]]}, FormatError,
        "which has 4", "variable 'w'", "has 8 bytes at byte 0 of file 0 of 2", AGAIN,
    ),
    "an index with a flipped bit": (
        lambda model: {"index": b"\x01" + model.index[1:]}, FormatError,
        "checksum 0x", "the block at byte 0", "expected 0x", AGAIN,
    ),
    "a shape without end": (
        entry_of_w(shape=(2**62, 2**62)), FormatError,
        "the shape (4611686018427387904, 4611686018427387904)", "variable 'w'", "expected at most", AGAIN,
    ),
    "another shape": (
        entry_of_w(shape=(1, 2), checksum=tables.masked(tables.crc32c(b"wwwwwwww"))), FormatError,
        "has [1, 2]", "variable 'w'", "has the shape [2]", AGAIN,
    ),
    "too few bytes": (
        entry_of_w(size=4), FormatError, "has 4 bytes", "variable 'w'", "expected 8 for float32 [2]", AGAIN,
    ),
    "a file of data that the index does not count": (
        entry_of_w(shard=7), FormatError, "file 7", "variables.index", "expected 0 to 1", AGAIN,
    ),
    "a part of another type": (
        lambda model: {"index": tables.table([[
            (key, tables.tensor(3, (1,), b"bbbb", shard=1) if key[:1] == b"\0" else value)
            for key, value in model.entries
        ]])}, FormatError, "is of type 3", "a part of variable 'b'", "expected type 1", AGAIN,
    ),
    "a newer format": (
        head(min_consumer=9), UnsupportedError,
        "need a reader of version 9", "variables", "expected at most 1", "a newer TensorFlow wrote them",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIABLES)
def test_variables(tmp_path, name):
    damage, error, *words = VARIABLES[name]
    directory = Directory(small(tmp_path / "model"))
    directory.write(**damage(directory))
    kind, message = refusal(directory.path)
    assert kind is error and message.startswith(f"'{directory.path}': ")
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(
    "name, expected",
    [
        ("variables.index", "the index of the variables"),
        ("variables.data-00000-of-00002", "file 1 of 2"),
        ("variables.data-00001-of-00002", "file 2 of 2"),
    ],
)
def test_a_missing_file(tmp_path, name, expected):
    path = small(tmp_path / "model")
    (path / "variables" / name).unlink()
    kind, message = refusal(path)
    assert kind is InputError
    assert f"/variables/{name}' cannot be read (no such file" in message
    assert f"expected {expected}" in message and message.endswith("copy the whole folder")


def nodes(*made, functions=(), **options):
    """A graph whose output is the node "y"."""
    return lambda path: write(path, [PLACEHOLDER, *made], functions, {"y": "y:0"}, **options)


CIRCLE = [function(a, ["x"], [call("c", b, ["x"])], {"y": "c:output:0"}) for a, b in [("f", "g"), ("g", "f")]]
TYPES = {"list": {"type": [1]}}

GRAPHS = {
    "functions in a circle": (
        nodes(call("y", "f", ["x"]), functions=CIRCLE), UnsupportedError,
        "calls itself, through f -> g", "function 'f'", "TensorFlow Lite has no recursion",
        "write it as a loop",
    ),
    "a function that is not there": (
        nodes(call("y", "g", ["x"])), GraphError,
        "is called", "function 'g'", "the file does not hold it", AGAIN,
    ),
    "nodes in a circle": (
        nodes(node("y", "Relu", ["z"]), node("z", "Relu", ["y"])), GraphError,
        "takes its own result", "'y'", "through others", AGAIN,
    ),
    "a constant of a negative size": (
        nodes(node("y", "Const", value={"tensor": {"dtype": 1, "tensor_shape": {"dim": [{"size": -1}]}}})),
        FormatError, "shape (-1,) found", "in 'y' (Const)", "expected a known one", AGAIN,
    ),
    "a constant without end": (
        nodes(node("y", "Const", value={"tensor": {
            "dtype": 1, "tensor_shape": {"dim": [{"size": 2**31}] * 3}, "tensor_content": bytes(8)}})),
        FormatError, "constant of 3 dimensions found", "in 'y' (Const)", "no more than", AGAIN,
    ),
    "a table": (
        nodes(node("y", "LookupTableFindV2", ["x"])), UnsupportedError,
        "something outside of the graph", "in 'y' (LookupTableFindV2)", "which TensorFlow Lite models do not",
        "export the part of the model from the first numbers on",
    ),
    "a counter": (
        nodes(node("w", "VarHandleOp"), node("y", "Relu", ["x", "^a"]),
              node("a", "AssignAddVariableOp", ["w", "x"])),
        UnsupportedError, "changes a variable", "'a' (AssignAddVariableOp)",
        "expected variables that stay", "export the model without the change",
    ),
    "a loop of TensorFlow 1": (
        nodes(node("y", "Enter", ["x"])), UnsupportedError,
        "a loop or a choice of TensorFlow 1 found", "in 'y' (Enter)", "While and If",
        "export the model with TensorFlow 2",
    ),
    "a loop without functions": (
        nodes(node("y", "While", ["x"], T=TYPES)), FormatError,
        "does not say", "node 'y'", "which function it calls", AGAIN,
    ),
    "no signature": (
        nodes(node("y", "Relu", ["x"]), signatures={"train": {}}), InputError,
        "has no signatures", "the SavedModel", "signatures=...", "save it with",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(tmp_path, name):
    make, error, *words = GRAPHS[name]
    kind, message = refusal(make(tmp_path))
    assert kind is error
    assert [word for word in words if word not in message] == [], message


def test_an_unknown_signature(tmp_path):
    path = small(tmp_path / "model")
    for key in ("other", "", "\0", "serving_default\n", "é" * 1000):
        kind, message = refusal(path, key)
        assert kind is InputError and message.startswith(f"signature '{key}' asked for")
        assert message.endswith("but the SavedModel has 'serving_default'; choose one of them")


def test_a_graph_that_is_cut_off(tmp_path):
    content = (small(tmp_path) / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content[:-10])
    kind, message = refusal(tmp_path)
    assert kind is FormatError and message.startswith(f"'{tmp_path}': field ")
    assert "are left; the file is cut off or damaged" in message and message.endswith(AGAIN)
