"""Real kernels under the checker: it must know XNNPACK and tflite-micro by their rules."""

import pytest

import ptq.oracle
from ptq.oracle.confirm import RUNTIMES

pytestmark = pytest.mark.peers

NAMED = {runtime.name: runtime for runtime in RUNTIMES}


def kernel(name):
    """A runtime's kernel as a function of a task; None for what it does not compute."""

    def run(task):
        try:
            return NAMED[name].run(task.case.problem)
        except (RuntimeError, ValueError):
            return None

    return run


def certain(report):
    return [cause.title for cause in report.causes if cause.certain]


@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_xnnpack_is_recognised_where_the_reference_is_expected(operator):
    report = ptq.oracle.check(kernel("LiteRT XNNPACK"), operator, "integer", random=60)
    assert not report.passed
    assert "the rules of XNNPACK" in [cause.title for cause in report.causes]


@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "LOGISTIC", "TANH"])
def test_micro_is_recognised_where_the_reference_is_expected(operator):
    report = ptq.oracle.check(kernel("tflite-micro"), operator, "integer", random=60)
    assert not report.passed
    assert "the rules of TFLITE_MICRO" in certain(report)


@pytest.mark.parametrize("operator", ["CONV_2D", "ADD", "SOFTMAX", "MEAN"])
@pytest.mark.parametrize(
    ("name", "numerics"), [("LiteRT reference", "LITERT_REFERENCE"), ("tflite-micro", "TFLITE_MICRO")]
)
def test_a_runtime_passes_by_its_own_rules(operator, name, numerics):
    report = ptq.oracle.check(kernel(name), operator, "integer", numerics, random=40)
    assert report.passed, report
    assert len(report.cases) > 10
