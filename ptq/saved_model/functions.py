"""The graph of a file and its functions in one form: nodes by name, and what each input refers to.

A tensor is written in two ways. In the graph itself "split:1" is output 1 of the node "split", and "split"
its output 0. In the body of a function "split:output:1" is the second tensor of the output argument named
"output", and "x" an argument of the function. "^init" is no tensor: init has only to run before.
Source: `tensorflow/core/framework/node_def.proto`, `function.proto`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ptq.errors import FormatError, GraphError, UnsupportedError
from ptq.saved_model import wire
from ptq.saved_model.messages import TABLES
from ptq.saved_model.wire import Message

MULTIPLE_OUTPUTS = {
    "FusedBatchNorm": ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"),
    "FusedBatchNormV2": ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"),
    "FusedBatchNormV3": (
        "y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3",
    ),
    "TensorListPopBack": ("output_handle", "tensor"),
    "TopKV2": ("values", "indices"),
    "Unique": ("y", "idx"),
    "Switch": ("output_false", "output_true"),
    "Merge": ("output", "value_index"),
    "MaxPoolWithArgmax": ("output", "argmax"),
    "NonMaxSuppressionV4": ("selected_indices", "valid_outputs"),
    "NonMaxSuppressionV5": ("selected_indices", "selected_scores", "valid_outputs"),
}  # fmt: skip
"""The output arguments of operators with several, for a frozen GraphDef: it does not say them itself."""


MOST_OUTPUTS = 64
"""How many output arguments of an operator are looked at; none of TensorFlow's has half as many."""


class Tensor(NamedTuple):
    """Output `output` of the node `node`, or the argument of that name (output -1) in a function's body."""

    node: str
    output: int


@dataclass(frozen=True)
class Body:
    """A graph, or the body of a function.

    nodes: in the order of the file. data, control: what each node takes, by its name.
    arguments: the names of the arguments. returns: the tensors given back. effects: the nodes that run even
    if nobody uses their results. running: the nodes that a call runs. place: how an error names the body.
    definition: the FunctionDef it is from.
    """

    place: str
    nodes: Mapping[str, Message]
    data: Mapping[str, tuple[Tensor, ...]]
    control: Mapping[str, tuple[str, ...]]
    arguments: tuple[str, ...] = ()
    returns: tuple[Tensor, ...] = ()
    effects: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    definition: Message = field(default_factory=lambda: Message(TABLES, "FunctionDef"))

    def needed(self, names: Iterable[str]) -> list[str]:
        """The nodes that `names` need, with control edges, in the order of the file."""
        found: set[str] = set()
        waiting = [name for name in names if name in self.nodes]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(tensor.node for tensor in self.data[name] if tensor.output >= 0)
                waiting.extend(self.control[name])
        return [name for name in self.nodes if name in found]


