"""A graph being rewritten: who writes a tensor, who reads it, and how one operator takes another's place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.operators import OPTIONS

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class Rewriter:
    """Applies patterns until none fits; a pattern looks at an operator and what is before it.

    What a pattern makes stands where the last of the old operators stood, as in TensorFlow's converter.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._producers = {i: op for op in graph.operators for i in op.outputs}
        self._uses = Counter(graph.outputs)
        self._dead: set[int] = set()
        for operator in graph.operators:
            self._uses.update(operator.inputs)

    # --- questions --------------------------------------------------------------------------------

    def producer(self, tensor: int, *types: str) -> Operator | None:
        """The operator that writes `tensor`, if it is of one of `types`, or of any if none is given."""
        operator = self._producers.get(tensor)
        return operator if operator is not None and (not types or operator.type in types) else None

    def constant(self, tensor: int) -> Array | None:
        """The elements of a constant of real numbers, else None."""
        data = self.graph.tensors[tensor].data if tensor != ABSENT else None
        return data if data is not None and data.dtype == np.float32 else None

    def used_once(self, operator: Operator) -> bool:
        """Whether its first output has one reader alone, or is a result of the graph and has none."""
        return self._uses[operator.outputs[0]] == 1

    def shape(self, tensor: int) -> Shape:
        """The shape, with -1 for a size that is not known before the model runs."""
        known = self.graph.tensors[tensor]
        return known.shape if known.shape_signature is None else known.shape_signature

    # --- changes ----------------------------------------------------------------------------------

    def add_constant(self, data: Array, name: str) -> int:
        """A new constant."""
        kind = "FLOAT32" if data.dtype == np.float32 else "INT32"
        return self.graph.add_tensor(Tensor(name, data.shape, kind, data))

    def become(
        self, operator: Operator, type: str, inputs: Sequence[int], options: dict[str, Any] | None = None,
        version: int = 1
    ) -> None:
        """Let `operator` write the same tensors in another way."""
        table, defaults = OPTIONS.get(type, (None, {}))
        self._uses.subtract(operator.inputs)
        self._uses.update(inputs)
        operator.type, operator.inputs, operator.version = type, list(inputs), version
        operator.options, operator.options_type = {**defaults, **(options or {})}, table

    def absorb(self, operator: Operator, layer: Operator, inputs: Sequence[int], **options: Any) -> None:
        """Let `operator` do what `layer`, which nothing else reads, did before it, with these changes."""
        self.become(operator, layer.type, inputs, {**layer.options, **options}, layer.version)
        self._remove_if_unused(layer)

    def insert_before(self, operator: Operator, new: Operator, like: int) -> int:
        """Add an operator in front of another; it writes a tensor of `like`'s shape, which is returned."""
        model = self.graph.tensors[like]
        old = self.graph.tensors[operator.outputs[0]]
        output = self.graph.add_tensor(replace(model, name=f"{old.name}/moved", data=None))
        new.outputs = [output]
        self._producers[output] = new
        self._uses.update(new.inputs)
        position = next(i for i, other in enumerate(self.graph.operators) if other is operator)
        self.graph.operators.insert(position, new)
        return output

    def bypass(self, operator: Operator) -> bool:
        """Drop an operator that changes nothing; not if the graph would then return an input."""
        old, new = operator.outputs[0], operator.inputs[0]
        writer = self._producers.get(new)
        if old in self.graph.outputs:
            if writer is None or new in self.graph.outputs:
                return False
            self._rename(new, old)
            writer.outputs = [old if i == new else i for i in writer.outputs]
            self._producers[old] = writer
        else:
            self._rename(old, new)
        self._dead.add(id(operator))
        self._uses.subtract(operator.inputs[1:])
        for tensor in operator.inputs[1:]:
            if tensor in self._producers:
                self._remove_if_unused(self._producers[tensor])
        return True

    def _rename(self, old: int, new: int) -> None:
        """Let all readers of `old` read `new`."""
        for operator in self.graph.operators:
            operator.inputs = [new if i == old else i for i in operator.inputs]
        self._uses[new] += self._uses.pop(old) - 1

    def _remove_if_unused(self, operator: Operator) -> None:
        pending = [operator]
        while pending:
            unused = pending.pop()
            if id(unused) not in self._dead and not any(self._uses[i] > 0 for i in unused.outputs):
                self._dead.add(id(unused))
                self._uses.subtract(unused.inputs)
                pending += [self._producers[i] for i in unused.inputs if i in self._producers]

    # --- the loop ---------------------------------------------------------------------------------

    def run(self, patterns: Patterns) -> None:
        """Apply the patterns of each operator's type, from the first operator on, until none fits."""
        changed = True
        while changed:
            changed = False
            for operator in list(self.graph.operators):
                if id(operator) not in self._dead:
                    changed |= any(pattern(self, operator) for pattern in patterns.get(operator.type, ()))
            self.sweep()

    def sweep(self) -> None:
        """Remove the operators that nothing reads."""
        for operator in reversed(self.graph.operators):
            self._remove_if_unused(operator)
        self.graph.operators = [op for op in self.graph.operators if id(op) not in self._dead]


Pattern = Callable[[Rewriter, Operator], bool]
"""Looks whether it fits an operator; if so, rewrites the graph and says True."""

Patterns = dict[str, list[Pattern]]
"""The patterns that may end with an operator, by its type, in the order in which they are tried."""
