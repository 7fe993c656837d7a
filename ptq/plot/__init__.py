"""Figures, one function for each; matplotlib is imported when the first one is drawn.

Every function returns a `Picture`, which a notebook shows. Colours are Okabe-Ito's, and never the only thing
that tells two marks apart; axes are labelled in integers (LSB, "least significant bits") and in real units.
"""

from __future__ import annotations

from ptq.plot.answers import changed_answers, image_row
from ptq.plot.arithmetic import bit_ruler, matrix_product
from ptq.plot.bars import Measured, Panel, bar_panels, grouped_bars
from ptq.plot.catches import catches
from ptq.plot.choices import chosen_ranges, operator_chains
from ptq.plot.filemap import byte_fates, byte_shares
from ptq.plot.hexdump import hex_dump
from ptq.plot.layers import layer_errors
from ptq.plot.meeting import Ruler, rulers, table_curve
from ptq.plot.models import Bar, Ranges, channel_ranges, size_and_accuracy
from ptq.plot.numbers import clipped_histogram, number_line, staircase
from ptq.plot.picture import COLORS, Picture, save
from ptq.plot.rounding import rounding_rules, two_roundings
from ptq.plot.running import Step, number_types, row_ranges
from ptq.plot.sequences import letter_by_letter, lines, waiting
from ptq.plot.sums import running_sum, side_by_side
from ptq.plot.targets import target_and_yours
from ptq.plot.windows import error_map, padded_images

__all__ = [
    "COLORS", "Bar", "Measured", "Panel", "Picture", "Ranges", "Ruler", "Step", "bar_panels",
    "bit_ruler", "byte_fates", "byte_shares", "catches", "changed_answers", "channel_ranges",
    "chosen_ranges", "clipped_histogram", "error_map", "grouped_bars", "hex_dump", "image_row",
    "layer_errors", "letter_by_letter", "lines", "matrix_product", "number_line", "number_types",
    "operator_chains", "padded_images", "rounding_rules", "row_ranges", "rulers", "running_sum",
    "save", "side_by_side", "size_and_accuracy", "staircase", "table_curve", "target_and_yours",
    "two_roundings", "waiting",
]  # fmt: skip
