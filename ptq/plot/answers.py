"""Figures of a classifier's answers: what it was asked about, and which answers quantization changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import BLACK, BLUE, RED, Picture, new_figure, quiet

SMALLEST = 1e-5
"""Smaller probabilities and differences are drawn as this one, since 0 has no place on a logarithmic axis."""


def image_row(images: npt.ArrayLike, captions: Sequence[str], title: str = "") -> Picture:
    """Grey images [n, height, width, 1] or [n, height, width] in a row, dark on white, and words below."""
    pixels = np.asarray(images, np.float64)
    pixels = pixels.reshape(pixels.shape[:3])
    lines = [caption.split("\n") for caption in captions]
    width = max(1.6, 0.09 * max(len(line) for words in lines for line in words))
    height = 1.5 + 0.18 * max(map(len, lines)) + 0.3 * bool(title)
    figure, (areas,) = new_figure(1, len(pixels), (width * len(pixels), height))
    for area, image, caption in zip(areas, pixels, captions, strict=True):
        area.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        area.set_xticks([])
        area.set_yticks([])
        area.set_xlabel(caption, fontsize=9)
    if title:
        figure.suptitle(title)
    return Picture(figure, f"{len(pixels)} images: " + ", ".join(c.replace("\n", " ") for c in captions))


def changed_answers(probabilities: npt.ArrayLike, others: npt.ArrayLike, title: str = "") -> Picture:
    """How sure a model is of its answers, and of which of them another model gives a different one.

    probabilities, others: [n, classes] of the two models. The margin of an answer is the largest probability
    less the second largest. An answer can change only where some probability moves by half of the margin.
    """
    one, other = np.asarray(probabilities, np.float64), np.asarray(others, np.float64)
    ordered = np.sort(one, axis=1)
    margin = np.maximum(ordered[:, -1] - ordered[:, -2], SMALLEST)
    move = np.maximum(np.abs(one - other).max(axis=1), SMALLEST)
    changed = one.argmax(axis=1) != other.argmax(axis=1)
    figure, ((area,),) = new_figure(1, 1, (8, 3.6))
    area.plot(margin[~changed], move[~changed], ".", color=BLUE, ms=3, alpha=0.6, label="the same answer")
    area.plot(
        margin[changed], move[changed], "X", color=RED, mec=BLACK, mew=0.6, ms=9, label="another answer"
    )
    ends = np.array([SMALLEST, 1.5])
    area.plot(ends, ends / 2, "--", color=BLACK, lw=1.2, label="half of the margin: no answer below changes")
    low = max(SMALLEST, float(margin.min()) / 2)
    area.set(
        xscale="log", yscale="log", xlim=(low, 1.3), ylim=(SMALLEST, 1), title=title,
        xlabel="margin: largest probability of the first model less its second largest",
        ylabel="largest change\nof a probability",
    )  # fmt: skip
    figure.legend(frameon=False, ncols=3, fontsize="small", loc="outside lower center")
    quiet(area)
    share = f"{changed.sum():,} of {changed.size:,} answers change"
    if not changed.any():
        return Picture(figure, share)
    return Picture(figure, f"{share}; the surest of them had a margin of {margin[changed].max():.2f}")
