"""Which arithmetic is meant, where TensorFlow Lite has more than one right answer.

Nothing is global: a kernel takes a `Numerics` value as an argument and reads as the plain formula;
the variants differ only inside the few helpers that look at these fields.
"""

from dataclasses import dataclass, replace
from typing import Literal

from ptq.errors import InputError


@dataclass(frozen=True)
class Numerics:
    """One consistent choice for each rule that differs between TensorFlow Lite's builds.

    rounding: how an int32 accumulator is rescaled, "double" (two roundings, the default build)
        or "single" (one rounding, TFLITE_SINGLE_ROUNDING).
    dynamic_range: how a hybrid kernel quantizes its activations at run time: "simd" is
        `optimized/neon_tensor_utils.cc` (compiled through NEON_2_SSE it is what x86 wheels run),
        "portable" is `internal/reference/portable_tensor_utils.cc`.
    row_sums: "wrapping" reproduces the int16 lanes in which x86 builds sum the weights of a row,
        "exact" sums in int32 as the portable source does.

    float_sums: in which order float operators add their products: "blas" is fast and leaves the order to
        BLAS, "ordered" adds as the reference does: one after the other in CONV_2D and FULLY_CONNECTED, in
        four lanes in RNN and SVDF. (For LSTM the reference, too, leaves the order to a library.)

    integer_kernels: whose integer kernels are meant where the two libraries have different ones, "lite"
        (TensorFlow Lite) or "micro" (TensorFlow Lite for Microcontrollers). LOGISTIC and TANH on int8 are
        tables filled by float arithmetic in lite, fixed-point polynomials in micro; LSTM is the other way
        round, and rounds its products differently; SOFTMAX on int16 reads tables made of doubles or floats.
        RELU6 of micro clamps in the input's scale and copies, whatever the output's. The factors between
        scales of RELU, LEAKY_RELU, ABS, MUL, DIV and PRELU are rounded to float32 at every step in lite, and
        doubles in micro. Only lite knows powers of two in ADD and SUB on int16, only micro
        SQUARED_DIFFERENCE on int16. Of reals, micro casts NaN to the integer 0, starts SUM, REDUCE_MAX and
        REDUCE_MIN at a neutral element even over all axes, and lets NaN at the very start win ARG_MAX; its
        SVDF adds its filters to the bias, calls the C library's tanh, not Eigen's, and takes the upper bound
        of an activation for NaN.

    product_rescale: how CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED rescale accumulators: "kernel" as the
        library's own kernels do, in fixed point but for FULLY_CONNECTED in lite, which rounds their product
        with a double; "float32" as XNNPACK does for int8, rounding their product with a float, ties to even,
        and the bounds of a fused activation likewise.

    upstream_defects: what becomes of an operator whose options lead TensorFlow Lite to a result that nobody
        can have meant (`ptq.defects` lists all): "refuse" raises UnsupportedError, which names the way round;
        "reproduce" computes what TensorFlow Lite computes (and refuses still where that is a crash or
        depends on what lies in memory); "intended" computes what the options ask for.

    LITERT_REFERENCE is bit-exact with BUILTIN_REF of LiteRT's x86-64 wheels, but for the order of those
    float sums; LITERT_REFERENCE_ORDERED is so in everything but float LSTM, at the reference's own speed.
    Both refuse where the reference is defective: `dataclasses.replace(LITERT_REFERENCE,
    upstream_defects="reproduce")` follows it even there. PORTABLE is what the C++ source says, but for those
    defects: there it is what the source was meant to say. XNNPACK and TFLITE_MICRO choose how integers are
    rounded, and whose kernels run where micro has its own. They have no hybrid kernels of this form (XNNPACK
    quantizes every input asymmetrically, micro none at all): with them ptq's hybrid kernels follow the
    portable source.
    """

    name: str
    rounding: Literal["double", "single"] = "double"
    dynamic_range: Literal["simd", "portable"] = "simd"
    row_sums: Literal["wrapping", "exact"] = "wrapping"
    float_sums: Literal["blas", "ordered"] = "blas"
    integer_kernels: Literal["lite", "micro"] = "lite"
    product_rescale: Literal["kernel", "float32"] = "kernel"
    upstream_defects: Literal["refuse", "reproduce", "intended"] = "refuse"


LITERT_REFERENCE = Numerics("LITERT_REFERENCE")
LITERT_REFERENCE_ORDERED = Numerics("LITERT_REFERENCE_ORDERED", float_sums="ordered")
PORTABLE = Numerics("PORTABLE", dynamic_range="portable", row_sums="exact", upstream_defects="intended")
XNNPACK = replace(PORTABLE, name="XNNPACK", rounding="single", product_rescale="float32")
TFLITE_MICRO = replace(PORTABLE, name="TFLITE_MICRO", integer_kernels="micro")
SINGLE_ROUNDING = replace(PORTABLE, name="SINGLE_ROUNDING", rounding="single")

PRESETS = {
    preset.name: preset
    for preset in (
        LITERT_REFERENCE, LITERT_REFERENCE_ORDERED, PORTABLE, SINGLE_ROUNDING, XNNPACK, TFLITE_MICRO
    )
}
"""The named choices; SINGLE_ROUNDING is a build with TFLITE_SINGLE_ROUNDING."""

_RULES = {"double": PORTABLE, "single": SINGLE_ROUNDING}


def find_numerics(name: str) -> Numerics:
    """A preset by its name in either case, or by its rounding, "double" or "single".

    InputError for another name.
    """
    found = _RULES.get(name.lower()) or PRESETS.get(name.upper().replace("-", "_"))
    if found is None:
        raise InputError(
            f"numerics '{name}' found, expected one of {', '.join(PRESETS)}, or {' or '.join(_RULES)} for "
            "the portable source with that rounding"
        )
    return found
