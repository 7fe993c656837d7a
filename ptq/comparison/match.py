"""Which output of one model corresponds to which of another, and which do not depend on the inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ptq.graph import ABSENT, Graph
from ptq.quality import plain_name

CONVERSIONS = "QUANTIZE", "DEQUANTIZE"
"""Operators that change how numbers are written, not what they are."""


@dataclass(frozen=True)
class Step:
    """An operator's output that depends on the inputs: its operator's position and type, and its tensor."""

    operator: int
    type: str
    tensor: int
    name: str
    shape: tuple[int, ...]

    @property
    def location(self) -> str:
        """The operator's position, its type and the tensor that it writes."""
        return f"{self.operator} {self.type} '{self.name}'"


Pair = tuple[Step, Step]


def find_steps(graph: Graph) -> tuple[list[Step], set[int], int]:
    """The outputs that depend on the inputs; the tensors that do not; how many operators write the latter."""
    constant = {i for i, tensor in enumerate(graph.tensors) if tensor.is_constant and not tensor.is_variable}
    steps, skipped = [], 0
    for position, operator in enumerate(graph.operators):
        read = [i for i in operator.inputs if i != ABSENT]
        if read and constant.issuperset(read):
            constant.update(operator.outputs)
            skipped += 1
            continue
        for index in operator.outputs:
            tensor = graph.tensors[index]
            kind = operator.custom_code or operator.type
            steps.append(Step(position, kind, index, tensor.name, tensor.shape))
    return steps, constant, skipped


def match(a: Sequence[Step], b: Sequence[Step]) -> list[Pair]:
    """Pairs of steps in the order of `a`: by name where it is unique, else by order, operator type and shape.

    The names that a converter gives to the integer form of a tensor ("x_int8", "x_quantized") count as that
    tensor's where no other has it. QUANTIZE and DEQUANTIZE are matched with their like alone.
    """
    named: dict[Step, Step] = {}
    for key in (_key, _plain_key):
        named |= _by_unique(key, [s for s in a if s not in named], _without(b, named))
    labels: dict[int, int] = {s.tensor: number for number, s in enumerate(named)}
    labels_b = {t.tensor: number for number, t in enumerate(named.values())}

    # the named pairs take part as anchors, so that the others are matched between them
    def keys(steps: Sequence[Step], numbers: dict[int, int]) -> list[tuple[object, ...]]:
        return [(numbers[s.tensor],) if s.tensor in numbers else (s.type, s.shape) for s in steps]

    pairs = dict(named)
    blocks = SequenceMatcher(None, keys(a, labels), keys(b, labels_b), autojunk=False).get_matching_blocks()
    for block in blocks:
        for step_a, step_b in zip(a[block.a :][: block.size], b[block.b :][: block.size], strict=True):
            pairs.setdefault(step_a, step_b)
    return [(s, pairs[s]) for s in a if s in pairs]


def _key(step: Step) -> tuple[str, str]:
    return step.name, step.type if step.type in CONVERSIONS else ""


def _plain_key(step: Step) -> tuple[str, str]:
    """With the name in the float model; "_written" is the converter's for a result before its QUANTIZE."""
    name, conversion = _key(step)
    return plain_name(name if conversion else name.removesuffix("_written")), conversion


def _by_unique(
    key: Callable[[Step], tuple[str, str]], a: Sequence[Step], b: Sequence[Step]
) -> dict[Step, Step]:
    counts_a, counts_b = Counter(map(key, a)), Counter(map(key, b))
    shared = {k for k, count in counts_a.items() if k[0] and count == counts_b.get(k) == 1}
    named_b = {key(s): s for s in b if key(s) in shared}
    return {s: named_b[key(s)] for s in a if key(s) in shared}


def _without(steps: Sequence[Step], named: dict[Step, Step]) -> list[Step]:
    taken = set(named.values())
    return [s for s in steps if s not in taken]
