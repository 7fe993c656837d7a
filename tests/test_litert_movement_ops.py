"""Slices, lookups, fillings and resized images against LiteRT's reference kernels, bit for bit."""

import numpy as np
import pytest
from configurations import MOVED, PER_GRAPH, anything, compare, integers, pick, shape_of
from litert import assert_same_bits, run_litert

from ptq.build import Builder
from ptq.errors import InputError, PtqError, UnsupportedError
from ptq.graph import Quantization
from ptq.interpreter import Interpreter

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")

INDICES = [np.int16, np.int32, np.int64]


def i32(values):
    return np.array(values, np.int32)


def an_axis(rng, rank):
    return int(rng.integers(-rank, rank))


def composition(rng, size):
    """Sizes >= 0 that add up to `size`; now and then one of them is written as -1."""
    cuts = np.sort(rng.integers(0, size + 1, rng.integers(0, 4)))
    sizes = np.diff([0, *cuts, size])
    if rng.random() < 0.4:
        sizes[rng.integers(len(sizes))] = -1
    return sizes


def test_split():
    def configure(rng):
        shape, count = list(shape_of(rng, rng.integers(1, 6), 4)), int(rng.integers(1, 5))
        axis = an_axis(rng, len(shape))
        shape[axis] *= count
        x = anything(rng, shape, pick(rng, *MOVED))
        operand = i32(axis) if rng.random() < 0.5 else i32([axis])
        return [x], lambda b, t: b.ops("SPLIT", [operand, t], {"num_splits": count}, output_type=t.type)

    compare(configure)


def test_split_v():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 6), 6), pick(rng, *MOVED))
        axis = an_axis(rng, x.ndim)
        sizes = composition(rng, x.shape[axis]).astype(pick(rng, np.int32, np.int64))
        return [x], lambda b, t: b.ops("SPLIT_V", [t, sizes, i32(axis)], {"num_splits": len(sizes)})

    compare(configure)


def test_unpack_and_pack():
    def configure(rng):
        dtype = pick(rng, np.float32, np.int8, np.uint8, np.int16, np.int32)
        shape = shape_of(rng, rng.integers(1, 6), 4)
        axis = an_axis(rng, len(shape))
        if rng.random() < 0.5:
            options = {"num": shape[axis], "axis": axis}
            return [anything(rng, shape, dtype)], lambda b, t: b.ops("UNPACK", [t], options)
        rest = tuple(np.delete(shape, axis).tolist())
        values = [anything(rng, rest, dtype) for _ in range(shape[axis])]
        options = {"values_count": len(values), "axis": axis}
        return values, lambda b, *tensors: b.op("PACK", tensors, options)

    compare(configure)


def test_slice():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 8), 4), pick(rng, *MOVED))
        begin = [int(rng.integers(0, n + 1)) for n in x.shape]
        size = [int(rng.integers(-1, n - first + 1)) for n, first in zip(x.shape, begin, strict=True)]
        dtype = pick(rng, np.int32, np.int64)
        return [x], lambda b, t: b.op("SLICE", [t, np.array(begin, dtype), np.array(size, dtype)])

    compare(configure)


def strided_terms(rng, shape):
    """begin, end, strides and masks for some dimensions of `shape`, with an ellipsis and new axes."""
    begin, end, strides = [], [], []
    masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
    named = int(rng.integers(0, len(shape) + 1))
    kinds = ["range"] * named + ["new_axis_mask"] * int(rng.integers(0, 3))
    rng.shuffle(kinds)
    before = int(rng.integers(0, len(kinds) + 1))
    if named < len(shape) and rng.random() < 0.5:
        kinds.insert(before, "ellipsis_mask")
    else:
        before = len(kinds)
    dimension = 0
    for i, kind in enumerate(kinds):
        if i == before and "ellipsis_mask" in kinds:
            dimension += len(shape) - named
        n = shape[min(dimension, len(shape) - 1)]
        begin.append(int(rng.integers(-n - 2, n + 3)))
        end.append(int(rng.integers(-n - 2, n + 3)))
        strides.append(int(pick(rng, 1, 1, 1, 2, 3, -1, -2)))
        masks["begin_mask"] |= int(rng.random() < 0.2) << i
        masks["end_mask"] |= int(rng.random() < 0.2) << i
        if kind != "range":
            masks[kind] |= 1 << i
        elif rng.random() < 0.25:
            begin[-1], strides[-1] = int(rng.integers(-n - 1, n)), int(rng.integers(1, 3))
            masks["shrink_axis_mask"] |= 1 << i
        dimension += kind == "range"
    return begin, end, strides, masks