class Library:
    """The functions of one graph, read when they are asked for, and what the file says of its operators.

    outputs: which results a function has, by its name. operators: their definitions. defaults: the attributes
    that nodes of an operator have where they do not say otherwise (SavedModels leave them out), by operator
    and name. main: the graph itself.
    """

    def __init__(self, graph: Message, operators: Iterable[Message] = ()) -> None:
        self.stored: dict[str, memoryview] = {}
        self.operators = {operator["name"]: operator for operator in operators}
        self.outputs: dict[str, dict[str, int]] = {}
        for raw in graph["library"]["function"]:
            signature = wire.decode(TABLES, "FunctionHeader", raw)["signature"]
            self.stored[signature["name"]] = raw
            self.outputs[signature["name"]] = {
                output["name"]: index for index, output in enumerate(signature["output_arg"])
            }
        self.defaults = {
            name: {item["name"]: item["default_value"] for item in op["attr"] if "default_value" in item}
            for name, op in self.operators.items()
        }
        self.bodies: dict[str, Body] = {}
        self.main = self.graph_body(graph)

    def graph_body(self, graph: Message) -> Body:
        """The graph itself as a body without arguments."""
        nodes = _by_name(graph["node"], "the graph")
        data, control = {}, {}
        for name, node in nodes.items():
            data[name], control[name] = self.inputs(node, nodes, (), "the graph")
        return Body("the graph", nodes, data, control)

    def function(self, name: str) -> Body:
        """The body of the function `name`; GraphError if the file has none."""
        if name not in self.stored:
            raise GraphError(f"function '{name}' is called, but the file does not hold it; it is damaged")
        if name not in self.bodies:
            self.bodies[name] = self.function_body(wire.decode(TABLES, "FunctionDef", self.stored[name]))
        return self.bodies[name]

    def function_body(self, function: Message) -> Body:
        """A FunctionDef with its references resolved."""
        signature = function["signature"]
        place = f"function '{signature['name']}'"
        for argument in [*signature["input_arg"], *signature["output_arg"]]:
            if argument["number_attr"] or argument["type_list_attr"]:
                raise UnsupportedError(
                    f"{place} has the list '{argument['name']}' as an argument; ptq reads functions whose "
                    "arguments are single tensors, as tf.function writes them"
                )
        arguments = tuple(argument["name"] for argument in signature["input_arg"])
        nodes = _by_name(function["node_def"], place)
        data, control = {}, {}
        known = frozenset(arguments)
        for name, node in nodes.items():
            data[name], control[name] = self.inputs(node, nodes, known, place)
        returns = []
        for output in signature["output_arg"]:
            if output["name"] not in function["ret"]:
                raise GraphError(f"{place} does not say what it returns as '{output['name']}'")
            returns.append(self.body_tensor(function["ret"][output["name"]], nodes, known, place))
        effects = tuple(function["control_ret"].values())
        for name in effects:
            _check(name, nodes, f"{place} names the node '{name}' as an effect")
        body = Body(place, nodes, data, control, arguments, tuple(returns), effects, definition=function)
        roots = [tensor.node for tensor in returns if tensor.output >= 0]
        return replace(body, running=tuple(body.needed([*roots, *effects])))

    def inputs(
        self, node: Message, nodes: Mapping[str, Message], arguments: Iterable[str], place: str
    ) -> tuple[tuple[Tensor, ...], tuple[str, ...]]:
        """The tensors that a node takes, and the nodes that have to run before it."""
        data, control = [], []
        for text in node["input"]:
            if text.startswith("^"):
                if text[1:] not in arguments:
                    _check(text[1:], nodes, f"node '{node['name']}' in {place} waits for '{text}'")
                    control.append(text[1:])
            elif place == "the graph":
                data.append(graph_tensor(text, nodes, f"node '{node['name']}' in {place} takes '{text}'"))
            else:
                data.append(self.body_tensor(text, nodes, arguments, place))
        return tuple(data), tuple(control)

    def body_tensor(
        self, text: str, nodes: Mapping[str, Message], arguments: Iterable[str], place: str
    ) -> Tensor:
        """The tensor that `text` refers to in the body of a function."""
        name, *rest = text.split(":")
        if name in arguments and rest in ([], ["0"]):
            return Tensor(name, -1)
        _check(name, nodes, f"{place} refers to '{text}'")
        if len(rest) != 2 or not _is_index(rest[1]):
            raise FormatError(f"{place} refers to '{text}', expected 'node:output:index'")
        return Tensor(name, self.first_output(nodes[name], rest[0], place) + int(rest[1]))

    def first_output(self, node: Message, argument: str, place: str) -> int:
        """Which output of a node is the first of its output argument of that name."""
        op = node["op"]
        found: int | None = 0  # one output argument, whatever its name: all operators but those of the table
        if op in self.outputs:
            found = self.outputs[op].get(argument)
        elif op in self.operators:
            found = _first(argument, self.operators[op]["output_arg"][:MOST_OUTPUTS], node)
        elif op in MULTIPLE_OUTPUTS:
            names = MULTIPLE_OUTPUTS[op]
            found = names.index(argument) if argument in names else None
        if found is None:
            raise GraphError(
                f"{place} refers to output '{argument}' of '{node['name']}', which {op} does not have; "
                "the file is damaged"
            )
        return found


def graph_tensor(text: str, nodes: Mapping[str, Message], who: str) -> Tensor:
    """The tensor "node" or "node:index" of the graph; `who` begins the message if there is none."""
    name, colon, index = text.rpartition(":")
    if not colon or not _is_index(index):
        name, index = text, "0"
    _check(name, nodes, who)
    return Tensor(name, int(index))


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7


def _check(name: str, nodes: Mapping[str, Message], who: str) -> None:
    if name not in nodes:
        raise GraphError(f"{who}, but there is no node '{name}'; the file is damaged")


def _first(argument: str, outputs: Iterable[Message], node: Message) -> int | None:
    """Where the tensors of an output argument begin, by an operator's definition."""
    position = 0
    for output in outputs:
        if output["name"] == argument:
            return position
        position += _count(output, node)
    return None


def _count(output: Message, node: Message) -> int:
    """How many tensors an output argument of a node stands for."""
    if output["number_attr"]:
        return min(int(node["attr"].get(output["number_attr"], Message(TABLES, "AttrValue"))["i"]), 2**20)
    if output["type_list_attr"]:
        types = node["attr"].get(output["type_list_attr"], Message(TABLES, "AttrValue"))
        return len(types["list"]["type"])
    return 1


def _by_name(nodes: Iterable[Message], place: str) -> dict[str, Message]:
    """Nodes by their names, which must differ."""
    result: dict[str, Message] = {}
    for node in nodes:
        if node["name"] in result:
            raise GraphError(f"{place} has two nodes '{node['name']}'; the file is damaged")
        result[node["name"]] = node
    return result
