"""The exceptions of ptq: one family, raised for what a user can get wrong.

Every message names the tensor or operator, what was found, what was expected and the remedy.
"""


class PtqError(Exception):
    """The common base class: `except ptq.errors.PtqError` catches everything below."""


class FormatError(PtqError):
    """The bytes are not a well-formed model file: truncated, out of bounds, wrong identifier."""


class GraphError(PtqError):
    """The layer graph contradicts itself: a missing tensor, a cycle, a shape that does not fit."""


class ShapeError(GraphError):
    """An array or a tensor does not have the shape that the operator needs."""


class QuantizationError(PtqError):
    """Quantization parameters or weights are impossible: scale <= 0, a zero point out of range, NaN."""


class UnsupportedError(PtqError):
    """The operator, type or option exists in TensorFlow Lite, but ptq does not compute it."""


class InputError(PtqError):
    """An argument from the caller is wrong: an input's shape or dtype, an unknown name, a bad path."""
