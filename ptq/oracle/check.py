"""Somebody else's kernel against the right answers: which elements are wrong, and most likely why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptq.errors import InputError
from ptq.graph import Array, Graph, Operator
from ptq.numerics import find_numerics
from ptq.oracle.case import ORDER_BOUND, Case
from ptq.oracle.diagnose import likely_causes
from ptq.oracle.generate import generate, suites
from ptq.oracle.problem import Given, Wanted
from ptq.oracle.report import Difference, Report
from ptq.oracle.same import differing, same_bits

Result = Array | Sequence[Array] | None
"""What a kernel returns: its output, or all that it writes; None where it does not compute such a case."""


@dataclass(frozen=True)
class Task:
    """What a kernel under test is given: an operator, its operands, what it is to write; prints as its id.

    numerics: the preset whose answer is expected.
    """

    case: Case
    numerics: str = "LITERT_REFERENCE"

    def __str__(self) -> str:
        return self.case.id

    @property
    def operator(self) -> Operator:
        """Its type and options; options that a problem leaves open have the schema's defaults."""
        return self._graph.operators[0]

    @property
    def options(self) -> dict[str, Any]:
        """The operator's options by the schema's names."""
        return self.operator.options

    @property
    def inputs(self) -> Sequence[Given | None]:
        """The operands: `array`, `quantization` (None for reals) and `kind`; None for an absent one."""
        return self.case.problem.operands

    @property
    def outputs(self) -> Sequence[Wanted]:
        """What is to be written: `type` and `quantization`."""
        return self.case.problem.wanted

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the outputs."""
        return [self._graph.tensors[index].shape for index in self._graph.outputs]

    @property
    def _graph(self) -> Graph:
        return self.case.problem.graph()

    def check(self, result: Result) -> None:
        """AssertionError, with the explanation of a `Report`, unless the result is right."""
        report = compare({self.case.id: as_list(result)}, [self.case], self.numerics)
        if not report.passed:
            raise AssertionError(str(report))


def tasks(
    op: str,
    arithmetic: str | None = None,
    numerics: str = "LITERT_REFERENCE",
    random: int = 20,
    seed: int = 0,
) -> list[Task]:
    """Test cases of an operator, boundary cases first: for pytest.mark.parametrize, or a loop of one's own.

    @pytest.mark.parametrize("task", ptq.oracle.tasks("CONV_2D", "integer"), ids=str)
    def test_my_kernel(task):
        task.check(my_kernel(task))

    arithmetic: "float", "hybrid", "integer" or "any" (moved data); all that the operator has by default.
    numerics: a preset's name. random: how many random cases follow the boundary cases.
    Errors: InputError for an operator, arithmetic or preset that does not exist.
    """
    preset = find_numerics(numerics)
    found = [c for suite in suites(op, arithmetic) for c in generate(suite, random, seed, [preset])]
    return [Task(case, preset.name) for case in found if case.has(preset.name)]


def check(
    function: Callable[[Task], Result],
    op: str,
    arithmetic: str | None = None,
    numerics: str = "LITERT_REFERENCE",
    random: int = 20,
    seed: int = 0,
) -> Report:
    """Compare somebody's kernel with the right answers, and say what is most likely wrong with it.

    function: takes a `Task` and returns the output, or a list of all outputs (new states after them, or left
    out), or None for a case that it does not compute,
    which is counted. The other arguments are those of `tasks`.
    """
    chosen = tasks(op, arithmetic, numerics, random, seed)
    results = {task.case.id: as_list(function(task)) for task in chosen}
    return compare(results, [task.case for task in chosen], find_numerics(numerics).name)


def compare(results: Mapping[str, Sequence[Array]], chosen: Sequence[Case], numerics: str) -> Report:
    """Compare results by the id of their case with the answers of a preset.

    Cases without a result, or with an empty one, are left out, and counted.
    """
    computed = [case for case in chosen if results.get(case.id)]
    differences = []
    for case in computed:
        difference = _difference(case, list(results[case.id]), numerics)
        if difference is not None:
            differences.append(difference)
    comparable = [d.case.id for d in differences if d.index is not None]
    shapeless = {d.case.id for d in differences if d.index is None}
    fitting = [case for case in computed if case.id not in shapeless]
    causes = likely_causes(fitting, results, comparable, numerics) if comparable else []
    return Report(numerics, computed, differences, causes, len(chosen) - len(computed))


def _difference(case: Case, found: Sequence[Array], numerics: str) -> Difference | None:
    answer = case.answer(numerics)
    outputs = len(case.problem.wanted)
    if not outputs <= len(found) <= len(answer.outputs):
        raise InputError(
            f"case {case.id}: {len(found)} results found, expected {outputs} outputs"
            + (f" and {len(answer.outputs) - outputs} states" if len(answer.outputs) > outputs else "")
        )
    for number, (result, expected) in enumerate(zip(found, answer.outputs, strict=False)):
        if same_bits(result, expected):
            continue
        if result.dtype != expected.dtype or result.shape != expected.shape:
            return Difference(case, numerics, number, result, expected, None, expected.size, expected.size)
        wrong = differing(result, expected)
        if numerics in answer.near and number < len(answer.traces):
            wrong &= ~_within(result, expected, answer.traces[number].get(ORDER_BOUND))
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            return Difference(case, numerics, number, result, expected, index, int(wrong.sum()), wrong.size)
    return None


def _within(found: Array, expected: Array, bound: Array | None) -> Array:
    """Which elements another order of float sums may have led to."""
    if bound is None:
        return np.zeros(expected.shape, np.bool_)
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(found.astype(np.float64) - expected.astype(np.float64)) <= bound)


def as_list(result: Result) -> list[Array]:
    """One output or several as a list of arrays; none for None."""
    if result is None:
        return []
    return [np.asarray(r) for r in result] if isinstance(result, list | tuple) else [np.asarray(result)]
