"""Damaged and hostile files: only ptq's errors come out, in bounded time and memory; what loads can be saved.

The mutations are seeded, so that a failure can be repeated: each test names the seeds it covers.
"""

import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
from graphs import dense_graph, everything_graph

from ptq.errors import FormatError, InputError, PtqError
from ptq.format import dumps, flatbuffer, load, save, schema
from ptq.graph import Graph, Operator, Tensor

SECONDS = 2.0
"""More than any of these small files may take, on a slow and busy machine."""

CASES = 600
"""Mutations of each kind; there are six kinds."""


def deep_graph():
    """Thirty layers in a chain, with names and quantization, but small weights."""
    graph = Graph([Tensor("t0", (1, 8))], inputs=[0])
    for i in range(30):
        graph.add_tensor(Tensor(f"w{i}", (8, 8), "FLOAT32", np.full((8, 8), i, np.float32)))
        graph.add_tensor(Tensor(f"t{i + 1}", (1, 8)))
        graph.operators.append(
            Operator("FULLY_CONNECTED", [2 * i, 2 * i + 1, -1], [2 * i + 2], {"keep_num_dims": True})
        )
    graph.outputs = [60]
    return graph


FILES = [dumps(graph) for graph in (dense_graph("INT8"), everything_graph(), deep_graph())]

INTERESTING = [0, 1, 2, 4, 16, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1]


def flip_bits(content, rng):
    for _ in range(rng.integers(1, 6)):
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)


def truncate(content, rng):
    del content[rng.integers(len(content)) :]


