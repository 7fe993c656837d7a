"""The sheet of paper on which the arithmetic of one output element is written down, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ptq.spec.numbers import Number


@dataclass(frozen=True)
class Line:
    """One step: what was computed, how, by which rule, and where TensorFlow Lite does it.

    step: the label of the step in the kernels, "quantize input", "accumulate", "rescale", "add bias",
    "clamp". name: what the value is, "accumulator". formula: a format string for `numbers`. rule: the name of
    the rule where there is more than one. source: file and function of TensorFlow Lite. terms: the parts of a
    sum. key: for what several elements share (a row's scale, a channel's multiplier), which of them it is.
    detail: an inner step of a rule, which the traces of test vectors leave out.
    """

    step: str
    name: str
    value: Number | Sequence[Number]
    formula: str = ""
    numbers: tuple[Any, ...] = ()
    rule: str = ""
    source: str = ""
    terms: Sequence[tuple[Number, ...]] = ()
    key: object = None
    detail: bool = False

    @property
    def text(self) -> str:
        """The formula with its numbers."""
        return self.formula.format(*map(written, self.numbers))


@dataclass
class Sheet:
    """The lines of one element, in the order in which a person would work them out."""

    lines: list[Line] = field(default_factory=list)

    def value(self, name: str) -> Any:
        """The value of the last line of that name; KeyError if there is none."""
        for line in reversed(self.lines):
            if line.name == name:
                return line.value
        raise KeyError(name)


def written(number: Any) -> str:
    """A number as text that gives it back exactly: integers in decimal, floats in their shortest form."""
    if isinstance(number, list | tuple):
        return "[" + ", ".join(map(written, number)) + "]"
    return repr(number) if isinstance(number, float) else str(number)
