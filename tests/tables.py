"""A writer of tables and bundles in TensorFlow's format, for files that TensorFlow itself does not write."""

import struct

from ptq.saved_model.crc32c import crc32c, masked


def varint(number):
    """A number of 64 bits; a negative one in two's complement, as protobuf writes it."""
    number &= (1 << 64) - 1
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    return bytes([*result, number])


def snappy(data):
    """A Snappy block: copies of 4 to 64 bytes where they stood before, at most 65535 bytes back."""
    result, start, position, seen = bytearray(varint(len(data))), 0, 0, {}

    def literal(end):
        for begin in range(start, end, 60):
            piece = data[begin : min(end, begin + 60)]
            result.extend([len(piece) - 1 << 2, *piece])

    while position < len(data):
        before = seen.get(data[position : position + 4])
        seen[data[position : position + 4]] = position
        length = 0
        if before is not None and position - before < 65536:
            while length < 64 and data[position + length : position + length + 1] == data[
                before + length : before + length + 1
            ] != b"":
                length += 1
        if length < 4:
            position += 1
            continue
        literal(position)
        result.extend([length - 1 << 2 | 2, *struct.pack("<H", position - before)])
        position += length
        start = position
    literal(len(data))
    return bytes(result)


def block(entries, interval=16):
    """The entries of one block, with a restart at every 16th."""
    result, restarts, before = bytearray(), [], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % interval == 0:
            restarts.append(len(result))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        result += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return bytes(result) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def sealed(content, kind=0):
    """A block with the kind of its compression and its checksum."""
    content += bytes([kind])
    return content + struct.pack("<I", masked(crc32c(content)))


def table(blocks, compress=False, index=None):
    """A whole table. blocks: lists of (key, value), or bytes that are a block; index: another index block."""
    file, places = bytearray(), []
    for entries in blocks:
        content = entries if isinstance(entries, bytes) else block(entries)
        content = snappy(content) if compress else content
        last = entries[-1][0] if not isinstance(entries, bytes) and entries else b"\xff" * (len(places) + 1)
        places.append((last, varint(len(file)) + varint(len(content))))
        file += sealed(content, int(compress))
    meta, content = block([]), index if index is not None else block(places, interval=1)
    footer = varint(len(file)) + varint(len(meta))
    file += sealed(meta)
    footer += varint(len(file)) + varint(len(content))
    file += sealed(content)
    return bytes(file) + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def field(number, value):
    """A field of a protobuf message: a number as a varint, bytes as they are."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def shape_message(shape):
    return b"".join(field(2, field(1, size)) for size in shape)


def entry(kind, shape, size, offset=0, shard=0, checksum=0, slices=()):
    """A BundleEntryProto. kind: the number of the element type; slices: lists of (start, length)."""
    parts = b"".join(
        field(7, b"".join(field(1, field(1, start) + field(2, length)) for start, length in part))
        for part in slices
    )
    place = field(3, shard) + field(4, offset) + field(5, size) + b"\x35" + struct.pack("<I", checksum)
    return field(1, kind) + field(2, shape_message(shape)) + place + parts


def header(shards=1, big_endian=False, min_consumer=0, bad=()):
    version = field(1, 1) + field(2, min_consumer) + b"".join(field(3, number) for number in bad)
    return field(1, shards) + field(2, int(big_endian)) + field(3, version)


def write_bundle(prefix, entries, shards=(b"",), head=None, compress=False):
    """Write the index of `entries`, which are sorted, and the files with data; the prefix as a str."""
    head = header(len(shards)) if head is None else head
    index = table([[(b"", head), *sorted(entries.items())]], compress)
    prefix.with_name(prefix.name + ".index").write_bytes(index)
    for number, content in enumerate(shards):
        prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{len(shards):05d}").write_bytes(content)
    return str(prefix)


def tensor(kind, shape, content, **where):
    """The entry of a tensor whose bytes are `content`, with their checksum."""
    return entry(kind, shape, len(content), checksum=masked(crc32c(content)), **where)
