"""Exercises of lesson 8: what passes may change, and who becomes an integer operator (Q13)."""

from __future__ import annotations

import numpy as np

from ptq.graph import Operator
from ptq.lessons.exercise import Exercise, Lesson

F = np.float32


def _array(*numbers: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(numbers, F)


FOLD = Exercise(
    title="Fold a batch normalization.",
    question="""
`weights` [outputs, inputs] and `bias` [outputs] are those of a dense layer; gamma, beta, mean, variance
[outputs] belong to the batch normalization behind it (Q13). Return the pair (weights, bias) of the one
layer that computes both. (The numbers of the cases are chosen so that every order of operations gives the
same bits.)
""",
    stub="""
def fold(weights, bias, gamma, beta, mean, variance, epsilon):
    m = gamma / np.sqrt(variance + epsilon)
    return weights * m[:, None], bias
""",
    answer="""
def fold(weights, bias, gamma, beta, mean, variance, epsilon):
    m = gamma / np.sqrt(variance + epsilon)
    return weights * m[:, None], m * (bias - mean) + beta
""",
    hints=[
        "The weights are right. What does the normalization do with a bias, and with nothing at all (x = 0)?",
        "Put the layer's output for x = 0, which is the bias, into gamma * (... - mean) / sqrt(...) + beta.",
    ],
    cases=[
        (_array(1, 2, 3, -4).reshape(2, 2), _array(0.5, -1), _array(2, 1), _array(0, 3), _array(1, -2),
         _array(3, 15), F(1)),
        (_array(8, -6).reshape(1, 2), _array(0), _array(-1), _array(0.25), _array(4), _array(15.75), F(0.25)),
        (_array(1, 1, 1).reshape(3, 1), _array(1, 1, 1), _array(1, 1, 1), _array(0, 0, 0), _array(0, 0, 0),
         _array(0, 0.1875, 63.9375), F(0.0625)),
    ],
    unit="real units",
)  # fmt: skip

FUSE = Exercise(
    title="May this activation be fused?",
    question="""
A RELU stands behind an operator of type `layer`. Return True if it may become the clamp of that operator:
only some types have a fused activation (`TAKES_ACTIVATION`, a set, is there), there is only one clamp
(`fused` says which activation the operator has already, "NONE" for none), and nobody else may see the
number before the clamp: `readers` operators read it, the RELU among them, and `is_output` says whether the
model returns it.
""",
    stub="""
def may_fuse(layer, fused, readers, is_output):
    return layer in TAKES_ACTIVATION
""",
    answer="""
def may_fuse(layer, fused, readers, is_output):
    return layer in TAKES_ACTIVATION and fused == "NONE" and readers == 1 and not is_output
""",
    hints=[
        "Four conditions, and the stub has the first.",
        "If two operators read the number, one of them wants it unclamped.",
    ],
    cases=[
        ("CONV_2D", "NONE", 1, False), ("CONV_2D", "NONE", 2, False), ("CONV_2D", "NONE", 1, True),
        ("CONV_2D", "RELU6", 1, False), ("RESHAPE", "NONE", 1, False), ("ADD", "NONE", 1, False),
        ("MEAN", "NONE", 1, False), ("FULLY_CONNECTED", "NONE", 1, False),
    ],
    setup={
        "TAKES_ACTIVATION": {
            "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "AVERAGE_POOL_2D",
            "MAX_POOL_2D",
        }
    },
    unit="0 or 1",
)  # fmt: skip

HYBRID = Exercise(
    title="Who becomes hybrid?",
    question="""
With `post_training_quantize` and nothing else: return True if the operator will have int8 weights. It must
be of a type with weights and a hybrid kernel (`HYBRID_TYPES`, a set, is there); its weights must be stored
in the file, not computed (`stored`), and there must be enough of them: `elements` is how many it has.
""",
    stub="""
def becomes_hybrid(type, elements, stored):
    return type in HYBRID_TYPES
""",
    answer="""
def becomes_hybrid(type, elements, stored):
    return type in HYBRID_TYPES and stored and elements >= 1024
""",
    hints=[
        "How many weights has the first layer of the classifier, which stays float?",
        "1024 are enough, 1023 are not.",
    ],
    cases=[
        ("CONV_2D", 288, True), ("CONV_2D", 1023, True), ("CONV_2D", 1024, True), ("SOFTMAX", 0, False),
        ("FULLY_CONNECTED", 4096, False), ("DEPTHWISE_CONV_2D", 576, True), ("FULLY_CONNECTED", 1280, True),
        ("MUL", 2048, True), ("DEPTHWISE_CONV_2D", 2304, True),
    ],
    setup={"HYBRID_TYPES": {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}},
    unit="0 or 1",
)  # fmt: skip

SKIP = Exercise(
    title="Keep both ends float.",
    question="""
A common wish: the first layer and the last one stay float, all others become integers. Write what is
assigned to `converter.skip` for the classifier `fashion_cnn`: a function of an operator (it has a `.type`)
and the name of its output tensor. True means: skip it. The first convolution writes 'conv1_relu'; the last
layer with weights writes 'dense2', and 'probabilities' is the softmax behind it, which is to stay float,
too.
""",
    stub="""
def skip(operator, name):
    return operator.type == "CONV_2D"
""",
    answer="""
def skip(operator, name):
    return name in ("conv1_relu", "dense2", "probabilities")
""",
    hints=[
        "The type alone does not tell the first convolution from the others. The name does.",
        "Three names.",
    ],
    cases=[
        (Operator("CONV_2D", [0, 1, 2], [3]), "conv1_relu"), (Operator("MAX_POOL_2D", [3], [4]), "pool1"),
        (Operator("CONV_2D", [4, 5, 6], [7]), "conv2_relu"),
        (Operator("CONV_2D", [8, 9, 10], [11]), "conv3_relu"),
        (Operator("FULLY_CONNECTED", [12, 13, 14], [15]), "dense1_relu"),
        (Operator("FULLY_CONNECTED", [15, 16, 17], [18]), "dense2"),
        (Operator("SOFTMAX", [18], [19]), "probabilities"),
    ],
    unit="0 or 1",
)  # fmt: skip

lesson = Lesson(8, "Why is this layer still float?", [FOLD, FUSE, HYBRID, SKIP])
