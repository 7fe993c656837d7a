"""Damaged and hostile SavedModels: an error of ptq or a graph, never anything else, in bounded time."""

import random
import shutil
import time

import pytest
from saved_models import PLACEHOLDER, call, function, node, strings, write

from ptq.errors import PtqError
from ptq.saved_model import read, signature_keys

MUTATIONS = 700
"""For each model; two models are always there, the reference models beside a checkout are more."""

LONGEST = 20.0
"""Seconds that one damaged file may take; undamaged, these take less than a tenth of one."""


def calls(directory):
    """Functions inside functions, a loop, a choice, constants of several kinds."""
    types = {"list": {"type": [1, 1]}}
    loop = {name: {"func": {"name": name}} for name in ("cond", "body")}
    branch = {name: {"func": {"name": name}} for name in ("then_branch", "else_branch")}
    functions = [
        function("inner", ["a"], [node("r", "Relu", ["a"])], {"b": "r:activations:0"}),
        function("outer", ["a"], [call("c", "inner", ["a"])], {"b": "c:output:0"}, ["c"]),
        function("cond", ["a", "b"], [node("l", "Less", ["a", "b"])], {"c": "l:z:0"}),
        function("body", ["a", "b"], [node("m", "Mul", ["a", "b"])], {"c": "m:z:0", "d": "b"}),
        function("then_branch", ["a"], [call("c", "outer", ["a"])], {"b": "c:output:0"}),
        function("else_branch", ["a"], [], {"b": "a"}),
    ]
    shape = {"dim": [{"size": 2}]}
    two = {"tensor": {"dtype": 1, "tensor_shape": shape, "tensor_content": bytes(8)}}
    nodes = [
        PLACEHOLDER, node("k", "Const", value=two, dtype={"type": 1}), call("f", "outer", ["x"]),
        node("s", "Const", value={"tensor": {"dtype": 3, "tensor_shape": shape, "int_val": [1]}}),
        node("w", "While", ["f", "k"], T=types, **loop),
        node("i", "If", ["s", "w:1"], Tin={"list": {"type": [1]}}, **branch),
    ]  # fmt: skip
    return write(directory, nodes, functions, {"y": "i:0", "z": "w:0"})


def variables(directory):
    """A variable that is restored from a bundle that is not there."""
    nodes = [
        PLACEHOLDER, node("w", "VarHandleOp"), node("r", "ReadVariableOp", ["w"]),
        node("y", "Mul", ["x", "r"]), node("p", "Placeholder"), node("n", "Const", value=strings(b"key")),
        node("s", "Const", value=strings(b"")), node("q", "RestoreV2", ["p", "n", "s"]),
        node("a", "AssignVariableOp", ["w", "q"]), node("all", "NoOp", ["^a"]),
    ]  # fmt: skip
    return write(directory, nodes, outputs={"y": "y:0"}, restore="all")


def mutated(content, draw):
    """One to three places changed: bits flipped, bytes set, cut off, removed, doubled, moved."""
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 3])):
        size = len(content)
        start = draw.randrange(size)
        part = content[start : start + draw.randrange(1, 64)]
        kind = draw.randrange(6)
        if kind == 0:
            content[start] ^= 1 << draw.randrange(8)
        elif kind == 1:
            content[start] = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2 and start > 8:
            del content[start:]
        elif kind == 3 and len(part) < size - 8:
            del content[start : start + len(part)]
        elif kind == 4:
            content[start:start] = part
        else:
            place = draw.randrange(size)
            content[place : place + len(part)] = part
    return bytes(content)


def check_mutations(directory, count, seed):
    """Every damaged copy of `saved_model.pb` gives a graph or an error of ptq; how often each."""
    path = directory / "saved_model.pb"
    content, draw = path.read_bytes(), random.Random(seed)
    keys = signature_keys(directory)
    graphs = errors = 0
    for number in range(count):
        path.write_bytes(mutated(content, draw))
        begin = time.perf_counter()
        try:
            read(directory, draw.choice(keys))
            graphs += 1
        except PtqError:
            errors += 1
        assert time.perf_counter() - begin < LONGEST, f"mutation {number} of seed {seed}"
    return graphs, errors


