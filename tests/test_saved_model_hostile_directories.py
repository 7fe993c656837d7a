"""Whole directories, damaged in every file and at every depth, given to the converter: errors of ptq alone.

Checksums stop most damage early. So half of it is done before they are computed: to the fields of messages,
to the entries of the index, to the values, as somebody would who wants to do harm.
"""

import random
import shutil
import time
import tracemalloc

import pytest
import tables
from saved_models import FLOAT, PLACEHOLDER, call, encode, function, node, strings, write
from test_saved_model_hostile import mutated

import ptq
from ptq.errors import PtqError
from ptq.saved_model import wire
from ptq.saved_model.crc32c import crc32c, masked
from ptq.saved_model.messages import TABLES
from ptq.saved_model.slices import slice_key
from ptq.saved_model.table import read_table

MUTATIONS = 130
"""For each model and each kind of damage."""

LONGEST, MOST_BYTES = 10.0, 64e6
"""Seconds and bytes that one damaged directory may take; whole, these take less than a hundredth of both."""

NUMBERS = [-(2**63), -(2**31), -1, 0, 1, 2, 7, 20, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1]


def small(directory):
    """y = relu(w x) + b in two functions, of vectors of two; w in one file and b, in parts, in the other."""
    inner = function("inner", ["a", "c"], [node("p", "Mul", ["a", "c"])], {"d": "p:z:0"})
    nodes = [
        node("read", "ReadVariableOp", ["w"], dtype={"type": FLOAT}),
        call("f", "inner", ["a", "read:value:0"]), node("r", "Relu", ["f:output:0"]),
        node("bias", "ReadVariableOp", ["b"], dtype={"type": FLOAT}),
        node("s", "AddV2", ["r:activations:0", "bias:value:0"], T={"type": FLOAT}),
    ]  # fmt: skip
    outer = function("outer", ["a", "w", "b"], nodes, {"d": "s:z:0"})
    kind = {"dtype": {"type": FLOAT}, "shape": {"shape": {"dim": [{"size": 2}]}}}
    nodes = [
        PLACEHOLDER, node("w", "VarHandleOp", **kind), node("b", "VarHandleOp", **kind),
        call("g", "outer", ["x", "w", "b"]), node("p", "Placeholder"),
        node("n", "Const", value=strings(b"w", b"b")), node("k", "Const", value=strings(b"", b"")),
        node("q", "RestoreV2", ["p", "n", "k"]), node("aw", "AssignVariableOp", ["w", "q"]),
        node("ab", "AssignVariableOp", ["b", "q:1"]), node("all", "NoOp", ["^aw", "^ab"]),
    ]  # fmt: skip
    write(directory, nodes, [inner, outer], {"y": "g:0"}, restore="all")
    parts = [((0, 1),), ((1, 1),)]
    entries = {
        b"w": tables.tensor(FLOAT, (2,), b"wwwwwwww"),
        b"b": tables.entry(FLOAT, (2,), 0, slices=parts),
        slice_key("b", parts[0]): tables.tensor(FLOAT, (1,), b"bbbb", shard=1),
        slice_key("b", parts[1]): tables.tensor(FLOAT, (1,), b"cccc", shard=1, offset=4),
    }
    (directory / "variables").mkdir()
    tables.write_bundle(directory / "variables" / "variables", entries, [b"wwwwwwww", b"bbbbcccc"])
    return directory


def leaves(message):
    """Every place in a message that holds no message: the dict or list it is in, and its key or index."""
    for place, value in list(message.items() if isinstance(message, dict) else enumerate(message)):
        if isinstance(value, (dict, list)):
            yield from leaves(value)
            yield (message, place) if isinstance(value, list) and value else None
        else:
            yield message, place


def alter(draw, message):
    """One to three fields of a message changed: absurd numbers, names of others, lists cut or doubled."""
    for _ in range(draw.choice([1, 1, 2, 3])):
        places = [place for place in leaves(message) if place]
        names = [holder[key] for holder, key in places if isinstance(holder[key], str)]
        holder, key = draw.choice(places)
        value = holder[key]
        if isinstance(value, str):
            holder[key] = draw.choice([*names, "", "^" + value, value + ":7", draw.choice(names) + ":0"])
        elif isinstance(value, list):
            holder[key] = draw.choice([[], value[1:], value[::-1], value * 2, value[:-1] + value[:1]])
        elif isinstance(value, (bytes, memoryview)):
            holder[key] = mutated(bytes(value), draw) if value else b"\xff"
        elif isinstance(value, float):
            holder[key] = draw.choice([0.0, -1.0, 3e38, float("inf"), float("nan")])
        else:
            holder[key] = draw.choice([*NUMBERS, value + 1, value ^ 8])


def altered_graph(content, draw):
    """saved_model.pb with fields of its messages changed, those of the functions' bodies too."""
    model = wire.decode(TABLES, "SavedModel", content)
    library = model["meta_graphs"][0]["graph_def"]["library"]
    bodies = [wire.decode(TABLES, "FunctionDef", raw) for raw in library["function"]]
    alter(draw, draw.choice([*bodies, model]))
    library["function"] = [encode("FunctionDef", body) for body in bodies]
    return encode("SavedModel", model)