def test_strided_slice():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 6), 5), pick(rng, *MOVED, np.bool_))
        *vectors, masks = strided_terms(rng, x.shape)
        return [x], lambda b, t: b.op("STRIDED_SLICE", [t, *map(i32, vectors)], masks)

    compare(configure, 100 * PER_GRAPH)


def test_strided_slice_with_offset():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 5), 6), pick(rng, *MOVED))
        begin = [int(rng.integers(-n, n)) for n in x.shape]
        left = [-first if first < 0 else n - first for n, first in zip(x.shape, begin, strict=True)]
        count, strides = [int(rng.integers(0, n + 1)) for n in left], rng.integers(1, 3, x.ndim)
        options = {"offset": True, "shrink_axis_mask": int(rng.integers(0, 2**x.ndim))}
        return [x], lambda b, t: b.op("STRIDED_SLICE", [t, i32(begin), i32(count), i32(strides)], options)

    compare(configure)


def test_what_is_refused_is_what_the_runtime_gets_wrong():
    """Each case runs in LiteRT, with a result that is not the slice; ptq says so instead."""
    x = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    cases = [
        ([0, 0, 1], [0, 0, 2], {"shrink_axis_mask": 5, "ellipsis_mask": 2}, x[0, ..., 1], (3,)),
        ([0, 1], [2, 9], {"offset": True}, x[0:2, 1:10], (2, 9)),
    ]
    for begin, end, options, meant, shape in cases:
        b = Builder()
        inputs = [b.input("x", x.shape), i32(begin), i32(end), i32([1] * len(begin))]
        graph = b.finish(b.op("STRIDED_SLICE", inputs, options, output_shape=shape))
        assert run_litert(graph, [x])[0].shape == shape != meant.shape
        with pytest.raises(UnsupportedError, match="TensorFlow Lite"):
            Interpreter(graph=graph).run([x])


def test_expand_dims_and_shape():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 6), 4), pick(rng, *MOVED))
        if rng.random() < 0.5:
            axis = np.array(an_axis(rng, x.ndim + 1), pick(rng, np.int32, np.int64))
            return [x], lambda b, t: b.op("EXPAND_DIMS", [t, axis if rng.random() < 0.5 else axis[None]])
        kind = pick(rng, "INT32", "INT64")
        return [x], lambda b, t: b.op("SHAPE", [t], {"out_type": kind}, output_type=kind)

    compare(configure)


def test_fill_and_zeros_like():
    def configure(rng):
        shape = np.array(shape_of(rng, rng.integers(0, 6), 4, smallest=0), pick(rng, np.int32, np.int64))
        value = anything(rng, (), pick(rng, *MOVED, np.bool_))
        if rng.random() < 0.3 and value.dtype in (np.float32, np.int32, np.int64):
            return [np.full(shape, value)], lambda b, t: b.op("ZEROS_LIKE", [t])
        return [value], lambda b, t: b.op("FILL", [shape, t], output_type=t.type)

    compare(configure)


def test_tile():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 5), 4), pick(rng, *MOVED, np.bool_))
        multiples = rng.integers(0, 4, x.ndim).astype(pick(rng, np.int32, np.int64))
        return [x], lambda b, t: b.op("TILE", [t, multiples])

    compare(configure)


