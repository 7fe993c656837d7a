"""The real bounds of fused activations."""

from __future__ import annotations

from ptq.spec.rules.core import Written

ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0),
}  # fmt: skip
"""The real bounds of each fused activation."""


class Bounds(Written):
    """The rule that integer and float kernels share."""

    def fused_bounds(self, activation: str) -> tuple[float | None, float | None]:
        """Between which reals a fused activation clamps; None where it has no bound."""
        return ACTIVATIONS[activation]