class Directory:
    """The files of a SavedModel, to be written anew with damage."""

    def __init__(self, path):
        self.path = path
        self.variables = path / "variables" / "variables"
        self.shards = sorted(path.glob("variables/*.data-*"))
        self.model = (path / "saved_model.pb").read_bytes()
        self.index = self.variables.with_suffix(".index").read_bytes()
        self.data = [shard.read_bytes() for shard in self.shards]
        self.entries = [(key, bytes(value)) for key, value in read_table(self.index)]

    def write(self, model=None, index=None, data=None):
        files = {
            self.path / "saved_model.pb": model or self.model,
            self.variables.with_suffix(".index"): index or self.index,
            **dict(zip(self.shards, data or self.data, strict=True)),
        }
        for path, content in files.items():
            path.unlink(missing_ok=True)  # the old one may still be mapped
            path.write_bytes(content)

    def with_checksums(self, entries, data):
        """The entries with the checksums of the bytes that they claim, as far as there are such."""
        result = []
        for key, value in entries:
            if not key:  # the header
                result.append((key, value))
                continue
            entry = wire.decode(TABLES, "BundleEntryProto", value)
            shard, offset, size = entry["shard_id"], entry["offset"], entry["size"]
            if 0 <= shard < len(data) and 0 <= offset <= offset + size <= len(data[shard]):
                entry["crc32c"] = masked(crc32c(data[shard][offset : offset + size]))
                value = encode("BundleEntryProto", entry)
            result.append((key, value))
        return result


def bytes_of_the_graph(directory, draw):
    directory.write(model=mutated(directory.model, draw))


def fields_of_the_graph(directory, draw):
    directory.write(model=altered_graph(directory.model, draw))


def bytes_of_the_index(directory, draw):
    directory.write(index=mutated(directory.index, draw))


def blocks_of_the_index(directory, draw):
    """With the block's checksum computed afterwards, and sometimes compressed."""
    block = mutated(tables.block(directory.entries), draw)
    directory.write(index=tables.table([block], compress=draw.random() < 0.5))


def compressed_bytes_of_the_index(directory, draw):
    """Damage to a Snappy block, before its checksum."""
    whole = tables.table([directory.entries], compress=True)
    content = mutated(tables.snappy(tables.block(directory.entries)), draw)
    first = tables.sealed(content, kind=1)
    index = tables.block([(b"\xff", tables.varint(0) + tables.varint(len(content)))], interval=1)
    footer = tables.varint(len(first)) + tables.varint(len(tables.block([])))
    meta = tables.sealed(tables.block([]))
    footer += tables.varint(len(first) + len(meta)) + tables.varint(len(index))
    directory.write(index=first + meta + tables.sealed(index) + footer.ljust(40, b"\0") + whole[-8:])


def fields_of_the_index(directory, draw):
    """Absurd shapes, places and types, with all checksums as they should be."""
    number = draw.randrange(len(directory.entries))
    entries = list(directory.entries)
    key, value = entries[number]
    kind = "BundleEntryProto" if key else "BundleHeaderProto"
    entry = wire.decode(TABLES, kind, value)
    alter(draw, entry)
    entries[number] = key, encode(kind, entry)
    directory.write(index=tables.table([directory.with_checksums(entries, directory.data)]))


def bytes_of_the_data(directory, draw):
    """With the checksums of what is there afterwards, or with those of before."""
    number = draw.randrange(len(directory.data))
    data = list(directory.data)
    data[number] = mutated(data[number], draw)
    entries = directory.with_checksums(directory.entries, data)
    directory.write(data=data, index=tables.table([entries]) if draw.random() < 0.7 else None)


def whole_files(directory, draw):
    """A file missing, empty, a folder, or another one of them."""
    directory.write()
    paths = [directory.path / "saved_model.pb", directory.variables.with_suffix(".index"), *directory.shards]
    path, other = draw.sample(paths, 2)
    content = draw.choice([None, b"", other.read_bytes()])
    path.unlink()
    if content is not None:
        path.write_bytes(content)


DAMAGE = [
    bytes_of_the_graph, fields_of_the_graph, bytes_of_the_index, blocks_of_the_index,
    compressed_bytes_of_the_index, fields_of_the_index, bytes_of_the_data, whole_files,
]  # fmt: skip


def check(path, make, seed):
    """Damage a directory many times; how often it was converted all the same, and how often not."""
    directory, draw = Directory(path), random.Random(seed)
    outcomes = {True: 0, False: 0}
    for number in range(MUTATIONS):
        make(directory, draw)
        begin = time.perf_counter()
        tracemalloc.start()
        try:
            converter = ptq.Converter.from_saved_model(path)
            converter.post_training_quantize = True
            converter.convert()
            outcomes[True] += 1
        except PtqError:
            outcomes[False] += 1
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert time.perf_counter() - begin < LONGEST, f"mutation {number} of seed {seed}"
        assert peak < MOST_BYTES, f"mutation {number} of seed {seed}"
    return outcomes


@pytest.mark.parametrize("make", DAMAGE)
def test_a_small_model(tmp_path, make):
    path = small(tmp_path / "model")
    ptq.Converter.from_saved_model(path).convert()
    outcomes = check(path, make, seed=make.__name__)
    assert outcomes[False] > MUTATIONS // 10 and sum(outcomes.values()) == MUTATIONS


@pytest.mark.parametrize("make", [fields_of_the_graph, fields_of_the_index])
@pytest.mark.parametrize("name", ["int64_multiply", "module_with_multiple_signatures"])
def test_models_of_others(tmp_path, shared, name, make):
    path = tmp_path / "model"
    origin = shared / "saved_models" / "tfjs_small" / name
    shutil.copytree(origin, path, copy_function=shutil.copyfile)
    for folder in (path, path / "variables"):
        folder.chmod(0o755)
    outcomes = check(path, make, seed=f"{name} {make.__name__}")
    assert outcomes[False] and sum(outcomes.values()) == MUTATIONS
