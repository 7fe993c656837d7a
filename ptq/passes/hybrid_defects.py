"""Where the runtime is right on float weights, but not on int8 ones: there the weights stay float.

The rules themselves are the kernels' own, which refuse such operators: see `ptq.defects`.
"""

from __future__ import annotations

from ptq.defects import Defect
from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.kernels import batch_matmul, bidirectional_rnn
from ptq.passes.recipes import Recipe, kind
from ptq.shapes.common import Shape


def hybrid_defect(graph: Graph, operator: Operator, recipe: Recipe) -> Defect | None:
    """What the runtime would get wrong of this operator if its weights became int8; None if nothing."""
    if kind(operator) not in recipe.hybrid:
        return None
    open_graph = any(-1 in (graph.tensors[i].shape_signature or ()) for i in graph.inputs)
    shapes = [None if i == ABSENT else _widest(graph.tensors[i], open_graph) for i in operator.inputs]
    if operator.type == "BATCH_MATMUL":
        return _batch_matmul(operator, shapes, recipe)
    if operator.type == "BIDIRECTIONAL_SEQUENCE_RNN":
        return _bidirectional_rnn(operator, shapes, recipe)
    return None


def _batch_matmul(operator: Operator, shapes: list[Shape | None], recipe: Recipe) -> Defect | None:
    lhs, rhs = (*shapes, None, None)[:2]
    if lhs is None or rhs is None:
        return None
    adj_x = bool(operator.options.get("adj_x"))
    return batch_matmul.known_defect(lhs, rhs, adj_x, recipe.asymmetric_quantize_inputs)


def _bidirectional_rnn(operator: Operator, shapes: list[Shape | None], recipe: Recipe) -> Defect | None:
    places: list[Shape | None] = [*shapes, *[None] * 12]
    x, auxiliary = places[0], places[9] if places[10] is not None else None
    if x is None or len(x) != 3 or (auxiliary is not None and len(auxiliary) != 3):
        return None
    time_major, merge_outputs = (bool(operator.options.get(o)) for o in ("time_major", "merge_outputs"))
    return bidirectional_rnn.known_defect(
        x, auxiliary, time_major, merge_outputs, recipe.asymmetric_quantize_inputs
    )


def _widest(tensor: Tensor, open_graph: bool) -> Shape:
    """The shape, with at least 2 for a dimension that may be larger at run time than it is in the file.

    Such dimensions are -1 in the signature. A tensor between operators may lack one, so that in a graph with
    an input that has one each 1 counts as such a dimension.
    """
    if tensor.is_constant:
        return tensor.shape
    signature = tensor.shape_signature
    if signature is None or len(signature) != len(tensor.shape):
        signature = tuple(-1 if open_graph and size == 1 else size for size in tensor.shape)
    return tuple(max(size, 2) if n < 0 else size for size, n in zip(tensor.shape, signature, strict=True))
