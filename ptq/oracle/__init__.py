"""The oracle: test vectors, traces and a checker for kernels that others write.

    print(ptq.oracle.check(my_kernel, op="CONV_2D", arithmetic="integer"))     # what is wrong, and why
    print(ptq.trace("FULLY_CONNECTED", [q, w], ...))                           # one element, line by line

`ptq vectors` writes the same cases as files that any language can read, and `ptq check` compares results with
them.
"""

from __future__ import annotations

from ptq.oracle.check import Task, check, compare, tasks
from ptq.oracle.explain import Trace, explain_model, trace
from ptq.oracle.files import read_vectors, write_vectors
from ptq.oracle.report import Report
from ptq.oracle.results import read_results

__all__ = [
    "Report", "Task", "Trace", "check", "compare", "explain_model", "read_results", "read_vectors",
    "tasks", "trace", "write_vectors",
]  # fmt: skip