def test_broadcast_to():
    def configure(rng):
        wanted = shape_of(rng, rng.integers(1, 7), 4)
        shape = [1 if rng.random() < 0.4 else n for n in wanted][rng.integers(len(wanted) + 1) :]
        x = anything(rng, shape, pick(rng, *MOVED, np.bool_))
        target = np.array(wanted, pick(rng, np.int32, np.int64))
        return [x], lambda b, t: b.op("BROADCAST_TO", [t, target], version=2)

    compare(configure)


def test_range():
    def configure(rng):
        dtype = pick(rng, np.float32, np.int32, np.int64)
        start, delta = rng.normal(0, 20), rng.normal(0, 3)
        if dtype != np.float32:
            start, delta = round(start), round(delta) or 1
        limit = start + delta * rng.uniform(1, 40)  # not empty, which LiteRT's Python interface cannot return
        values = [np.array(value, dtype) for value in (start, limit, delta)]
        return values, lambda b, *scalars: b.op("RANGE", scalars, output_shape=(0,))

    compare(configure)


def test_reverse():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 6), 4), pick(rng, *MOVED, np.bool_))
        first = int(rng.integers(0, x.ndim))
        axes = np.arange(first, rng.integers(first + 1, x.ndim + 1))
        axes = rng.permutation(np.where(rng.random(axes.size) < 0.5, axes - x.ndim, axes))
        return [x], lambda b, t: b.op("REVERSE_V2", [t, i32(axes)])

    compare(configure)


def test_gather():
    def configure(rng):
        x = anything(rng, shape_of(rng, rng.integers(1, 6), 4), pick(rng, *MOVED, np.bool_))
        axis = an_axis(rng, x.ndim)
        shared = int(rng.integers(0, axis % x.ndim + 1))
        own = shape_of(rng, rng.integers(0, 3), 4)
        indices = rng.integers(0, x.shape[axis], (*x.shape[:shared], *own)).astype(pick(rng, *INDICES))
        batch_dims = shared - indices.ndim if own and rng.random() < 0.5 else shared
        options = {"axis": axis, "batch_dims": batch_dims}
        return [x, indices], lambda b, *tensors: b.op("GATHER", tensors, options)

    compare(configure)


def test_indices_outside_stop_both():
    x, table = np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((3, 2), np.float32)
    for wrong in (-1, 3):
        indices = i32([0, wrong])
        for kind, inputs in (("GATHER", [x, indices]), ("EMBEDDING_LOOKUP", [indices, table])):
            b = Builder()
            kinds = ["FLOAT32" if value.dtype == np.float32 else "INT32" for value in inputs]
            tensors = [
                b.input(f"x{i}", v.shape, t) for i, (v, t) in enumerate(zip(inputs, kinds, strict=True))
            ]
            graph = b.finish(b.op(kind, tensors, output_type="FLOAT32"))
            with pytest.raises(InputError, match=f"index {wrong} found, expected 0 to 2"):
                Interpreter(graph=graph).run(inputs)
            with pytest.raises(RuntimeError, match="out of bounds"):
                run_litert(graph, inputs)


def table_scales(rng, rows):
    """One scale or one for each row, of all magnitudes; subnormal and zero among them."""
    scales = np.exp(rng.uniform(-100, 80, rows if rng.random() < 0.6 else 1)).astype(np.float32)
    scales[rng.random(scales.size) < 0.1] = 0
    return Quantization(scales, np.zeros(scales.size, np.int64), 0)


def test_embedding_lookup():
    def configure(rng):
        dtype, hybrid = pick(rng, np.float32, np.int8, np.int8, np.int8), rng.random() < 0.7
        table = anything(rng, shape_of(rng, rng.integers(2, 5), 6), dtype)
        indices = i32(rng.integers(0, len(table), rng.integers(1, 8)))
        quantization = table_scales(rng, len(table)) if dtype == np.int8 and hybrid else None
        kind = "INT8" if dtype == np.int8 and not hybrid else "FLOAT32"

        def add(b, ids):
            rows = b.constant(table, quantization=quantization)
            return b.op("EMBEDDING_LOOKUP", [ids, rows], output_type=kind)

        return [indices], add

    compare(configure)


