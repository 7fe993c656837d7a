"""The known mistakes: what test vectors catch, and what the checker tries when a result is wrong."""

from __future__ import annotations

from ptq.oracle.mistakes import rounding
from ptq.oracle.mistakes.core import Mistake

MISTAKES: dict[str, type[Mistake]] = {mistake.title: mistake for mistake in (*rounding.MISTAKES,)}
"""By title."""
