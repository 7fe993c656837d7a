"""From files to flat graphs: small ones written by hand, and what must be refused."""

import time

import numpy as np
import pytest
from saved_models import FLOAT, PLACEHOLDER, RESOURCE, call, encode, function, node, strings, write

import ptq.saved_model
from ptq.errors import FormatError, GraphError, InputError, UnsupportedError
from ptq.saved_model import read, signature_keys
from ptq.saved_model.bundle import open_bundle
from ptq.saved_model.inline import DEEPEST
from ptq.saved_model.nodes import Port
from ptq.saved_model.variables import cut

T = {"type": FLOAT}


def relu(name, source):
    return node(name, "Relu", [source], T=T)


def names(flat):
    return [(item.name, item.op, item.inputs) for item in flat.nodes]


def test_calls_disappear(tmp_path):
    inner = function("inner", ["a"], [relu("r", "a")], {"out": "r:activations:0"})
    outer = function(
        "outer",
        ["left", "right"],
        [
            call("c", "inner", ["right"]),
            call("d", "inner", ["c:output:0"]),
            node("both", "AddV2", ["left", "d:output:0"], T=T),
        ],
        {"sum": "both:z:0", "same": "left"},
    )
    nodes = [PLACEHOLDER, relu("before", "x"), call("f", "outer", ["before", "x:0"])]
    flat = read(write(tmp_path, nodes, [outer, inner], {"y": "f:0", "z": "f:1"}))
    assert names(flat) == [
        ("x", "Placeholder", ()),
        ("before", "Relu", ("x:0",)),
        ("f/c/r", "Relu", ("x:0",)),
        ("f/d/r", "Relu", ("f/c/r:0",)),
        ("f/both", "AddV2", ("before:0", "f/d/r:0")),
    ]
    float32 = np.dtype(np.float32)
    assert flat.inputs == (Port("x", "x:0", float32, (2,)),)
    assert flat.outputs == (Port("y", "f/both:0", float32, (2,)), Port("z", "before:0", float32, (2,)))
    assert flat.nodes[1].attributes == {"T": float32} and flat.signature_key == "serving_default"


def test_names_stay_unique_and_the_graph_keeps_its_own(tmp_path):
    inner = function("inner", ["a"], [relu("r", "a")], {"out": "r:activations:0"})
    nodes = [PLACEHOLDER, call("f", "inner", ["x"]), relu("f/r", "f")]
    flat = read(write(tmp_path, nodes, [inner], {"y": "f/r"}))
    assert names(flat)[1:] == [("f/r_1", "Relu", ("x:0",)), ("f/r", "Relu", ("f/r_1:0",))]


def test_only_what_the_outputs_need_stays_and_it_is_sorted(tmp_path):
    nodes = [
        relu("late", "early"), relu("unused", "x"), node("same", "Identity", ["x", "^assert"], T=T),
        node("assert", "Assert", ["x"]), relu("early", "same:0"), PLACEHOLDER,
    ]  # fmt: skip
    flat = read(write(tmp_path, nodes, outputs={"y": "late:0"}))
    assert names(flat) == [
        ("x", "Placeholder", ()), ("early", "Relu", ("x:0",)), ("late", "Relu", ("early:0",)),
    ]  # fmt: skip


def test_an_input_may_be_any_tensor_and_replaces_its_node(tmp_path):
    nodes = [PLACEHOLDER, relu("middle", "x"), relu("end", "middle")]
    flat = read(write(tmp_path, nodes, outputs={"y": "end:0"}, inputs={"m": "middle:0"}))
    assert names(flat) == [("middle", "Placeholder", ()), ("end", "Relu", ("middle:0",))]
    assert flat.nodes[0].attributes == {"dtype": np.dtype(np.float32), "shape": (2,)}


def test_outputs_of_several_arguments_are_counted(tmp_path):
    body = function(
        "f",
        ["a"],
        [
            node("bn", "FusedBatchNormV3", ["a"] * 5),
            node("split", "Split", ["bn:y:0", "bn:batch_variance:0"], num_split={"i": 3}),
            node("sum", "AddV2", ["split:output:2", "bn:reserve_space_3:0"]),
        ],
        {"out": "sum:z:0"},
    )
    flat = read(write(tmp_path, [PLACEHOLDER, call("f", "f", ["x"])], [body], {"y": "f:0"}))
    assert [item.inputs for item in flat.nodes[2:]] == [("f/bn:0", "f/bn:2"), ("f/split:2", "f/bn:5")]


def typed(*three):
    """Three arguments, the second one a variable."""
    return [{"name": name, "type": kind} for name, kind in zip(three, [FLOAT, RESOURCE, FLOAT], strict=True)]


