"""Element-wise operators, reductions and further activations against LiteRT (BUILTIN_REF), bit for bit."""

import platform

import numpy as np
import pytest
from configurations import MOVED, ODD, anything, compare, integers, pick, reals, shape_of
from litert import assert_same_bits, litert_op, run_litert

import ptq.format
from ptq.build import Builder
from ptq.errors import InputError, ShapeError, UnsupportedError
from ptq.graph import type_of
from ptq.interpreter import Interpreter
from ptq.kernels import elementwise, logic, reduce, unary
from ptq.kernels.convert import CASTS

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")

COUNT = 400
ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]
F16 = np.float16


def values(rng, shape, dtype):
    """Arrays of any dtype; integers of all sizes, or small ones among which equal ones are frequent."""
    if dtype == F16:
        return integers(rng, shape, np.uint16).view(F16)
    x = anything(rng, shape, dtype)
    if np.issubdtype(dtype, np.integer) and rng.random() < 0.5:
        x = (x % 7 - (3 if np.iinfo(dtype).min else 0)).astype(dtype)
    if dtype == np.float32 and rng.random() < 0.3:
        x = rng.choice(ODD, shape).astype(dtype)
    return x


def any_shape(rng, largest=4):
    """Up to five dimensions, now and then none, now and then an empty one."""
    return shape_of(rng, rng.integers(0, 6), largest, smallest=0 if rng.random() < 0.1 else 1)


def two_shapes(rng):
    """Shapes that broadcast, of up to eight dimensions."""
    shape = shape_of(rng, rng.integers(0, 9), 3, smallest=0 if rng.random() < 0.05 else 1)
    other = tuple(1 if rng.random() < 0.3 else size for size in shape)
    other = other[rng.integers(len(shape) + 1) if rng.random() < 0.4 else 0 :]
    return (shape, other) if rng.random() < 0.5 else (other, shape)


# --- one operand ----------------------------------------------------------------------------------

ON_ONE = [
    ("EXP", [np.float32]), ("LOG", [np.float32]), ("SQRT", [np.float32]), ("RSQRT", [np.float32]),
    ("SQUARE", [np.float32]), ("FLOOR", [np.float32, F16]), ("ABS", [np.float32, np.int16, np.int32]),
    ("NEG", [np.float32, F16, np.int8, np.int16, np.int32, np.int64]), ("LOGICAL_NOT", [np.bool_]),
    ("HARD_SWISH", [np.float32]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "dtypes"), ON_ONE, ids=[kind for kind, _ in ON_ONE])
def test_one_operand(kind, dtypes):
    def configure(rng):
        x = values(rng, any_shape(rng, 6), pick(rng, *dtypes))
        return [x], lambda b, t: b.op(kind, [t])

    compare(configure, COUNT)


@pytest.mark.parametrize("kind", ["EXP", "LOG", "SQRT", "RSQRT", "HARD_SWISH"])
def test_floats_of_every_size(kind):
    # a million bit patterns, and those around every power of two
    patterns = np.random.default_rng(0).integers(0, 2**32, 1 << 20, np.uint32)
    near = (np.arange(512, dtype=np.uint32)[:, None] << np.uint32(23)) + np.arange(-20, 21).astype(np.uint32)
    x = np.concatenate([patterns, near.ravel()]).view(np.float32)
    b = Builder()
    graph = b.finish(b.op(kind, [b.input("x", x.shape)]))
    assert_same_bits(Interpreter(graph=graph).run([x])[0], run_litert(graph, [x])[0])


def test_leaky_relu():
    def configure(rng):
        x = values(rng, any_shape(rng), np.float32)
        alpha = pick(rng, 0.0, 0.01, 0.2, 1.5, -3.0)
        return [x], lambda b, t: b.op("LEAKY_RELU", [t], {"alpha": alpha})

    compare(configure, COUNT)


