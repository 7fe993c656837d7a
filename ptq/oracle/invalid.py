"""What must be refused: operators whose operands contradict each other, and the error that is expected."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ptq.errors import GraphError, InputError, PtqError, QuantizationError, ShapeError, UnsupportedError
from ptq.format import dumps
from ptq.format.files import make_directory, write_file
from ptq.graph import Quantization
from ptq.numerics import LITERT_REFERENCE
from ptq.oracle.apart import done_apart
from ptq.oracle.confirm import RUNTIMES, Runtime
from ptq.oracle.files import (
    DATA,
    FORMAT,
    INVALID,
    MANIFEST,
    VERSION,
    Blob,
    operand_entry,
    plain_options,
    wanted_entry,
)
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted, quantization


@dataclass(frozen=True)
class Invalid:
    """A problem without an answer. error: the class of the error; words: what its message says."""

    id: str
    problem: Problem
    error: type[PtqError]
    words: str


def cases() -> list[Invalid]:
    """All of them, each in one point different from an operator that is right."""
    return [*_convolutions(), *_dense(), *_hybrid(), *_one_scale(), *_two_operands()]


IMAGE = Given(np.ones((1, 4, 4, 2), np.int8), quantization(0.5, 3))
FILTER = Given(np.ones((3, 2, 2, 2), np.int8), quantization([0.25, 0.5, 1.0]), CONSTANT)
THREE = np.array([1, 2, 3], np.float32)
BIAS = Given(np.zeros(3, np.int32), quantization([0.125, 0.25, 0.5]), CONSTANT)
"""The operands of a CONV_2D that is right."""


def _convolution(changes: dict[int, Given | None] | None = None, **more: Any) -> Problem:
    """That CONV_2D on int8, but for the operands in `changes` and the fields in `more`."""
    operands: list[Given | None] = [IMAGE, FILTER, BIAS]
    for position, given in (changes or {}).items():
        operands[position] = given
    problem = Problem(
        "CONV_2D", operands, [Wanted("INT8", quantization(1.0, -1))],
        {"stride_h": 1, "stride_w": 1, "padding": "VALID"}, version=3,
    )  # fmt: skip
    return replace(problem, **more)


def _convolutions() -> Iterable[Invalid]:
    def one(name: str, problem: Problem, error: type[PtqError], words: str) -> Invalid:
        return Invalid(f"CONV_2D-{name}", problem, error, words)

    def scaled(given: Given, scale: Any, zero_point: Any = 0, axis: int = 0) -> Given:
        return replace(given, quantization=quantization(scale, zero_point, axis))

    yield one("scale-zero", _convolution({0: scaled(IMAGE, 0.0)}), QuantizationError, "expected one above 0")
    yield one(
        "scale-negative",
        _convolution({0: scaled(IMAGE, -0.5)}),
        QuantizationError,
        "expected a finite number",
    )
    yield one(
        "scale-nan", _convolution({0: scaled(IMAGE, np.nan)}), QuantizationError, "expected a finite number"
    )
    yield one(
        "zero-point-out-of-range",
        _convolution({0: scaled(IMAGE, 0.5, 128)}),
        QuantizationError,
        "zero point 128",
    )
    yield one(
        "weights-zero-point", _convolution({1: scaled(FILTER, [0.25, 0.5, 1.0], 1)}), QuantizationError,
        "zero point 1 found, expected 0",
    )  # fmt: skip
    yield one(
        "weights-axis", _convolution({1: scaled(FILTER, [0.25, 0.5], 0, 3)}), QuantizationError,
        "2 scales along dimension 3",
    )  # fmt: skip
    yield one(
        "scales-and-zero-points",
        _convolution({1: replace(FILTER, quantization=Quantization(THREE, np.zeros(1, np.int64)))}),
        QuantizationError, "3 scales but 1 zero points",
    )  # fmt: skip
    yield one("no-bias", _convolution({2: None}), GraphError, "expected one")
    yield one(
        "bias-size", _convolution({2: replace(BIAS, array=np.zeros(2, np.int32), quantization=None)}),
        ShapeError, "expected 3 elements, one for each output",
    )  # fmt: skip
    yield one(
        "bias-zero-point",
        _convolution({2: scaled(BIAS, [0.125, 0.25, 0.5], 1)}),
        QuantizationError,
        "zero point 0",
    )
    yield one(
        "bias-float", _convolution({2: Given(np.zeros(3, np.float32), None, CONSTANT)}), UnsupportedError,
        "with bias FLOAT32",
    )  # fmt: skip
    yield one(
        "output-int16",
        _convolution(wanted=[Wanted("INT16", quantization(1.0))]),
        UnsupportedError,
        "output INT16",
    )
    yield one(
        "channels",
        _convolution({0: replace(IMAGE, array=np.ones((1, 4, 4, 3), np.int8))}),
        ShapeError,
        "expected a multiple of the filter's 2",
    )
    yield one(
        "window-too-large",
        _convolution({0: replace(IMAGE, array=np.ones((1, 1, 1, 2), np.int8))}),
        ShapeError,
        "expected at least the window of 2x2",
    )
    yield one(
        "stride-zero",
        _convolution(options={"stride_h": 0, "stride_w": 1, "padding": "VALID"}),
        ShapeError,
        "expected positive numbers",
    )
    yield one(
        "int16-zero-point",
        _convolution(
            {0: Given(np.ones((1, 4, 4, 2), np.int16), quantization(0.5, 1)),
             2: replace(BIAS, array=np.zeros(3, np.int64))},
            wanted=[Wanted("INT16", quantization(1.0))],
        ), QuantizationError, "expected 0 to 0",
    )  # fmt: skip


def _dense() -> Iterable[Invalid]:
    input = Given(np.ones((2, 4), np.int8), quantization(0.5, 3))
    weights = Given(np.ones((3, 4), np.int8), quantization(0.25), CONSTANT)
    bias = Given(np.zeros(3, np.int32), quantization(0.125), CONSTANT)
    wanted = [Wanted("INT8", quantization(1.0, -1))]

    def one(name: str, operands: list[Given | None], error: type[PtqError], words: str) -> Invalid:
        return Invalid(
            f"FULLY_CONNECTED-{name}", Problem("FULLY_CONNECTED", operands, wanted, version=4), error, words
        )

    yield one(
        "bias-scale", [input, weights, replace(bias, quantization=quantization(0.5))], QuantizationError,
        "scale 0.5 found, expected 0.125",
    )  # fmt: skip
    yield one(
        "inner-size",
        [replace(input, array=np.ones((2, 3), np.int8)), weights, bias],
        ShapeError,
        "expected a multiple of 4 elements",
    )


def _hybrid() -> Iterable[Invalid]:
    x = Given(np.ones((1, 4), np.float32))
    weights = Given(np.ones((2, 4), np.int8), quantization(0.25), CONSTANT)

    def one(name: str, operands: list[Given | None], words: str, error: type[PtqError]) -> Invalid:
        problem = Problem("FULLY_CONNECTED", operands, [Wanted()], version=3)
        return Invalid(f"FULLY_CONNECTED-hybrid-{name}", problem, error, words)

    yield one(
        "weights-zero-point", [x, replace(weights, quantization=quantization(0.25, 1))],
        "hybrid weights are symmetric", UnsupportedError,
    )  # fmt: skip
    yield one(
        "nan",
        [replace(x, array=np.array([[1, np.nan, 2, 3]], np.float32)), weights],
        "NaN or infinity",
        QuantizationError,
    )
    yield one(
        "minus-128", [x, replace(weights, array=np.full((2, 4), -128, np.int8))], "-128", QuantizationError
    )


def _one_scale() -> Iterable[Invalid]:
    input = Given(np.arange(4, dtype=np.int8).reshape(1, 4), quantization(0.1, 0))

    def one(operator: str, scale: float, zero_point: int, **options: Any) -> Invalid:
        wanted = [Wanted("INT8", quantization(scale, zero_point))]
        problem = Problem(operator, [input], wanted, options)
        return Invalid(f"{operator}-output-scale", problem, QuantizationError, "in which the kernel writes")

    yield one("SOFTMAX", 1 / 255, -128, beta=1.0)
    yield one("LOGISTIC", 1 / 128, -128)
    yield one("LOG_SOFTMAX", 1 / 16, 0)


def _two_operands() -> Iterable[Invalid]:
    a = Given(np.ones((1, 4), np.int8), quantization(0.5, 3))
    wanted = [Wanted("INT8", quantization(1.0, -1))]
    matrix = Given(np.ones((2, 3), np.float32))

    def one(name: str, problem: Problem, error: type[PtqError], words: str) -> Invalid:
        return Invalid(name, problem, error, words)

    yield one(
        "DIV-by-zero", Problem("DIV", [a, Given(np.full((1, 4), 5, np.int8), quantization(0.5, 5))], wanted),
        InputError, "zero point 5 found among the divisors",
    )  # fmt: skip
    yield one(
        "ADD-shapes",
        Problem("ADD", [a, replace(a, array=np.ones((1, 3), np.int8))], wanted),
        ShapeError,
        "expected one that broadcasts with (1, 4)",
    )
    yield one(
        "GATHER-index-outside",
        Problem("GATHER", [Given(np.ones((3, 2), np.float32)), Given(np.array([3], np.int32))], [Wanted()]),
        InputError, "index 3 found, expected 0 to 2",
    )  # fmt: skip
    yield one(
        "RESHAPE-size",
        Problem("RESHAPE", [matrix, Given(np.array([4, 2], np.int32), None, CONSTANT)], [Wanted()]),
         ShapeError, "expected as many elements as shape (4, 2) has",
    )  # fmt: skip
    yield one(
        "TRANSPOSE-permutation",
        Problem("TRANSPOSE", [matrix, Given(np.array([0, 0], np.int32), None, CONSTANT)], [Wanted()]),
         ShapeError, "expected each axis of shape (2, 3) once",
    )  # fmt: skip


def refusal(case: Invalid) -> PtqError | None:
    """The error that ptq raises; None if it computes something."""
    try:
        case.problem.run(LITERT_REFERENCE)
    except PtqError as error:
        return error
    return None


def write_invalid(directory: str | Path, confirm: bool = False) -> Path:
    """Write the manifest of what must be refused, and its operands; returns the folder.

    confirm: also say of each runtime whether it refuses the model, computes something, or ends the process.
    """
    folder, blob = make_directory(Path(directory) / INVALID), Blob()
    entries = [_entry(case, blob, confirm) for case in cases()]
    manifest = {"format": FORMAT, "format_version": VERSION, "data": DATA, "invalid": entries}
    write_file(folder / DATA, [bytes(blob.content)])
    write_file(folder / MANIFEST, [(json.dumps(manifest, indent=1) + "\n").encode()])
    return folder


def _entry(case: Invalid, blob: Blob, confirm: bool) -> dict[str, Any]:
    problem, error = case.problem, refusal(case)
    return {
        "id": case.id, "operator": problem.operator, "options": plain_options(problem.options),
        "inputs": [None if x is None else operand_entry(x, n, blob) for n, x in enumerate(problem.operands)],
        "outputs": [wanted_entry(wanted) for wanted in problem.wanted],
        "error": {"class": case.error.__name__, "message": str(error)},
        **({"runtimes": _behaviours(problem)} if confirm else {}),
    }  # fmt: skip


def _behaviours(problem: Problem) -> dict[str, str]:
    """What each runtime does: "refuses", "computes" or "ends the process"; nothing where no file says it."""
    try:
        dumps(problem.graph(checked=False))
    except PtqError:
        return {}
    return {runtime.label: behaviour(runtime, problem) for runtime in RUNTIMES if runtime.version is not None}


def behaviour(runtime: Runtime, problem: Problem) -> str:
    """What a runtime does with a problem: "refuses", "computes" or "ends the process"."""

    def attempt() -> str:
        try:
            runtime.run(problem)
        except (RuntimeError, ValueError):
            return "refuses"
        return "computes"

    return done_apart(attempt) or "ends the process"
