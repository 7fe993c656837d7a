"""QUANTIZE of integers, resized images and movers of quantized tensors, against LiteRT bit for bit."""

import numpy as np
import pytest
from configurations import compare, integers, pick, shape_of
from litert import run_litert

from ptq.build import Builder
from ptq.graph import Quantization, type_of

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")

F = np.float32
COUNT = 320
PAIRS = [
    (np.dtype(read), np.dtype(written))
    for read, targets in {
        np.int8: (np.int8, np.uint8, np.int16), np.uint8: (np.int8, np.uint8, np.int16),
        np.int16: (np.int8, np.int16, np.int32), np.int32: (np.int8, np.int16),
    }.items()
    for written in targets
]  # fmt: skip


def quantization(scale, zero_point=0):
    return Quantization(np.array([scale], F), np.array([zero_point], np.int64))


def zero_point(rng, dtype):
    """Anywhere, and at both ends."""
    limits = np.iinfo(dtype)
    return int(pick(rng, limits.min, limits.max, 0, rng.integers(limits.min, limits.max, endpoint=True)))


def i32(values):
    return np.array(values, np.int32)


def all_or_many(rng, dtype):
    """All values of 8 bits, or many of the others with their limits."""
    if dtype.itemsize == 1:
        return np.arange(256, dtype=np.uint8).view(dtype)
    q = integers(rng, 300, dtype)
    q[:2] = np.iinfo(dtype).min, np.iinfo(dtype).max
    q[100:] >>= rng.integers(0, dtype.itemsize * 8 - 1, 200).astype(dtype)
    return q


def ratio(rng):
    """Scales of which one is a multiple of the other, or any, up to where integers saturate or vanish."""
    read = F(np.exp(rng.uniform(-12, 8)))
    written = pick(
        rng, read, read * F(2.0 ** rng.integers(-12, 12)), F(read * 3), F(read * np.exp(rng.uniform(-20, 20)))
    )
    return read, written


@pytest.mark.parametrize(("read", "written"), PAIRS, ids=str)
def test_requantize(read, written):
    def configure(rng):
        q = all_or_many(rng, read)
        scales = ratio(rng)
        symmetric = read == written == np.int16
        zeros = [0 if symmetric else zero_point(rng, dtype) for dtype in (read, written)]
        if rng.random() < 0.2 and read.itemsize == written.itemsize == 1:  # the same reals: a flip of a bit
            scales = (scales[0],) * 2
            zeros[1] = int(np.clip(zeros[0] + pick(rng, 0, 128, -128), *_limits(written)))
        output = quantization(scales[1], zeros[1])
        return [(q, quantization(scales[0], zeros[0]))], lambda b, t: b.op(
            "QUANTIZE", [t], quantization=output, output_type=type_of(written)
        )

    compare(configure, COUNT)


def _limits(dtype):
    return np.iinfo(dtype).min, np.iinfo(dtype).max


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
@pytest.mark.parametrize(("align_corners", "half_pixel_centers"), [(0, 0), (1, 0), (0, 1)])
def test_resize_bilinear(dtype, align_corners, half_pixel_centers):
    options = {"align_corners": bool(align_corners), "half_pixel_centers": bool(half_pixel_centers)}

    def configure(rng):
        q = integers(rng, (*shape_of(rng, 1, 3), *shape_of(rng, 2, 9), *shape_of(rng, 1, 4)), dtype)
        if rng.random() < 0.3:
            q = np.where(q > 0, np.iinfo(dtype).max, np.iinfo(dtype).min).astype(dtype)
        # sizes that stay inside the image, see the defect RESIZE_BEYOND
        size = i32([rng.integers(1, np.sqrt(2048 * n)) for n in q.shape[1:3]])
        if rng.random() < 0.4:
            size = i32([n * int(rng.integers(1, 4)) for n in q.shape[1:3]])
        same = quantization(0.1, zero_point(rng, dtype))
        return [(q, same)], lambda b, t: b.op("RESIZE_BILINEAR", [t, size], options, quantization=same)

    compare(configure, COUNT)


def paddings(rng, rank):
    return i32(rng.integers(0, 3, (rank, 2)))


def sliced(rng, q):
    begin = [int(rng.integers(n)) for n in q.shape]
    size = [int(rng.integers(1, n - first + 1)) for n, first in zip(q.shape, begin, strict=True)]
    return [i32(begin), i32(size)]


