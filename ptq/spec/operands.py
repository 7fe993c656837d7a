"""The elements of operands that meet in an output, for operators that work element by element."""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.rules import Rules


def meeting(rules: Rules, question: Question, index: Index) -> list[Number]:
    """The element of each operand that belongs to the output at `index`, by broadcasting."""
    operands = [question.input(position) for position in range(len(question.inputs))]
    return [operand.at(*rules.broadcast_index(operand.shape, index)) for operand in operands]
