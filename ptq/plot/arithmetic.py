"""Figures of integer arithmetic: a matrix product with its zero-point terms, and the bits of a rescale."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.fixed_point import rounding_divide_by_pot_spec, saturating_rounding_doubling_high_mul_spec
from ptq.plot.picture import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, Picture, new_figure

Array = npt.NDArray[Any]


def grid(
    area: Any, values: npt.ArrayLike, title: str = "", color: str = SKY, low: float | None = None
) -> None:
    """A small matrix with the number in each cell, shaded by its distance from 0."""
    matrix = np.atleast_2d(np.asarray(values))
    largest = max(float(np.abs(matrix).max(initial=0)), 1) if low is None else low
    rows, columns = matrix.shape
    from matplotlib.patches import Rectangle

    for i in range(rows):
        for j in range(columns):
            share = min(abs(float(matrix[i, j])) / largest, 1)
            area.add_patch(
                Rectangle((j, rows - 1 - i), 1, 1, fc=color, alpha=0.15 + 0.6 * share, ec="white", lw=1)
            )
            area.text(j + 0.5, rows - 0.5 - i, f"{matrix[i, j]:g}", ha="center", va="center", fontsize=10)
    area.set(xlim=(-0.05, columns + 0.05), ylim=(-0.05, rows + 0.05), aspect="equal", title=title)
    area.set_axis_off()


def matrix_product(activations: npt.ArrayLike, weights: npt.ArrayLike, z_x: int, z_w: int = 0) -> Picture:
    """What sum (w - z_w)(x - z_x) is made of: the product of raw integers, three terms of zero points.

        sum (w - z_w)(x - z_x) = sum w x - z_x sum w - z_w sum x + K z_x z_w

    activations [M, K], weights [N, K], integers. Each term is a matrix [M, N]; a term of weights alone is the
    same in every row, one of activations alone the same in every column.
    """
    x, w = np.asarray(activations, np.int64), np.asarray(weights, np.int64)
    inner, ones = x.shape[1], np.ones((len(x), len(w)), np.int64)
    terms = [
        ("sum w x", x @ w.T, BLUE),
        ("- z_x sum w", -z_x * w.sum(axis=1)[None] * ones, ORANGE),
        ("- z_w sum x", -z_w * x.sum(axis=1)[:, None] * ones, GREEN),
        ("+ K z_x z_w", inner * z_x * z_w * ones, PINK),
        ("= accumulator", (x - z_x) @ (w - z_w).T, SKY),
    ]
    figure, (areas,) = new_figure(1, len(terms), (2.1 * len(terms), 2.1 + 0.25 * len(x)))
    for area, (title, values, color) in zip(areas, terms, strict=True):
        grid(area, values, title, color)
    figure.suptitle(
        f"K = {inner}, z_x = {z_x}, z_w = {z_w}: bands that do not depend on the row can be added to the bias"
    )
    total = sum(values for _, values, _ in terms[:-1])
    same = "equals" if np.array_equal(total, terms[-1][1]) else "differs from"
    return Picture(figure, f"the sum of the four terms {same} the product of the differences")


def bit_ruler(accumulator: int, output_multiplier: int, output_shift: int) -> Picture:
    """How an int32 becomes an output: times a 31-bit multiplier, rounded, shifted right, rounded (Q22).

    The bits of the 64-bit product, which of them each rounding drops, and the numbers on the way.
    """
    right = max(-output_shift, 0)
    shifted = accumulator << max(output_shift, 0)
    product = shifted * output_multiplier
    high = saturating_rounding_doubling_high_mul_spec(shifted, output_multiplier)
    result = rounding_divide_by_pot_spec(high, right)
    rows = [
        ("accumulator, int32", accumulator, 32, 0, 0),
        ("x multiplier: product, int64", product, 64, 0, 31),
        ("/ 2^31, ties up: high, int32", high, 32, 31, right),
        (f"/ 2^{right}, ties away from 0: result", result, 32, 31 + right, 0),
    ]
    figure, ((area,),) = new_figure(1, 1, (10, 3.1))
    from matplotlib.patches import Rectangle

    for row, (label, value, width, offset, dropped) in enumerate(rows):
        y = len(rows) - 1 - row
        for bit in range(min(width, 64 - offset)):
            one = (value >> bit) & 1
            color = RED if bit < dropped else BLUE
            place = 64 - offset - bit
            face = color if one else "white"
            area.add_patch(Rectangle((place, y + 0.1), 1, 0.55, fc=face, ec=color, lw=0.7, alpha=0.85))
            if bit < dropped:  # in print, too
                ink = "white" if one else color
                area.add_patch(Rectangle((place, y + 0.1), 1, 0.55, fc="none", ec=ink, hatch="//////", lw=0))
        area.text(-0.5, y + 0.38, label, ha="right", va="center", fontsize=9)
        area.text(66, y + 0.38, f"{value:,}", ha="left", va="center", fontsize=9, family="monospace")
    area.plot([], [], "s", color=BLUE, label="bit 1 (white: 0)")
    area.bar(0, 0, color=RED, hatch="////", ec="white", label="hatched: dropped by the next rounding")
    area.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 0.02), fontsize="small")
    area.set(xlim=(-24, 92), ylim=(-0.15, len(rows)))
    area.set_axis_off()
    real = accumulator * output_multiplier * 2.0 ** (output_shift - 31)
    figure.suptitle(
        f"{accumulator:,} x {output_multiplier:,} x 2^({output_shift} - 31) = {real:.4f}, rounded {result:,}",
        color=BLACK,
    )
    return Picture(figure, f"{real:.4f} becomes {result} in two roundings")
