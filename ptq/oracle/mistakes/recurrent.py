"""Mistakes with what a layer remembers: RNN and SVDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.rules.recurrent import FLOAT_LANES, State


class StateNotCarried(Mistake):
    """begins every step with the state before the first."""

    title = "state not carried over"

    def carried_state(self, states: Sequence[State], step: int) -> State:
        """The first."""
        return states[0]


class UpdatedInPlace(Mistake):
    """writes an RNN's new state over the old one, unit after unit, while later units still read it."""

    title = "state updated in place"

    def state_seen(
        self, before: Sequence[float], unit: int, updated: Callable[[int], float]
    ) -> Sequence[float]:
        """New values up to this unit."""
        return [updated(other) if other < unit else value for other, value in enumerate(before)]


class OtherMajor(Mistake):
    """reads batch-major sequences as time-major ones, or the other way round."""

    title = "time and batch mixed up"

    def moment_read(self, time: int, row: int, steps: int, batch: int, time_major: bool) -> tuple[int, int]:
        """What lies where the other layout has it."""
        if time_major:
            return divmod(row * steps + time, batch)
        other_row, other_time = divmod(time * batch + row, steps)
        return other_time, other_row


class OldMemoryShown(Mistake):
    """filters SVDF's memory before the newest value is in it."""

    title = "output of the old memory"

    def memory_shown(self, before: Sequence[float], after: Sequence[float]) -> Sequence[float]:
        """The old one."""
        return before


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


class EigenTanhInMicro(Mistake):
    """computes tanh in micro's SVDF by Eigen's approximation, where that library calls the C library's."""

    title = "Eigen's tanh in micro"

    def filter_tanh(self, x: float) -> float:
        """That of TensorFlow Lite."""
        return self.eigen_tanh(x)


class BiasOtherWayRound(Mistake):
    """adds the bias of SVDF after its filters where the library begins with it, or the reverse."""

    title = "bias of SVDF first or last"

    def bias_comes_first(self, hybrid: bool) -> bool:
        """The other library's order."""
        return not super().bias_comes_first(hybrid)


class OneLane(Mistake):
    """adds float products one by one where the library has four lanes."""

    title = "float products without lanes"

    def float_lanes(self) -> int:
        """One."""
        return 1


class FourLanes(Mistake):
    """adds float products in four lanes where the portable source adds one by one."""

    title = "float products in four lanes"

    def float_lanes(self) -> int:
        """Those of a register."""
        return FLOAT_LANES


MISTAKES = (
    StateNotCarried, UpdatedInPlace, OtherMajor, OldMemoryShown, MemoryTheOtherWay, MemoryNotShifted,
    FiltersByRank, EigenTanhInMicro, BiasOtherWayRound, OneLane, FourLanes,
)  # fmt: skip
