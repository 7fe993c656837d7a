"""What a conversion decided for each operator, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Decision:
    """One operator's fate.

    operator: its position in the converted subgraph. name: the name of its output tensor.
    arithmetic: "hybrid" (int8 weights, integer accumulation), "integer" (integers at both ends), "float" or
    "any" (moves or converts data).
    subgraph: the number of its subgraph; 0 is the main one.
    """

    operator: int
    type: str
    name: str
    arithmetic: str
    reason: str
    subgraph: int = 0


@dataclass(frozen=True)
class Report(Sequence[Decision]):
    """All decisions, subgraph by subgraph in execution order; prints as a table."""

    decisions: tuple[Decision, ...] = ()

    def __len__(self) -> int:
        return len(self.decisions)

    def __getitem__(self, index: int) -> Decision:  # type: ignore[override]  # slices are not needed
        return self.decisions[index]

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.decisions)

    def counts(self) -> dict[str, int]:
        """How many operators compute in each arithmetic."""
        return dict(Counter(decision.arithmetic for decision in self.decisions))

    def __str__(self) -> str:
        width = max((20, *(len(d.type) for d in self.decisions)))
        lines = [f"{'#':>3}  {'operator':<{width}} {'arithmetic':<10} why"]
        for title, decisions in by_subgraph(self.decisions):
            lines += [title] if title else []
            lines += [f"{d.operator:>3}  {d.type:<{width}} {d.arithmetic:<10} {d.reason}" for d in decisions]
        return "\n".join(lines)


def by_subgraph(decisions: Iterable[Decision]) -> list[tuple[str, list[Decision]]]:
    """The decisions of each subgraph under a title; the main one, number 0, has none."""
    groups = groupby(decisions, key=lambda decision: decision.subgraph)
    return [(f"subgraph {number}:" if number else "", list(group)) for number, group in groups]