def huge_value(content, rng):
    position = 4 * int(rng.integers(len(content) // 4 - 1))
    struct.pack_into("<I", content, position, INTERESTING[rng.integers(len(INTERESTING))])


def cyclic_offset(content, rng):
    """Lets a reference lead to some other object, by preference a table that is used elsewhere."""
    position = 4 * int(rng.integers(len(content) // 4 - 1))
    target = 4 * int(rng.integers(len(content) // 4))
    struct.pack_into("<I", content, position, (target - position) % 2**32)


def splice(content, rng):
    start, to = rng.integers(len(content), size=2).tolist()
    piece = content[start : start + int(rng.integers(1, 40))]
    content[to : to + len(piece)] = piece


def shuffle_words(content, rng):
    start = 4 * int(rng.integers(2, len(content) // 4 - 8))
    words = np.frombuffer(bytes(content[start : start + 32]), np.uint32)
    content[start : start + 32] = rng.permutation(words).tobytes()


@pytest.mark.parametrize("mutate", [flip_bits, truncate, huge_value, cyclic_offset, splice, shuffle_words])
def test_mutated_files_give_a_graph_that_can_be_saved_or_an_error(mutate):
    outcomes = {"loaded": 0, "refused": 0}
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        content = bytearray(FILES[seed % len(FILES)])
        mutate(content, rng)
        outcomes[check(bytes(content), f"{mutate.__name__}, seed {seed}")] += 1
    # neither may be rare: a mutation that is always refused never reaches the deeper checks
    assert outcomes["refused"] > CASES // 20
    assert mutate is truncate or outcomes["loaded"] > CASES // 20


def check(content, case):
    """Load `content` and save what came out; assert that time and errors are as promised."""
    start = time.perf_counter()
    try:
        graph = load(content)
    except PtqError as error:
        assert str(error), case
        return "refused"
    finally:
        assert time.perf_counter() - start < SECONDS, case
    again = dumps(graph)
    assert dumps(load(again)) == again, case
    assert time.perf_counter() - start < 3 * SECONDS, case
    return "loaded"


@pytest.mark.parametrize("content", FILES, ids=["dense", "everything", "deep"])
def test_every_truncation_is_refused(content):
    step = max(1, len(content) // 500)
    for size in [*range(0, len(content), step), len(content) - 1]:
        with pytest.raises(PtqError):
            load(content[:size])


def test_each_word_replaced_by_each_extreme_value():
    """Exhaustive where it is small: every aligned word of the smallest file."""
    content = FILES[0]
    refused = 0
    for position in range(0, len(content) - 3, 4):
        for value in (0, 2**31 - 1, 2**32 - 1):
            patched = content[:position] + struct.pack("<I", value) + content[position + 4 :]
            refused += check(patched, f"{value} at {position}") == "refused"
    assert refused > len(content) // 4


def peak_memory(content):
    """The most memory that loading and, if possible, saving takes, in bytes."""
    tracemalloc.start()
    try:
        dumps(load(content))
    except PtqError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def sharing_file(levels):
    """A model in which vectors name the same object again and again: `levels` are the counts, tensors first.

    Written from the end of the file, by the format's description alone: each object stands before its parts.
    """
    parts, tail = [], 0

    def prepend(raw):
        nonlocal tail
        parts.insert(0, raw)
        tail += len(raw)
        return tail  # counted from the end of the file

    def table(slot, child):
        """A table with one reference, in slot `slot`, and its vtable before it."""
        body = prepend(struct.pack("<iI", 4 + 2 * (slot + 1) + (-2 * (slot + 1)) % 4, tail + 4 - child))
        offsets = struct.pack(f"<{slot + 1}H", *[0] * slot, 4)
        prepend(struct.pack("<HH", 4 + 2 * (slot + 1), 8) + offsets + bytes(-len(offsets) % 4))
        return body

    def vector(count, child):
        offsets = [(tail + 4 * (count - i)) - child for i in range(count)]
        return prepend(struct.pack(f"<{count + 1}I", count, *offsets))

    tensors, subgraphs = levels
    tensor = prepend(struct.pack("<HHi", 4, 4, 4)) - 4
    subgraph = table(0, vector(tensors, tensor))
    model_slots = struct.pack("<HHHHHH", 10, 12, 4, 0, 8, 0)
    references = vector(subgraphs, subgraph)
    prepend(struct.pack("<iII", len(model_slots), 3, tail + 4 - references))
    prepend(model_slots)
    return struct.pack("<I4s", 8 + len(model_slots), b"TFL3") + b"".join(parts)


def test_a_file_that_shares_some_parts_is_read():
    graph = load(sharing_file((3, 2)))
    assert [len(g.tensors) for g in (graph, *graph.subgraphs)] == [3, 3]
    assert dumps(load(dumps(graph))) == dumps(graph)


@pytest.mark.parametrize("levels", [(1000, 1000), (100, 100_000), (100_000, 100), (50_000, 50_000)])
def test_a_file_that_multiplies_itself_by_sharing_is_refused_early(levels):
    content = sharing_file(levels)
    start = time.perf_counter()
    with pytest.raises(FormatError, match="share"):
        load(content)
    assert time.perf_counter() - start < 3 * SECONDS


def test_memory_stays_within_a_multiple_of_the_file():
    """At worst each reference of 4 bytes becomes a tensor, about 1 kB of Python: 240 times the file."""
    load(FILES[0])
    for levels in [(20_000, 1), (1, 20_000), (1000, 1000)]:
        content = sharing_file(levels)
        assert peak_memory(content) < 1_000_000 + 300 * len(content), levels
    for seed in range(150):
        rng = np.random.default_rng(seed)
        content = bytearray(FILES[seed % len(FILES)])
        [huge_value, cyclic_offset, splice][seed % 3](content, rng)
        assert peak_memory(bytes(content)) < 2_000_000, seed


@pytest.mark.parametrize("count", [2**28, 2**31 - 1, 2**32 - 1])
def test_declared_counts_are_checked_before_anything_is_allocated(count):
    for position in range(8, len(FILES[0]) - 3, 4):
        patched = FILES[0][:position] + struct.pack("<I", count) + FILES[0][position + 4 :]
        check(patched, f"{count} at {position}")
    worst = max(
        peak_memory(FILES[0][:position] + struct.pack("<I", count) + FILES[0][position + 4 :])
        for position in range(8, len(FILES[0]) - 3, 4)
    )
    assert worst < 1_000_000


def test_one_buffer_behind_many_names_is_neither_copied_nor_hashed_often():
    """20,000 metadata entries and tensors that all name the same megabyte."""
    data = np.zeros(1_000_000, np.uint8)
    tensors = [{"shape": np.array([1_000_000], np.int32), "type": "UINT8", "buffer": 1}] * 10_000
    metadata = [{"name": "m", "buffer": 1}] * 10_000
    model = {
        "version": 3,
        "buffers": [{}, {"data": data}],
        "subgraphs": [{"tensors": tensors}],
        "metadata": metadata,
    }
    content = b"".join(flatbuffer.serialize(schema.encode("Model", model), b"TFL3"))
    assert peak_memory(content) < 60_000_000
    size = len(dumps(load(content)))
    assert size < len(content) + 500_000


def test_random_bytes_are_refused():
    for seed in range(500):
        rng = np.random.default_rng(seed)
        content = bytearray(rng.integers(0, 256, rng.integers(0, 300), np.uint8).tobytes())
        if seed % 2:
            content[4:8] = b"TFL3"
            content[0:4] = struct.pack("<I", rng.integers(0, 64))
        with pytest.raises(PtqError):
            load(bytes(content))


def test_a_device_is_not_replaced_and_a_link_stays_a_link(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="device or a pipe"):
        save(dense_graph("INT8"), pipe)
    assert pipe.is_fifo()
    (tmp_path / "real.tflite").write_bytes(b"old")
    link = tmp_path / "link.tflite"
    link.symlink_to("real.tflite")
    save(dense_graph("INT8"), link)
    assert link.is_symlink()
    assert load(tmp_path / "real.tflite") == load(link)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.tflite", "pipe", "real.tflite"]
