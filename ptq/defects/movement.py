"""Defects of control flow, and of operators that move or compare data."""

from ptq.defects.defect import INTENDED, NEITHER, Defect

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
