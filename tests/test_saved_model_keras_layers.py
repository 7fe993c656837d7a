"""Layers of Keras and forms of Einsum, one at a time: TensorFlow's file, and TensorFlow's numbers."""

import functools
import sys

import numpy as np
import pytest
from tensorflow_files import (
    assert_same_constants,
    converted,
    described,
    feeds,
    rounding_bound,
    translated,
    types,
)
from tensorflow_models import randomise

import ptq
from ptq.errors import UnsupportedError
from ptq.saved_model import translate
from ptq.saved_model.differences import MISSING

pytestmark = pytest.mark.peers


def layer(name, *shape, **options):
    """A model of one layer."""

    def build():
        from keras import Input, Model, layers

        x = Input(shape)
        return Model(x, getattr(layers, name)(**options)(x))

    return build


def activation(name):
    return layer("Activation", 6, 3, activation=name)


def merged(name, *shape, **options):
    """A model of one layer on two inputs of the same shape."""

    def build():
        from keras import Input, Model, layers

        both = [Input(shape), Input(shape)]
        return Model(both, getattr(layers, name)(**options)(both))

    return build


def self_attention():
    from keras import Input, Model, layers

    x = Input((6, 8))
    return Model(x, layers.Attention()([x, x]))


def transformer_block():
    from keras import Input, Model, layers

    x = tokens = Input((6, 8))
    x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x)]))
    wide = layers.Dense(8)(layers.Dense(16, activation="relu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, wide]))
    return Model(tokens, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def embedding():
    from keras import Input, Model, layers

    words = Input((6,), dtype="int32")
    return Model(words, layers.Embedding(20, 8)(words))


LAYERS = {
    "transformer": transformer_block, "attention": self_attention, "embedding": embedding,
    "group_normalization": layer("GroupNormalization", 6, 6, 8, groups=2),
    "unit_normalization": layer("UnitNormalization", 6), "rms": layer("RMSNormalization", 6, 8),
    "einsum_dense": layer("EinsumDense", 6, 8, equation="abc,cde->abde", output_shape=(None, 2, 5)),
    "rescaling": layer("Rescaling", 6, 6, 3, scale=1 / 127.5, offset=-1.0),
    "normalization": layer("Normalization", 6, 3, mean=[1.0, 2, 3], variance=[1.0, 4, 9]),
    "conv1d_causal": layer("Conv1D", 12, 3, filters=8, kernel_size=3, padding="causal"),
    "separable1d": layer("SeparableConv1D", 12, 3, filters=8, kernel_size=3, padding="same"),
    "conv1d_transpose": layer("Conv1DTranspose", 12, 3, filters=4, kernel_size=3, strides=2, padding="same"),
    "grouped": layer("Conv2D", 6, 6, 4, filters=8, kernel_size=3, groups=2),
    "upsampling": layer("UpSampling2D", 4, 4, 3), "cropping": layer("Cropping2D", 6, 6, 3),
    "average_same": layer("AveragePooling2D", 7, 7, 3, pool_size=3, strides=2, padding="same"),
    "resizing": layer("Resizing", 4, 4, 3, height=8, width=8), "masking": layer("Masking", 6, 4),
    "prelu": layer("PReLU", 6, 6, 3, shared_axes=[1, 2], alpha_initializer="uniform"),
    "softmax_axis": layer("Softmax", 6, 3, axis=1), "softmax_axes": layer("Softmax", 4, 4, 3, axis=[1, 2]),
    "repeat": layer("RepeatVector", 6, n=3), "reshape": layer("Reshape", 6, 2, target_shape=(3, 4)),
    "permute": layer("Permute", 6, 2, dims=(2, 1)),
    "relu6": layer("ReLU", 6, max_value=6, negative_slope=0.1),
    "dot": merged("Dot", 6, axes=1), "dot_turned": merged("Dot", 6, 4, axes=2),
    "average": merged("Average", 6), "maximum": merged("Maximum", 6),
    **{name: activation(name) for name in ("selu", "elu", "silu", "mish", "celu", "softsign", "log_sigmoid",
                                           "hard_sigmoid", "hard_silu", "hard_tanh", "soft_shrink")},
}  # fmt: skip
"""Layers that the whole models of `tensorflow_models` do not have, or not in this form."""

N = None
EQUATIONS = {
    "bij,bjk->bik": [(N, 3, 4), (N, 4, 5)], "bqhd,bkhd->bhqk": [(N, N, 2, 4), (N, N, 2, 4)],
    "bhqk,bkhd->bqhd": [(2, 2, 3, 5), (2, 5, 2, 4)], "bi,bi->b": [(N, 4), (N, 4)],
    "bij,bjk->bki": [(2, 3, 4), (2, 4, 5)], "bhwc,bhwd->bcd": [(N, 3, 2, 4), (N, 3, 2, 5)],
    "bi,i->bi": [(N, 4), (4,)], "...ij,...jk->...ik": [(N, 3, 4), (N, 4, 5)], "abc->cab": [(N, 3, 4)],
    "bij->bi": [(N, 3, 4)], "ij,jk,kl->il": [(3, 4), (4, 5), (5, 2)],
}  # fmt: skip


def exported(model, path):
    randomise(model).export(path, verbose=False)
    return path


def functions(path, function, *shapes):
    """A SavedModel of a function of tensors with these shapes."""
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes])
        def __call__(self, *arguments):
            return function(*arguments)

    tf.saved_model.save(Module(), path)
    return path


def assert_tensorflows(path):
    """The operators and constants of TensorFlow's file, and the outputs of TensorFlow itself."""
    import tensorflow as tf

    ours, theirs = translated(path), converted(path)
    assert described(ours) == described(theirs)
    assert_same_constants(ours, theirs)
    values = [np.abs(x * 8).astype(ours.tensors[i].dtype) if ours.tensors[i].type == "INT32" else x
              for i, x in zip(ours.inputs, feeds(ours), strict=True)]  # fmt: skip
    (found,) = ptq.Interpreter(graph=ours).run(values)
    fed = {key: tf.constant(x) for key, x in zip(ours.signatures[0].inputs, values, strict=True)}
    (expected,) = tf.saved_model.load(path).signatures["serving_default"](**fed).values()
    bound = rounding_bound(ours) * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=bound)


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, tmp_path):
    assert_tensorflows(exported(LAYERS[name](), tmp_path))


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation, tmp_path):
    import tensorflow as tf

    assert_tensorflows(functions(tmp_path, functools.partial(tf.einsum, equation), *EQUATIONS[equation]))


