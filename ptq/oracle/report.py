"""What a check found, as text: the first wrong element, its arithmetic, and what was likely done instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ptq.graph import Array
from ptq.numerics import PRESETS
from ptq.oracle.case import Case
from ptq.oracle.diagnose import Cause
from ptq.oracle.explain import Trace, explain

MOST_SHOWN = 5
"""Wrong cases that a report lists."""

MOST_CAUSES = 3


@dataclass(frozen=True)
class Difference:
    """A case whose result is wrong.

    output: which of the outputs (states count after them) differs first. index: its first wrong element, None
    where shape or dtype are wrong. wrong, total: how many of that output's elements.
    """

    case: Case
    numerics: str
    output: int
    found: Array
    expected: Array
    index: tuple[int, ...] | None
    wrong: int
    total: int

    @property
    def trace(self) -> Trace | None:
        """How ptq comes to the first wrong element."""
        if self.index is None:
            return None
        return explain(self.case.problem, self.index, self.output, PRESETS[self.numerics])

    def __str__(self) -> str:
        what = f"{self.case.id}, output {self.output}"
        if self.index is None:
            return (
                f"{what}: {self.found.dtype} {list(self.found.shape)} found, "
                f"expected {self.expected.dtype} {list(self.expected.shape)}"
            )
        found, expected = _element(self.found, self.index), _element(self.expected, self.index)
        where = f"{list(self.index)}: {found} found, {expected} expected"
        return f"{what}: {self.wrong} of {self.total} elements differ, the first at {where}"


@dataclass(frozen=True)
class Report:
    """What a check found; prints as text.

    cases: those that were computed. left_out: how many were not.
    """

    numerics: str
    cases: Sequence[Case]
    differences: Sequence[Difference]
    causes: Sequence[Cause]
    left_out: int = 0

    @property
    def passed(self) -> bool:
        """Whether every case that was computed is right, and any was."""
        return bool(self.cases) and not self.differences

    def __str__(self) -> str:
        right = len(self.cases) - len(self.differences)
        lines = [f"{right} of {len(self.cases)} cases right, numerics {self.numerics}"]
        if self.left_out:
            lines[0] += f"; {self.left_out} more were not computed"
        if self.passed:
            return lines[0]
        lines += ["", *(f"WRONG {difference}" for difference in self.differences[:MOST_SHOWN])]
        if len(self.differences) > MOST_SHOWN:
            lines.append(f"and {len(self.differences) - MOST_SHOWN} more wrong cases")
        lines += ["", "Most likely cause", *self._causes(), *self._purposes()]
        trace = self.differences[0].trace
        if trace is not None:
            lines += ["", "How ptq comes to the first wrong element", str(trace)]
        return "\n".join(lines)

    def _causes(self) -> list[str]:
        if not self.causes:
            return [
                "  none of the known other rules gives your result; the trace below is the way to find it"
            ]
        best = [cause for cause in self.causes if cause.certain] or list(self.causes)
        return [f"  {cause}" for cause in best[:MOST_CAUSES]]

    def _purposes(self) -> list[str]:
        purposes = [d.case.problem.purpose for d in self.differences if d.case.problem.purpose]
        return (
            ["", "What the wrong cases are made for", *(f"  {p}" for p in dict.fromkeys(purposes))]
            if purposes
            else []
        )


def _element(array: Array, index: tuple[int, ...]) -> str:
    value = array[index]
    if array.dtype != np.float32:
        return str(value.item() if hasattr(value, "item") else value)
    return f"{value!s} (0x{int(np.asarray(value).view(np.uint32)):08x})"
