"""Deliberate arithmetic mistakes, injected one by one into the vectorised kernels: do the vectors catch them?

    python tests/mutations.py [-o tests/vectors/MUTATIONS.md]

Each mutation replaces a piece of a kernel's source,
runs the committed vectors of the operators that it touches
in a process of its own, and lists the cases that notice. A piece that no longer stands in the source,
or stands
there twice, is an error: a mutation that does nothing would prove nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.util import spec_from_loader
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VECTORS = ROOT / "tests" / "vectors"

PRODUCTS = ("CONV_2D-integer", "DEPTHWISE_CONV_2D-integer", "FULLY_CONNECTED-integer",
"TRANSPOSE_CONV-integer")


@dataclass(frozen=True)
class Mutation:
    """What somebody might have written: in `module`, `new` where `old` stands. suites: which must notice."""

    mistake: str
    module: str
    old: str
    new: str
    suites: tuple[str, ...]


MUTATIONS = [
    # fixed point
    Mutation("multiplier truncated", "fixed_point",
             "multiplier = round_half_away(mantissa * 2.0**31).astype(np.int64)",
             "multiplier = np.trunc(mantissa * 2.0**31).astype(np.int64)",
             ("ADD-integer", "MUL-integer", "MEAN-integer", "QUANTIZE-integer", *PRODUCTS)),
    Mutation("high product truncated instead of rounded", "fixed_point",
             "product += 1 << (bits - 2)", "product += 0",
             ("ADD-integer", "MUL-integer", "SOFTMAX-integer", "HARD_SWISH-integer", "MEAN-integer")),
    Mutation("right shift without rounding", "fixed_point",
             "return np.asarray((x + half - below_zero) >> exponent)", "return np.asarray(x >> exponent)",
             ("ADD-integer", "MUL-integer", "SOFTMAX-integer", "QUANTIZE-integer")),
    Mutation("right shift rounds ties up instead of away from zero", "fixed_point",
             "return np.asarray((x + half - below_zero) >> exponent)",
             "return np.asarray((x + half) >> exponent)", ("ADD-integer", "MUL-integer", "QUANTIZE-integer")),
    Mutation("single rounding without its half", "fixed_point",
             "product += np.int64(1) << (30 - shift)", "product += 0",
             ("ADD-integer", "MUL-integer", "MEAN-integer", "QUANTIZE-integer", *PRODUCTS)),
    Mutation("16x8: the multiplier cut to 16 bits without rounding", "fixed_point",
             "reduced = np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)",
             "reduced = multiplier >> 16", PRODUCTS),
    Mutation("16x8: the product floored", "fixed_point",
             "* reduced + (np.int64(1) << (14 - shift))", "* reduced", PRODUCTS),
    Mutation("C's round replaced by NumPy's", "fixed_point",
             "    np.add(nudge, x, out=total)\n    np.trunc(total, out=total)\n",
             "    np.rint(x, out=total)\n",
             ("FULLY_CONNECTED-integer", "QUANTIZE-any", "LOGISTIC-integer", "FULLY_CONNECTED-hybrid")),
    Mutation("a saturating left shift that does not saturate", "fixed_point",
             "return saturate(np.asarray(x, dtype=np.int64) << exponent, bits)",
             "return wrap_int32(np.asarray(x, dtype=np.int64) << exponent)", ("HARD_SWISH-integer",)),
    # other rescales
    Mutation("FULLY_CONNECTED: product truncated towards zero", "float_rescale",
             "rounded = np.asarray(round_half_away(product))", "rounded = np.asarray(np.trunc(product))",
             ("FULLY_CONNECTED-integer",)),
    Mutation("XNNPACK: ties away from zero", "float_rescale",
             "saturate(np.rint(product).astype(np.float64), SATURATED_BITS)",
             "saturate(np.asarray(round_half_away(product)).astype(np.float64), SATURATED_BITS)", PRODUCTS),
    Mutation("XNNPACK: the product in double precision", "float_rescale",
             "product = np.asarray(x).astype(np.float32) * np.asarray(scale, dtype=np.float32)",
             "product = np.asarray(x).astype(np.float64) * np.asarray(scale, dtype=np.float64)", PRODUCTS),
    Mutation("the multiplier computed in float32", "kernels/integer/product_rescale",
             "return np.float64(self.input) * self.weights.astype(np.float64) / np.float64(self.output)",
             "return (self.input * self.weights / self.output).astype(np.float64)", PRODUCTS),
    # output stage
    Mutation("the correction of negative accumulators left out", "kernels/integer/output_stage",
             "np.where(twice, -(2**31), 0)", "np.where(twice, 0, 0)", PRODUCTS),
    Mutation("rounding once where twice is meant", "kernels/integer/output_stage",
             "addend = (np.int64(1) << (shift - 1)) + np.where(twice, 2**30, 0)",
             "addend = np.int64(1) << (shift - 1)", PRODUCTS),
    Mutation("the zero point's term forgotten", "kernels/integer/output_stage",
             "bias=self.bias.astype(np.int64) - input_zero_point * weight_sums",
             "bias=self.bias.astype(np.int64)", PRODUCTS),
    Mutation("the output's zero point forgotten", "kernels/integer/output_stage",
             "addend += np.int64(stage.zero_point) << shift", "addend += 0", PRODUCTS),
    Mutation("the weights' zero point added", "kernels/integer/output_stage",
             "weights.astype(np.int16) - np.int16(zero_point) if zero_point",
             "weights.astype(np.int16) + np.int16(zero_point) if zero_point", PRODUCTS),
    Mutation("the input padded with 0", "kernels/integer/conv",
             "pad_image(image, *windows, input_zero_point)", "pad_image(image, *windows, 0)",
             ("CONV_2D-integer",)),
    Mutation("SAME: the odd row of padding in front", "kernels/padding",
             "return Window(out, total // 2, total - total // 2)",
             "return Window(out, total - total // 2, total // 2)",
             ("CONV_2D-integer", "CONV_2D-float", "AVERAGE_POOL_2D-integer", "MAX_POOL_2D-float")),
    Mutation("int32 accumulators that do not wrap", "kernels/integer/output_stage",
             "        if self.accumulator == np.int32:\n            total = wrap_int32(total)\n", "",
             PRODUCTS),
    Mutation("FULLY_CONNECTED: weights' scale of the first channel for all",
    "kernels/integer/product_parameters",
             "found = Scales(input, quantized.scale.astype(np.float32), output)",
             "found = Scales(input, quantized.scale.astype(np.float32)[:1], output)", PRODUCTS),
    Mutation("a fused ReLU clamps at integer 0", "quantizer",
             "return max(int(limits.min), quantized_lower), min(int(limits.max), quantized_upper)",
             "return (0 if activation == 'RELU' else max(int(limits.min), quantized_lower)), "
             "min(int(limits.max), quantized_upper)",
             ("CONV_2D-integer", "ADD-integer", "MUL-integer", "AVERAGE_POOL_2D-integer")),
    # two operands
    Mutation("ADD: operands brought together too coarsely", "kernels/integer/elementwise",
             "left_shift = 15 if operands[0].dtype == np.int16 else 20",
             "left_shift = 15 if operands[0].dtype == np.int16 else 8", ("ADD-integer", "SUB-integer")),
    Mutation("ADD: the second zero point not subtracted", "kernels/integer/common_scale",
             "common_b = self.b((b.astype(np.int64) - b_zero_point) << self.left_shift)",
             "common_b = self.b(b.astype(np.int64) << self.left_shift)", ("ADD-integer", "SUB-integer")),
    Mutation("SUB: the operands exchanged", "kernels/integer/elementwise",
             "difference = common_a - common_b\n    # rescale\n    return clamped(common.to_output(",
             "difference = common_b - common_a\n    # rescale\n    return clamped(common.to_output(",
             ("SUB-integer",)),
    Mutation("MUL: one zero point for both", "kernels/integer/elementwise",
             "centered_a, centered_b = _centered(a, zero_points[0]), _centered(b, zero_points[1])\n"
             "    # accumulate, rescale\n    return clamped(rescale(centered_a * centered_b)",
             "centered_a, centered_b = _centered(a, zero_points[0]), _centered(b, zero_points[0])\n"
             "    # accumulate, rescale\n    return clamped(rescale(centered_a * centered_b)",
             ("MUL-integer",)),
    Mutation("MUL: the scales' product in double precision", "kernels/integer/operands",
             'kind = np.float32 if numerics.integer_kernels == "lite" else np.float64', "kind = np.float64",
             ("MUL-integer", "LEAKY_RELU-integer", "RELU-integer", "PRELU-integer", "ABS-integer",
             "DIV-integer")),
    Mutation("the result wraps instead of saturating", "kernels/integer/operands",
             "return np.clip(total, *(bounds or (limits.min, limits.max))).astype(dtype)",
             "return (np.clip(total, *bounds) if bounds and bounds != (limits.min, limits.max) else total)"
             ".astype(dtype)", ("ADD-integer", "MUL-integer", "LEAKY_RELU-integer", "MEAN-integer")),
    Mutation("LEAKY_RELU: the slope for positive numbers, too", "kernels/integer/activation",
             "scaled = np.where(centered >= 0, identity(centered), -below if negative else below)",
             "scaled = -below if negative else below", ("LEAKY_RELU-integer",)),
    Mutation("HARD_SWISH: the product rounded down", "kernels/integer/activation",
             "product = (product + (product < 0) * 0x7FFF) >> 15", "product = product >> 15",
             ("HARD_SWISH-integer",)),
    # windows, axes, tables
    Mutation("AVERAGE_POOL_2D: the mean truncated", "kernels/integer/pool",
             "size: Array = (np.abs(total) + count // 2) // count", "size: Array = np.abs(total) // count",
             ("AVERAGE_POOL_2D-integer",)),
    Mutation("AVERAGE_POOL_2D: the padding counted", "kernels/integer/pool",
             "count = (vertical[:, None] * horizontal)[:, :, None].astype(np.int32)",
             "count = np.full((len(vertical), len(horizontal), 1), np.prod(filter_size), np.int32)",
             ("AVERAGE_POOL_2D-integer",)),
    Mutation("MEAN: the zero point subtracted once", "kernels/integer/reduce",
             "centered = (total - zero_points[0] * _count(x, axes)).astype(np.int32)",
             "centered = (total - zero_points[0]).astype(np.int32)", ("MEAN-integer",)),
    Mutation("MEAN: the multiplier divided before it is shifted", "kernels/integer/reduce",
             "multiplier = (int(rescale.output_multiplier) << gained) // count",
             "multiplier = (int(rescale.output_multiplier) // count) << gained", ("MEAN-integer",)),
    Mutation("SOFTMAX: the sum of exponentials with its bits cut off", "kernels/integer/softmax",
             "total: Array = rounding_divide_by_pot(power, SUM_BITS).sum(axis=-1, keepdims=True)",
             "total: Array = (power >> SUM_BITS).sum(axis=-1, keepdims=True)", ("SOFTMAX-integer",)),
    Mutation("SOFTMAX: distances from the first element", "kernels/integer/softmax",
             "return np.asarray(wide.max(axis=-1, keepdims=True, initial=np.iinfo(q.dtype).min) - wide)",
             "return np.abs(wide[..., :1] - wide)", ("SOFTMAX-integer", "LOG_SOFTMAX-integer")),
    Mutation("QUANTIZE: the input's zero point forgotten", "kernels/integer/convert",
             "difference = (q.astype(np.int64) - input_zero_point).astype(np.int32)",
             "difference = q.astype(np.int32)", ("QUANTIZE-integer",)),
    # hybrid
    Mutation("hybrid: one range for the whole batch", "kernels/dynamic_range",
             "low, high = values.min(axis=1, initial=0), values.max(axis=1, initial=0)",
             "low, high = (np.full(len(values), f(values, initial=0), np.float32) for f in (np.min, np.max))",
             ("FULLY_CONNECTED-hybrid", "CONV_2D-hybrid", "RNN-hybrid")),
    Mutation("hybrid: the range need not contain 0", "kernels/dynamic_range",
             "low, high = values.min(axis=1, initial=0), values.max(axis=1, initial=0)",
             "low, high = values.min(axis=1), values.max(axis=1)",
             ("FULLY_CONNECTED-hybrid", "CONV_2D-hybrid", "DEPTHWISE_CONV_2D-hybrid")),
    Mutation("hybrid: 128 steps for the largest activation", "kernels/dynamic_range",
             "scale = np.where(empty, np.float32(1), reach / np.float32(127))",
             "scale = np.where(empty, np.float32(1), reach / np.float32(128))",
             ("FULLY_CONNECTED-hybrid", "CONV_2D-hybrid")),
    Mutation("hybrid: exact rounding where the vector code rounds in lanes", "kernels/dynamic_range",
             "exact_from = SIMD_LANES * (values.shape[1] // SIMD_LANES) - columns.start",
             "exact_from = 0", ("FULLY_CONNECTED-hybrid", "CONV_2D-hybrid")),
    Mutation("hybrid: the zero point truncated", "kernels/dynamic_range",
             "zero_point = np.where(empty, 0, round_half_away(np.clip(ideal, -128, 127)))",
             "zero_point = np.where(empty, 0, np.trunc(np.clip(ideal, -128, 127)))",
             ("FULLY_CONNECTED-hybrid", "CONV_2D-hybrid", "DEPTHWISE_CONV_2D-hybrid")),
    Mutation("hybrid: the scales one after the other", "kernels/hybrid",
             "product *= quantized.scale[:, None] * weights.scale",
             "product *= quantized.scale[:, None]\n    product *= weights.scale",
             ("FULLY_CONNECTED-hybrid", "RNN-hybrid", "LSTM-hybrid", "BATCH_MATMUL-hybrid")),
    Mutation("hybrid CONV_2D: the scales multiplied first", "kernels/conv",
             "                out *= filter_scale\n                out *= image_scale\n",
             "                out *= filter_scale * image_scale\n", ("CONV_2D-hybrid",)),
    Mutation("hybrid: row sums that do not wrap", "kernels/hybrid",
             "wrapped = (lanes + 2**15) % 2**16 - 2**15", "wrapped = lanes", ("FULLY_CONNECTED-hybrid",)),
    # float and recurrent
    Mutation("LSTM: the gates in another order", "kernels/lstm",
                  "FORGET, CANDIDATE, OUTPUT = -3, -2, -1", "FORGET, CANDIDATE, OUTPUT = -3, -1, -2",
                  ("LSTM-hybrid", "LSTM-float", "UNIDIRECTIONAL_SEQUENCE_LSTM-hybrid")),
    Mutation("LSTM: the input gate of CIFG is the forget gate", "kernels/lstm",
             "fill = opened[:, :, 0] if layer.gates == 4 else F(1) - forget",
             "fill = opened[:, :, 0]", ("LSTM-hybrid", "LSTM-float")),
    Mutation("LSTM: the cell state is not clipped", "kernels/lstm",
             "    if layer.cell_clip > 0:\n        c = _clip(c, layer.cell_clip)\n", "",
             ("LSTM-hybrid", "LSTM-float")),
    Mutation("recurrent tanh of the C library", "kernels/eigen",
             "    clamped = np.minimum(np.maximum(x, -_TANH_LIMIT), _TANH_LIMIT)\n    square",
             "    return np.tanh(x)\n    square", ("LSTM-hybrid", "RNN-hybrid", "LSTM-float")),
    Mutation("float LOGISTIC without its cut-off", "kernels/activation",
             "    np.copyto(result, power, where=x < lower)\n    np.copyto(result, F(1), where=x > upper)\n",
             "",
             ("LOGISTIC-float",)),
    Mutation("e^x in double precision, rounded once", "kernels/libm",
             "    result = _in_blocks(_expf, x)\n",
             "    result = np.exp(x.astype(np.float64)).astype(F)\n",
             ("EXP-float", "LOGISTIC-float", "SOFTMAX-float")),
]  # fmt: skip


class _Mutant(MetaPathFinder, Loader):
    """Loads one module of ptq with a piece of its source replaced."""

    def __init__(self, mutation: Mutation) -> None:
        self.mutation = mutation
        self.name = "ptq." + mutation.module.replace("/", ".")

    def find_spec(self, name, path=None, target=None):
        return spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module):
        path = ROOT / "ptq" / f"{self.mutation.module}.py"
        exec(compile(mutated(self.mutation), str(path), "exec"), module.__dict__)


def mutated(mutation: Mutation) -> str:
    """The source with the mistake; ValueError unless the piece stands there exactly once."""
    source = (ROOT / "ptq" / f"{mutation.module}.py").read_text()
    if source.count(mutation.old) != 1:
        raise ValueError(f"{mutation.mistake}: found {source.count(mutation.old)} times in {mutation.module}")
    return source.replace(mutation.old, mutation.new)


def caught_by(mutation: Mutation | None, suites: tuple[str, ...], vectors: Path = VECTORS) -> list[str]:
    """The cases whose answers the kernels miss with the mutation; in a process of its own."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_run, args=(mutation, suites, vectors,
    sender))
    process.start()
    sender.close()
    try:
        caught = json.loads(receiver.recv())
    finally:
        process.join()
    return caught


