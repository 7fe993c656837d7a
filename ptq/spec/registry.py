"""What the specification of an operator is: a function that works out one element of one output."""

from __future__ import annotations

from collections.abc import Callable

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.rules import Rules

Element = Callable[[Rules, Question, int, Index], Number]
"""element(rules, question, output, index): the element at `index` of place `output` of `question.places`."""
