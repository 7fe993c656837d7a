"""Figures, one function for each; matplotlib is imported when the first one is drawn.

Every function returns a `Picture`, which a notebook shows. Colours are Okabe-Ito's, and never the only thing
that tells two marks apart; axes are labelled in integers (LSB, "least significant bits") and in real units.
"""

from __future__ import annotations

from ptq.plot.models import Bar, Ranges, channel_ranges, size_and_accuracy
from ptq.plot.picture import COLORS, Picture, save

__all__ = ["COLORS", "Bar", "Picture", "Ranges", "channel_ranges", "save", "size_and_accuracy"]
