"""From inlined nodes to a flat graph: variables become constants, loops get their bodies, the rest goes.

What is left are the nodes that the outputs need, each after those whose results it takes, and among those
that could run in any order the file's own.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ptq.errors import GraphError, PtqError, UnsupportedError
from ptq.saved_model.element_types import element_type
from ptq.saved_model.functions import Body, Tensor
from ptq.saved_model.inline import CHOICES, LOOPS, Budget, Inliner, Placed, function_names, resources
from ptq.saved_model.nodes import FlatGraph, FunctionName, Node, Port
from ptq.saved_model.values import Values, shape
from ptq.saved_model.variables import ASSIGNS, HANDLES, Variables

CHANGES = ASSIGNS | {
    "AssignAddVariableOp", "AssignSubVariableOp", "AssignAdd", "AssignSub", "ResourceScatterUpdate",
    "ResourceScatterAdd", "ResourceScatterSub", "ResourceStridedSliceAssign", "ScatterUpdate", "ScatterAdd",
}  # fmt: skip
"""What changes a variable while the model runs."""

READS = {"ReadVariableOp": 1, "VariableShape": 1, "ResourceGather": 2}
"""What may take a variable, and how many inputs it has; the variable is the first."""

BODY = 64
"""Reading a body costs as much as so many inputs, besides its nodes."""

LOOPS_OF_TENSORFLOW_1 = frozenset({"Enter", "Exit", "NextIteration", "LoopCond", "Switch", "Merge"})
OUTSIDE = ("Table", "Iterator", "Queue", "Barrier", "Reader", "Dataset", "Restore", "ReadFile", "PyFunc")
"""Parts of the names of operators that need something outside of the graph's tensors."""


