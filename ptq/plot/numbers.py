"""Figures of numbers and scales: the number line, the staircase of rounding, and what clipping cuts off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ptq.fixed_point import round_half_away, round_half_away_spec
from ptq.graph import Quantization
from ptq.plot.picture import BLACK, BLUE, GREEN, ORANGE, RED, SKY, Picture, new_figure, quiet
from ptq.quantizer import dequantize, quantize

MOST_TICKS = 17
"""Integers that are written on the number line; of more only some are."""

SAMPLES = 2001

PALE = "#FBE9DD"
"""Behind what is clipped."""


def number_line(
    quantization: Quantization,
    dtype: npt.DTypeLike = np.int8,
    values: Sequence[float] = (),
    bits: int | None = None,
) -> Picture:
    """Real numbers above the line, the integers for them below; r = scale * (q - zero_point)       (Q1).

    bits: of the integers, if they are fewer than the dtype has. values: reals that are marked with an arrow
    to the number that they become.
    """
    scale, zero_point = float(quantization.scale[0]), int(quantization.zero_point[0])
    limits = np.iinfo(dtype)
    lowest, highest = (limits.min, limits.max) if bits is None else _range(limits.min < 0, bits)
    integers = np.arange(lowest, highest + 1)
    reals = scale * (integers - zero_point)
    step = max(-(-integers.size // MOST_TICKS), 1)
    inner = [q for q in integers if (q - zero_point) % step == 0 and min(q - lowest, highest - q) >= step]
    shown = sorted({int(lowest), *map(int, inner), int(highest)})
    figure, ((area,),) = new_figure(1, 1, (8, 2.4))
    area.axhline(0, color=BLACK, lw=1.5)
    area.vlines(reals, -0.06, 0.06, color=BLUE, lw=0.8)
    for q in shown:
        real = scale * (q - zero_point)
        strong = "bold" if q == zero_point else "normal"
        area.text(real, -0.16, str(q), ha="center", va="top", fontsize=8, color=BLUE, weight=strong)
        plate = {"fc": "white", "ec": "none", "pad": 0.6}  # an arrow passes behind the number
        area.text(
            real, 0.16, f"{real:.3g}", ha="center", va="bottom", fontsize=8, weight=strong, rotation=60,
            bbox=plate, zorder=4,
        )  # fmt: skip
    for value in values:
        q = min(max(round_half_away_spec(value / scale) + zero_point, lowest), highest)
        area.annotate(
            "", (scale * (q - zero_point), 0.02), (value, 0.95), arrowprops={"arrowstyle": "->", "color": RED}
        )
        area.plot([value], [0.95], "v", color=RED, ms=6)
        area.text(value, 1.05, f"{value:g}", ha="center", va="bottom", color=RED, fontsize=9)
    area.plot([0], [0], "D", color=GREEN, ms=7, zorder=3)
    area.text(0, -0.5, f"zero point {zero_point}", ha="center", va="top", color=GREEN, fontsize=9)
    area.set(ylim=(-0.75, 1.35 if len(values) else 0.85), yticks=[])
    area.set_xlabel("above: real numbers;  below: the integers that stand for them (1 LSB = one step)")
    area.set_xticks([])
    area.spines[["top", "right", "left", "bottom"]].set_visible(False)
    area.set_title(f"{integers.size} integers, {scale:.3g} apart; {zero_point} stands for 0")
    return Picture(
        figure,
        f"{integers.size} integers from {lowest} to {highest} stand for reals from {reals[0]:.3g} to "
        f"{reals[-1]:.3g}, {scale:.3g} apart; {zero_point} stands for 0",
    )


def _range(signed: bool, bits: int) -> tuple[int, int]:
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def staircase(
    quantization: Quantization, low: float, high: float, lowest: int = -128, highest: int = 127
) -> Picture:
    """What a real number becomes, and the error: a staircase and its saw; clipped ends grow for ever (Q2).

    low, high: the reals that are shown. lowest, highest: the integers that there are.
    """
    scale, zero_point = float(quantization.scale[0]), int(quantization.zero_point[0])
    x = np.linspace(low, high, SAMPLES)
    q = np.clip(round_half_away(x / scale) + zero_point, lowest, highest)
    real = scale * (q - zero_point)
    figure, ((above,), (below,)) = new_figure(2, 1, (7, 4.2), sharex=True, height_ratios=[2, 1])
    above.plot(x, x, ":", color=BLACK, lw=1, label="the number itself")
    above.plot(x, real, "-", color=BLUE, lw=1.6, label="what it becomes")
    ways = (lambda r: r / scale + zero_point, lambda i: scale * (i - zero_point))
    other = above.secondary_yaxis("right", functions=ways)
    other.set_ylabel("integer (LSB)")
    other.yaxis.get_major_locator().set_params(integer=True)
    above.set_ylabel("real number")
    error = (real - x) / scale
    below.plot(x, error, "-", color=ORANGE, lw=1.2, label="error: what it becomes less the number")
    below.axhspan(-0.5, 0.5, color=SKY, alpha=0.35, lw=0, label="half a step to each side")
    ends = max(error.min() - 0.2, -4), min(error.max() + 0.2, 4)
    below.set(xlabel="real number", ylabel="error in LSB", ylim=ends)
    clipped = (x < scale * (lowest - 0.5 - zero_point)) | (x > scale * (highest + 0.5 - zero_point))
    if clipped.any():
        for area in (above, below):
            across = area.get_xaxis_transform()
            area.fill_between(
                x, 0, 1, where=clipped, transform=across, fc=PALE, ec=RED, hatch="//", lw=0, alpha=0.5,
                label="clipped" if area is above else None,
            )  # fmt: skip
    quiet(below)
    above.spines[["top"]].set_visible(False)
    figure.legend(frameon=False, fontsize="small", ncols=3, loc="outside lower center")
    figure.suptitle(f"off by at most half of a step ({scale:.3g}) inside of the range, by ever more outside")
    return Picture(
        figure, f"inside of the range the error is at most half a step, {scale / 2:.3g}; outside it grows"
    )


def clipped_histogram(
    values: npt.ArrayLike, quantization: Quantization, dtype: npt.DTypeLike = np.int8, title: str = ""
) -> Picture:
    """The values of a tensor and the range that its integers reach: the steps between, and the tails cut off.

    The vertical axis is logarithmic, as a few outliers decide on a range.
    """
    real = np.asarray(values, np.float32).reshape(-1)
    q = quantize(real, quantization, dtype)
    scale, zero_point = float(quantization.scale[0]), int(quantization.zero_point[0])
    limits = np.iinfo(dtype)
    low, high = scale * (limits.min - zero_point), scale * (limits.max - zero_point)
    outside = (real < low - scale / 2) | (real > high + scale / 2)
    figure, ((left, right),) = new_figure(1, 2, (9, 3))
    bins = np.linspace(min(real.min(), low), max(real.max(), high), 120)
    left.hist(real[~outside], bins, color=BLUE, label="kept")
    if outside.any():
        left.hist(real[outside], bins, color=RED, hatch="//", label=f"clipped: {outside.mean():.2%}")
    left.axvline(low, color=BLACK, ls="--", lw=1)
    left.axvline(high, color=BLACK, ls="--", lw=1, label="ends of the range")
    left.set(yscale="log", xlabel="real number", ylabel="how many")
    right.hist(q, np.arange(limits.min, limits.max + 2) - 0.5, color=BLUE)
    used = np.unique(q).size
    right.set(
        yscale="log",
        xlabel=f"integer (1 LSB = {scale:.3g})",
        title=f"{used} of {limits.max - limits.min + 1} integers used",
    )
    quiet(left, right)
    figure.legend(frameon=False, fontsize="small", ncols=3, loc="outside lower center")
    figure.suptitle(title)
    error = np.sqrt(np.mean((real - dequantize(q, quantization)) ** 2))
    return Picture(
        figure,
        f"{outside.mean():.2%} of the values are clipped; root mean square error {error / scale:.2f} LSB",
    )