def image(rng, dtype=np.float32):
    batch, height, width, channels = shape_of(rng, 4, 7)
    return anything(rng, (min(batch, 3), height, width, min(channels, 4)), dtype)


def resized(rng, x):
    size = i32(rng.integers(1, 17, 2))
    if rng.random() < 0.3:
        size = i32([n * int(rng.integers(1, 4)) for n in x.shape[1:3]])
    return size


@pytest.mark.parametrize(("align_corners", "half_pixel_centers"), [(0, 0), (1, 0), (0, 1)])
def test_resize_bilinear(align_corners, half_pixel_centers):
    options = {"align_corners": bool(align_corners), "half_pixel_centers": bool(half_pixel_centers)}

    def configure(rng):
        x = image(rng)
        size = resized(rng, x)
        return [x], lambda b, t: b.op("RESIZE_BILINEAR", [t, size], options)

    compare(configure)


@pytest.mark.parametrize(("align_corners", "half_pixel_centers"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_resize_nearest_neighbor(align_corners, half_pixel_centers):
    options = {"align_corners": bool(align_corners), "half_pixel_centers": bool(half_pixel_centers)}

    def configure(rng):
        x = image(rng, pick(rng, np.float32, np.int8, np.uint8, np.int16, np.int32))
        size = resized(rng, x)
        return [x], lambda b, t: b.op("RESIZE_NEAREST_NEIGHBOR", [t, size], options)

    compare(configure)


def test_images_of_network_sizes_are_resized():
    rng = np.random.default_rng(3)
    cases = [((1, 33, 33, 4), (257, 257)), ((1, 224, 160, 3), (96, 300)), ((1, 1, 1, 2), (65, 65))]
    for shape, size in cases:
        for half in (False, True):
            x = rng.normal(size=shape).astype(np.float32)
            b = Builder()
            t = b.input("x", shape)
            kinds = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
            graph = b.finish(*(b.op(kind, [t, i32(size)], {"half_pixel_centers": half}) for kind in kinds))
            results = zip(Interpreter(graph=graph).run([x]), run_litert(graph, [x]), strict=True)
            for found, expected in results:
                assert_same_bits(found, expected, (shape, size, half))


def test_depth_to_space_and_back():
    def configure(rng):
        block = int(rng.integers(1, 4))
        batch, height, width, channels = shape_of(rng, 4, 4)
        dtype = pick(rng, np.float32, np.int8, np.uint8, np.int32, np.int64)
        if rng.random() < 0.5:
            x = anything(rng, (batch, height, width, channels * block * block), dtype)
            return [x], lambda b, t: b.op("DEPTH_TO_SPACE", [t], {"block_size": block})
        x = anything(rng, (batch, height * block, width * block, channels), dtype)
        return [x], lambda b, t: b.op("SPACE_TO_DEPTH", [t], {"block_size": block})

    compare(configure)


def test_operands_that_are_only_known_at_run_time():
    def configure(rng):
        x = image(rng)
        target = (2, *x.shape)
        begin = [int(rng.integers(n)) for n in x.shape]  # no end: LiteRT's Python refuses an empty result
        kind, operands = pick(
            rng,
            ("STRIDED_SLICE", [begin, begin, rng.choice([-1, 1, 2], x.ndim)]),
            ("TILE", [rng.integers(1, 3, x.ndim)]),
            ("BROADCAST_TO", [target]),
            ("RESIZE_BILINEAR", [resized(rng, x)]),
            ("EXPAND_DIMS", [an_axis(rng, x.ndim + 1)]),
            ("REVERSE_V2", [[an_axis(rng, x.ndim)]]),
        )
        version, options = 1 + (kind == "BROADCAST_TO"), {"end_mask": 15} if kind == "STRIDED_SLICE" else {}
        values = [x, *map(i32, operands)]
        return values, lambda b, *tensors: b.op(kind, tensors, options, version, output_shape=(1,))

    compare(configure)


def chain(batch):
    """x [batch, 6, 4] -> [batch, 24] with the batch read from x, as converters write Flatten."""
    b = Builder()
    x = b.input("x", (batch, 6, 4))
    sizes = b.op("SHAPE", [x], {"out_type": "INT32"}, output_type="INT32")
    first = b.op("STRIDED_SLICE", [sizes, i32([0]), i32([1]), i32([1])], {"shrink_axis_mask": 1})
    wanted = b.op("PACK", [first, i32(24)], {"values_count": 2})
    flat = b.op("RESHAPE", [x, wanted], {"new_shape": None}, output_shape=(1, 24))
    zeros = b.op("FILL", [wanted, np.float32(0.5)], output_type="FLOAT32", output_shape=(1, 24))
    both = b.concatenation([flat, b.add(flat, zeros)], axis=1)
    return b.finish(both, b.op("EXPAND_DIMS", [first, i32(0)]))


@pytest.mark.parametrize("batch", [1, 5])
def test_shapes_that_are_computed(batch):
    x = np.random.default_rng(batch).normal(size=(batch, 6, 4)).astype(np.float32)
    graph = chain(batch)
    interpreter = Interpreter(graph=graph)
    found = interpreter.run([x])
    expected = run_litert(graph, [x])
    for ours, theirs in zip(found, expected, strict=True):
        assert_same_bits(ours, theirs)
    assert found[0].shape == (batch, 48)


def test_integers_of_one_scale_are_moved_where_the_runtime_moves_them():
    rng = np.random.default_rng(8)
    quantization = Quantization(np.array([0.25], np.float32), np.array([-7]))
    x = integers(rng, (2, 4, 6, 4), np.int8)
    cases = [
        ("SPLIT", lambda t: [i32(1), t], {"num_splits": 2}), ("UNPACK", lambda t: [t], {"num": 2, "axis": 0}),
        ("SLICE", lambda t: [t, i32([0, 1, 2, 0]), i32([-1, 2, 2, 3])], {}),
        ("GATHER", lambda t: [t, i32([1, 0, 1])], {"axis": 2}),
        ("TILE", lambda t: [t, i32([1, 2, 1, 1])], {}),
        ("EXPAND_DIMS", lambda t: [t, i32(1)], {}), ("PACK", lambda t: [t, t], {"values_count": 2}),
        ("RESIZE_NEAREST_NEIGHBOR", lambda t: [t, i32([7, 5])], {}),
        ("DEPTH_TO_SPACE", lambda t: [t], {"block_size": 2}),
        ("SPACE_TO_DEPTH", lambda t: [t], {"block_size": 2}),
        ("STRIDED_SLICE", lambda t: [t, i32([1]), i32([0]), i32([-1])], {"end_mask": 1}),
    ]  # fmt: skip
    for kind, operands, options in cases:
        b = Builder()
        t = b.input("x", x.shape, "INT8", quantization)
        outputs = b.ops(kind, operands(t), options, output_type="INT8", quantization=quantization)
        graph = b.finish(*outputs)
        for ours, theirs in zip(Interpreter(graph=graph).run([x]), run_litert(graph, [x]), strict=True):
            assert_same_bits(ours, theirs, kind)


@pytest.mark.parametrize("kind", ["PACK", "UNPACK", "EXPAND_DIMS"])
def test_other_scales_are_refused_where_the_runtime_refuses_them(kind):
    one, other = (Quantization(np.array([s], np.float32), np.array([0])) for s in (0.25, 0.5))
    options = {"PACK": {"values_count": 1}, "UNPACK": {"num": 1}, "EXPAND_DIMS": {}}[kind]
    b = Builder()
    x = b.input("x", (1, 2), "INT8", one)
    inputs = [x, i32(0)] if kind == "EXPAND_DIMS" else [x]
    graph = b.finish(b.op(kind, inputs, options, quantization=other, output_type="INT8"))
    data = np.ones((1, 2), np.int8)
    with pytest.raises(PtqError, match="scale"):
        Interpreter(graph=graph).run([data])
    with pytest.raises(RuntimeError, match="scale"):
        run_litert(graph, [data])


