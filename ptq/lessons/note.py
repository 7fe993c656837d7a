"""Which results are right, and what a check says of those that are not: yours beside what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ptq.oracle.same import same_bits

LONGEST = 90
"""Characters of a call or a result that are shown; what is longer is cut."""

MOST_ELEMENTS = 8
"""Of an array in a call, beyond which only its type and shape are shown."""


def note(
    name: str, cases: Sequence[tuple[Any, ...]], targets: Sequence[Any], found: Sequence[Any],
    fits: Sequence[bool],
) -> str:  # fmt: skip
    """What is most worth knowing of wrong results: none yet, an error, or the first of them."""
    wrong = [case for case, fit in enumerate(fits) if not fit]
    errors = [case for case in wrong if isinstance(found[case], Exception)]
    if errors:
        error = found[errors[0]]
        call = _call(name, cases[errors[0]])
        return f"; {type(error).__name__}: {error} (case {errors[0] + 1}: {call})"
    if not wrong:
        return ""
    if all(found[case] is None or found[case] is Ellipsis for case in wrong):
        return f"; the function returns nothing {'in the others' if any(fits) else 'so far'}"
    case = wrong[0]
    lines = case_lines(name, case + 1, cases[case], found[case], targets[case])
    return "".join(f"\n    {line}" for line in lines)


def case_lines(name: str, number: int, arguments: Sequence[Any], yours: Any, wanted: Any) -> list[str]:
    """A wrong case on three lines; of two long rows of numbers the first place in which they differ."""
    head = f"case {number}: {_call(name, arguments)}"
    place = _first_difference(yours, wanted)
    if place is not None:
        head, yours, wanted = f"{head}, at [{place}]", yours[place], wanted[place]
    kinds = [_kind(yours), _kind(wanted)]
    one, other = [f"  ({kind})" for kind in kinds] if kinds[0] != kinds[1] else ["", ""]
    return [head, f"is        {shown(yours)}{one}", f"should be {shown(wanted)}{other}"]


def _first_difference(yours: Any, wanted: Any) -> int | None:
    """Where two rows of one length differ that are too long to be shown; None for anything else."""
    if not all(isinstance(row, list | np.ndarray) and np.ndim(row) for row in (yours, wanted)):
        return None
    if not MOST_ELEMENTS < len(wanted) == len(yours):
        return None
    return next((n for n, (a, b) in enumerate(zip(yours, wanted, strict=True)) if not same(a, b)), None)


def shown(value: Any) -> str:
    """A result on one line, as Python writes it, without the names of NumPy's types."""
    return _cut(_text(value))


def _call(name: str, arguments: Sequence[Any]) -> str:
    return _cut(f"{name}({', '.join(map(_argument, arguments))})")


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > MOST_ELEMENTS:
        return f"{value.dtype} {list(value.shape)}"
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, np.ndarray) and value.ndim:
        return _text(list(value))
    if isinstance(value, np.ndarray | np.generic):
        return str(value)
    if isinstance(value, tuple | list):
        inner = ", ".join(map(_text, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _kind(value: Any) -> str:
    """What a check compares beside the numbers: integers or floats, how many, in which shape."""
    if isinstance(value, tuple | list):
        return f"{len(value)} values"
    if value is None or value is Ellipsis or isinstance(value, Exception):
        return "no number"
    array = np.asarray(value)
    number = "integer" if array.dtype.kind in "iub" else str(array.dtype)
    return f"{number} of shape {list(array.shape)}" if array.ndim else number


def same(found: Any, target: Any) -> bool:
    """Equal numbers of one kind: 3 is not 3.0000001, an array not its transpose. A list may be an array."""
    if found is None or found is Ellipsis or isinstance(found, Exception):
        return False
    if isinstance(target, tuple | list):
        rows = isinstance(found, tuple | list) or (isinstance(found, np.ndarray) and found.ndim > 0)
        return rows and len(found) == len(target) and all(map(same, found, target))
    if isinstance(target, str):
        return bool(found == target)
    a, b = np.asarray(found), np.asarray(target)
    if a.dtype.kind in "iub" and b.dtype.kind in "iub":
        return a.shape == b.shape and bool(np.array_equal(a, b))
    if a.dtype.kind != b.dtype.kind or a.shape != b.shape:
        return False
    wide = np.result_type(a, b)
    return same_bits(a.astype(wide), b.astype(wide))