MOVERS = {
    "PAD": lambda rng, q: ([paddings(rng, q.ndim)], {}),
    "RESHAPE": lambda rng, q: ([i32([-1])], {"new_shape": [-1]}),
    "TRANSPOSE": lambda rng, q: ([i32(rng.permutation(q.ndim))], {}),
    "GATHER": lambda rng, q: ([i32(rng.integers(0, q.shape[0], 3))], {"axis": 0}),
    "SLICE": lambda rng, q: (sliced(rng, q), {}),
    "STRIDED_SLICE": lambda rng, q: ([i32([0]), i32([q.shape[0]]), i32([1 + rng.integers(2)])], {}),
    "EXPAND_DIMS": lambda rng, q: ([i32(rng.integers(0, q.ndim))], {}),
    "TILE": lambda rng, q: ([i32(rng.integers(1, 3, q.ndim))], {}),
    "REVERSE_V2": lambda rng, q: ([i32([rng.integers(q.ndim)])], {}),
    "RESIZE_NEAREST_NEIGHBOR": lambda rng, q: ([i32(rng.integers(1, 12, 2))], {}),
    "SPACE_TO_DEPTH": lambda rng, q: ([], {"block_size": 2}),
    "DEPTH_TO_SPACE": lambda rng, q: ([], {"block_size": 2}),
    "SQUEEZE": lambda rng, q: ([], {}),
}
NOT_INT16 = {"SPACE_TO_DEPTH", "DEPTH_TO_SPACE"}


@pytest.mark.parametrize("kind", MOVERS)
def test_movers(kind):
    def configure(rng):
        dtype = pick(rng, np.int8, np.uint8, *[np.int16] * (kind not in NOT_INT16))
        batch, height, width, channels = shape_of(rng, 4, 4)
        q = integers(rng, (batch, 2 * height, 2 * width, 4 * channels), dtype)
        symmetric = dtype == np.int16
        same = quantization(0.03, 0 if symmetric else zero_point(rng, dtype))
        operands, options = MOVERS[kind](rng, q)
        return [(q, same)], lambda b, t: b.op(kind, [t, *operands], options, quantization=same)

    compare(configure, COUNT)


@pytest.mark.parametrize("kind", ["PADV2", "CONCATENATION", "PACK", "SPLIT", "UNPACK"])
def test_movers_of_several_tensors(kind):
    def configure(rng):
        dtype = pick(rng, np.int8, np.uint8, *[np.int16] * (kind != "PADV2"))
        shape = shape_of(rng, 3, 4)
        same = quantization(0.03, 0 if dtype == np.int16 else zero_point(rng, dtype))
        values = [integers(rng, shape, dtype) for _ in range(3 if kind in ("CONCATENATION", "PACK") else 1)]
        value = integers(rng, (), dtype)

        def add(b, *tensors):
            if kind == "PADV2":
                amounts, filling = i32([[1, 0], [0, 2], [1, 1]]), b.constant(value, quantization=same)
                return b.op(kind, [*tensors, amounts, filling], quantization=same)
            if kind == "SPLIT":
                return b.ops(kind, [i32(0), *tensors], {"num_splits": shape[0]}, quantization=same,
                             output_type=tensors[0].type)  # fmt: skip
            if kind == "UNPACK":
                return b.ops(kind, tensors, {"num": shape[1], "axis": 1}, quantization=same)
            return b.op(kind, tensors, {"axis": 1, "values_count": 3} if kind == "PACK" else {"axis": 1},
                        quantization=same)  # fmt: skip

        return [(v, same) for v in values], add

    compare(configure, COUNT)


def test_embedding_of_integers():
    def configure(rng):
        table = integers(rng, shape_of(rng, rng.integers(2, 5), 6), np.int8)
        same = quantization(0.03, zero_point(rng, np.int8))
        ids = i32(rng.integers(0, len(table), 5))

        def add(b, indices):
            rows = b.constant(table, quantization=same)
            return b.op("EMBEDDING_LOOKUP", [indices, rows], quantization=same, output_type="INT8")

        return [ids], add

    compare(configure, COUNT)


@pytest.mark.parametrize("kind", ["ARG_MAX", "ARG_MIN"])
def test_positions_of_integers(kind):
    def configure(rng):
        dtype = pick(rng, np.int8, np.uint8)
        q = integers(rng, shape_of(rng, rng.integers(1, 5), 5), dtype) // pick(rng, 1, 64)
        q = q.astype(dtype)
        axis = i32(rng.integers(-q.ndim, q.ndim))
        options = {"output_type": "INT32"}
        return [(q, quantization(0.03, zero_point(rng, dtype)))], lambda b, t: b.op(
            kind, [t, axis], options, output_type="INT32"
        )

    compare(configure, COUNT)


def test_the_pixel_beyond_the_image():
    """See the defect RESIZE_BEYOND: the ninth pixel of a row of eight is the first of the next row."""
    b = Builder()
    q = np.arange(16, dtype=np.int8).reshape(1, 2, 8, 1) * 7
    t = b.input("q", q.shape, "INT8", quantization(0.1))
    graph = b.finish(b.op("RESIZE_BILINEAR", [t, i32([2, 129])], quantization=quantization(0.1)))
    assert run_litert(graph, [q])[0][0, 0, -1, 0] == q[0, 1, 0, 0]