def test_elu():
    # the reference resolver has no ELU, the default one has only this
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split("."))) >= (2, 41):
        pytest.skip("LiteRT takes expm1f from this C library, which is another than the one of the kernel")
    from ai_edge_litert.interpreter import Interpreter as LiteRT
    from ai_edge_litert.interpreter import OpResolverType

    rng = np.random.default_rng(1)
    x = np.concatenate([ODD, rng.normal(size=200_000), -np.geomspace(1e-9, 100, 200_000)]).astype(np.float32)
    b = Builder()
    graph = b.finish(b.op("ELU", [b.input("x", x.shape)]))
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    peer = LiteRT(model_content=ptq.format.dumps(graph), experimental_op_resolver_type=resolver)
    peer.allocate_tensors()
    peer.set_tensor(peer.get_input_details()[0]["index"], x)
    peer.invoke()
    expected = peer.get_tensor(peer.get_output_details()[0]["index"])
    assert_same_bits(Interpreter(graph=graph).run([x])[0], expected)


@pytest.mark.parametrize("kind", ["LOG_SOFTMAX", "L2_NORMALIZATION"])
def test_along_the_last_axis(kind):
    def configure(rng):
        shape = shape_of(rng, rng.integers(1, 5), 12, smallest=0 if rng.random() < 0.05 else 1)
        x = reals(rng, shape, odd=0.15)
        return [x], lambda b, t: b.op(kind, [t])

    compare(configure, COUNT)


def floats(rng, shape, dtype):
    """Values around the limits of the integer types, and of all sizes."""
    exponents = rng.uniform(-30, 70, shape)
    x = np.exp2(exponents) * rng.choice([-1, 1], shape)
    if rng.random() < 0.5:
        x = np.exp2(rng.choice([7, 8, 15, 16, 31, 32, 63], shape)) * rng.choice([-1, 1], shape)
        x += rng.integers(-3, 4, shape) / 2
    odd = rng.choice([np.nan, np.inf, -np.inf, 0, -0.0, 1e-40, 65519.99, 65520], shape)
    with np.errstate(over="ignore"):
        return np.where(rng.random(shape) < 0.1, odd, x).astype(dtype)


@pytest.mark.parametrize("source", CASTS)
def test_cast(source):
    def configure(rng):
        dtype, shape = np.dtype(source), any_shape(rng, 6)
        if source == "float16" and rng.random() < 0.5:
            x = values(rng, shape, F16)
        elif dtype.kind == "f":
            x = floats(rng, shape, dtype)
        elif dtype.kind == "c":
            x = (floats(rng, shape, np.float32) + 1j * floats(rng, shape, np.float32)).astype(dtype)
        else:
            x = anything(rng, shape, dtype)
        wanted = type_of(CASTS[rng.integers(len(CASTS))])
        return [x], lambda b, t: b.op("CAST", [t], output_type=wanted)

    with np.errstate(invalid="ignore"):
        compare(configure, 2 * COUNT)


# --- two operands ---------------------------------------------------------------------------------

ON_TWO = {
    "MAXIMUM": elementwise.ORDERED, "MINIMUM": elementwise.ORDERED,
    "SQUARED_DIFFERENCE": ("float32", "int32"),
    "EQUAL": (*logic.ORDERED, "bool"), "NOT_EQUAL": ("float32", "float16", "int32", "int64", "bool"),
    "LESS": logic.ORDERED, "LESS_EQUAL": logic.ORDERED, "GREATER": logic.ORDERED,
    "GREATER_EQUAL": logic.ORDERED, "LOGICAL_AND": ("bool",), "LOGICAL_OR": ("bool",),
}  # fmt: skip


