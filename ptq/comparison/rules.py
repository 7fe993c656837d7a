"""Which rules of `Numerics` make the difference between two runs of one operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from itertools import combinations

from ptq.comparison.trace import same_bits
from ptq.errors import PtqError
from ptq.graph import Array
from ptq.numerics import Numerics

MEANINGS = {
    "rounding": "a rescaled accumulator is rounded twice, or once",
    "dynamic_range": "run-time quantization and lanes of float sums, vector code or portable",
    "row_sums": "sums of weights wrap in int16 lanes, or are exact",
    "float_sums": "float products are added in BLAS's order, or in the reference's",
    "integer_kernels": "integer kernels of TensorFlow Lite, or of TensorFlow Lite for Microcontrollers",
    "product_rescale": "sums of products are rescaled as the library does, or by a float32 with ties to even",
    "upstream_defects": "a defect of TensorFlow Lite is refused, reproduced or mended",
}
"""What each field of `Numerics` is about, in a few words."""

ROUNDINGS = {"rounding", "dynamic_range", "float_sums", "product_rescale"}
"""The fields that choose between roundings of the same number."""


def deciding_fields(
    run: Callable[[Numerics], Array], a: Numerics, b: Numerics
) -> tuple[tuple[str, ...], ...]:
    """The smallest sets of fields that, switched from a's choice to b's, turn a's result into b's.

    run: the operator on the same inputs, with given numerics. Sets of one field are tried first, then of two
    and so on; all sets of the first size that succeeds are returned, since each of them would do on these
    inputs. Nothing is returned where numerics make no difference.
    """
    differing = [
        f.name for f in fields(Numerics) if f.name != "name" and getattr(a, f.name) != getattr(b, f.name)
    ]
    wanted, base = run(b), run(a)
    if not differing or same_bits(wanted, base):
        return ()

    def reaches(names: tuple[str, ...], start: Numerics, end: Numerics, result: Array) -> bool:
        try:
            return same_bits(run(replace(start, **{n: getattr(end, n) for n in names})), result)
        except PtqError:  # such a mixture may be refused
            return False

    singles = tuple((name,) for name in differing if reaches((name,), a, b, wanted))
    if singles:
        return singles
    # a field that changes neither end's result takes part in no smallest set worth naming
    relevant = [n for n in differing if not (reaches((n,), a, b, base) and reaches((n,), b, a, wanted))]
    for size in range(2, len(relevant)):
        found = tuple(names for names in combinations(relevant, size) if reaches(names, a, b, wanted))
        if found:
            return found
    return (tuple(relevant or differing),)


def fields_text(sets: tuple[tuple[str, ...], ...], a: Numerics, b: Numerics) -> str:
    """The rules by name with a's and b's choice, "rounding: double / single", and what they are about."""

    def words(name: str) -> str:
        return f"{name}: {getattr(a, name)} / {getattr(b, name)} ({MEANINGS[name]})"

    return "; or ".join(" together with ".join(map(words, names)) for names in sets)
