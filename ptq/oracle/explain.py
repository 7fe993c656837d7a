"""One output element, worked out on paper: the trace as text, and the model's operator that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError
from ptq.graph import Array, Graph, Quantization
from ptq.interpreter import Interpreter
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.oracle.problem import Given, Problem, Wanted, problem_of, quantization
from ptq.oracle.same import same_bits
from ptq.spec import trace as work_out
from ptq.spec.sheet import Line, Sheet, written
from ptq.terminal import printable

TERMS = 12
"""How many terms of a sum are printed, unless all are wanted."""


@dataclass(frozen=True)
class Trace:
    """How one element came about. value: the element. sheet: the lines; prints as text."""

    operator: str
    output: int
    index: tuple[int, ...]
    numerics: Numerics
    sheet: Sheet
    value: Any

    @property
    def lines(self) -> list[Line]:
        """The lines in the order in which a person would work them out."""
        return self.sheet.lines

    def __str__(self) -> str:
        return self.text()

    def text(self, terms: int = TERMS) -> str:
        """The lines with their rules and sources; of sums the first `terms` terms."""
        where = f"output {self.output}" + (f" {list(self.index)}" if self.index else "")
        head = f"{self.operator}, {where}, numerics {self.numerics.name}"
        body, step = [], ""
        for line in self.lines:
            if line.step != step:
                body.append(line.step)
                step = line.step
            body += _text(line, terms)
        return "\n".join([head, "", *body])


def _text(line: Line, terms: int) -> list[str]:
    value = written(line.value)
    if isinstance(line.value, list | tuple) and len(line.value) > terms:
        value = f"{written(list(line.value[:terms]))[:-1]}, ...] ({len(line.value)} in all)"
    indent = "      " if line.detail else "    "
    formula = f" = {line.text}" if line.formula else ""
    rows = [f"{indent}{line.name}{formula} = {value}"]
    rows += [f"{indent}    {' * '.join(map(_factor, term))}" for term in line.terms[:terms]]
    if len(line.terms) > terms:
        rows.append(f"{indent}    ... and {len(line.terms) - terms} more terms")
    notes = [note for note in (line.rule and f"rule: {line.rule}", line.source) if note]
    if notes:
        rows.append(f"{indent}    [{'; '.join(notes)}]")
    return [printable(row) for row in rows]


def _factor(number: Any) -> str:
    return f"({written(number)})" if number < 0 else written(number)


def explain(
    problem: Problem, index: Sequence[int], output: int = 0, numerics: Numerics = LITERT_REFERENCE
) -> Trace:
    """Work out one element of an output (or of a state, which is counted after them).

    InputError for an index or an output that the operator does not have.
    """
    question = problem.question()
    places = question.places
    if not 0 <= output < len(places):
        raise InputError(f"{problem.operator}: output {output} found, expected 0 to {len(places) - 1}")
    shape, place = places[output].shape, tuple(int(i) for i in index)
    if len(place) != len(shape) or not all(-n <= i < n for i, n in zip(place, shape, strict=True)):
        raise InputError(
            f"{problem.operator}: element {list(place)} found, expected an index into shape {list(shape)}"
        )
    place = tuple(i % n for i, n in zip(place, shape, strict=True))
    sheet, value = work_out(question, place, output, numerics)
    return Trace(problem.operator, output, place, numerics, sheet, value)


def explain_model(
    graph: Graph,
    operator: int,
    index: Sequence[int],
    inputs: Sequence[Array],
    output: int = 0,
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[Trace, Array]:
    """Run a model, then work out one element of one of its operators; also that output by the kernels.

    operator: its position in the main graph. Raises InputError for one that does not exist.
    """  # fmt: skip
    if not 0 <= operator < len(graph.operators):
        raise InputError(
            f"operator {operator} found, expected 0 to {len(graph.operators) - 1}; see `ptq inspect`"
        )
    if not 0 <= output < len(graph.operators[operator].outputs):
        count = len(graph.operators[operator].outputs)
        raise InputError(f"operator {operator}: output {output} found, expected 0 to {count - 1}")
    interpreter = Interpreter(graph=graph, numerics=numerics)
    seen: dict[int, tuple[list[Array | None], list[Array]]] = {}

    def hook(position: int, _: object, read: list[Array | None], results: list[Array]) -> None:
        if position == operator:
            seen[position] = read, results

    interpreter.add_hook(hook)
    interpreter.run(inputs)
    read, results = seen[operator]
    problem = problem_of(interpreter.graph, operator, read)
    trace = explain(problem, index, output, numerics)
    return trace, results[output]


def agreement(trace: Trace, kernels: Array) -> str:
    """Whether the vectorised kernels have the same element, in a sentence."""
    found = kernels[trace.index]
    if same_bits(np.asarray(found), np.asarray(trace.value, found.dtype)):
        return f"ptq's kernel computes the same: {found}"
    if trace.numerics.float_sums == "blas" and kernels.dtype.kind == "f":
        return f"ptq's kernel, which leaves the order of float sums to BLAS, computes {found}"
    return f"ptq's kernel computes {found}: one of the two is wrong; please report it"


USUAL_OPTIONS: dict[str, dict[str, Any]] = {"SOFTMAX": {"beta": 1.0}}
"""What every model writes where the schema's default means nothing: all powers of a beta of 0 are 1."""

Scales = Quantization | tuple[Any, ...] | None
"""A `Quantization`; or (scale, zero_point) or (scales, zero_points, quantized_dimension); None for reals."""


def trace(
    operator: str,
    inputs: Sequence[npt.ArrayLike | None],
    scales: Sequence[Scales] = (),
    output_type: str = "FLOAT32",
    output_scale: Scales = None,
    options: Mapping[str, Any] | None = None,
    element: Sequence[int] = (),
    output: int = 0,
    numerics: Numerics = LITERT_REFERENCE,
) -> Trace:
    """Work out one output element of one operator, line by line, as a person would check it by hand.

    operator: TensorFlow Lite's name, "CONV_2D". inputs: arrays of the types that the operator takes, None for
    an optional one that is absent. scales: for each input how its integers stand for reals, (scale,
    zero_point) or (scales, zero_points, quantized_dimension), None for reals; may end early. output_type,
    output_scale: of the outputs. options: those that differ from the schema's defaults; `beta` of SOFTMAX,
    which is 0 in the schema and 1 in every model, is 1 unless given. element: the index into the output.
    Returns a `Trace`, which prints as text.
    Errors: InputError for an element outside; the errors of the kernels for operands that do not fit.

    >>> import numpy as np
    >>> q, w = np.array([[-3, 7]], np.int8), np.array([[10, -20]], np.int8)
    >>> trace("FULLY_CONNECTED", [q, w], [(0.5, -3), (0.25, 0)], "INT8", (2.0, 1), element=(0, 0)).value
    -12
    """
    operands = [
        None if array is None else Given(np.asarray(array), _quantization(scale))
        for array, scale in zip_longest(inputs, scales)
    ]
    wanted = Wanted(output_type, _quantization(output_scale))
    chosen = {**USUAL_OPTIONS.get(operator, {}), **(options or {})}
    count = Problem(operator, operands, [], chosen).output_count
    return explain(Problem(operator, operands, [wanted] * count, chosen), element, output, numerics)


def _quantization(scales: Scales) -> Quantization | None:
    return scales if scales is None or isinstance(scales, Quantization) else quantization(*scales)