def loop():
    """A graph with a loop that adds a variable, passed as its second value, x = x + w."""
    types = {"list": {"type": [FLOAT, RESOURCE, FLOAT]}}
    loop_node = node(
        "loop", "While", ["x", "w", "x"], T=types,
        cond={"func": {"name": "cond"}}, body={"func": {"name": "body"}},
    )  # fmt: skip
    reading = node("read", "ReadVariableOp", ["w"], dtype=T)
    body = encode(
        "FunctionDef",
        {
            "signature": {
                "name": "body",
                "input_arg": typed("a", "w", "b"),
                "output_arg": typed("p", "q", "r"),
            },
            "node_def": [reading | {"input": ["w"]}, node("sum", "AddV2", ["b", "read:value:0"], T=T)],
            "ret": {"p": "a", "q": "w", "r": "sum:z:0"},
        },
    )
    less = function("cond", ["a", "w", "b"], [node("less", "Less", ["a", "b"], T=T)], {"go": "less:z:0"})
    nodes = [
        PLACEHOLDER, node("w", "VarHandleOp", shared_name={"s": "w"}, dtype=T), loop_node,
        node("after", "ReadVariableOp", ["loop:1"], dtype=T), node("end", "AddV2", ["loop:2", "after"], T=T),
    ]  # fmt: skip
    return nodes, [body, less]


def restoring(nodes):
    """These nodes and a restore operation for the variable w."""
    return [
        *nodes,
        node("prefix", "Placeholder"), node("keys", "Const", value=strings(b"other", b"key")),
        node("parts", "Const", value=strings(b"", b"")),
        node("restore", "RestoreV2", ["prefix", "keys", "parts"]), node("same", "Identity", ["restore:1"]),
        node("assign", "AssignVariableOp", ["w", "same"]), node("all", "NoOp", ["^assign"]),
    ]  # fmt: skip


def bundle_of(monkeypatch, value):
    """Every variable of a file has this value; the keys that are asked for, as they come."""
    asked = []

    class Bundle:
        def read(self, key):
            asked.append(key)
            return value

    monkeypatch.setattr("ptq.saved_model.reader.open_bundle", lambda prefix: Bundle())
    return asked


def test_a_variable_goes_through_a_loop_as_a_constant(tmp_path, monkeypatch):
    value = np.array([1, 2], np.float32)
    asked = bundle_of(monkeypatch, value)
    nodes, functions = loop()
    flat = read(write(tmp_path, restoring(nodes), functions, {"y": "end:0", "p": "loop:0"}, restore="all"))
    loop_node = next(item for item in flat.nodes if item.op == "While")
    assert loop_node.inputs == ("x:0", "x:0") and loop_node.attributes["T"] == (np.dtype(np.float32),) * 2
    assert flat.nodes[-1].inputs == ("loop:1", "after:0") and flat.outputs[0].tensor == "loop:0"
    body = flat.functions[loop_node.attributes["body"]]
    assert [port.name for port in body.inputs] == ["a", "b"]
    assert [(port.name, port.tensor) for port in body.outputs] == [("p", "a:0"), ("r", "sum:0")]
    constants = [item.attributes["value"] for item in (*flat.nodes, *body.nodes) if item.op == "Const"]
    assert len(constants) == 2 and all(constant is value for constant in constants) and asked == ["key"]
    assert len(flat.functions["cond"].inputs) == 2


@pytest.mark.parametrize(
    "value, attributes, error, says",
    [
        (np.zeros(2, np.float64), {"dtype": T}, FormatError, "elements of float32, .* has float64"),
        (np.zeros(2), {"shape": {"shape": {"dim": [{"size": 3}]}}}, FormatError, r"shape \[3\], .* \[2\]"),
        (np.zeros(2), {"shared_name": {"s": "v"}, "name": "v"}, UnsupportedError, "does not restore"),
    ],
)
def test_a_variable_that_is_not_as_the_graph_says(tmp_path, monkeypatch, value, attributes, error, says):
    bundle_of(monkeypatch, value)
    name = attributes.pop("name", "w")
    nodes = [node("w", "VarHandleOp"), node("v", "VarHandleOp"), node("y", "ReadVariableOp", [name])]
    nodes[name == "v"]["attr"] = attributes
    write(tmp_path, restoring(nodes), outputs={"y": "y:0"}, inputs={"p": "prefix"}, restore="all")
    with pytest.raises(error, match=says):
        read(tmp_path)


@pytest.mark.parametrize(
    "part, expected",
    [("", None), ("3 2 1,2:-", [[2, 3], [4, 5]]), ("3 2 0,1:1,1", [[1]]), ("3 2 -:-", None)],
)
def test_a_part_of_a_tensor(part, expected):
    whole = np.arange(6).reshape(3, 2)
    assert cut(whole, part).tolist() == (expected or whole.tolist())


