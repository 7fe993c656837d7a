"""Mistakes with what a layer remembers: RNN and SVDF."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.rules.recurrent import State


class StateNotCarried(Mistake):
    """begins every step with the state before the first."""

    title = "state not carried over"

    def carried_state(self, states: Sequence[State], step: int) -> State:
        """The first."""
        return states[0]


class MemoryTheOtherWay(Mistake):
    """shifts the memory of SVDF the other way: the newest value comes first."""

    title = "memory shifted the other way"

    def shift_memory(self, memory: list[float], newest: float) -> list[float]:
        """The newest first."""
        return [newest, *memory[:-1]]


class MemoryNotShifted(Mistake):
    """puts the newest value in the place of the last one, and forgets none."""

    title = "memory not shifted"

    def shift_memory(self, memory: list[float], newest: float) -> list[float]:
        """Only the last one changes."""
        return [*memory[:-1], newest]


class FiltersByRank(Mistake):
    """takes the filters of a unit of SVDF from every rank's block, as if a rank's lay side by side."""

    title = "filters grouped by rank"

    def filter_of_unit(self, unit: int, r: int, rank: int, filters: int) -> int:
        """r * units + unit."""
        return r * (filters // rank) + unit


class OneLane(Mistake):
    """adds float products one by one where the library has four lanes."""

    title = "float products without lanes"

    def lane_total(self, terms: Sequence[float], lanes: int) -> float:
        """In order."""
        return super().lane_total(terms, 1)


MISTAKES = (StateNotCarried, MemoryTheOtherWay, MemoryNotShifted, FiltersByRank, OneLane)
