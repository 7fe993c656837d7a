"""Figures of sums of products: an accumulator as it fills, and one layer in several arithmetics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import (
    BLACK,
    BLUE,
    COLORS,
    HATCHES,
    MARKERS,
    ORANGE,
    RED,
    SKY,
    Picture,
    new_figure,
    quiet,
)


def running_sum(products: npt.ArrayLike, bits: int = 16, scale: float = 1.0, title: str = "") -> Picture:
    """One accumulator, product after product: the exact sum, and what `bits` bits hold of it.

    products: integers [K], in the order in which they are added. scale: of the sum, for the right axis. The
    band is what the short accumulator can hold; outside it jumps to the other end.
    """
    exact = np.cumsum(np.asarray(products, np.int64))
    half = 1 << (bits - 1)
    short = (exact + half) % (2 * half) - half
    jumps = np.flatnonzero(np.diff((exact + half) // (2 * half))) + 1
    steps = np.arange(1, exact.size + 1)
    figure, ((area,),) = new_figure(1, 1, (9, 3.8))
    area.axhspan(-half, half - 1, color=SKY, alpha=0.25, lw=0, label=f"what int{bits} can hold")
    area.plot(steps, exact, "-", color=BLUE, lw=1.8, label="exact sum (int32)")
    pieces = np.insert(short.astype(float), jumps, np.nan)
    area.plot(np.insert(steps.astype(float), jumps, np.nan), pieces, "--", color=RED, lw=1.4,
              label=f"int{bits} accumulator")  # fmt: skip
    area.plot(steps[-1], exact[-1], "o", color=BLUE, ms=7)
    area.plot(steps[-1], short[-1], "X", color=RED, ms=8)
    area.axhline(0, color=BLACK, lw=0.8)
    other = area.secondary_yaxis("right", functions=(lambda q: q * scale, lambda r: r / scale))
    other.set_ylabel("real units")
    area.set(xlabel="products added so far", ylabel="accumulator in LSB", title=title)
    area.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    area.legend(frameon=False, ncols=3, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.18))
    quiet(area)
    end = f"the exact sum ends at {exact[-1]:,}, int{bits} at {short[-1]:,}"
    return Picture(figure, f"{end}, after wrapping around {jumps.size} times")


def side_by_side(
    reference: npt.ArrayLike, others: Mapping[str, npt.ArrayLike], step: float, title: str = ""
) -> Picture:
    """The outputs of one layer in several arithmetics, and how far each is from the reference.

    reference: reals [N], drawn as rings. others: reals [N] by name. step: the real size of 1 LSB of the
    output; the band below is half a step to each side, what the last rounding may cost.
    """
    wanted = np.asarray(reference, np.float64).reshape(-1)
    places = np.arange(wanted.size)
    figure, ((above,), (below,)) = new_figure(2, 1, (9, 4.6), sharex=True, height_ratios=[3, 2])
    above.plot(places, wanted, "o", mfc="none", mec=BLACK, ms=11, label="float")
    width = 0.8 / max(len(others), 1)
    below.axhspan(-0.5, 0.5, color=SKY, alpha=0.3, lw=0)
    above.plot([], [], "s", color=SKY, alpha=0.5, ms=9, label="below: half a step to each side")
    largest = []
    for number, (name, values) in enumerate(others.items()):
        found = np.asarray(values, np.float64).reshape(-1)
        error = (found - wanted) / step
        color, marker = (BLUE, ORANGE, *COLORS[2:])[number], MARKERS[number + 1]
        above.plot(places, found, marker, color=color, ms=5, label=name)
        left = places + (number - (len(others) - 1) / 2) * width
        hatch = HATCHES[number % len(HATCHES)]
        below.bar(left, error, width * 0.95, color=color, hatch=hatch, ec="white", label=name)
        largest.append(f"{name} by at most {np.abs(error).max(initial=0):.2f} LSB")
    below.axhline(0, color=BLACK, lw=0.8)
    other = above.secondary_yaxis("right", functions=(lambda r: r / step, lambda q: q * step))
    other.set_ylabel("steps from 0 (LSB)")
    above.set_ylabel("output in real units")
    below.set(xlabel="output number", ylabel="difference from\nfloat in LSB")
    if wanted.size <= 32:
        below.set_xticks(places)
    above.legend(frameon=False, ncols=4, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1.0))
    quiet(below)
    above.spines[["top"]].set_visible(False)
    figure.suptitle(title)
    return Picture(figure, f"differences from float: {', '.join(largest)}; 1 LSB is {step:.3g}")
