"""Defects of the integer kernels."""

from ptq.defects.defect import INTENDED, Defect

SOFTMAX_ABORTS = Defect(
    "SOFTMAX on int8 and uint8",
    "it ends the process where the exponentials of a row, relative to the largest element, add up to 512 or "
    "more: where every probability rounds to 0",
    "use fewer elements in a row, or int16",
    "`kernels/internal/reference/softmax.h`, Softmax: TFLITE_CHECK of the exponent",
    INTENDED,
)
RESIZE_BEYOND = Defect(
    "RESIZE_BILINEAR on int8 and int16",
    "it rounds the scale to 1/1024, which can lead it beyond the last pixel of images that are enlarged "
    "much (n to m pixels with m * m > 2048 * n), and reads what lies there",
    "enlarge less, or in two steps",
    "`kernels/internal/reference/resize_bilinear.h`, ComputeInterpolationValuesInteger",
    INTENDED,
)
INTEGER_LSTM_ACTIVATION = Defect(
    "integer LSTM operators",
    "it computes with TANH whatever the fused activation says",
    "use TANH",
    "`kernels/lstm_eval.cc`, LstmStepInteger8x8_16",
    ("reproduce",),
)
INTEGER_LSTM_PEEPHOLE = Defect(
    "integer LSTM operators",
    "with peepholes, and a projection to fewer outputs than cells, it takes the peepholes' size for that of "
    "the outputs: weights meet other cells, and some cells none",
    "leave out the peepholes or the projection",
    "`kernels/lstm_eval.cc`, CalculateLstmGateInteger8x8_16: VectorBatchVectorCwiseProductAccumulate",
)
INTEGER_LSTM_WIDE_PEEPHOLE = Defect(
    "integer LSTM operators",
    "with peepholes, and a projection to more outputs than cells, it reads and writes beyond their buffers",
    "leave out the peepholes or the projection",
    "`kernels/lstm_eval.cc`, CalculateLstmGateInteger8x8_16: VectorBatchVectorCwiseProductAccumulate",
    INTENDED,
)
INTEGER_LSTM_PROJECTION_CLIP = Defect(
    "integer LSTM operators",
    "it clips the projection around the integer 0, not around the zero point of the output",
    "leave out the clip, which the output's range implies, or quantize the output symmetrically",
    "`kernels/lstm_eval.cc`, CalculateLstmOutputInteger8x8_16: CwiseClipping",
)