@pytest.mark.parametrize("kind", ON_TWO)
def test_two_operands(kind):
    def configure(rng):
        dtype = np.dtype(pick(rng, *ON_TWO[kind]))
        arrays = [values(rng, shape, dtype) for shape in two_shapes(rng)]
        truth = "BOOL" if kind in logic.FLOAT else None
        return arrays, lambda builder, s, t: builder.op(kind, [s, t], output_type=truth)

    compare(configure, COUNT)


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "DIV"])
def test_arithmetic_with_a_fused_activation(kind):
    names = {"SUB": ("float32", "int32", "int64"), "DIV": ("float32", "int32")}

    def configure(rng):
        dtype = np.dtype(pick(rng, *names.get(kind, ("float32", "int16", "int32", "int64"))))
        a, b = (values(rng, shape, dtype) for shape in two_shapes(rng))
        if kind == "DIV" and dtype != np.float32:
            a = np.where(rng.random(a.shape) < 0.1, np.iinfo(dtype).min, a).astype(dtype)
            b = np.where(b == 0, -1, b).astype(dtype)
        options = {"fused_activation_function": pick(rng, *ACTIVATIONS)}
        return [a, b], lambda builder, s, t: builder.op(kind, [s, t], options)

    compare(configure, COUNT)


def test_prelu():
    def configure(rng):
        shape = shape_of(rng, rng.integers(0, 9), 3)
        slopes = tuple(1 if rng.random() < 0.5 else size for size in shape)
        slopes = slopes[rng.integers(len(shape) + 1) :]
        arrays = [values(rng, shape, np.float32), values(rng, slopes, np.float32)]
        return arrays, lambda builder, s, t: builder.op("PRELU", [s, t])

    compare(configure, COUNT)


# --- choosing -------------------------------------------------------------------------------------

CHOSEN = [*MOVED, F16, np.bool_, np.uint16, np.uint32, np.uint64]


def choice(kind, condition, x, y):
    type_name = type_of(x.dtype)
    return [condition, x, y], lambda b, *t: b.op(kind, list(t), output_type=type_name)


def test_select():
    def configure(rng):
        shape, dtype = any_shape(rng), pick(rng, *CHOSEN)
        condition = values(rng, pick(rng, shape, shape[:1], ()), np.bool_)
        return choice("SELECT", condition, values(rng, shape, dtype), values(rng, shape, dtype))

    compare(configure, COUNT)


def test_select_v2():
    def configure(rng):
        shape, dtype = shape_of(rng, rng.integers(1, 9), 3), pick(rng, *CHOSEN)
        shapes = [tuple(1 if rng.random() < 0.3 else n for n in shape) for _ in range(3)]
        condition, x, y = (s[rng.integers(len(s)) if rng.random() < 0.3 else 0 :] for s in shapes)
        arrays = values(rng, condition, np.bool_), values(rng, x, dtype), values(rng, y, dtype)
        return choice("SELECT_V2", *arrays)

    compare(configure, COUNT)


# --- reductions -----------------------------------------------------------------------------------

REDUCED = {
    "SUM": (*reduce.WHOLE, "bool"),
    "MEAN": reduce.WHOLE,
    "REDUCE_ANY": ("bool",),
    **dict.fromkeys(("REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN"), (*reduce.WHOLE, *reduce.SMALL, "bool")),
}


@pytest.mark.parametrize("kind", REDUCED)
def test_reduction(kind):
    def configure(rng):
        x = values(rng, any_shape(rng, 6), np.dtype(pick(rng, *REDUCED[kind])))
        rank = max(x.ndim, 1)
        count = rank if rng.random() < 0.3 else rng.integers(0, rank + 1)
        axes = rng.permutation(np.arange(rank) - rank * rng.integers(0, 2, rank))[:count].astype(np.int32)
        if rng.random() < 0.2:
            axes = np.concatenate([axes, axes])
        return [x], lambda b, t: b.op(kind, [t, axes], {"keep_dims": bool(rng.integers(2))})

    compare(configure, COUNT)


