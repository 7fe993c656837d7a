"""Which fields of Numerics are named: the smallest sets that turn one result into the other."""

from dataclasses import fields, replace

import numpy as np
import pytest

from ptq.comparison.rules import MEANINGS, ROUNDINGS, deciding_fields, fields_text
from ptq.errors import UnsupportedError
from ptq.numerics import LITERT_REFERENCE, PORTABLE, SINGLE_ROUNDING, TFLITE_MICRO, XNNPACK, Numerics


def result(*values):
    return np.array(values, np.int64)


def test_every_field_has_a_meaning():
    assert set(MEANINGS) == {f.name for f in fields(Numerics)} - {"name"}
    assert set(MEANINGS) >= ROUNDINGS


def test_a_single_field_is_named():
    def run(numerics):
        return result(numerics.rounding == "single")

    assert deciding_fields(run, LITERT_REFERENCE, XNNPACK) == (("rounding",),)


def test_fields_that_would_each_do_are_alternatives():
    def run(numerics):
        return result(numerics.rounding == "single" or numerics.product_rescale == "float32")

    assert deciding_fields(run, PORTABLE, XNNPACK) == (("rounding",), ("product_rescale",))


def test_fields_that_only_do_it_together_are_a_set():
    def run(numerics):
        return result(numerics.rounding == "single" and numerics.product_rescale == "float32")

    assert deciding_fields(run, LITERT_REFERENCE, XNNPACK) == (("rounding", "product_rescale"),)


def test_sets_of_three_are_found_among_six():
    other = replace(XNNPACK, integer_kernels="micro", float_sums="ordered")
    needed = ("rounding", "integer_kernels", "row_sums")

    def run(numerics):
        return result(*(getattr(numerics, n) == getattr(other, n) for n in needed))

    (found,) = deciding_fields(run, LITERT_REFERENCE, other)
    assert set(found) == set(needed)


def test_nothing_is_named_where_numerics_make_no_difference():
    assert deciding_fields(lambda _: result(1), LITERT_REFERENCE, TFLITE_MICRO) == ()
    assert deciding_fields(lambda _: result(1), PORTABLE, PORTABLE) == ()


def test_a_mixture_that_is_refused_explains_nothing():
    def run(numerics):
        if numerics.upstream_defects == "refuse" and numerics.integer_kernels == "micro":
            raise UnsupportedError("refused")
        return result(numerics.integer_kernels == "micro")

    assert deciding_fields(run, LITERT_REFERENCE, TFLITE_MICRO) == (("integer_kernels", "upstream_defects"),)


def test_the_words_name_both_choices():
    text = fields_text((("rounding",),), PORTABLE, SINGLE_ROUNDING)
    assert text == f"rounding: double / single ({MEANINGS['rounding']})"
    text = fields_text((("rounding",), ("product_rescale",)), PORTABLE, XNNPACK)
    assert "; or product_rescale: kernel / float32 (" in text
    text = fields_text((("rounding", "product_rescale"),), PORTABLE, XNNPACK)
    assert " together with product_rescale: kernel / float32" in text


@pytest.mark.parametrize("name", sorted(ROUNDINGS))
def test_roundings_are_fields(name):
    assert hasattr(LITERT_REFERENCE, name)
