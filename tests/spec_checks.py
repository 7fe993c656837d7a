"""What a problem must satisfy: the kernels and the specification agree under every preset that has it."""

from litert import assert_same_bits

from ptq.errors import QuantizationError, UnsupportedError
from ptq.numerics import PRESETS
from ptq.spec.rules import Rules


def supported(problem):
    """The presets that compute the problem, with what the kernels answer."""
    answers = {}
    for preset in PRESETS.values():
        try:
            answers[preset] = problem.run(preset)
        except (UnsupportedError, QuantizationError):  # the library that the preset follows does not have it
            continue
    assert answers, f"no preset computes {problem}"
    return answers


def agree(problem):
    """Kernels and specification have the same bits wherever the order of float sums is fixed."""
    for preset, found in supported(problem).items():
        if preset.float_sums == "blas" and not problem.order_free:
            continue
        for ours, expected in zip(found, problem.answer(Rules(preset)), strict=True):
            assert_same_bits(ours, expected, (preset.name, problem))
