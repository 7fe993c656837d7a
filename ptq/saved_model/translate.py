"""TensorFlow's operations become TensorFlow Lite's: a flat graph in, a `ptq.Graph` out.

`RULES` says for each operation how it is translated; what several operations make together (a bias, batch
normalization, an activation) is joined afterwards by `fuse`. What becomes of loops and choices
stands in `control` and `recurrent`.
"""

from __future__ import annotations

from ptq.errors import GraphError, PtqError, UnsupportedError
from ptq.graph import Graph, Signature
from ptq.saved_model import composed, control, einsum, fuse, layers, lists, movement, pointwise, pools
from ptq.saved_model.differences import MISSING
from ptq.saved_model.dilation import undo_space_to_batch
from ptq.saved_model.nodes import FlatGraph, Node
from ptq.saved_model.order import CALLS, in_converter_order
from ptq.saved_model.translation import Rule, Translation

RULES: dict[str, Rule] = {
    **layers.RULES, **pointwise.RULES, **pools.RULES, **movement.RULES, **composed.RULES, **einsum.RULES,
    **lists.RULES, **control.RULES,
}  # fmt: skip
"""The operations that ptq translates, and how."""

WRONG = (ValueError, IndexError, KeyError, TypeError, AttributeError, ArithmeticError, MemoryError)
"""What a rule raises for a node that has not the inputs and attributes which TensorFlow writes."""

SHOWN = 10
"""So many operations are named in an error."""


def translate(flat: FlatGraph) -> Graph:
    """The layer graph of one signature, with TensorFlow Lite's operators, layouts and fusions.

    UnsupportedError names every operation that ptq does not translate, with its place in the model.
    """
    t = Translation(functions=flat.functions)
    t.translate_nodes = _translate_nodes
    flat = undo_space_to_batch(flat)
    for port in flat.inputs:
        t.feed(port)
    _translate_nodes(t, flat)
    if t.problems:
        raise UnsupportedError(_unsupported(t.problems))
    graph = t.graph
    for port in flat.outputs:
        if not t.knows([port.tensor]):
            raise GraphError(
                f"output '{port.name}' follows from a tensor that no node writes; the SavedModel is damaged"
            )
    graph.outputs = [t.value(port.tensor) for port in flat.outputs]
    _name_outputs(graph, flat)
    inputs = {port.name: index for port, index in zip(flat.inputs, graph.inputs, strict=True)}
    outputs = {port.name: index for port, index in zip(flat.outputs, graph.outputs, strict=True)}
    graph.signatures = [Signature(flat.signature_key or "serving_default", inputs, outputs)]
    fuse.fuse(graph)
    _share_versions(graph)
    graph.validate()
    return graph


def _share_versions(graph: Graph) -> None:
    """The greatest version for all operators of a type, as TensorFlow writes each type once in a file."""
    versions: dict[str, int] = {}
    operators = [operator for part in (graph, *graph.subgraphs) for operator in part.operators]
    for operator in operators:
        versions[operator.type] = max(versions.get(operator.type, 1), operator.version)
    for operator in operators:
        operator.version = versions[operator.type]


def _name_outputs(graph: Graph, flat: FlatGraph) -> None:
    """TensorFlow's names of a signature's outputs: the call's, "StatefulPartitionedCall:0", in order."""
    for number, (port, index) in enumerate(zip(flat.outputs, graph.outputs, strict=True)):
        call = CALLS.match(port.tensor)
        tensor = graph.tensors[index]
        if call is not None and index not in graph.inputs and index not in graph.outputs[:number]:
            tensor.name = f"{call.group().partition('/')[0]}:{number}"


def _translate_nodes(t: Translation, flat: FlatGraph) -> None:
    t.read = frozenset(
        [name for node in flat.nodes for name in node.inputs] + [port.tensor for port in flat.outputs]
    )
    fed = {port.tensor.rpartition(":")[0] for port in flat.inputs}
    for node in in_converter_order(flat):
        if node.name in fed or not t.knows(node.inputs):  # what follows from an unknown operation is unknown
            continue
        rule = RULES.get(node.op)
        if rule is None:
            known = MISSING.get(node.op)
            t.problems.append(f"{_where(node)}" + (f": ptq has no {known}" if known else ""))
            continue
        try:
            t.define(node, rule(t, node))
        except UnsupportedError as error:
            t.problems.append(str(error))
        except PtqError as error:
            raise type(error)(f"{_where(node)}: {error}") from error
        except WRONG as error:
            raise UnsupportedError(
                f"{_where(node)}: {type(error).__name__} ({error}); the node does not fit its inputs, or ptq "
                "does not know this form of it"
            ) from error


def _where(node: Node) -> str:
    return f"{node.op} '{node.name}'"


def _unsupported(problems: list[str]) -> str:
    shown = "\n  ".join(problems[:SHOWN])
    more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return (
        f"{len(problems)} operations cannot be translated to TensorFlow Lite:\n  {shown}{more}\n"
        f"supported are {', '.join(sorted(RULES))}"
    )
