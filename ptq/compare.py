"""Two models, or two arithmetics, side by side: the same inputs, every intermediate tensor, where they part.

Each output is compared twice. Cumulative: both models ran by themselves, so that every operator inherits the
errors of those before it. Isolated: the operator of b is given a's values of everything that it reads,
quantized where b has integers, so that what differs is its own doing. What kind of difference it is,
`ptq.comparison.classify` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ptq.comparison.classify import Case, classify
from ptq.comparison.difference import Difference, Side, Verdict, measure
from ptq.comparison.isolate import Isolated, isolate, unchanged
from ptq.comparison.match import Pair, Step, find_steps, match
from ptq.comparison.report import Comparison, Row
from ptq.comparison.trace import Trace, inputs_of, run_traced
from ptq.errors import InputError, PtqError
from ptq.graph import Array, Graph
from ptq.numerics import LITERT_REFERENCE, Numerics

__all__ = ["THRESHOLD", "Comparison", "Row", "Step", "compare", "match"]

THRESHOLD = 20.0
"""dB: below it, the noise has more than a hundredth of the signal's power."""


def compare(
    graph_a: Graph,
    graph_b: Graph,
    inputs: Sequence[Array],
    threshold: float = THRESHOLD,
    numerics: Numerics = LITERT_REFERENCE,
    numerics_b: Numerics | None = None,
) -> Comparison:
    """Run both models on the same inputs and compare each operator's outputs; a is the reference.

    inputs: as model a takes them; model b is given the same reals in its own types. numerics: of both models,
    or of model a where numerics_b are given. For one model under two arithmetics, give it twice;
    `ptq.comparison.twin.float_twin(model)` is its float form.

    Outputs are matched by name where a name occurs once in each model; the others by their order, where
    type of operator and shape agree. The states of both start at zero. Raises what `Interpreter.run` raises.
    """
    a = _run("a", graph_a, numerics, inputs)
    b = _run("b", graph_b, numerics_b or numerics, inputs_of(graph_b, graph_a, inputs))
    steps_a, constant_a, skipped_a = find_steps(a.graph)
    steps_b, constant_b, skipped_b = find_steps(b.graph)
    pairs = match(steps_a, steps_b)
    matched_a, matched_b = {p.tensor for p, _ in pairs}, {p.tensor for _, p in pairs}
    return Comparison(
        _Rows(a, b, pairs, constant_a, constant_b).rows(),
        tuple(s for s in steps_a if s.tensor not in matched_a),
        tuple(s for s in steps_b if s.tensor not in matched_b),
        skipped_a,
        skipped_b,
        threshold,
        sum(len(graph.operators) for graph in graph_a.subgraphs),
    )


def _run(label: str, graph: Graph, numerics: Numerics, inputs: Sequence[Array]) -> Trace:
    try:
        return run_traced(graph, numerics, inputs)
    except InputError as error:
        raise InputError(f"model {label}: {error}") from error


class _Rows:
    """Compares matched pairs; keeps the last operator that was isolated, which may write several outputs."""

    def __init__(
        self, a: Trace, b: Trace, pairs: Sequence[Pair], constant_a: set[int], constant_b: set[int]
    ) -> None:
        self.a, self.b, self.pairs = a, b, pairs
        self.constant_a, self.constant_b = constant_a, constant_b
        inputs = zip(b.graph.inputs, a.graph.inputs, strict=False)
        self.counterparts = {**dict(inputs), **{y.tensor: x.tensor for x, y in pairs}}
        self._last: tuple[tuple[int, int], Isolated] | None = None

    def rows(self) -> tuple[Row, ...]:
        """A row for each pair."""
        return tuple(self._row(pair) for pair in self.pairs)

    def _row(self, pair: Pair) -> Row:
        value = self.b.values[pair[1].tensor]
        cumulative = self._measure(pair, value)
        try:
            isolated = self._isolate(pair)
            own = unchanged(isolated, self.b)  # nothing was different before it
            alone = cumulative if own and cumulative.identical else self._isolated(pair, isolated)
        except PtqError as error:
            return Row(*pair, cumulative, None, str(error))
        if own:
            cumulative = replace(cumulative, verdict=alone.verdict)
        elif cumulative.verdict.kind == "other" and alone.verdict.kind in ("identical", "rounding"):
            cumulative = replace(cumulative, verdict=Verdict("inherited"))
        return Row(*pair, cumulative, alone, "", len(isolated.segment.positions))

    def _isolate(self, pair: Pair) -> Isolated:
        key = pair[0].operator, pair[1].operator
        if self._last is None or self._last[0] != key:
            self._last = None
            found = isolate(pair, self.a, self.b, self.counterparts, self.constant_b)
            self._last = key, found
        return self._last[1]

    def _isolated(self, pair: Pair, isolated: Isolated) -> Difference:
        case = Case(pair, self.a, self.b, isolated, self.constant_a, self.constant_b, self.counterparts)
        with np.errstate(all="ignore"):  # what the models overflow in has been said when they ran
            value = isolated.result(self.b.numerics, pair[1].tensor)
            return measure(*self._sides(pair, value), case.classify)

    def _measure(self, pair: Pair, value: Array) -> Difference:
        return measure(*self._sides(pair, value), classify)

    def _sides(self, pair: Pair, value: Array) -> tuple[Side, Side]:
        """a's value, and one of b, with what bounds them."""
        operators = self.a.graph.operators[pair[0].operator], self.b.graph.operators[pair[1].operator]
        return (
            Side.of(self.a.values[pair[0].tensor], self.a.graph, operators[0], pair[0].tensor),
            Side.of(value, self.b.graph, operators[1], pair[1].tensor),
        )
