"""The rules of TensorFlow Lite's arithmetic, each a method, so that another rule can take the place of one.

`Rules` is the right arithmetic for its `numerics`. A known mistake is a subclass that overrides one method:
that is how test vectors know what they catch, and how the checker recognises what went wrong elsewhere.
"""

from __future__ import annotations

from ptq.spec.rules.accumulating import Accumulating
from ptq.spec.rules.real import RealNumbers
from ptq.spec.rules.running import RunningQuantizer


class Rules(Accumulating, RunningQuantizer, RealNumbers):
    """All rules."""
