"""Bundles that TensorFlow wrote, against its own reader of them; bundles by hand; and bundles that lie."""

import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import tables

from ptq.errors import FormatError, InputError, PtqError, UnsupportedError
from ptq.saved_model.bundle import open_bundle
from ptq.saved_model.crc32c import crc32c, masked
from ptq.saved_model.slices import slice_key

FLOAT, INT32, STRING, BFLOAT16, VARIANT = 1, 3, 7, 14, 21
ROWS = np.arange(6, dtype="<f4").reshape(3, 2)


@pytest.fixture
def prefix(tmp_path):
    return tmp_path / "variables"


def raw(array, **where):
    return tables.tensor(FLOAT, array.shape, array.tobytes(), **where)


def same(ours, theirs):
    """Equal in type, shape and every bit; bfloat16 as the float32 that it is."""
    theirs = np.asarray(theirs)
    if theirs.dtype.name == "bfloat16":
        theirs = theirs.astype(np.float32)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and not ours.flags.writeable
    assert ours.tobytes() == theirs.tobytes() if ours.dtype != object else (ours == theirs).all()


def compare(path):
    """Every variable of a bundle, against tf.train.load_checkpoint; their number."""
    tensorflow = pytest.importorskip("tensorflow")
    theirs, ours = tensorflow.train.load_checkpoint(str(path)), open_bundle(path)
    assert set(ours.keys()) == set(theirs.get_variable_to_shape_map())
    for name in ours.keys():
        found = theirs.get_tensor(name)
        same(ours.read(name), np.array(found, object) if isinstance(found, bytes) else found)
    return len(ours.keys())


@pytest.mark.peers
def test_the_variables_of_real_models(shared):
    found = sorted((shared / "saved_models").rglob("*.index"))
    assert len(found) == 8
    assert sum(compare(path.with_suffix("")) for path in found) > 150


@pytest.mark.peers
def test_every_type_and_shape(prefix):
    tensorflow = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    tensors = {}
    for name in (
        "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64 "
        "complex128"
    ).split():
        for shape in ((), (0,), (3, 0, 2), (5,), (2, 3, 4)):
            values = rng.integers(0, 100, shape) - (0 if name[0] in "ub" else 50)
            tensors[f"{name}{list(shape)}"] = tensorflow.cast(values, name)
    tensors["text"] = tensorflow.constant([[b"", b"a\0b"], ["\u00e9".encode(), b"x" * 300]])
    tensors["no text"] = tensorflow.constant([], tensorflow.string)
    tensors["\u00e9"] = tensorflow.constant(1)
    tensors["one text"] = tensorflow.constant(b"z" * 70_000)
    tensorflow.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=list(tensors), shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )  # fmt: skip
    assert compare(prefix) == len(tensors) == 79


@pytest.mark.peers
def test_quantized_types_are_their_integers(prefix):
    tensorflow = pytest.importorskip("tensorflow")
    for name in ("qint8", "quint8", "qint16", "quint16", "qint32"):
        values = np.array([1, 2, 100], name[1:])
        tensor = tensorflow.bitcast(values, name)
        tensorflow.raw_ops.SaveV2(
            prefix=str(prefix), tensor_names=["v"], shape_and_slices=[""], tensors=[tensor]
        )
        same(open_bundle(prefix).read("v"), values)


@pytest.mark.peers
def test_several_files_merged_with_a_variable_in_parts_of_both(prefix, tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    whole = np.random.default_rng(1).normal(size=(300, 4, 5)).astype(np.float32)
    spans = {0: [("0,100:-:0,2", np.s_[:100, :, :2]), ("0,100:-:2,3", np.s_[:100, :, 2:])],
             1: [("100,200:-:-", np.s_[100:])]}  # fmt: skip
    for shard, parts in spans.items():
        tensorflow.raw_ops.SaveV2(
            prefix=str(tmp_path / f"part{shard}"),
            tensor_names=["w"] * len(parts) + [f"other{shard}"],
            shape_and_slices=[f"300 4 5 {span}" for span, _ in parts] + [""],
            tensors=[whole[place] for _, place in parts] + [np.float64(shard)],
        )
    tensorflow.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(tmp_path / "part0"), str(tmp_path / "part1")], destination_prefix=str(prefix)
    )
    assert len(list(tmp_path.glob("variables.data-*-of-00002"))) == 2
    assert compare(prefix) == 3
    same(open_bundle(prefix).read("w"), whole)