@pytest.mark.parametrize(
    "part",
    ["3 2", "2 3 -:-", "3 2 -", "3 2 -:-:-", "3 2 2,2:-", "3 2 -1,2:-", "3 2 a:b", f"3 2 -:{'9' * 5000},1"],
)
def test_parts_that_cannot_be(part):
    with pytest.raises(FormatError, match="no such part"):
        cut(np.zeros((3, 2)), part)


def test_an_embedding_reads_its_variable(tmp_path, monkeypatch):
    value = np.zeros((5, 2), np.float32)
    bundle_of(monkeypatch, value)
    nodes = [PLACEHOLDER, node("w", "VarHandleOp"), node("y", "ResourceGather", ["w", "x"])]
    nodes.append(node("size", "VariableShape", ["w"]))
    flat = read(write(tmp_path, restoring(nodes), outputs={"s": "size:0", "y": "y:0"}, restore="all"))
    made = {item.name: item for item in flat.nodes}
    assert made["y"].op == "GatherV2" and made["y"].inputs == ("y/params:0", "x:0", "y/axis:0")
    assert made["y/params"].attributes["value"] is value and made["y/axis"].attributes["value"] == 0
    assert made["size"].attributes["value"].tolist() == [5, 2]


def test_a_frozen_graph(tmp_path):
    constant = node("c", "Const", value={"tensor": {"dtype": FLOAT, "float_val": [2.0]}}, dtype=T)
    nodes = [PLACEHOLDER, constant, node("y", "Mul", ["x", "c"], T=T), relu("z", "x"), relu("unused", "c")]
    graph = {"node": nodes}
    path = tmp_path / "frozen.pb"
    path.write_bytes(encode("GraphDef", graph))
    flat = read(path)
    assert [port.name for port in flat.inputs] == ["x"] and [port.name for port in flat.outputs] == ["y", "z"]
    assert flat.nodes[1].attributes["value"] == 2
    with pytest.raises(InputError, match=r"'serve' asked for, but .* single file"):
        read(path, "serve")


def test_signatures_are_chosen_by_key(tmp_path):
    info = {"name": "x:0", "dtype": FLOAT}
    one = {"inputs": {"x": info}, "outputs": {"y": info}}
    write(tmp_path, [PLACEHOLDER], signatures={"b": one, "a": one, "__saved_model_init_op": one})
    assert signature_keys(tmp_path) == ["a", "b"] and read(tmp_path, "a").signature_key == "a"
    for key in (None, "c"):
        with pytest.raises(InputError, match="but the SavedModel has 'a', 'b'"):
            read(tmp_path, key)
    write(tmp_path, [PLACEHOLDER], signatures={"only": one})
    assert read(tmp_path).signature_key == "only"


CYCLE = [function(a, ["x"], [call("c", b, ["x"])], {"y": "c:output:0"}) for a, b in [("f", "g"), ("g", "f")]]
EMPTY = function("f", ["a"], [], {"b": "a"})
TABLE = node("t", "LookupTableFindV2", ["x", "x", "x"])
V1_LOOP = [PLACEHOLDER, node("f", "Merge", ["x", "next"]), node("next", "NextIteration", ["f"])]
READ = node("f", "ReadVariableOp", ["w"], dtype=T)