# --- what ptq refuses, and what else differs ------------------------------------------------------


def every_missing_operation(x, volume, numbers):
    """Each operation of MISSING once, with TensorFlow's names."""
    import tensorflow as tf

    raw = tf.raw_ops
    return [
        tf.reduce_all(x > 0, 1), tf.atan2(x, x), tf.bitcast(x, tf.int32), raw.Ceil(x=x), tf.cos(x), tf.sin(x),
        raw.Bucketize(input=x, boundaries=[0.0, 1.0]),
        tf.nn.conv3d(volume, tf.ones((2, 2, 2, 1, 1)), [1] * 5, "SAME"),
        tf.cumsum(x, 1), tf.nn.gelu(x), tf.gather_nd(x, [[0, 1], [2, 3]]), tf.nn.lrn(volume[:, 0]),
        tf.linalg.diag(x), tf.pad(x, [[1, 1], [2, 0]], "REFLECT"), tf.one_hot(numbers, 5), x**3.0,
        tf.signal.rfft(x), raw.Rint(x=x), raw.Round(x=x + 1), tf.scatter_nd([[1], [3], [0], [2]], x, [5, 4]),
        tf.math.segment_sum(x, [0, 0, 1, 1]), tf.sign(x),
        tf.space_to_batch(volume[:, 0], [2, 2], [[0, 0], [0, 0]]),
        tf.math.top_k(x, 2)[0], tf.unique(numbers)[0], tf.where(x > 1),
    ]  # fmt: skip


def test_what_ptq_has_no_kernel_for_is_refused_by_name(tmp_path):
    """And nothing else of the same graph; all of it is in TensorFlow's file."""
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[
            tf.TensorSpec((4, 4)), tf.TensorSpec((1, 4, 4, 4, 1)), tf.TensorSpec((4,), tf.int32)
        ])  # fmt: skip
        def __call__(self, *arguments):
            return {f"y{n}": y for n, y in enumerate(every_missing_operation(*arguments))}

    tf.saved_model.save(Module(), tmp_path)
    assert set(MISSING.values()) <= set(types(converted(tmp_path)))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UnsupportedError) as error:
        patch.setattr(sys.modules[translate.__module__], "SHOWN", 100)
        translated(tmp_path)
    refused = {line.split()[0] for line in str(error.value).splitlines()[1:-1]}
    assert refused == set(MISSING)


def test_sums_of_several_and_outer_products_are_written_with_other_operators(tmp_path):
    import tensorflow as tf

    cases = [
        (lambda a, b: tf.add_n([a, b, a]), ["ADD_N"], ["ADD", "ADD"]),
        (lambda a, b: tf.einsum("i,j->ij", a, b), ["RESHAPE"] * 2 + ["FULLY_CONNECTED"],
         ["RESHAPE"] * 2 + ["BATCH_MATMUL"]),
    ]  # fmt: skip
    for number, (function, theirs, ours) in enumerate(cases):
        path = functions(tmp_path / str(number), function, (4,), (4,))
        assert types(converted(path)) == theirs
        assert types(translated(path)) == ours
