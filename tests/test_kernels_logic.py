"""Comparisons, connectives and selections, against Python's own operators."""

import operator

import numpy as np
import pytest

from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import Operator, Tensor
from ptq.kernels import logic
from ptq.kernels.call import Call
from ptq.kernels.logic import logical_and, logical_not, logical_or, select, select_v2

F = np.float32
COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
PYTHONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
EDGES = {
    "float32": [np.nan, -np.inf, -1, -0.0, 0, 1e-45, 1, np.inf],
    "int64": [-(2**63), -(2**53) - 1, -(2**53), 0, 2**53, 2**53 + 1, 2**63 - 1],
}


@pytest.mark.parametrize("dtype", EDGES)
@pytest.mark.parametrize(("name", "holds"), [*zip(COMPARISONS, PYTHONS, strict=True)])
def test_comparisons_of_every_pair(name, holds, dtype):
    values = np.array(EDGES[dtype], dtype)
    found = getattr(logic, name)(values[:, None], values)
    assert found.dtype == np.bool_
    assert found.tolist() == [[holds(a, b) for b in values.tolist()] for a in values.tolist()]


def test_connectives():
    a, b = np.array([[False], [True]]), np.array([False, True])
    assert logical_and(a, b).tolist() == [[False, False], [False, True]]
    assert logical_or(a, b).tolist() == [[False, True], [True, True]]
    assert logical_not(b).tolist() == [True, False]


def test_a_condition_for_elements_for_rows_and_for_all():
    x, y = np.arange(6, dtype=F).reshape(2, 3), -np.ones((2, 3), F)
    each = np.array([[True, False, True], [False, False, True]])
    assert select(each, x, y).tolist() == [[0, -1, 2], [-1, -1, 5]]
    assert select(np.array([False, True]), x, y).tolist() == [[-1, -1, -1], [3, 4, 5]]
    assert select(np.array(True), x, y).tolist() == x.tolist()
    one = select(np.array([[True]]), np.array(7), np.array([8]))
    assert one.shape == () and one == 7


def test_the_second_version_broadcasts():
    x, y = np.array([[1], [2]], np.int8), np.array([-1, -2, -3], np.int8)
    found = select_v2(np.array([True, False, True]), x, y)
    assert found.dtype == np.int8 and found.tolist() == [[1, -2, 1], [2, -2, 2]]
    assert select_v2(np.array([[True], [False]]), x, y).tolist() == [[1, 1, 1], [-1, -2, -3]]


def test_values_are_moved_as_they_are():
    bits = [0x7FC01234, 0x80000000]
    found = select(np.array([True, True]), np.array(bits, np.uint32).view(F), np.ones(2, F))
    assert found.view(np.uint32).tolist() == bits


def test_shapes_and_types_that_do_not_fit():
    x, yes = np.ones((2, 3), F), np.array([True, False])
    with pytest.raises(ShapeError, match=r"condition of shape \(3,\)"):
        select(np.ones(3, np.bool_), x, x)
    with pytest.raises(ShapeError, match=r"condition of shape \(2, 1\)"):
        select(yes[:, None], x, x)
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2, 1\)"):
        select(yes, x, x[:, :1])
    with pytest.raises(ShapeError, match=r"\(2,\) and \(2, 3\)"):
        select_v2(yes, x, x)
    with pytest.raises(UnsupportedError, match="condition of int32"):
        select(yes.astype(np.int32), x, x)
    with pytest.raises(UnsupportedError, match="float32 and int32"):
        select_v2(np.array(True), x, x.astype(np.int32))
    with pytest.raises(ShapeError, match="8 dimensions"):
        logic.less(np.ones((1,) * 9, F), np.ones((2,), F))


def test_registry_refuses_what_litert_leaves_unwritten():
    x = np.ones(2, np.int16)
    tensors = [Tensor("a", (2,), "INT16"), Tensor("b", (2,), "INT16")]
    call = Call(Operator("NOT_EQUAL", [0, 1], [2]), tensors, [x, x], [Tensor("y", (2,), "BOOL")])
    with pytest.raises(UnsupportedError, match="unwritten"):
        logic.FLOAT["NOT_EQUAL"](call)
    assert logic.FLOAT["EQUAL"](call)[0].tolist() == [True, True]
