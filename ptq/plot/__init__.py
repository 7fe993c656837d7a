"""Figures, one function for each; matplotlib is imported when the first one is drawn.

Every function returns a `Picture`, which a notebook shows. Colours are Okabe-Ito's, and never the only thing
that tells two marks apart; axes are labelled in integers (LSB, "least significant bits") and in real units.
"""

from __future__ import annotations

from ptq.plot.arithmetic import bit_ruler, matrix_product
from ptq.plot.hexdump import hex_dump
from ptq.plot.layers import Measured, grouped_bars, layer_errors
from ptq.plot.models import Bar, Ranges, channel_ranges, size_and_accuracy
from ptq.plot.numbers import clipped_histogram, number_line, staircase
from ptq.plot.picture import COLORS, Picture, save
from ptq.plot.targets import target_and_yours

__all__ = [
    "COLORS", "Bar", "Measured", "Picture", "Ranges", "bit_ruler", "channel_ranges", "clipped_histogram",
    "grouped_bars", "hex_dump", "layer_errors", "matrix_product", "number_line", "save", "size_and_accuracy",
    "staircase", "target_and_yours",
]  # fmt: skip