class Made(NamedTuple):
    """A node that stays: what it takes, under final names but for loops' outputs, and its attributes."""

    op: str
    inputs: tuple[Tensor, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Context:
    """What all graphs of one file share. stack: the functions whose bodies are being read."""

    variables: Variables
    budget: Budget
    values: Values
    stack: tuple[str, ...] = ()


@dataclass
class Flattener:
    """Turns the nodes of an inliner into those of a flat graph.

    renumbered: the outputs of loops that no longer pass variables through, by name and former number.
    """

    inliner: Inliner
    context: Context
    made: dict[str, Made] = field(default_factory=dict)
    renumbered: dict[str, dict[int, int]] = field(default_factory=dict)
    functions: dict[str, FlatGraph] = field(default_factory=dict)
    bodies: dict[tuple[Any, ...], str] = field(default_factory=dict)
    texts: dict[Tensor, str] = field(default_factory=dict)

    def graph(self, inputs: Sequence[Port], outputs: Sequence[tuple[Port, Tensor]], key: str) -> FlatGraph:
        """The graph from these inputs to these outputs, whose tensors are still to be resolved."""
        nodes = self.inliner.nodes
        for name, node in nodes.items():
            if node.op in CHANGES:
                raise UnsupportedError(
                    f"'{name}' ({node.op}) changes a variable while the model runs; ptq reads models whose "
                    "variables stay as they were saved"
                )
        resolved = [self.inliner.resolve(tensor) for _, tensor in outputs]
        waiting = [tensor.node for tensor in resolved] + [port.tensor.rpartition(":")[0] for port in inputs]
        while waiting:
            name = waiting.pop()
            if name not in self.made:
                self.made[name] = self.make(name, nodes[name])
                waiting.extend(tensor.node for tensor in self.made[name].inputs)
        ordered = tuple(self.node(name) for name in self.order())
        ends = tuple(
            replace(port, tensor=self.text(tensor))
            for (port, _), tensor in zip(outputs, resolved, strict=True)
        )
        return FlatGraph(ordered, tuple(inputs), ends, self.functions, key)

    def make(self, name: str, node: Placed) -> Made:
        """What becomes of one node; an error says which one it was."""
        try:
            return self.convert(name, node)
        except PtqError as error:
            where = f"in '{name}' ({node.op}): "
            message = str(error)
            raise type(error)(message if message.startswith("in '") else where + message) from error

    def convert(self, name: str, node: Placed) -> Made:
        """What becomes of one node."""
        op = node.op
        if op in LOOPS_OF_TENSORFLOW_1:
            raise UnsupportedError(
                "a loop or a choice of TensorFlow 1 found; export the model with TensorFlow 2, "
                "where they are the operators While and If"
            )
        if any(part in op for part in OUTSIDE):
            raise UnsupportedError(
                "it needs something outside of the graph, such as a table or a file, which TensorFlow Lite "
                "models do not have; export the part of the model from the first numbers on"
            )
        inputs = [self.inliner.resolve(tensor) for tensor in node.inputs]
        if op in LOOPS or op in CHOICES:
            return self.with_bodies(name, node, inputs)
        if op in HANDLES and op != "VarHandleOp":
            return self.constant(name, node)
        if any(self.inliner.nodes[tensor.node].op == "VarHandleOp" for tensor in inputs):
            return self.of_variable(name, node, inputs)
        return Made(op, tuple(inputs), {**self.attributes(node), **node.given})

    def attributes(self, node: Placed) -> dict[str, Any]:
        """The decoded attributes of a node with its defaults, without those for TensorFlow's own passes."""
        values, defaults = self.context.values, self.inliner.library.defaults.get(node.op)
        return {**(values.attributes(defaults) if defaults else {}), **values.attributes(node.source)}

    def constant(self, name: str, node: Placed) -> Made:
        """The value of a variable as a constant."""
        value = self.context.variables.value(name, node)
        dtype = element_type(node.source["dtype"]["type"]) if "dtype" in node.source else value.dtype
        return Made("Const", (), {"value": value, "dtype": dtype})

    def of_variable(self, name: str, node: Placed, inputs: list[Tensor]) -> Made:
        """A node that takes a variable: the value in its place."""
        handle = next(t.node for t in inputs if self.inliner.nodes[t.node].op == "VarHandleOp")
        if READS.get(node.op) != len(inputs) or handle != inputs[0].node:
            raise UnsupportedError(f"it takes the variable '{handle}'; ptq knows {', '.join(READS)}")
        made = self.constant(handle, self.inliner.nodes[handle])
        if node.op == "ReadVariableOp":
            return made
        if node.op == "VariableShape":
            sizes = np.array(made.attributes["value"].shape, self.attributes(node).get("out_type", np.int32))
            return Made("Const", (), {"value": sizes, "dtype": sizes.dtype})
        params = self.add(f"{name}/params", made)
        zero = np.array(0, np.int32)
        axis = self.add(f"{name}/axis", Made("Const", (), {"value": zero, "dtype": zero.dtype}))
        attributes = {"batch_dims": self.attributes(node).get("batch_dims", 0)}
        return Made("GatherV2", (params, inputs[1], axis), attributes)

    def add(self, name: str, made: Made) -> Tensor:
        """A node that the file does not have."""
        place = self.inliner.unique(name)
        self.inliner.nodes[place] = Placed(made.op, ())
        self.made[place] = made
        return Tensor(place, 0)

    def with_bodies(self, name: str, node: Placed, inputs: list[Tensor]) -> Made:
        """A loop or a choice: its functions are read as graphs, and the variables it passes them go."""
        loop = node.op in LOOPS
        types, first = ("T", 0) if loop else ("Tin", 1)
        variables = set(resources(name, node.source, types, len(inputs) - first))
        for index in variables:
            handle = inputs[first + index].node
            if self.inliner.nodes[handle].op != "VarHandleOp":
                raise UnsupportedError(f"it takes '{handle}', a resource that is no variable")
        kept = [index for index in range(len(inputs) - first) if index not in variables]
        attributes = self.attributes(node)
        for attribute in (types, "output_shapes") if loop else (types,):
            listed = attributes.get(attribute)
            if isinstance(listed, tuple) and len(listed) == len(inputs) - first:
                attributes[attribute] = tuple(listed[index] for index in kept)
        for attribute, functions in function_names(name, node.source).items():
            read = [
                self.body(function, inputs[first:], variables, kept if attribute == "body" else None)
                for function in functions
            ]
            attributes[attribute] = tuple(read) if attribute == "branches" else read[0]
        if loop:
            self.renumbered[name] = {old: new for new, old in enumerate(kept)}
        taken = [*inputs[:first], *(inputs[first + index] for index in kept)]
        return Made(node.op, tuple(taken), attributes)

    def body(
        self, function: str, inputs: list[Tensor], variables: set[int], returned: list[int] | None
    ) -> FunctionName:
        """The function as a graph of its own; the name under which it is kept.

        variables: the arguments that are variables of this graph. returned: which results count (None: all).
        """
        key = (function, tuple(inputs[index].node for index in sorted(variables)), str(returned))
        if key not in self.bodies:
            name, number = function, len(self.bodies)
            while name in self.functions:
                name, number = f"{function}_{number}", number + 1
            self.functions[name] = self.read_body(function, inputs, variables, returned)
            self.bodies[key] = name
        return FunctionName(self.bodies[key])

    def read_body(
        self, function: str, inputs: list[Tensor], variables: set[int], returned: list[int] | None
    ) -> FlatGraph:
        """The function as a graph of its own."""
        self.context.budget.charge(function, BODY)
        inner = Inliner(self.inliner.library, self.context.budget)
        body = self.inliner.library.function(function)
        arguments: dict[int, Tensor] = {}
        for index in variables:  # before all others, so that they keep the names that variables are found by
            handle = inputs[index].node
            inner.nodes[handle] = self.inliner.nodes[handle]
            inner.taken.add(handle)
            arguments[index] = Tensor(handle, 0)
        ports = []
        shapes = _argument_shapes(body)
        for index in sorted(set(range(min(len(inputs), len(body.arguments)))) - variables):
            self.context.budget.charge(body.arguments[index], 0)
            port = _argument(body, index, inner.unique(body.arguments[index]), shapes.get(index))
            ports.append(port)
            place = port.tensor.rpartition(":")[0]
            inner.nodes[place] = Placed("Placeholder", (), given={"dtype": port.dtype, "shape": port.shape})
            arguments[index] = Tensor(place, 0)
        given = [arguments[index] for index in sorted(arguments)]
        results = inner.add_function(function, "", given, self.context.stack)
        outputs = list(zip(_results(body), results, strict=True))
        if returned is not None:
            if len(outputs) != len(inputs):
                raise GraphError(f"{body.place} returns {len(outputs)} values, but takes {len(inputs)}")
            for index in variables:
                if inner.resolve(results[index]) != arguments[index]:
                    raise UnsupportedError(f"{body.place} goes on with another variable than it was given")
            outputs = [outputs[index] for index in returned]
        context = replace(self.context, stack=(*self.context.stack, function))
        return Flattener(inner, context).graph(ports, outputs, "")

    def order(self) -> list[str]:
        """The names of the nodes that stay, each after those it takes, otherwise as in the file."""
        users: dict[str, list[str]] = {name: [] for name in self.made}
        missing = {}
        for name, node in self.made.items():
            sources = {tensor.node for tensor in node.inputs}
            missing[name] = len(sources)
            for source in sources:
                users[source].append(name)
        position = {name: index for index, name in enumerate(self.inliner.nodes)}
        ready = [(position[name], name) for name, count in missing.items() if not count]
        heapq.heapify(ready)
        result = []
        while ready:
            _, name = heapq.heappop(ready)
            result.append(name)
            for user in users[name]:
                missing[user] -= 1
                if not missing[user]:
                    heapq.heappush(ready, (position[user], user))
        if len(result) < len(self.made):
            stuck = next(name for name, count in missing.items() if count)
            raise GraphError(f"'{stuck}' takes its own result, through others; the file is damaged")
        return result

    def node(self, name: str) -> Node:
        """One node of the result."""
        made = self.made[name]
        return Node(name, made.op, tuple(self.text(tensor) for tensor in made.inputs), made.attributes)

    def text(self, tensor: Tensor) -> str:
        """A tensor as "name:index"; the same string each time, since names may be long."""
        if tensor not in self.texts:
            number = self.renumbered.get(tensor.node, {}).get(tensor.output, tensor.output)
            self.texts[tensor] = f"{tensor.node}:{number}"
        return self.texts[tensor]


def _argument_shapes(body: Body) -> dict[int, tuple[int, ...] | None]:
    """The shapes of a function's arguments, as far as it says them."""
    result = {}
    for entry in body.definition["arg_attr"]:
        if "_output_shapes" in entry["value"]["attr"]:
            listed = entry["value"]["attr"]["_output_shapes"]["list"]["shape"]
            result[entry["key"]] = shape(listed[0]) if listed else None
    return result


def _argument(body: Body, index: int, name: str, sizes: tuple[int, ...] | None) -> Port:
    """An argument of a function as an input of its graph, in the node `name`."""
    argument = body.definition["signature"]["input_arg"][index]
    return Port(argument["name"], f"{name}:0", element_type(argument["type"]), sizes)


def _results(body: Body) -> list[Port]:
    """The results of a function as outputs of its graph; their tensors are still to be found."""
    return [
        Port(output["name"], "", element_type(output["type"]), None)
        for output in body.definition["signature"]["output_arg"]
    ]