@pytest.mark.parametrize(
    "nodes, functions, error, says",
    [
        ([call("f", "f", ["x"])], CYCLE, UnsupportedError, "'f' calls itself, through f -> g"),
        ([call("f", "f", ["x", "x"])], [EMPTY], GraphError, "takes 1 arguments, but 'f/' gives 2"),
        ([call("f", "g", ["x"])], [], GraphError, "function 'g' is called, but the file does not hold it"),
        ([node("f", "PartitionedCall", ["x"])], [], FormatError, "does not say which function"),
        ([relu("f", "g")], [], GraphError, "takes 'g', but there is no node 'g'"),
        ([relu("f", "^g")], [], GraphError, "waits for '\\^g', but there is no node"),
        ([relu("f", "g"), relu("g", "f")], [], GraphError, "takes its own result"),
        ([node("f", "Identity", ["f"])], [], GraphError, "gives back what it takes"),
        ([node("f", "Identity", [])], [], GraphError, "output 0 of 'f' is used"),
        ([relu("f", "x"), relu("f", "x")], [], GraphError, "two nodes 'f'"),
        ([TABLE, relu("f", "t")], [], UnsupportedError, "in 't' \\(LookupTableFindV2\\).*table"),
        (V1_LOOP[1:], [], UnsupportedError, "loop or a choice of TensorFlow 1"),
        ([node("w", "VarHandleOp"), READ], [], InputError, "in 'f' .*variables.index' cannot be read"),
        ([node("w", "VarHandleOp"), relu("f", "w")], [], UnsupportedError, "takes the variable 'w'"),
        (
            [node("w", "VarHandleOp"), node("a", "AssignAddVariableOp", ["w", "x"]), relu("f", "x")
             | {"input": ["x", "^a"]}],
            [], UnsupportedError, "'a' \\(AssignAddVariableOp\\) changes a variable",
        ),
        ([node("f", "While", ["x"], T={"list": {"type": [1]}})], [], FormatError, "which function it calls"),
        ([node("f", "While", ["x"])], [], GraphError, "takes 1 inputs, but its 'T' lists 0 types"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, nodes, functions, error, says):
    write(tmp_path, [PLACEHOLDER, *nodes], functions, {"y": "f:0"})
    with pytest.raises(error, match=says):
        read(tmp_path)


def test_a_loop_that_is_its_own_body(tmp_path):
    attributes = {name: {"func": {"name": "f"}} for name in ("cond", "body")}
    again = node("again", "While", ["a"], T={"list": {"type": [FLOAT]}}, **attributes)
    functions = [function("f", ["a"], [again], {"b": "again:output:0"})]
    write(tmp_path, [PLACEHOLDER, call("f", "f", ["x"])], functions, {"y": "f:0"})
    with pytest.raises(UnsupportedError, match="'f' calls itself"):
        read(tmp_path)


def chain(length, calls):
    """Functions f0 ... that each call the next several times."""
    result = []
    for index in range(length):
        sources = ["a", *(f"c{k}:output:0" for k in range(calls - 1))]
        nodes = [call(f"c{k}", f"f{index + 1}", [source]) for k, source in enumerate(sources)]
        result.append(function(f"f{index}", ["a"], nodes, {"b": f"c{calls - 1}:output:0"}))
    return [*result, function(f"f{length}", ["a"], [], {"b": "a"})]


def test_calls_inside_each_other_are_bounded(tmp_path):
    start = [PLACEHOLDER, call("f", "f0", ["x"])]
    flat = read(write(tmp_path, start, chain(DEEPEST - 1, 1), {"y": "f:0"}))
    assert [item.name for item in flat.nodes] == ["x"] and flat.outputs[0].tensor == "x:0"
    write(tmp_path, start, chain(DEEPEST, 1), {"y": "f:0"})
    with pytest.raises(UnsupportedError, match="calls inside each other"):
        read(tmp_path)


def test_calls_that_multiply_are_bounded(tmp_path):
    write(tmp_path, [PLACEHOLDER, call("f", "f0", ["x"])], chain(40, 2), {"y": "f:0"})
    begin = time.perf_counter()
    with pytest.raises(GraphError, match="call each other too often"):
        read(tmp_path)
    assert time.perf_counter() - begin < 60


def test_long_chains_are_no_recursion(tmp_path):
    nodes = [PLACEHOLDER, *(node(f"i{k}", "Identity", [f"i{k - 1}" if k else "x"]) for k in range(20_000))]
    nodes += [relu(f"r{k}", f"r{k - 1}" if k else "i19999") for k in range(20_000)]
    begin = time.perf_counter()
    flat = read(write(tmp_path, nodes, outputs={"y": "r19999:0"}))
    assert len(flat.nodes) == 20_001 and time.perf_counter() - begin < 30


@pytest.mark.parametrize("path", ["nothing", "nothing.pb"])
def test_a_path_without_a_model(tmp_path, path):
    with pytest.raises(InputError, match="expected a SavedModel"):
        read(tmp_path / path)
    with pytest.raises(InputError, match=r"expected a SavedModel directory, which holds 'saved_model.pb'"):
        read(tmp_path)


def test_a_model_for_training_only(tmp_path):
    model = {"meta_graphs": [{"meta_info_def": {"tags": ["train"]}}]}
    (tmp_path / "saved_model.pb").write_bytes(encode("SavedModel", model))
    with pytest.raises(UnsupportedError, match=r"\[\['train'\]\], expected one with 'serve'"):
        read(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(FormatError, match="holds no graph"):
        read(tmp_path)


def test_the_model_of_the_lesson_is_as_it_says(shared):
    lesson = ptq.saved_model.__doc__
    directory = shared / "saved_models" / "tfjs_small" / "times_three_float"
    content = (directory / "saved_model.pb").read_bytes()
    assert content[:5].hex(" ") == "08 01 12 a3 46" and len(content) - 5 == 8995
    for name, op in [("serving_default_x", "Placeholder"), ("Variable", "VarHandleOp")]:
        assert f"{name:25} {op}" in lesson
    flat = read(directory)
    assert all(f"  {item.name}  {item.op}" in lesson for item in flat.nodes) and len(flat.nodes) == 3
    keys = open_bundle(directory / "variables" / "variables").keys()
    assert [key for key in keys if f'"{key}"' in lesson] == ["v/.ATTRIBUTES/VARIABLE_VALUE"]
