"""What kind of difference two values of a tensor have. The first class that fits counts.

identical   The values stand for the same reals, bit by bit.
rounding    Integers: no difference exceeds one step (1.5 steps where integers are compared with floats, or
            with integers of another scale: half a step to the nearest, and one of the kernel's own).
            Of an isolated operator also: the constants of both models agree to half a step each, and its
            integers are within one step of what the float kernel computes from the reals that its integer
            inputs stand for; or its floats are within the bound of `ptq.comparison.bounds`; or a rule of
            `Numerics` that only rounds turns one result into the other, bit by bit.
saturation  Differences that rounding does not explain exist only where one value is at the end of its integer
            type, or of its fused activation, and the other one lies beyond that end. Of an isolated operator
            also: it would be rounding, but an input was clipped, by more than a step, to what b's integers
            can hold.
scale       A factor or an offset, of all values or of single channels, explains them: `ptq.comparison.fit`.
inherited   Of a cumulative difference only: none of the above, while the isolated operator is identical or
            rounding. It passes on what it was given.
other       Anything else, NaN and different shapes included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptq.comparison.alone import deviation, parts, step_of
from ptq.comparison.bounds import FEWER_BITS, Bound, arithmetic_of, constants_of, disagreement, float_bound
from ptq.comparison.difference import Apart, Verdict, wide_reals
from ptq.comparison.fit import fit_channels, fits_rule, fits_text
from ptq.comparison.isolate import Isolated, NotIsolated, Segment, cut_out
from ptq.comparison.match import CONVERSIONS, Pair
from ptq.comparison.rules import ROUNDINGS, deciding_fields, fields_text
from ptq.comparison.trace import Trace, same_bits, same_scales
from ptq.comparison.twin import is_quantized
from ptq.graph import Array
from ptq.numerics import Numerics
from ptq.subgraphs import callees

KINDS = "identical", "rounding", "saturation", "scale", "inherited", "other"
"""In the order in which a report lists them."""


CUT = "saturation", "inputs beyond the range of their integers"
"""The class and the rule where an input was clipped."""


def classify(apart: Apart) -> Verdict:
    """The class by the values alone."""
    return _by_size(apart) or _saturation(apart) or _scale(apart) or Verdict("other")


def _by_size(apart: Apart) -> Verdict | None:
    """Differences that rounding explains by their size, and those that are no numbers."""
    if not np.all(np.isfinite(apart.d)):
        return Verdict("other", "NaN or infinity in one of the two")
    largest = float(np.abs(apart.d).max(initial=0.0))
    if largest == 0:
        return Verdict("rounding", "the same reals in other bits, such as the sign of zero")
    if apart.tolerance == 0 or largest > apart.tolerance:
        return None
    if apart.tolerance == 1:
        return Verdict("rounding", "within one step")
    if largest <= 0.5 + (apart.tolerance - 1.5):
        return Verdict("rounding", "to the nearest integer, half a step")
    return Verdict("rounding", "half a step to the nearest integer, and one of the kernel's")


def _saturation(apart: Apart) -> Verdict | None:
    beyond, saturated = apart.beyond, apart.saturated
    count = int(np.sum(beyond & saturated))
    if count == 0 or np.any(beyond & ~saturated):
        return None
    return _saturated(apart, count)


def _saturated(apart: Apart, count: int) -> Verdict:
    bounds = {"a's lowest": apart.a.low, "a's highest": apart.a.high,
              "b's lowest": apart.b.low, "b's highest": apart.b.high}  # fmt: skip
    ends = [end for end, clipped in apart.ends.items() if np.any(clipped & apart.beyond)]
    where = ", ".join(f"{bounds[end]:.4g}" for end in ends)
    rule = "at " + " and at ".join(ends)
    return Verdict("saturation", rule, (), f"{count} of {apart.d.size} values, at {where}")


def _scale(apart: Apart) -> Verdict | None:
    x, y = apart.a.reals / apart.step, apart.b.reals / apart.step
    # of two floats, the last bit of the largest is no sign of anything
    tolerance = apart.tolerance or float(np.abs(x).max(initial=0.0)) * 2.0**-23
    found = fit_channels(x, y, ~apart.clamped, apart.beyond & ~apart.saturated, tolerance)
    return None if found is None else Verdict("scale", fits_rule(found), (), fits_text(found, apart.step))


@dataclass(frozen=True)
class Case:
    """An isolated operator: the matched pair, both runs of the whole models, and the operator by itself.

    counterparts, constant_a, constant_b: as for `isolate`.
    """

    pair: Pair
    a: Trace
    b: Trace
    isolated: Isolated
    constant_a: set[int]
    constant_b: set[int]
    counterparts: dict[int, int]

    def classify(self, apart: Apart) -> Verdict:
        """The class by the values, and by what explains them."""
        a, b = self.a.numerics, self.b.numerics
        sets = deciding_fields(self._result, a, b)
        fields = tuple(dict.fromkeys(name for names in sets for name in names))
        only = bool(sets) and self._is_a_with(a)
        by_size = _by_size(apart)
        verdict = by_size or self._explained(apart, bool(only and ROUNDINGS.issuperset(fields)))
        rules = fields_text(sets, a, b)
        if rules and only and by_size is not None and verdict.kind == "rounding":
            return Verdict("rounding", rules, fields)
        return Verdict(verdict.kind, _joined(rules, verdict.rule), fields, verdict.detail)

    def _explained(self, apart: Apart, by_rounding_rules: bool) -> Verdict:
        """The class of differences that their size does not explain."""
        cause = self._disagreement()
        found = None if cause else self._rounding(apart, by_rounding_rules)
        if found is not None:
            count = int(np.sum(apart.beyond & apart.saturated)) if apart.tolerance else 0
            return _saturated(apart, count) if count else found
        verdict = _saturation(apart) or _scale(apart)
        if verdict is None:
            verdict = Verdict("other", "not the same operator") if cause else self._unexplained()
        return Verdict(verdict.kind, verdict.rule, (), _joined(verdict.detail, cause))

    def _rounding(self, apart: Apart, by_rounding_rules: bool) -> Verdict | None:
        """Rounding, or clipped inputs, if that explains all differences; else None."""
        if apart.tolerance:  # integers
            if self._deviation() != 0:
                return None
            cut = self._cut_inputs()
            detail = cut or self._parts(apart)
            return Verdict(
                *(CUT if cut else ("rounding", "quantized inputs, constants and result")), (), detail
            )
        bound = self._bound()
        if bound is not None and np.all(np.abs(apart.b.reals - apart.a.reals) <= bound.largest):
            share = float(np.max(np.abs(apart.b.reals - apart.a.reals) / np.maximum(bound.largest, 1e-300)))
            found = Verdict("rounding", bound.rule, (), f"K = {bound.terms}, {share:.2g} of the bound")
        elif by_rounding_rules:
            return Verdict("rounding", "", (), f"up to {_ulps(apart):.3g} ULP of the largest value")
        elif self._same_in_float():
            found = Verdict("rounding", FEWER_BITS)
        else:
            return None
        cut = self._cut_inputs()
        return Verdict(*CUT, (), cut) if cut else found

    def _deviation(self) -> float | None:
        """How far the integers of both are from what float kernels compute: 0 if within rounding."""
        trace = self.isolated.run(self.b.numerics)
        found = [deviation(trace, position) for position in range(len(trace.graph.operators))]
        found.append(deviation(self.a, self.pair[0].operator))
        return None if None in found else max(x for x in found if x is not None)

    def _bound(self) -> Bound | None:
        """The bound of a float result, if what comes before the operator only moves or converts."""
        trace = self.isolated.run(self.b.numerics)
        last = len(trace.graph.operators) - 1
        if any(arithmetic_of(trace, position) != "any" for position in range(last)):
            return None
        return float_bound(self.a, self.pair[0].operator, trace, last)

    def _same_in_float(self) -> bool:
        """Whether both sides compute the same operators, all in float."""
        trace, of_a = self.isolated.run(self.b.numerics), self._segment_of_a()
        if of_a is None:
            return False
        sides = ((self.a, of_a.positions), (trace, range(len(trace.graph.operators))))
        if not all(_in_float(trace, position) for trace, positions in sides for position in positions):
            return False
        first, second = (
            [
                (o.type, o.options)
                for o in (t.graph.operators[i] for i in positions)
                if o.type not in CONVERSIONS
            ]
            for t, positions in sides
        )
        return first == second

    def _unexplained(self) -> Verdict:
        """What is known of a difference that nothing explains."""
        trace = self.isolated.run(self.b.numerics)
        if any(arithmetic_of(trace, i) == "hybrid" for i in range(len(trace.graph.operators))):
            return Verdict(
                "other", "int8 weights and inputs of an operator for which no bound is derived (hybrid)"
            )
        steps = self._deviation()
        if steps:
            words = f"up to {steps:.3g} LSB"
            return Verdict(
                "other", "an integer kernel that is farther from the float kernel than rounding", (), words
            )
        return Verdict("other")

    def _cut_inputs(self) -> str:
        """The first input that quantization moved by more than a step, which only clipping does."""
        trace, graph = self.isolated.run(self.b.numerics), self.isolated.segment.graph
        given = [
            (self.a.values[self.counterparts[index]], self.a.graph.tensors[self.counterparts[index]], place)
            for index, place in zip(self.isolated.segment.fed, graph.inputs, strict=True)
            if index not in self.constant_b
        ]
        for operator in graph.operators:
            if operator.type == "QUANTIZE":
                source = operator.inputs[0]
                given.append((trace.values[source], graph.tensors[source], operator.outputs[0]))
        for value, tensor, place in given:
            moved = np.abs(wide_reals(trace.values[place], graph.tensors[place]) - wide_reals(value, tensor))
            count = int(np.sum(moved > step_of(graph.tensors[place], moved.ndim)))
            if count and is_quantized(graph.tensors[place]):
                return f"{count} of {moved.size} values of '{graph.tensors[place].name}'"
        return ""

    def _parts(self, apart: Apart) -> str:
        """What b's inputs and constants contribute, in steps."""
        trace = self.isolated.run(self.b.numerics)
        position, last = self.pair[0].operator, len(trace.graph.operators) - 1
        if self.a.graph.operators[position].outputs[0] != self.pair[0].tensor:
            return ""
        found = parts(self.a, position, trace, last, self.constant_a, apart.a.reals)
        if found is None:
            return ""
        inputs, constants = (each / apart.step for each in found)
        return f"inputs alone {inputs:.3g} LSB, constants alone {constants:.3g}"

    def _result(self, numerics: Numerics) -> Array:
        return self.isolated.result(numerics, self.pair[1].tensor)

    def _is_a_with(self, numerics: Numerics) -> bool:
        """Whether b's operator computes a's very result with these numerics."""
        (tensor_a, tensor_b) = (
            t.graph.tensors[s.tensor] for t, s in zip((self.a, self.b), self.pair, strict=True)
        )
        comparable = tensor_a.type == tensor_b.type and same_scales(tensor_a.quantized, tensor_b.quantized)
        return comparable and same_bits(self._result(numerics), self.a.values[self.pair[0].tensor])

    def _segment_of_a(self) -> Segment | None:
        """The operators of a that do what the isolated ones do; None if they cannot be told apart."""
        position = self.pair[0].operator
        fed = {self.counterparts[i] for i in self.isolated.segment.fed if i in self.counterparts}
        known = (fed | self.constant_a).difference(self.a.graph.operators[position].outputs)
        try:
            return cut_out(self.a.graph, position, known)
        except NotIsolated:
            return None

    def _disagreement(self) -> str | None:
        """The first constant of the operators that differs between the models; None if all agree."""
        segment = self._segment_of_a()
        if segment is None:
            return "a's operators read what b's do not"
        calls = any(callees(operator) for operator in self.isolated.segment.graph.operators)
        if calls and self.a.graph.subgraphs != self.b.graph.subgraphs:
            return "its subgraphs differ from a's"
        a = constants_of(self.a, segment.positions, self.constant_a)
        b = constants_of(self.b, self.isolated.segment.positions, self.constant_b)
        return disagreement(a, b)


def _in_float(trace: Trace, position: int) -> bool:
    """Whether an operator rounds no input at run time; EMBEDDING_LOOKUP scales what it has looked up."""
    looks_up = trace.graph.operators[position].type == "EMBEDDING_LOOKUP"
    return looks_up or arithmetic_of(trace, position) in ("float", "any")


def _ulps(apart: Apart) -> float:
    """The largest difference in units of the last place of a float32 as large as the largest value of a."""
    largest = np.float32(np.abs(apart.a.reals).max(initial=0.0))
    return float(np.abs(apart.b.reals - apart.a.reals).max(initial=0.0) / np.spacing(largest))


def _joined(*words: str | None) -> str:
    return "; ".join(each for each in words if each)
