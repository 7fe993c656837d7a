"""The steps of all elements of an output as arrays: what a test vector carries besides the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ptq.graph import Array
from ptq.spec import element_of
from ptq.spec.numbers import f32
from ptq.spec.question import Question
from ptq.spec.rules import Rules
from ptq.spec.sheet import Line, Sheet

RESULT = "output"
"""The name of the last line, which is the result itself."""


def evaluate(question: Question, rules: Rules) -> tuple[list[list[Any]], list[dict[str, Array]]]:
    """The elements of everything that an operator writes, and for each of its outputs the steps as arrays.

    A step that every element has is an array of the output's shape (with one more dimension if it comes
    several times); one that elements share, such as a channel's multiplier, has an entry for each key. Inner
    steps and the states' are left out.
    """
    question, element = question.afresh(), element_of(question)
    values, traces = [], []
    for number, place in enumerate(question.places):
        sheets, results = [], []
        for index in place.indices():
            rules.sheet = Sheet() if number < len(question.outputs) else None
            results.append(element(rules, question, number, index))
            if rules.sheet is not None:
                sheets.append(rules.sheet)
        values.append(results)
        if number < len(question.outputs):
            traces.append({**_shared(sheets), **_own(sheets, place.shape)})
    rules.sheet = None
    return values, traces


def _own(sheets: Sequence[Sheet], shape: tuple[int, ...]) -> dict[str, Array]:
    """The steps that each element has for itself, and all have."""
    columns: list[dict[str, list[Any]]] = []
    for sheet in sheets:
        steps: dict[str, list[Any]] = {}
        for line in sheet.lines:
            if line.key is None and not line.detail and line.name != RESULT:
                steps.setdefault(line.name, []).append(line.value)
        columns.append(steps)
    arrays = {}
    for name in columns[0] if columns else ():
        values = [column.get(name, ()) for column in columns]
        if len({len(v) for v in values}) == 1 and not any(
            isinstance(x, list | tuple) for v in values for x in v
        ):
            times = len(values[0])
            arrays[name] = packed([x for v in values for x in v]).reshape((*shape, *([times] * (times > 1))))
    return arrays


def _shared(sheets: Sequence[Sheet]) -> dict[str, Array]:
    """The steps that several elements share, by name, in the order of their keys."""
    lines: dict[str, dict[Any, Line]] = {}
    for sheet in sheets:
        for line in sheet.lines:
            if line.key is not None and not line.detail:
                lines.setdefault(line.name, {}).setdefault(line.key, line)
    arrays = {}
    for name, by_key in lines.items():
        values = [by_key[key].value for key in sorted(by_key)]
        lists = [v for v in values if isinstance(v, list | tuple)]
        if len(lists) == len(values):
            flat = packed([x for v in lists for x in v])
            arrays[name] = (
                flat.reshape(len(lists), -1) if len({*map(len, lists)}) == 1 and flat.size else flat
            )
        else:
            arrays[name] = packed(values)
    return arrays


def packed(values: Sequence[Any]) -> Array:
    """Python numbers as an array of the shortest type for them: bool, int32, int64, float32, float64."""
    if all(isinstance(v, bool) for v in values) and values:
        return np.array(values, np.bool_)
    if all(isinstance(v, int) for v in values):
        short = all(-(2**31) <= v < 2**31 for v in values)
        return np.array(values, np.int32 if short else np.int64)
    single = all(v != v or f32(v) == v for v in values)
    return np.array(values, np.float32 if single else np.float64)
