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
        node("w", "While", ["f", "k"], T=types, cond={"func": {"name": "cond"}}, body={"func": {"name": "body"}}),
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


def test_every_cut(tmp_path):
    directory = calls(tmp_path / "model")
    path = directory / "saved_model.pb"
    content = path.read_bytes()
    read(directory)
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(PtqError):
            read(directory)
