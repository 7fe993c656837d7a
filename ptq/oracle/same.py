"""When two results are the same: to the last bit."""

from __future__ import annotations

import numpy as np

from ptq.graph import Array


def differing(found: Array, expected: Array) -> Array:
    """Where two arrays of one shape and dtype differ in their bits; any NaN equals any NaN.

    Result: bool, of their shape.
    """
    if np.issubdtype(found.dtype, np.complexfloating):
        return differing(found.real, expected.real) | differing(found.imag, expected.imag)
    if not np.issubdtype(found.dtype, np.floating):
        return np.asarray(found != expected)
    bits = np.dtype(f"u{found.dtype.itemsize}")
    other = np.ascontiguousarray(found).view(bits) != np.ascontiguousarray(expected).view(bits)
    return np.asarray(other & ~(np.isnan(found) & np.isnan(expected))).reshape(expected.shape)


def same_bits(found: Array, expected: Array) -> bool:
    """Equal shape, dtype and bits."""
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    return not differing(found, expected).any()
