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
