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
FACTOR_ABORTS = Defect(
    "ADD, SUB, SQUARED_DIFFERENCE, EQUAL, LESS, ... on integers",
    "it ends the process where the output's scale is so fine that its factor reaches 1 (SUB and comparisons: "
    "is 1), or where a compared scale is 1",
    "choose a coarser output scale, or another scale to compare",
    "`kernels/internal/quantization_util.cc`, QuantizeMultiplierSmallerThanOneExp",
    INTENDED,
)
SUB_FINE_OUTPUT = Defect(
    "SUB on integers",
    "where the output's scale is so fine that its factor exceeds 1, it shifts to the right by a negative "
    "number of bits: nearly all outputs are -1 or 1",
    "choose a coarser output scale",
    "`kernels/sub.cc`, PrepareGeneralSubOp; `kernels/internal/reference/sub.h`, SubElementwise",
)
COMPARED_SCALE = Defect(
    "EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL on integers",
    "it shifts operands with a scale above 1 to the right by a negative number of bits, which leaves hardly "
    "more than their sign",
    "compare values of a smaller scale",
    "`kernels/comparisons.cc`, ComparisonQuantized; `kernels/internal/reference/comparisons.h`",
)
COMPARED_INT16 = Defect(
    "LESS, LESS_EQUAL, GREATER, GREATER_EQUAL on int16",
    "it compares the integers as they are, even if their scales differ",
    "quantize both operands with the same scale",
    "`kernels/comparisons.cc`, LessEval and LessEqualEval",
)
ADD_POWERS_BROADCAST = Defect(
    "ADD on int16",
    "with scales that are powers of two it ends the process on shapes that are to be broadcast",
    "set pot_scale_int16 to False",
    "`kernels/add.cc`, EvalAddQuantized; `kernels/internal/reference/add.h`, Add (int16)",
    INTENDED,
)
DIV_SMALL = Defect(
    "DIV on integers",
    "quotients so small that they are to be shifted by more than 31 bits keep their high bits instead: "
    "-31 / -128 with equal scales of 1 gives 127, and 0 / 5 gives 1",
    "choose a finer output scale, or keep DIV in float",
    "`kernels/internal/reference/div.h`, DivElementwise: total_shift",
)
SUM_BYTES = Defect(
    "SUM on int8 (reference kernels)",
    "it reads and writes uint8: negative integers count 256 more",
    "use MEAN, or the default kernels",
    "`kernels/reduce.cc`, QuantizedMeanOrSum: GetTensorData<uint8_t>",
)
SUM_HALVES = Defect(
    "SUM on int16 (reference kernels)",
    "it reads and writes single bytes, and leaves half of the output unwritten",
    "use MEAN, or the default kernels",
    "`kernels/reduce.cc`, QuantizedMeanOrSum: GetTensorData<uint8_t>",
    INTENDED,
)
INT16_BIAS = Defect(
    "CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED and TRANSPOSE_CONV on int16",
    "it reads the bias as int64 unless the option quantized_bias_type says INT32, whatever the bias is: "
    "beyond the end of an int32 bias",
    "set quantized_bias_type to INT32 where there is one, or write an int64 bias",
    "`kernels/conv.cc`, EvalQuantizedPerChannel16x8; `kernels/fully_connected.cc`, FullyConnectedInt16",
    INTENDED,
)
WEIGHTS_ZERO_POINT = Defect(
    "DEPTHWISE_CONV_2D, TRANSPOSE_CONV and, with a scale for each channel, FULLY_CONNECTED",
    "it ignores the zero point of int8 weights",
    "quantize them symmetrically",
    "`kernels/depthwise_conv.cc`, EvalQuantizedPerChannel; `kernels/transpose_conv.cc`, "
    "EvalQuantizedPerChannel; `kernels/fully_connected.cc`, FullyConnectedPerChannelInt8",
    ("reproduce",),
)
