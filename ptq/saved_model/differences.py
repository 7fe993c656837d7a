"""Where the files that ptq writes of a SavedModel differ from those of TensorFlow's converter, and why.

`python -m ptq.saved_model` prints them as two Markdown tables.
"""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """What differs: TensorFlow's file, ptq's, and the reason."""

    where: str
    tensorflow: str
    ptq: str
    reason: str


DIFFERENCES = (
    Difference(
        "1 / sqrt(variance + epsilon) of constants", "bits of the processor that converts",
        "rounded once from double precision",
        "the instruction RSQRTPS gives other bits on other processors; two float32 steps at most",
    ),
    Difference(
        "variables in the file of tf.saved_model.save(a Keras 3 model)",
        "VAR_HANDLE, READ_VARIABLE, BATCH_MATMUL", "constants, FULLY_CONNECTED",
        "the values are in the directory; only constants can be quantized",
    ),
    Difference(
        "a dilated convolution, the batch open", "SPACE_TO_BATCH_ND, CONV_2D, BATCH_TO_SPACE_ND, ADD",
        "CONV_2D with a dilation", "the same numbers from one operator; TensorFlow does so where it is fixed",
    ),
    Difference("AddN", "ADD_N", "ADD for each further operand", "the same sum; ptq has no ADD_N"),
    Difference(
        "nodes that compute the same", "computed once", "computed each time",
        "Grappler joins them before the conversion; ptq does not",
    ),
    Difference(
        "Einsum 'i,j->ij'", "RESHAPE, RESHAPE, FULLY_CONNECTED", "RESHAPE, RESHAPE, BATCH_MATMUL",
        "the same products",
    ),
    Difference(
        "IsInf", "ABS, EQUAL with 3.4028235e38", "refused",
        "no infinite number is equal to the largest finite one",
    ),
    Difference(
        "operators that do not depend on each other", "order of the nodes after Grappler",
        "order of the nodes in the SavedModel", "seen in b * 3 / sqrt(a) alone, which Grappler rewrites",
    ),
    Difference(
        "LSTM and SimpleRNN of Keras 3, or with an open batch", "none: the conversion fails",
        "UNIDIRECTIONAL_SEQUENCE_LSTM, _RNN", "the loop's cell is recognised; an open batch becomes 1",
    ),
    Difference(
        "GRU and other loops over TensorLists", "SLICE, SLICE, CONCATENATION for each element, or it fails",
        "EQUAL, SELECT_V2 for each element", "its sizes are known before the model runs",
    ),
    Difference(
        "LSTM of Keras 2, the batch fixed", "cell_clip 10", "cell_clip 0", "Keras clips nothing",
    ),
    Difference(
        "outputs of the graph", "in the order of a hash table", "in the order of the signature's names",
        "the signature finds them by name in both",
    ),
    Difference(
        "names of inner tensors", "of a node or several that were joined",
        "of the last node, with the calls before it", "nothing reads them",
    ),
    Difference(
        "metadata", "min_runtime_version, CONVERSION_METADATA", "none",
        "they say which TensorFlow wrote the file",
    ),
)  # fmt: skip
"""Differences in what both write; the operations that ptq refuses are in `MISSING`."""

MISSING = {
    "All": "REDUCE_ALL", "Atan2": "ATAN2", "Bitcast": "BITCAST", "Bucketize": "BUCKETIZE", "Ceil": "CEIL",
    "Conv3D": "CONV_3D", "Cos": "COS", "Cumsum": "CUMSUM", "Erfc": "GELU", "GatherNd": "GATHER_ND",
    "LRN": "LOCAL_RESPONSE_NORMALIZATION", "MatrixDiagV3": "MATRIX_DIAG", "MirrorPad": "MIRROR_PAD",
    "OneHot": "ONE_HOT", "Pow": "POW", "RFFT": "RFFT2D", "Rint": "ROUND", "Round": "ROUND",
    "ScatterNd": "SCATTER_ND", "SegmentSum": "SEGMENT_SUM", "Sign": "SIGN", "Sin": "SIN",
    "SpaceToBatchND": "SPACE_TO_BATCH_ND", "TopKV2": "TOPK_V2", "Unique": "UNIQUE", "Where": "WHERE",
}  # fmt: skip
"""Operations that TensorFlow's converter makes an operator of which ptq cannot compute, and that operator.

Erfc alone is nothing that TensorFlow Lite has; in the form that tf.nn.gelu writes it is part of GELU.
"""


def table() -> str:
    """Both as Markdown."""
    rows = [
        "| Where | TensorFlow's file | ptq's file | Why |", "|---|---|---|---|",
        *(f"| {' | '.join(difference)} |" for difference in DIFFERENCES),
        "", "| Refused | TensorFlow Lite's operator, which ptq does not have |", "|---|---|",
        *(f"| {operation} | {operator} |" for operation, operator in MISSING.items()),
    ]  # fmt: skip
    return "\n".join(rows)
