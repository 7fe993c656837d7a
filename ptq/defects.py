"""The known defects of TensorFlow Lite's runtime: results that nobody can have meant, as data.

Wherever a kernel of ptq meets one of them, it asks the entry here what to do, so that none is followed
silently and this file is the whole list. `python -m ptq.defects` prints it as a Markdown table.

Here are defects that lead to a wrong result, a crash or memory that nothing wrote, at places where the model
is right. Rules that differ between builds but are right within their rounding are in `numerics`; operators
and types that the runtime itself refuses are no defects; what ptq does better than the converters is said
where it is done, in `passes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ptq.errors import UnsupportedError
from ptq.numerics import LITERT_REFERENCE, Numerics

BOTH = ("reproduce", "intended")
INTENDED = ("intended",)
NEITHER = ()


@dataclass(frozen=True)
class Defect:
    """One defect, and what ptq does about it.

    operators: where it is. what: when it happens, and what "it", the runtime, does then. remedy: what to
    change in the model. source: file and function. choices: the values of `Numerics.upstream_defects` with
    which ptq computes a result; there is none to reproduce where it is a crash, or depends on what lies in
    memory. setting: the field of `Numerics` that decides, where it is another one.
    """

    operators: str
    what: str
    remedy: str
    source: str
    choices: tuple[str, ...] = BOTH
    setting: str = "upstream_defects"

    def reproduced(self, numerics: Numerics, found: str) -> bool:
        """Whether to compute what the runtime computes (True), or what was meant (False).

        Raises UnsupportedError where the numerics choose neither.
        """
        choice = getattr(numerics, self.setting)
        if choice not in self.choices:
            raise UnsupportedError(self.message(found))
        return bool(choice == "reproduce")

    def message(self, found: str) -> str:
        """What a refusal says: the defect, what was found, and all ways round it."""
        text = f"{self.operators}: a defect of TensorFlow Lite: {self.what}; {found} found; {self.remedy}"
        if not self.choices:
            return text
        setting = f"{self.setting}={' or '.join(map(repr, self.choices))}"
        return f"{text}, or choose numerics=dataclasses.replace(ptq.LITERT_REFERENCE, {setting})"

    @property
    def treatment(self) -> str:
        """What ptq does, in few words."""
        if not self.choices:
            return "refused"
        default = "" if getattr(LITERT_REFERENCE, self.setting) in self.choices else "refused, or "
        return f"{default}`{self.setting}` " + " or ".join(f"`{choice}`" for choice in self.choices)


# --- hybrid layers ----------------------------------------------------------------------------------

LOST_SIGN = Defect(
    "hybrid FULLY_CONNECTED, CONV_2D with one scale, recurrent operators, SVDF",
    "it multiplies a weight of -128 by a negative activation with the wrong sign, in all but the last K % 16 "
    "columns (x86 builds; no converter writes -128)",
    "quantize the weights in narrow range, -127 to 127",
    "`kernels/internal/optimized/sse_tensor_utils.cc`, SseMatrixBatchVectorMultiplyAccumulate",
    ("portable",),
    "dynamic_range",
)
WRAPPED_ROW_SUMS = Defect(
    "hybrid FULLY_CONNECTED, BATCH_MATMUL, recurrent operators, SVDF",
    "it adds the weights of a row in int16, which wraps around in long rows (K > 2064) of mostly one sign; "
    "with asymmetric activations the output is off by that (x86 builds)",
    "quantize the activations symmetrically",
    "`kernels/internal/optimized/sse_tensor_utils.cc`, SseReductionSumVector",
    ("wrapping", "exact"),
    "row_sums",
)
MATMUL_SCALES = Defect(
    "hybrid BATCH_MATMUL",
    "with several batch dimensions in lhs it takes the activations' scales from other rows: for matrix "
    "(i, j) those of matrix i + j",
    "merge the batch dimensions with RESHAPE, or keep rhs in float",
    "`kernels/internal/reference/batch_matmul.h`, BatchMatMul (hybrid): ioff_ext",
)
MATMUL_ROW_SUMS = Defect(
    "hybrid BATCH_MATMUL",
    "with several batch dimensions in rhs and asymmetric activations it takes the row sums of other matrices",
    "merge the batch dimensions with RESHAPE, or keep rhs in float",
    "`kernels/internal/reference/batch_matmul.h`, BatchMatMul (hybrid): woff_ext",
)
MATMUL_MISSING_ROW_SUMS = Defect(
    "hybrid BATCH_MATMUL",
    "with several batch dimensions in rhs and asymmetric activations it computes the row sums of the last "
    "two alone, and reads beyond them",
    "merge the batch dimensions with RESHAPE, or keep rhs in float",
    "`kernels/internal/reference/batch_matmul.h`, BatchMatMul (hybrid): num_weights_matrices",
    INTENDED,
)
MATMUL_STALE_ROW_SUMS = Defect(
    "hybrid BATCH_MATMUL",
    "with asymmetric activations and an int8 rhs that is computed it keeps the row sums of the first rhs",
    "set asymmetric_quantize_inputs to False",
    "`kernels/batch_matmul.cc`, EvalHybrid: compute_row_sums",
    INTENDED,
)
TRANSPOSE_CONV_SCALES = Defect(
    "hybrid TRANSPOSE_CONV",
    "it reads a scale for each output, but repeats a single one only along the quantized dimension",
    "set the quantized dimension to 0",
    "`kernels/transpose_conv.cc`, Prepare",
    INTENDED,
)

# --- recurrent operators ----------------------------------------------------------------------------

RECURRENT_SCALES = Defect(
    "hybrid RNN, LSTM and SVDF operators",
    "it takes several scales of a weight tensor for a scale of 0",
    "quantize with one scale for each tensor",
    "`core/subgraph.cc`, GetLegacyQuantization",
    NEITHER,
)
LSTM_NONE_HYBRID = Defect(
    "hybrid LSTM operators",
    "with activation NONE it multiplies the output gate by the candidate, not by the cell state",
    "use TANH",
    "`kernels/lstm_eval.cc`, CalculateLstmOutputHybrid; ApplyActivationToVector",
)
LSTM_NONE_FLOAT = Defect(
    "float LSTM operators",
    "with activation NONE it multiplies the output gate by the candidate, not by the cell state, and leaves "
    "the candidate unfinished in some steps",
    "use TANH",
    "`kernels/lstm_eval.cc`, CalculateLstmOutputFloat; ApplyActivationToVector",
    INTENDED,
)
LSTM_WIDE_PROJECTION = Defect(
    "float LSTM operators",
    "a projection to more outputs than there are cells overruns its buffers",
    "project to fewer outputs than cells",
    "`kernels/lstm_eval.cc`, CalculateLstmOutputFloat: projection_bias_scratch",
    INTENDED,
)
BIDIRECTIONAL_LSTM_MERGED = Defect(
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "with merged outputs, batch-major tensors and several batch rows it reads and writes the output states "
    "outside their rows",
    "use time-major tensors, two outputs, or a batch of 1",
    "`kernels/lstm_eval.cc`, EvalFloat and EvalHybrid: output_state_ptr",
    INTENDED,
)
BIDIRECTIONAL_RNN_REPEATED = Defect(
    "hybrid BIDIRECTIONAL_SEQUENCE_RNN",
    "it runs a time-major sequence of T steps T times, carrying the states over",
    "use batch-major tensors (time_major false)",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalHybrid",
)
BIDIRECTIONAL_RNN_CRASH = Defect(
    "hybrid BIDIRECTIONAL_SEQUENCE_RNN",
    "it crashes on time-major sequences with merged outputs, symmetric activations and several batch rows",
    "use batch-major tensors (time_major false)",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalHybrid",
    INTENDED,
)
AUXILIARY_LARGER = Defect(
    "BIDIRECTIONAL_SEQUENCE_RNN (float: time-major only)",
    "it looks for the rows of an auxiliary input that is larger than the input where the input's would begin",
    "give both inputs the same size, with zeros at the end of the smaller one and of its weights",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalFloat and EvalHybrid: aux_input_ptr_batch",
)
AUXILIARY_SMALLER = Defect(
    "BIDIRECTIONAL_SEQUENCE_RNN (float: time-major only)",
    "it looks for the rows of an auxiliary input that is smaller than the input where the input's would "
    "begin, in the end behind the buffer",
    "give both inputs the same size, with zeros at the end of the smaller one and of its weights",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalFloat and EvalHybrid: aux_input_ptr_batch",
    INTENDED,
)
AUXILIARY_UNREAD = Defect(
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "in batch-major tensors it does not read an auxiliary input that has no weights",
    "use time-major tensors",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalFloat and EvalHybrid",
)
SVDF_MIXED = Defect(
    "SVDF",
    "it takes float time weights beside int8 feature weights for integers",
    "quantize both weights or none",
    "`kernels/svdf.cc`, Eval",
    INTENDED,
)

# --- control flow and movement ----------------------------------------------------------------------

WHILE_OVERWRITES = Defect(
    "WHILE",
    "an input that the body passes on as a later output takes its new value before it is copied: a loop "
    "that swaps (a, b) ends with (b, b)",
    "put an operator such as RESHAPE between",
    "`kernels/while.cc`, Eval_static",
)
WHILE_FREES = Defect(
    "WHILE",
    "it reads freed memory for an input that the body passes on and that changes its shape",
    "put an operator such as RESHAPE between",
    "`kernels/while.cc`, Eval_static",
    INTENDED,
)
IF_TWICE = Defect(
    "IF",
    "it leaves one of two outputs unwritten that are the same tensor of the branch",
    "put an operator such as RESHAPE between",
    "`kernels/if.cc`, Eval_static",
    INTENDED,
)
READ_VARIABLE_SIZE = Defect(
    "READ_VARIABLE",
    "it copies as many bytes as its output has, wherever the variable ends",
    "declare the output in the variable's shape",
    "`kernels/read_variable.cc`, Eval",
    NEITHER,
)
STRIDED_SLICE_ELLIPSIS = Defect(
    "STRIDED_SLICE",
    "an ellipsis that stands for no dimension swallows the index after it",
    "write the slice without the ellipsis",
    "`kernels/strided_slice.cc`, BuildStridedSliceParams",
    NEITHER,
)
STRIDED_SLICE_OFFSET_TERMS = Defect(
    "STRIDED_SLICE",
    "with offset, and fewer terms than dimensions or masks that move them, it takes a size from another term",
    "write a term for each dimension, without ellipsis and new axes",
    "`kernels/strided_slice.cc`, ResizeOutputTensor",
    NEITHER,
)
STRIDED_SLICE_OFFSET_SIZE = Defect(
    "STRIDED_SLICE",
    "with offset it declares a size that ignores the ends of the dimension, and leaves the rest unwritten",
    "choose a range inside the dimension",
    "`kernels/strided_slice.cc`, ResizeOutputTensor",
    NEITHER,
)
RANGE_OVERFLOW = Defect(
    "RANGE",
    "a distance between integers that overflows their type gives a wrong size",
    "use int64, or a shorter range",
    "`kernels/range.cc`, GetSize",
    NEITHER,
)
NOT_EQUAL_INT16 = Defect(
    "NOT_EQUAL",
    "it leaves the output unwritten for int16 without a scale",
    "use int32, or EQUAL and LOGICAL_NOT",
    "`kernels/comparisons.cc`, NotEqualEval",
    NEITHER,
)

KNOWN = {name: value for name, value in list(vars().items()) if isinstance(value, Defect)}
"""All of the above, by name."""


def table() -> str:
    """All known defects as a Markdown table."""
    rows = [("operators", "defect of the runtime", "way round it", "in `ptq`", "source, in `tflite/`")]
    rows += [("---",) * 5]
    rows += [(d.operators, d.what, d.remedy, d.treatment, d.source) for d in KNOWN.values()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(table())
