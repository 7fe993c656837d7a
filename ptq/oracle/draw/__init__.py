"""The problems of every operator in every arithmetic."""

from __future__ import annotations

from ptq.oracle.draw import (
    batch_matmul,
    conv,
    convert,
    dense,
    depthwise,
    elementwise,
    embedding,
    filling,
    functions,
    integer_activation,
    integer_compare,
    integer_elementwise,
    integer_lstm,
    integer_pool,
    integer_products,
    integer_reduce,
    integer_resize,
    integer_roots,
    integer_softmax,
    integer_tables,
    logic,
    lstm,
    movement,
    pool,
    reduce,
    resize,
    rnn,
    slicing,
    transpose_conv,
)
from ptq.oracle.draw.core import Draw

_INTEGER = (
    dense, conv, depthwise, transpose_conv, batch_matmul, integer_elementwise, integer_products,
    integer_compare, integer_lstm, integer_activation, integer_pool, integer_reduce, integer_resize,
    integer_roots, integer_softmax, integer_tables,
)  # fmt: skip
_HYBRID = (dense, conv, depthwise, transpose_conv, batch_matmul, embedding, lstm, rnn)
_FLOAT = (*_HYBRID, functions, elementwise, logic, reduce, pool, resize)
_ANY = (logic, reduce, resize, convert, movement, slicing, filling)

DRAWS: dict[tuple[str, str], Draw] = {
    (name, arithmetic): draw
    for arithmetic, families in (
        ("integer", [family.INTEGER for family in _INTEGER]),
        ("hybrid", [family.HYBRID for family in _HYBRID]),
        ("float", [family.FLOAT for family in _FLOAT]),
        ("any", [family.ANY for family in _ANY]),
    )
    for draws in families
    for name, draw in draws.items()
}
"""By operator and arithmetic ("float", "hybrid", "integer", "any")."""