@pytest.mark.peers
def test_a_partitioned_variable_of_tensorflow_1(prefix):
    tensorflow = pytest.importorskip("tensorflow")
    v1 = tensorflow.compat.v1
    with tensorflow.Graph().as_default(), v1.Session() as session:
        for name, shape, axis in (("long", (1000, 3), 0), ("wide", (2, 700, 3), 1), ("scope/short", (9,), 0)):
            v1.get_variable(name, shape, partitioner=v1.fixed_size_partitioner(7, axis), use_resource=False)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(prefix), write_meta_graph=False)
    assert compare(prefix) == 3


@pytest.mark.peers
def test_hundreds_of_names_that_begin_alike_take_several_blocks(prefix):
    tensorflow = pytest.importorskip("tensorflow")
    long = "model/encoder/" * 20
    names = [f"{long}layer_{i}/attention/{kind}" for i in range(3000) for kind in ("query", "key")]
    names += [f"{i}" * 3000 for i in range(1, 10)] + [f"{'a' * 9000}{i:050}" for i in range(100)]
    values = [np.full(1, i, np.int32) for i in range(len(names))]
    order = np.random.default_rng(0).permutation(len(names))
    tensorflow.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=[names[i] for i in order], shape_and_slices=[""] * len(names),
        tensors=[values[i] for i in order],
    )  # fmt: skip
    compare(prefix)
    assert open_bundle(prefix).keys() == tuple(sorted(names))
    size = Path(f"{prefix}.index").stat().st_size
    block_size = 262144  # tensorflow/core/lib/io/table_options.h
    assert 1.5 * block_size < size < sum(map(len, names)) / 3


def test_a_view_of_the_file_and_no_copy(prefix):
    content = b"\1" + ROWS.tobytes()
    path = tables.write_bundle(prefix, {b"w": raw(ROWS, offset=1)}, [content])
    value = open_bundle(path).read("w")
    same(value, ROWS)
    assert not value.flags.owndata and not value.flags.aligned  # at byte 1 of a file that is mapped
    owner = value
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert type(getattr(owner, "obj", owner)).__name__ == "mmap"


def by_hand(prefix, compress):
    entries = {f"layer{i:02d}/kernel".encode(): raw(ROWS[i % 3], offset=8 * i) for i in range(40)}
    return tables.write_bundle(prefix, entries, [ROWS.tobytes() * 14], compress=compress)


@pytest.mark.parametrize("compress", [False, True])
def test_a_bundle_by_hand_whose_index_may_be_compressed(prefix, compress):
    bundle = open_bundle(by_hand(prefix, compress))
    assert bundle.keys() == tuple(f"layer{i:02d}/kernel" for i in range(40))
    for i in range(40):
        same(bundle.read(f"layer{i:02d}/kernel"), ROWS[i % 3])


def other_byte_order(prefix):
    """As a machine writes it that stores the highest byte first: numbers, bfloat16 and strings."""
    swapped, bits = ROWS.astype(">f4").tobytes(), struct.pack(">2H", 0x3F80, 0xC000)
    lengths = struct.pack(">2I", 2, 1)
    checksum = struct.pack(">I", masked(crc32c(lengths)))
    text = b"\2\1" + checksum + b"abc"
    both = masked(crc32c(lengths + checksum + b"abc"))
    entries = {
        b"bits": tables.tensor(BFLOAT16, (2,), bits, offset=len(swapped + text)),
        b"rows": tables.tensor(FLOAT, (3, 2), swapped),
        b"text": tables.entry(STRING, (2,), len(text), offset=len(swapped), checksum=both),
    }
    head = tables.header(big_endian=True)
    return tables.write_bundle(prefix, entries, [swapped + text + bits], head)


def test_a_bundle_of_a_machine_with_the_other_byte_order(prefix):
    bundle = open_bundle(other_byte_order(prefix))
    same(bundle.read("rows"), ROWS)
    same(bundle.read("bits"), np.array([1, -2], np.float32))
    assert bundle.read("text").tolist() == [b"ab", b"c"]


@pytest.mark.peers
def test_tensorflow_reads_the_bundles_by_hand_as_we_do(prefix):
    """So the tests' writer is right in what TensorFlow itself does not write: it leaves out compression."""
    assert compare(by_hand(prefix, True)) == 40
    assert compare(other_byte_order(prefix)) == 3
    assert compare(tables.write_bundle(prefix, in_parts(), [ROWS.tobytes()])) == 1


