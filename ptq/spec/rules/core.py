"""What every rule builds on: the numerics that are meant, and the sheet on which lines are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.spec.sheet import Line, Sheet

Value = TypeVar("Value")


class Written:
    """Rules that write down what they compute.

    numerics: which rule is meant where TensorFlow Lite has several. sheet: where lines go; None for nowhere.
    """

    def __init__(self, numerics: Numerics = LITERT_REFERENCE, sheet: Sheet | None = None) -> None:
        self.numerics = numerics
        self.sheet = sheet

    def write(
        self, step: str, name: str, value: Value, formula: str = "", *numbers: Any, **more: Any
    ) -> Value:
        """Write a `Line`, if there is a sheet, and return its value."""
        if self.sheet is not None:
            kept: Any = value
            self.sheet.lines.append(Line(step, name, kept, formula, numbers, **more))
        return value

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Write nothing down meanwhile: for work that belongs to other elements."""
        sheet, self.sheet = self.sheet, None
        try:
            yield
        finally:
            self.sheet = sheet

    @contextmanager
    def inner(self, step: str = "") -> Iterator[None]:
        """Write down as inner steps what is done meanwhile: for a rule that takes part in a larger one.

        step: of which step they are; by default each of its own.
        """
        start = 0 if self.sheet is None else len(self.sheet.lines)
        yield
        if self.sheet is not None:
            self.sheet.lines[start:] = [
                replace(line, step=step or line.step, detail=True) for line in self.sheet.lines[start:]
            ]