def _run(mutation, suites, vectors, sender):
    for name in [name for name in sys.modules if name == "ptq" or name.startswith("ptq.")]:
        del sys.modules[name]
    sys.path.insert(0, str(ROOT))
    if mutation is not None:
        sys.meta_path.insert(0, _Mutant(mutation))
    from ptq.numerics import PRESETS
    from ptq.oracle.files import read_vectors
    from ptq.oracle.same import same_bits

    caught = []
    for case in (case for suite in suites for case in read_vectors(vectors / suite)):
        for answer in case.answers:
            if not answer.numerics:
                continue
            try:
                found = case.problem.run(PRESETS[answer.numerics[0]])
                right = all(map(same_bits, found, answer.outputs))
            except Exception:
                right = False
            if not right:
                caught.append(case.id)
                break
    sender.send(json.dumps(caught))


def report(vectors: Path = VECTORS) -> tuple[str, list[str]]:
    """The table of all mutations, and the mistakes that nothing caught."""
    rows, survivors = [], []
    for mutation in MUTATIONS:
        caught = caught_by(mutation, mutation.suites, vectors)
        shown = ", ".join(f"`{name}`" for name in caught[:3]) + (", ..." if len(caught) > 3 else "")
        rows.append(f"| {mutation.mistake} | `{mutation.module}` | {len(caught)} | {shown} |")
        if not caught:
            survivors.append(mutation.mistake)
    head = [
        "# Mistakes injected into ptq's kernels, and the committed vectors that catch them",
        "",
        f"Written by `python tests/mutations.py -o tests/vectors/MUTATIONS.md`: {len(MUTATIONS)} mistakes, "
        f"{len(MUTATIONS) - len(survivors)} caught.",
        "",
        "| mistake | module of `ptq` | cases | among them |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n", survivors


def main() -> int:
    """Print or write the table; exit status 1 if a mistake survives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    text, survivors = report()
    if arguments.output:
        arguments.output.write_text(text)
    else:
        print(text)
    for mistake in survivors:
        print(f"not caught: {mistake}", file=sys.stderr)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