@pytest.mark.parametrize("make", [calls, variables])
def test_damaged_by_chance(tmp_path, make):
    directory = make(tmp_path / "model")
    graphs, errors = check_mutations(directory, MUTATIONS, seed=make.__name__)
    assert graphs + errors == MUTATIONS and errors > MUTATIONS // 3
    assert graphs > 0 or make is variables  # whose bundle is missing


@pytest.mark.parametrize(
    "name", ["int64_multiply", "module_with_multiple_signatures", "times_three_float", "model_multi_output"]
)
def test_models_of_others_damaged_by_chance(tmp_path, shared, name):
    directory = tmp_path / "model"
    shutil.copytree(shared / "saved_models" / "tfjs_small" / name, directory, copy_function=shutil.copyfile)
    directory.chmod(0o755)
    graphs, errors = check_mutations(directory, 150, seed=name)
    assert graphs and errors


def many_calls(width, nodes, returns):
    """Calls of one function, one after another."""
    body = function("f", ["a"], nodes, returns)
    calls = [call(f"c{k}", "f", [f"c{k - 1}" if k else "x"]) for k in range(width)]
    return [PLACEHOLDER, *calls], [body], {"y": f"c{width - 1}:0"}


def long_list(directory):
    """A list of 100,000 numbers in a function that is called 5,000 times."""
    listed = {"list": {"i": [1] * 100_000}}
    nodes, functions, ends = many_calls(5000, [node("r", "Relu", ["a"], k=listed)], {"b": "r:activations:0"})
    return write(directory, nodes, functions, ends)


def unneeded_nodes(directory):
    """A function of 10,000 nodes that nobody needs, called 5,000 times."""
    unneeded = [node(f"n{k}", "Relu", ["a"]) for k in range(10_000)]
    return write(directory, *many_calls(5000, unneeded, {"b": "a"}))


def many_results(directory):
    """A function of 5,000 results, called 5,000 times."""
    returns = {f"b{k}": "a" for k in range(5000)}
    return write(directory, *many_calls(5000, [], returns))


def results_by_name(directory):
    """20,000 results of a function, each asked for by its name."""
    names = [f"b{k}" for k in range(20_000)]
    nodes = [node("g", "g", ["a"]), *(node(f"r{k}", "Relu", [f"g:{name}:0"]) for k, name in enumerate(names))]
    functions = [function("g", ["a"], [], {name: "a" for name in names})]
    functions.append(function("f", ["a"], nodes, {"b": "r7:activations:0"}))
    return write(directory, [PLACEHOLDER, call("c", "f", ["x"])], functions, {"y": "c:0"})


def long_name(directory):
    """A name of 200,000 letters, which 5,000 calls put in front of others."""
    name = "n" * 200_000
    body = [node(name, "Relu", ["a"]), node("s", "Relu", [f"{name}:activations:0"])]
    return write(directory, *many_calls(5000, body, {"b": "s:activations:0"}))


def loops_inside_loops(directory):
    """Each loop's body and its condition have a loop of their own, sixty deep."""

    def loops(index):
        functions = {name: {"func": {"name": f"f{index}"}} for name in ("cond", "body")}
        return node("w", "While", ["a"], T={"list": {"type": [1]}}, **functions)

    chain = [function(f"f{k}", ["a"], [loops(k + 1)], {"b": "w:output:0"}) for k in range(60)]
    chain.append(function("f60", ["a"], [], {"b": "a"}))
    return write(directory, [PLACEHOLDER, loops(0) | {"input": ["x"]}], chain, {"y": "w:0"})


@pytest.mark.parametrize(
    "make", [long_list, unneeded_nodes, many_results, results_by_name, long_name, loops_inside_loops]
)
def test_files_made_to_take_long(tmp_path, make):
    directory = make(tmp_path / "model")
    begin = time.perf_counter()
    try:
        read(directory)
    except PtqError as error:
        assert "often" in str(error) or "inside each other" in str(error)
    assert time.perf_counter() - begin < LONGEST


def test_every_cut(tmp_path):
    directory = calls(tmp_path / "model")
    path = directory / "saved_model.pb"
    content = path.read_bytes()
    read(directory)
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(PtqError):
            read(directory)
