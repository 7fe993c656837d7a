"""What was published about the first release of post-training quantization.

The announcement says: 4x smaller, convolutional networks 10 to 50 % faster, recurrent ones up to 3x. The
numbers of four networks are in TensorFlow's documentation of that time; later versions have other times.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = (
    '"Introducing the Model Optimization Toolkit for TensorFlow", TensorFlow blog, 18 September 2018; '
    "`tensorflow/lite/g3doc/performance/model_optimization.md` of TensorFlow 1.13, table 1."
)

PHONE = "Pixel 2, one big core"
"""Where the published times were measured."""

RECURRENT_SPEEDUP = 3.0
"""Announced for recurrent networks, as "up to"."""


@dataclass(frozen=True)
class Published:
    """A network, float and quantized: the file's size in MB, milliseconds, and top-1 accuracy on ImageNet."""

    megabytes: tuple[float, float]
    milliseconds: tuple[float, float]
    top1: tuple[float, float]

    @property
    def speedup(self) -> float:
        """Float time / quantized time."""
        return self.milliseconds[0] / self.milliseconds[1]


MOBILENET_V1 = Published((16.9, 4.3), (180, 145), (0.709, 0.657))
MOBILENET_V2 = Published((14.0, 3.6), (117, 121), (0.719, 0.637))
INCEPTION_V3 = Published((95.7, 23.9), (1585, 1187), (0.780, 0.772))
RESNET_V2_101 = Published((178.3, 44.9), (3973, 2868), (0.770, 0.768))
