"""Numbers of element types against TensorFlow's own list of them."""

import numpy as np
import pytest

from ptq.errors import FormatError
from ptq.saved_model.element_types import ELEMENT_TYPES, element_type


@pytest.mark.peers
def test_every_type_of_tensorflow_has_its_number_and_name():
    tensorflow = pytest.importorskip("tensorflow")
    listed = tensorflow.dtypes
    for number, name in ELEMENT_TYPES.items():
        theirs = listed.as_dtype(number).name
        assert str(name) == {"half": "float16", "string": "object"}.get(theirs, theirs)
    with pytest.raises(TypeError):
        listed.as_dtype(max(ELEMENT_TYPES) + 1)


def test_a_reference_has_the_type_that_it_refers_to():
    assert element_type(101) == element_type(1) == np.float32


@pytest.mark.parametrize("number", [0, 100, 77, -1, 2**40])
def test_another_number_is_refused(number):
    with pytest.raises(FormatError, match="element type"):
        element_type(number)
