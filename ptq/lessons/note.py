"""What a check says of results that are not right: the first of them, beside what it should have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

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
    yours, wanted = found[case], targets[case]
    kinds = [_kind(yours), _kind(wanted)]
    one, other = [f"  ({kind})" for kind in kinds] if kinds[0] != kinds[1] else ["", ""]
    lines = [
        f"case {case + 1}: {_call(name, cases[case])}",
        f"is        {shown(yours)}{one}",
        f"should be {shown(wanted)}{other}",
    ]
    return "".join(f"\n    {line}" for line in lines)


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
    if value is None or value is Ellipsis:
        return "nothing"
    array = np.asarray(value)
    number = "integer" if array.dtype.kind in "iub" else str(array.dtype)
    return f"{number} of shape {list(array.shape)}" if array.ndim else number
