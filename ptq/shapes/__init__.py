"""Shape inference: which shapes an operator writes, given the tensors that it reads."""

from __future__ import annotations

from ptq.errors import GraphError, UnsupportedError
from ptq.graph import Operator
from ptq.shapes import elementwise, layers, movement, recurrent, slicing
from ptq.shapes.common import Inputs, Rule, Shape

RULES: dict[str, Rule] = {
    **layers.RULES,
    **elementwise.RULES,
    **movement.RULES,
    **slicing.RULES,
    **recurrent.RULES,
}
"""The rule of each operator that ptq computes."""


def infer_shapes(operator: Operator, tensors: Inputs) -> list[Shape]:
    """The shapes of the operator's outputs, one entry for each output.

    tensors: the input tensors in order, None for an absent optional input; operands that hold shapes,
    axes or paddings must be constants. Raises ShapeError if the inputs do not fit the operator,
    GraphError if an input or an option is missing, UnsupportedError for an operator without a rule and
    for an operand that is only known at run time.
    Source: the Prepare function of each operator in `tflite/kernels/*.cc`.
    """
    rule = RULES.get(operator.type)
    if rule is None:
        raise UnsupportedError(
            f"operator {operator.custom_code or operator.type}: ptq cannot infer the shape of its output; "
            f"expected one of {', '.join(sorted(RULES))}"
        )
    try:
        return rule(operator, tensors)
    except KeyError as error:
        raise GraphError(
            f"operator {operator.type}: option {error} is missing; expected all options of the schema"
        ) from error