PARTS = [((0, 2), (0, -1)), ((2, 1), (0, -1))]


def test_the_key_of_a_part_is_the_one_of_the_docstring():
    key = "00 77 00 01 01 02 85 85 80 7f"
    assert slice_key("w", ((5, 5), (0, -1))) == bytes.fromhex(key)
    numbers = [(63, 64), (8191, 8192), (2**55 - 1, 2**55), (2**62, 2**62)]
    coded = "bf c040 dfff e02000 ff7fffffffffffff ff8080000000000000" + 2 * "ffc04000000000000000"
    assert slice_key("", numbers) == bytes.fromhex("00 00 01 01 04" + coded)
    assert slice_key("\0", ()) == b"\0\0\xff\0\1\0"


def in_parts(parts=PARTS, listed=PARTS, shape=(3, 2), **changes):
    """Entries of the variable "w" in the parts whose extents `listed` names, and those parts."""
    entries = {b"w": tables.entry(FLOAT, shape, 0, slices=listed)}
    for part, rows in zip(parts, (ROWS[:2], ROWS[2:], ROWS[1:]), strict=False):
        offset = 0 if rows is ROWS[:2] or rows.tobytes() == ROWS[:2].tobytes() else 24 - rows.nbytes
        entries[slice_key("w", part)] = raw(rows, offset=offset)
    return {**entries, **changes}


def test_parts_are_put_together_and_are_no_variables(prefix):
    bundle = open_bundle(tables.write_bundle(prefix, in_parts(), [ROWS.tobytes()]))
    assert bundle.keys() == ("w",)
    same(bundle.read("w"), ROWS)


