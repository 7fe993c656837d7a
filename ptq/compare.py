"""Two models side by side: the same inputs, every intermediate tensor, and where the two part."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from ptq.errors import InputError
from ptq.graph import ABSENT, Array, Graph
from ptq.interpreter import Interpreter
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.quantizer import dequantize, sqnr
from ptq.terminal import middle_cut, shape_text, table, wrapped

THRESHOLD = 20.0
"""dB: below it, the noise has more than a hundredth of the signal's power."""

LONGEST_NAME = 60
"""A tensor's name in a sentence is cut to this; the table has room for more."""


@dataclass(frozen=True)
class Step:
    """An operator's output that depends on the inputs: its operator's position and type, and its tensor."""

    operator: int
    type: str
    tensor: int
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One matched pair of tensors. NaN in max_error and sqnr: not comparable, or NaN in the values.

    identical: shape and type agree and the values are the same bits. max_error: max |a - b|.
    sqnr: 10 * log10(sum(a^2) / sum((a - b)^2)) in dB, infinite where the values are equal. Integers of a
    quantized tensor count as the reals that they stand for.
    """

    a: Step
    b: Step
    identical: bool
    max_error: float
    sqnr: float


@dataclass(frozen=True)
class Comparison:
    """All matched outputs of operators in the execution order of model a; prints as a table.

    only_a, only_b: outputs without a counterpart. constant_b: operators of b, usually DEQUANTIZE of
    weights, that compute from constants alone and are therefore not compared; constant_a likewise.
    inner: operators of a in its subgraphs, whose values are those of a loop's last round.
    """

    rows: tuple[Row, ...]
    only_a: tuple[Step, ...]
    only_b: tuple[Step, ...]
    constant_a: int
    constant_b: int
    threshold: float
    inner: int = 0

    @property
    def identical(self) -> bool:
        """Whether every output has a counterpart with the same bits."""
        return not self.only_a and not self.only_b and all(row.identical for row in self.rows)

    @property
    def first_difference(self) -> Row | None:
        """The first operator whose outputs are not bit-identical."""
        return next((row for row in self.rows if not row.identical), None)

    @property
    def first_below(self) -> Row | None:
        """The first operator whose SQNR is below the threshold (or is not a number)."""
        return next((row for row in self.rows if not row.identical and not row.sqnr >= self.threshold), None)

    def __str__(self) -> str:
        return self.text()

    def text(self, columns: int | None = None) -> str:
        """The table and what follows from it; columns as for `ptq.terminal.table`."""
        parts = [self._table(columns)] if self.rows else []
        parts.append("\n".join(wrapped(sentence) for sentence in self._conclusions()))
        return "\n\n".join(parts)

    def _table(self, columns: int | None) -> str:
        header = ["#", "operator", "tensor", "shape", "max error", "SQNR dB"]
        rows = [
            [_pair(str(r.a.operator), str(r.b.operator)), _pair(r.a.type, r.b.type),
             _pair(r.a.name, r.b.name), _pair(shape_text(r.a.shape), shape_text(r.b.shape)), *_errors(r)]
            for r in self.rows
        ]  # fmt: skip
        return table(header, rows, {"#", "max error", "SQNR dB"}, cut="tensor", columns=columns)

    def _conclusions(self) -> list[str]:
        sentences = []
        if self.identical:
            sentences.append(f"All {len(self.rows)} outputs of operators are bit-identical.")
        elif not self.rows:
            sentences.append("No tensor of one model has a counterpart in the other; nothing was compared.")
        else:
            first, below = self.first_difference, self.first_below
            what = "First divergent operator, by bits (outputs not bit-identical)"
            sentences.append(f"{what}: {_location(first)}")
            what = f"First divergent operator, by noise (SQNR below {self.threshold:g} dB)"
            sentences.append(f"{what}: {_location(below)}")
            if below is None:
                sentences.append(f"Lowest SQNR: {_location(min(self.rows, key=lambda row: row.sqnr))}")
        for label, steps in (("a", self.only_a), ("b", self.only_b)):
            if steps:
                names = [f"{s.operator} {s.type} '{middle_cut(s.name, LONGEST_NAME)}'" for s in steps[:5]]
                more = f" and {len(steps) - 5} more" if len(steps) > 5 else ""
                sentences.append(f"Only in {label}, not compared: {', '.join(names)}{more}.")
        for label, count in (("a", self.constant_a), ("b", self.constant_b)):
            if count:
                sentences.append(f"Computed from constants in {label}, not compared: {count} operators.")
        if self.inner:
            what = "only what WHILE, IF and CALL_ONCE return is"
            sentences.append(f"Inside subgraphs of a, not compared: {self.inner} operators; {what}.")
        return sentences


def compare(
    graph_a: Graph,
    graph_b: Graph,
    inputs: Sequence[Array],
    threshold: float = THRESHOLD,
    numerics: Numerics = LITERT_REFERENCE,
) -> Comparison:
    """Run both models on the same inputs and compare each operator's outputs; a is the reference.

    Outputs are matched by name where a name occurs once in each model; the others by their order, where
    type of operator and shape agree. The states of both start at zero. Raises what `Interpreter.run` raises.
    """
    a, b = Interpreter(graph=graph_a, numerics=numerics), Interpreter(graph=graph_b, numerics=numerics)
    for label, interpreter in (("a", a), ("b", b)):
        _run(label, interpreter, inputs)
    steps_a, constant_a = _steps(a.graph)
    steps_b, constant_b = _steps(b.graph)
    pairs = match(steps_a, steps_b)
    matched_a, matched_b = {p.tensor for p, _ in pairs}, {p.tensor for _, p in pairs}
    return Comparison(
        tuple(_row(a, b, *pair) for pair in pairs),
        tuple(s for s in steps_a if s.tensor not in matched_a),
        tuple(s for s in steps_b if s.tensor not in matched_b),
        constant_a,
        constant_b,
        threshold,
        sum(len(graph.operators) for graph in graph_a.subgraphs),
    )


def match(a: Sequence[Step], b: Sequence[Step]) -> list[tuple[Step, Step]]:
    """Pairs of steps, in the order of `a`: by unique name, else in order by operator type and shape."""
    counts_a, counts_b = Counter(s.name for s in a), Counter(s.name for s in b)
    shared = {n for n in counts_a if n and counts_a[n] == 1 and counts_b[n] == 1}

    def keys(steps: Sequence[Step]) -> list[tuple[object, ...]]:
        return [(s.name,) if s.name in shared else (s.type, s.shape) for s in steps]

    named_b = {s.name: s for s in b if s.name in shared}
    pairs = {s: named_b[s.name] for s in a if s.name in shared}
    # the named pairs take part as anchors, so that the others are matched between them
    for block in SequenceMatcher(None, keys(a), keys(b), autojunk=False).get_matching_blocks():
        for step_a, step_b in zip(a[block.a :][: block.size], b[block.b :][: block.size], strict=True):
            pairs.setdefault(step_a, step_b)
    return [(s, pairs[s]) for s in a if s in pairs]


def _run(label: str, interpreter: Interpreter, inputs: Sequence[Array]) -> None:
    try:
        interpreter.run(inputs)
    except InputError as error:
        raise InputError(f"model {label}: {error}") from error


def _steps(graph: Graph) -> tuple[list[Step], int]:
    """The outputs that depend on the inputs, and how many operators depend on constants alone."""
    constant = {i for i, tensor in enumerate(graph.tensors) if tensor.is_constant and not tensor.is_variable}
    steps, skipped = [], 0
    for position, operator in enumerate(graph.operators):
        read = [i for i in operator.inputs if i != ABSENT]
        if read and constant.issuperset(read):
            constant.update(operator.outputs)
            skipped += 1
            continue
        for index in operator.outputs:
            tensor = graph.tensors[index]
            kind = operator.custom_code or operator.type
            steps.append(Step(position, kind, index, tensor.name, tensor.shape))
    return steps, skipped


def _reals(interpreter: Interpreter, index: int) -> Array:
    value, quantized = interpreter.get_tensor(index), interpreter.graph.tensors[index].quantized
    return value if quantized is None or value.dtype.kind not in "iu" else dequantize(value, quantized)


def _row(a: Interpreter, b: Interpreter, step_a: Step, step_b: Step) -> Row:
    x, y = _reals(a, step_a.tensor), _reals(b, step_b.tensor)
    if x.shape != y.shape or "c" in (x.dtype.kind, y.dtype.kind):
        same = x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
        return Row(step_a, step_b, same, 0.0 if same else math.nan, math.inf if same else math.nan)
    if x.dtype == y.dtype and x.tobytes() == y.tobytes():
        return Row(step_a, step_b, True, 0.0, math.inf)
    with np.errstate(all="ignore"):  # infinities are compared too
        difference = np.abs(x.astype(np.float64) - y.astype(np.float64))
        ratio = sqnr(x, y) if np.all(np.isfinite(difference)) else math.nan
    return Row(step_a, step_b, False, float(difference.max(initial=0.0)), ratio)


def _pair(a: str, b: str) -> str:
    return a if a == b else f"{a} / {b}"


def _errors(row: Row) -> tuple[str, str]:
    if row.identical:
        return "0", "identical"
    return f"{row.max_error:.3g}", f"{row.sqnr:.1f}"


def _location(row: Row | None) -> str:
    if row is None:
        return "none."
    error, ratio = _errors(row)
    where = f"{_pair(str(row.a.operator), str(row.b.operator))} {_pair(row.a.type, row.b.type)}"
    name = middle_cut(_pair(row.a.name, row.b.name), LONGEST_NAME)
    ratio = ratio if row.identical else f"{ratio} dB"
    return f"{where}, writing '{name}' (max error {error}, SQNR {ratio})."
