"""Function calls replaced by what they call, until one list of nodes is left.

TensorFlow 2 writes a model as functions that call functions: the signature calls a wrapper, the wrapper the
model, the model its layers. Here each call disappears: a node of the function gets the call's name in front
of its own, and whoever took output k of the call takes what the function returns as its k-th value. The same
bookkeeping of who stands for whom removes Identity nodes. While and If stay; their bodies are read later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ptq.errors import FormatError, GraphError, UnsupportedError
from ptq.saved_model.functions import Body, Library, Tensor
from ptq.saved_model.wire import Message

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
LOOPS = frozenset({"While", "StatelessWhile"})
CHOICES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
PASSES_ON = frozenset(
    {"Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "PlaceholderWithDefault"}
)
"""What gives back what it takes: its users take its input instead."""

DEEPEST = 64
"""How many calls may stand inside each other."""

LARGEST = 2**26
"""What all nodes together may cost; TensorFlow's largest image models need a hundredth."""

_RESOURCE = 20


class Placed(NamedTuple):
    """A node in its place. inputs: before names are resolved. source: as the file has it.

    given: attributes that stand in for those of the file, for nodes that the file does not have.
    """

    op: str
    inputs: tuple[Tensor, ...]
    source: Mapping[str, Message] = {}
    given: Mapping[str, Any] = {}


@dataclass
class Budget:
    """How much work is left for one file; functions that call functions can multiply without end."""

    left: int = LARGEST

    def charge(self, name: str, inputs: int) -> None:
        """Pay for a node or a call; GraphError when nothing is left."""
        self.left -= 256 + 4 * len(name) + 64 * inputs
        if self.left < 0:
            raise GraphError("the functions of this file call each other too often; it may be hostile")


@dataclass
class Inliner:
    """The nodes of one graph after inlining, by name, and the tensors that are only names of others."""

    library: Library
    budget: Budget = field(default_factory=Budget)
    nodes: dict[str, Placed] = field(default_factory=dict)
    aliases: dict[Tensor, Tensor] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def add_graph(self, needed: Iterable[str], feeds: Mapping[Tensor, Mapping[str, Any]]) -> None:
        """The graph itself, as far as `needed` asks for it.

        feeds: the tensors that are given from outside, with the attributes of the Placeholder that replaces
        whatever node the file has there.
        """
        main = self.library.main
        names = main.needed(needed)
        self.add(main, names, "", {}, (), feeds)

    def add_function(
        self, name: str, prefix: str, arguments: list[Tensor], stack: tuple[str, ...]
    ) -> list[Tensor]:
        """The body of a function; what it returns."""
        if name in stack:
            raise UnsupportedError(
                f"function '{name}' calls itself, through {' -> '.join(stack[stack.index(name):])}; "
                "TensorFlow Lite has no recursion"
            )
        if len(stack) >= DEEPEST:
            raise UnsupportedError(f"more than {DEEPEST} calls inside each other found, at function '{name}'")
        body = self.library.function(name)
        if len(arguments) != len(body.arguments):
            raise GraphError(
                f"{body.place} takes {len(body.arguments)} arguments, but '{prefix}' gives {len(arguments)}"
            )
        self.budget.charge(prefix, len(body.arguments) + len(body.returns))
        bound = dict(zip(body.arguments, arguments, strict=True))
        names = self.add(body, body.running, prefix, bound, (*stack, name), {})
        return [_outside(tensor, names, bound) for tensor in body.returns]

    def add(
        self, body: Body, needed: Sequence[str], prefix: str, bound: Mapping[str, Tensor],
        stack: tuple[str, ...], feeds: Mapping[Tensor, Mapping[str, Any]],
    ) -> dict[str, str]:  # fmt: skip
        """The nodes of a body that are needed; their new names by their own."""
        names = {}
        for name in needed:  # all at once, so that the graph's own nodes keep their names
            self.budget.charge(prefix + name, len(body.data[name]))
            names[name] = self.unique(prefix + name)
        for name in needed:
            node, place = body.nodes[name], names[name]
            if Tensor(name, 0) in feeds:
                self.nodes[place] = Placed("Placeholder", (), given=feeds[Tensor(name, 0)])
                continue
            inputs = tuple(_outside(tensor, names, bound) for tensor in body.data[name])
            self.place(place, node, inputs, stack)
        return names

    def place(self, name: str, node: Message, inputs: tuple[Tensor, ...], stack: tuple[str, ...]) -> None:
        """One node, or what it stands for."""
        op = node["op"]
        if op in PASSES_ON:
            self.stand_in(name, list(inputs))
        elif op in CALLS or op in self.library.stored:
            function = called(name, node["attr"]) if op in CALLS else op
            self.stand_in(name, self.add_function(function, name + "/", list(inputs), stack))
        else:
            if op in LOOPS:  # a variable goes through a loop unchanged
                for index in resources(name, node["attr"], "T", len(inputs)):
                    self.aliases[Tensor(name, index)] = inputs[index]
            self.nodes[name] = Placed(op, inputs, node["attr"])

    def stand_in(self, name: str, tensors: list[Tensor]) -> None:
        """Whoever takes output k of `name` takes the k-th of these tensors."""
        for index, tensor in enumerate(tensors):
            self.aliases[Tensor(name, index)] = tensor

    def unique(self, name: str) -> str:
        """`name`, or name_1, name_2 ... if a node has it already."""
        result = name
        while result in self.taken:
            self.counters[name] = self.counters.get(name, 0) + 1
            result = f"{name}_{self.counters[name]}"
        self.taken.add(result)
        return result

    def resolve(self, tensor: Tensor) -> Tensor:
        """The tensor that `tensor` is a name of: an output of a node that is there."""
        path = []
        while tensor in self.aliases:
            path.append(tensor)
            tensor = self.aliases[tensor]
            if len(path) > len(self.aliases):
                raise GraphError(f"'{tensor.node}' gives back what it takes; the file is damaged")
        for passed in path:
            self.aliases[passed] = tensor
        if tensor.node not in self.nodes:
            raise GraphError(f"output {tensor.output} of '{tensor.node}' is used, which has not so many")
        return tensor


def function_names(node: str, attributes: Mapping[str, Message]) -> dict[str, list[str]]:
    """The functions that the attributes of a node name, by attribute; FormatError if there are none."""
    found = {}
    for name, value in attributes.items():
        listed = [value["func"]] if "func" in value else value["list"]["func"]
        if listed:
            found[name] = [str(function["name"]) for function in listed]
    if not found:
        raise FormatError(f"node '{node}' does not say which function it calls; the file is damaged")
    return found


def resources(node: str, attributes: Mapping[str, Message], attribute: str, inputs: int) -> list[int]:
    """Which of a node's inputs are resources (variables), by the list of element types in an attribute."""
    types = attributes[attribute]["list"]["type"] if attribute in attributes else []
    if len(types) != inputs:
        raise GraphError(f"'{node}' takes {inputs} inputs, but its '{attribute}' lists {len(types)} types")
    return [index for index, number in enumerate(types) if number == _RESOURCE]


def _outside(tensor: Tensor, names: Mapping[str, str], bound: Mapping[str, Tensor]) -> Tensor:
    """A tensor of a body under its name outside of it."""
    if tensor.output < 0:
        return bound[tensor.node]
    return Tensor(names[tensor.node], tensor.output)


def called(name: str, attributes: Mapping[str, Message]) -> str:
    """The function that a call calls."""
    return next(iter(function_names(name, attributes).values()))[0]
