"""The rules of TensorFlow Lite's arithmetic, each a method, so that another rule can take the place of one.

`Rules` is the right arithmetic for its `numerics`. A known mistake is a subclass that overrides one method:
that is how test vectors know what they catch, and how the checker recognises what went wrong elsewhere.
"""

from __future__ import annotations

from ptq.spec.rules.accumulating import Accumulating
from ptq.spec.rules.broadcasting import Broadcasting
from ptq.spec.rules.converting import Converting
from ptq.spec.rules.exponentials import Exponentials
from ptq.spec.rules.functions import Functions
from ptq.spec.rules.gates import Gates
from ptq.spec.rules.integer_gates import IntegerGates
from ptq.spec.rules.layout import Layout
from ptq.spec.rules.lookup import LookupTables
from ptq.spec.rules.moving import Moving
from ptq.spec.rules.plain import PlainNumbers
from ptq.spec.rules.pointwise import Pointwise
from ptq.spec.rules.real import RealNumbers
from ptq.spec.rules.reducing import Reducing
from ptq.spec.rules.resizing import Resizing
from ptq.spec.rules.running import RunningQuantizer
from ptq.spec.rules.striding import Striding


class Rules(
    Converting,
    Exponentials,
    IntegerGates,
    Pointwise,
    LookupTables,
    Reducing,
    Resizing,
    Accumulating,
    Gates,
    RunningQuantizer,
    PlainNumbers,
    RealNumbers,
    Layout,
    Functions,
    Broadcasting,
    Moving,
    Striding,
):
    """All rules."""
