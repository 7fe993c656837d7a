"""The problems of every operator in every arithmetic."""

from __future__ import annotations

from ptq.oracle.draw import dense
from ptq.oracle.draw.core import Draw

DRAWS: dict[tuple[str, str], Draw] = {
    **{(name, "integer"): draw for name, draw in dense.INTEGER.items()},
}
"""By operator and arithmetic ("float", "hybrid", "integer", "any")."""