FIRST, SECOND = (slice_key("w", part) for part in PARTS)
WRONG_PARTS = {
    "a part is missing": (in_parts(PARTS[:1]), "not in"),
    "a gap": (in_parts(PARTS[:1], PARTS[:1]), "no gap and no overlap"),
    "one part twice": (in_parts(PARTS, [PARTS[0], PARTS[0], PARTS[1]], (5, 2)), "twice"),
    "overlap": (in_parts([((0, 2), (0, 2)), ((2, 1), (0, 2)), ((1, 2), (0, 2))],
                         [((0, 2), (0, 2)), ((1, 2), (0, 2))], (4, 2)), "no gap"),
    "outside": (in_parts(PARTS, PARTS, (2, 2)), "does not lie in"),
    "of another rank": (in_parts([((0, 3),)], [((0, 3),)]), "does not lie in"),
    "negative": (in_parts([((-1, 2), (0, -1))], [((-1, 2), (0, -1))]), "does not lie in"),
    "of another shape": ({**in_parts(), FIRST: raw(ROWS[:2].reshape(4, 1))}, "expected float32"),
    "of another type": ({**in_parts(), FIRST: tables.tensor(INT32, (2, 2), ROWS[:2].tobytes())}, "of type 3"),
    "in parts itself": ({**in_parts(), FIRST: tables.entry(FLOAT, (2, 2), 0, slices=PARTS)}, "has 2 parts"),
    "of strings": ({b"w": tables.entry(STRING, (3, 2), 0, slices=PARTS),
                    FIRST: tables.entry(STRING, (2, 2), 0)}, "numbers"),
    "bytes of another": (in_parts([((0, 2), (0, 2)), ((2, 1), (0, 2)), ((1, 2), (0, 2))],
                                  [((0, 2), (0, 2)), ((1, 2), (0, 2))], (4, 2)), "shares bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PARTS)
def test_parts_that_do_not_fit_are_refused(prefix, name):
    entries, message = WRONG_PARTS[name]
    content = ROWS.tobytes() + bytes(200 if "gap" in message else 0)
    with pytest.raises(FormatError, match=message):
        open_bundle(tables.write_bundle(prefix, entries, [content])).read("w")


def strings(content, count, lengths):
    """An entry of strings whose second checksum is right."""
    place = len(content) - 4 - sum(lengths)
    fixed = b"".join(struct.pack("<I", length) for length in lengths)
    return tables.entry(STRING, (count,), len(content), checksum=masked(crc32c(fixed + content[place:])))


LENGTHS = struct.pack("<I", masked(crc32c(struct.pack("<2I", 1, 2))))
LIES = {
    "size": (tables.entry(FLOAT, (3, 2), 23), "23 bytes, expected 24"),
    "shape": (tables.tensor(FLOAT, (3, 3), ROWS.tobytes()), "24 bytes, expected 36"),
    "negative shape": (tables.entry(FLOAT, (-1, 2), 8), "has the shape"),
    "immense shape": (tables.entry(FLOAT, (2**40, 2**40), 24), "has the shape"),
    "immense shape without elements": (tables.entry(FLOAT, (0, 2**40, 2**40), 0), "has the shape"),
    "rank": (tables.entry(FLOAT, (1,) * 33, 4), "has the shape"),
    "unknown rank": (tables.field(1, FLOAT) + tables.field(2, tables.field(3, 1)), "has the shape"),
    "type": (tables.entry(77, (3, 2), 24), "element type 77"),
    "no type": (b"", "element type 0"),
    "file": (raw(ROWS, shard=1), "file 1 .* expected 0 to 0"),
    "negative file": (raw(ROWS, shard=-1), "file -1"),
    "offset": (raw(ROWS, offset=1), "24 bytes at byte 1 .* which has 24"),
    "negative offset": (raw(ROWS, offset=-1), "at byte -1"),
    "negative size": (tables.entry(STRING, (1,), -1), "-1 bytes"),
    "checksum": (tables.entry(FLOAT, (3, 2), 24, checksum=5), "expected 0x00000005"),
    "count of strings": (tables.entry(STRING, (25,), 24), "24 bytes for 25 strings"),
    "immense count of strings": (tables.entry(STRING, (2**50,), 24), "strings"),
    "no protobuf": (b"\xff\xff", "cut off"),
}


@pytest.mark.parametrize("name", LIES)
def test_an_entry_that_lies_is_refused_with_what_was_found(prefix, name):
    entry, message = LIES[name]
    with pytest.raises(FormatError, match=message):
        open_bundle(tables.write_bundle(prefix, {b"w": entry}, [ROWS.tobytes()])).read("w")


def test_strings_and_what_is_wrong_with_them(prefix):
    good = b"\1\2" + LENGTHS + b"abb"
    cases = [
        (good, None), (b"\1\2" + bytes(4) + b"abb", "checksum"), (good[:-1], "strings of 3 bytes"),
        (good + b"c", "strings of 3 bytes"), (b"\xff" * 12, "64 bits"), (b"\1\2", "strings of 3"),
    ]  # fmt: skip
    for content, message in cases:
        bundle = open_bundle(tables.write_bundle(prefix, {b"w": strings(content, 2, (1, 2))}, [content]))
        if message is None:
            assert bundle.read("w").tolist() == [b"a", b"bb"]
            continue
        with pytest.raises(FormatError, match=message):
            bundle.read("w")
    wrong = tables.entry(STRING, (2,), len(good), checksum=1)
    with pytest.raises(FormatError, match="expected 0x00000001"):
        open_bundle(tables.write_bundle(prefix, {b"w": wrong}, [good])).read("w")


def test_two_variables_that_claim_the_same_bytes_are_refused(prefix):
    """Otherwise an index of a megabyte could have a file of a gigabyte checked ten thousand times."""
    entries = {b"v": raw(ROWS), b"w": raw(ROWS)}
    bundle = open_bundle(tables.write_bundle(prefix, entries, [ROWS.tobytes()]))
    for _ in range(3):
        same(bundle.read("v"), ROWS)
    with pytest.raises(FormatError, match="shares bytes"):
        bundle.read("w")


def test_a_type_without_arrays_is_refused(prefix):
    with pytest.raises(UnsupportedError, match="variant"):
        open_bundle(tables.write_bundle(prefix, {b"w": tables.entry(VARIANT, (), 0)})).read("w")


@pytest.mark.parametrize(
    ("head", "error", "message"),
    [
        (b"", FormatError, "0 files"),
        (tables.header(-1), FormatError, "-1 files"),
        (tables.header(min_consumer=2), UnsupportedError, "version 2"),
        (tables.header(bad=(1,)), UnsupportedError, "newer TensorFlow"),
    ],
)
def test_a_header_that_cannot_be_is_refused(prefix, head, error, message):
    path = tables.write_bundle(prefix, {}, head=head)
    with pytest.raises(error, match=message):
        open_bundle(path)


def test_an_unknown_name_lists_the_known_ones(prefix):
    with pytest.raises(InputError, match=r"'v' is not in .* has 1: 'w'"):
        open_bundle(tables.write_bundle(prefix, {b"w": raw(ROWS)}, [ROWS.tobytes()])).read("v")


def test_a_name_that_is_no_text_is_refused(prefix):
    with pytest.raises(FormatError, match="UTF-8"):
        open_bundle(tables.write_bundle(prefix, {b"w\xff": raw(ROWS)}))


def test_missing_files_are_named(prefix):
    with pytest.raises(InputError, match=r"variables\.index"):
        open_bundle(prefix)
    path = tables.write_bundle(prefix, {b"a": raw(ROWS), b"b": raw(ROWS, shard=1)}, [ROWS.tobytes()] * 2)
    os.remove(f"{path}.data-00001-of-00002")
    bundle = open_bundle(path)
    same(bundle.read("a"), ROWS)
    with pytest.raises(InputError, match=r"data-00001-of-00002.*file 2 of 2"):
        bundle.read("b")
    os.mkfifo(f"{path}.data-00001-of-00002")  # would be waited for
    with pytest.raises(InputError, match="cannot be read"):
        bundle.read("b")
    with pytest.raises(InputError, match="cannot be read"):
        open_bundle("a\0b")


def sample(prefix):
    """A bundle of everything, its names and values."""
    text = b"\1\2" + LENGTHS + b"abb"
    content = [text + ROWS.tobytes() * 7 + b"\0" * 3, ROWS.tobytes()]
    names = [f"model/layer{i:02d}/bias".encode() for i in range(20)]
    entries = {name: raw(ROWS[i % 3], offset=len(text) + 8 * i) for i, name in enumerate(names)}
    entries |= {b"text": strings(text, 2, (1, 2)), b"w": in_parts()[b"w"]}
    entries |= {FIRST: raw(ROWS[:2], shard=1), SECOND: raw(ROWS[2:], shard=1, offset=16)}
    return tables.write_bundle(prefix, entries, content)


@pytest.mark.parametrize("seed", range(30))
def test_mutated_files_are_read_as_before_or_refused(prefix, seed):
    rng = np.random.default_rng(seed)
    path = sample(prefix)
    before = {name: open_bundle(path).read(name) for name in open_bundle(path).keys()}
    assert len(before) == 22
    files = sorted(prefix.parent.iterdir())
    contents = [file.read_bytes() for file in files]
    start, refused = time.perf_counter(), 0
    for _ in range(30):
        for file, content in zip(files, contents, strict=True):
            file.unlink()  # the arrays above still show the old one
            file.write_bytes(content)
        chosen = rng.integers(len(files))
        changed = bytearray(contents[chosen])
        if rng.random() < 0.2:
            del changed[rng.integers(len(changed)) :]
        else:
            for place in rng.integers(len(changed), size=rng.integers(1, 4)):
                changed[place] ^= rng.integers(1, 256)
        files[chosen].unlink()
        files[chosen].write_bytes(changed)
        try:
            bundle = open_bundle(path)
            assert set(bundle.keys()) == set(before)
        except PtqError:
            refused += 1
            continue
        for name, value in before.items():
            try:
                same(bundle.read(name), value)
            except PtqError:
                refused += 1
    assert refused > 10
    assert time.perf_counter() - start < 60


@pytest.mark.parametrize("seed", range(20))
def test_mutated_entries_under_right_checksums_are_refused_or_give_what_fits(prefix, seed):
    rng = np.random.default_rng(seed)
    good = [raw(ROWS), in_parts()[b"w"], tables.header(), strings(b"\1\2" + LENGTHS + b"abb", 2, (1, 2))]
    for _ in range(30):
        chosen = rng.integers(len(good))
        changed = bytearray(good[chosen])
        for place in rng.integers(len(changed), size=rng.integers(1, 3)):
            changed[place] = rng.integers(256)
        entries, head = in_parts(), tables.header()
        if chosen == 2:
            head = bytes(changed)
        else:
            entries[b"w"] = bytes(changed)
        path = tables.write_bundle(prefix, entries, [ROWS.tobytes()], head)
        try:
            assert open_bundle(path).read("w").nbytes <= 2 * 24 + 64
        except PtqError:
            pass
