"""What must be refused is refused, with the error that the manifest of invalid operators promises."""

import json

import numpy as np
import pytest

from ptq.numerics import LITERT_REFERENCE
from ptq.oracle.confirm import RUNTIMES
from ptq.oracle.files import DATA, INVALID, MANIFEST
from ptq.oracle.files import read_array as array_of
from ptq.oracle.invalid import behaviour, cases, refusal, write_invalid
from ptq.oracle.problem import Given, Problem, Wanted, quantization

CASES = {case.id: case for case in cases()}


@pytest.mark.parametrize("name", CASES)
def test_the_error_is_the_expected_one(name):
    case = CASES[name]
    error = refusal(case)
    assert type(error) is case.error
    assert case.words and case.words in str(error)


def test_each_is_one_step_away_from_what_runs():
    assert len(CASES) >= 25
    right = Problem(
        "CONV_2D",
        [
            Given(np.ones((1, 4, 4, 2), np.int8), quantization(0.5, 3)),
            Given(np.ones((3, 2, 2, 2), np.int8), quantization([0.25, 0.5, 1.0])),
            Given(np.zeros(3, np.int32), quantization([0.125, 0.25, 0.5])),
        ],
        [Wanted("INT8", quantization(1.0, -1))],
        {"stride_h": 1, "stride_w": 1, "padding": "VALID"},
    )
    assert right.run(LITERT_REFERENCE)[0].shape == (1, 3, 3, 3)


def test_the_manifest_has_the_operands_and_the_errors(tmp_path):
    folder = write_invalid(tmp_path)
    assert folder.name == INVALID
    manifest = json.loads((folder / MANIFEST).read_text())
    blob = (folder / DATA).read_bytes()
    assert [entry["id"] for entry in manifest["invalid"]] == list(CASES)
    for entry in manifest["invalid"]:
        case = CASES[entry["id"]]
        assert entry["error"] == {"class": case.error.__name__, "message": str(refusal(case))}
        for operand, given in zip(entry["inputs"], case.problem.operands, strict=True):
            if given is not None:
                np.testing.assert_array_equal(array_of(operand["data"], blob), given.array)


@pytest.mark.peers
def test_runtimes_are_said_to_refuse_to_compute_or_to_end_the_process():
    reference = RUNTIMES[0]
    assert behaviour(reference, CASES["CONV_2D-no-bias"].problem) == "refuses"
    assert behaviour(reference, CASES["FULLY_CONNECTED-hybrid-minus-128"].problem) == "computes"