@pytest.mark.parametrize("kind", ["SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN"])
def test_reduction_of_many(kind):
    rng = np.random.default_rng(2)
    for shape, axes in [((3, 2000), (1,)), ((5000,), (0,)), ((300, 4), (0,)), ((40, 5, 60), (0, 2))]:
        x = (1 + rng.normal(size=shape) / 50).astype(np.float32)
        b = Builder()
        operands = [b.input("x", shape), np.array(axes, np.int32)]
        graph = b.finish(b.op(kind, operands, {"keep_dims": False}))
        assert_same_bits(Interpreter(graph=graph).run([x])[0], run_litert(graph, [x])[0])


def test_axes_that_are_computed():
    b = Builder()
    x, axes = b.input("x", (2, 3, 4)), b.input("axes", (1,), "INT32")
    graph = b.finish(b.op("SUM", [x, axes], {"keep_dims": True}, output_shape=(1, 1, 1)))
    arrays = [reals(np.random.default_rng(3), (2, 3, 4), odd=0), np.array([1], np.int32)]
    assert_same_bits(Interpreter(graph=graph).run(arrays)[0], run_litert(graph, arrays)[0])


@pytest.mark.parametrize("kind", ["ARG_MAX", "ARG_MIN"])
def test_position(kind):
    def configure(rng):
        dtype = pick(rng, np.float32, np.uint8, np.int8, np.int32)
        x = values(rng, shape_of(rng, rng.integers(1, 5), 20), dtype)
        if x.dtype == np.float32 and rng.random() < 0.6:
            x = rng.choice(np.array([np.nan, np.nan, -np.inf, np.inf, 0, -0.0, 1], np.float32), x.shape)
        if rng.random() < 0.1:
            x = x > 0
        axis = np.array(rng.integers(-x.ndim, x.ndim), pick(rng, np.int32, np.int64))
        wanted = pick(rng, "INT32", "INT64")
        return [x], lambda b, t: b.op(kind, [t, axis], {"output_type": wanted}, output_type=wanted)

    compare(configure, 2 * COUNT)


# --- what is refused ------------------------------------------------------------------------------


def test_what_litert_refuses_is_refused_here():
    one, row, table = np.ones(1, np.int32), np.ones(3, np.float32), np.ones((2, 3), np.float32)
    yes = np.ones(3, np.bool_)
    refused = [
        ("DIV", [one, one * 0], {}, InputError),
        ("PRELU", [row, table], {}, ShapeError),
        ("SELECT", [yes, table, table], {}, ShapeError),
        ("SELECT_V2", [yes[:2], row, row], {}, ShapeError),
        ("L2_NORMALIZATION", [row], {"fused_activation_function": "RELU"}, UnsupportedError),
        ("SQUARE", [one], {}, UnsupportedError),
        ("ABS", [one.astype(np.int64)], {}, UnsupportedError),
        ("EQUAL", [one, row[:1]], {}, UnsupportedError),
    ]
    for kind, arrays, options, error in refused:

        def build(builder, *tensors, kind=kind, options=options, shape=arrays[-1].shape):
            return builder.op(kind, list(tensors), options, output_shape=shape)

        with pytest.raises((RuntimeError, ValueError)):
            litert_op(build, *arrays)
        b = Builder()
        inputs = [b.input(f"x{i}", array.shape, type_of(array.dtype)) for i, array in enumerate(arrays)]
        graph = b.finish(build(b, *inputs))
        with pytest.raises(error, match=kind):
            Interpreter(graph=graph).run(arrays)


def test_every_operator_of_these_modules_is_compared():
    one = {kind for kind, _ in ON_ONE}
    assert set(unary.FLOAT) <= one
    assert set(elementwise.FLOAT) | set(logic.FLOAT) <= {*ON_TWO, *one, "ADD", "SUB", "MUL", "DIV", "PRELU"}
    assert set(reduce.FLOAT) == {*REDUCED, "ARG_MAX", "ARG_MIN"}
