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

DRAWS: dict[tuple[str, str], Draw] = {
    **{
        (name, "integer"): draw
        for family in (dense, conv, depthwise, transpose_conv, batch_matmul)
        for name, draw in family.INTEGER.items()
    },
    **{
        (name, kind): draw
        for family in (dense, conv, depthwise, transpose_conv, batch_matmul, embedding, lstm, rnn)
        for kind, draws in (("float", family.FLOAT), ("hybrid", family.HYBRID))
        for name, draw in draws.items()
    },
    **{(name, "integer"): draw for name, draw in integer_elementwise.INTEGER.items()},
    **{(name, "integer"): draw for name, draw in integer_products.INTEGER.items()},
    **{(name, "integer"): draw for name, draw in integer_compare.INTEGER.items()},
    **{(name, "integer"): draw for name, draw in integer_lstm.INTEGER.items()},
    **{(name, "integer"): draw for name, draw in integer_activation.INTEGER.items()},
    **{
        (name, "integer"): draw
        for family in (
            integer_pool,
            integer_reduce,
            integer_resize,
            integer_roots,
            integer_softmax,
            integer_tables,
        )
        for name, draw in family.INTEGER.items()
    },
    **{
        (name, "float"): draw
        for family in (functions, elementwise, logic, reduce, pool, resize)
        for name, draw in family.FLOAT.items()
    },
    **{
        (name, "any"): draw
        for family in (logic, reduce, resize, convert)
        for name, draw in family.ANY.items()
    },
    **{(name, "any"): draw for family in (movement, slicing, filling) for name, draw in family.ANY.items()},
}
"""By operator and arithmetic ("float", "hybrid", "integer", "any")."""
