"""What a comparison found, and the same as text."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from ptq.comparison.classify import KINDS
from ptq.comparison.difference import Difference
from ptq.comparison.match import Step
from ptq.terminal import LONGEST_NAME, middle_cut, table, wrapped


@dataclass(frozen=True)
class Row:
    """One matched pair of tensors.

    cumulative: both models ran by themselves. isolated: the operator of b was fed a's values; None, and the
    reason in `obstacle`, where that is impossible. together: how many operators of b were run to isolate it.
    """

    a: Step
    b: Step
    cumulative: Difference
    isolated: Difference | None = None
    obstacle: str = ""
    together: int = 1

    @property
    def identical(self) -> bool:
        """Whether both models have the same bits there."""
        return self.cumulative.identical

    @property
    def max_error(self) -> float:
        """max |a - b| of the reals; NaN where they are not comparable, or NaN."""
        return self.cumulative.max_error

    @property
    def sqnr(self) -> float:
        """10 * log10(sum(a^2) / sum((a - b)^2)) in dB, infinite where the values are equal."""
        return self.cumulative.sqnr

    @property
    def kind(self) -> str:
        """The class of the isolated difference; "" where the operator was not isolated."""
        return "" if self.isolated is None else self.isolated.verdict.kind

    @property
    def number(self) -> str:
        """The operator's position, in both models where it differs."""
        return both(str(self.a.operator), str(self.b.operator))

    @property
    def type(self) -> str:
        """The operator's type."""
        return both(self.a.type, self.b.type)

    @property
    def name(self) -> str:
        """The tensor's name."""
        return both(self.a.name, self.b.name)


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

    @property
    def first_isolated(self) -> Row | None:
        """The first operator that differs although it is given a's values: a cause, not a consequence."""
        return next((row for row in self.rows if row.kind not in ("", "identical")), None)

    @property
    def first_unexplained(self) -> Row | None:
        """The first operator that differs on a's values by more than rounding."""
        return next((row for row in self.rows if row.kind not in ("", "identical", "rounding")), None)

    @property
    def worst_isolated(self) -> Row | None:
        """The operator with the largest isolated difference in steps."""
        return max(self.rows, key=lambda row: largest(row.isolated), default=None)

    @property
    def kinds(self) -> dict[str, int]:
        """How many isolated operators are of each class; "" counts those that were not isolated."""
        counts = Counter(row.kind for row in self.rows)
        return {kind: counts[kind] for kind in (*KINDS, "") if counts[kind]}

    @property
    def rules(self) -> list[tuple[str, str, list[Row]]]:
        """The classes and rules of isolated differences, with their operators, the commonest first."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            if row.isolated is not None and not row.isolated.identical:
                key = row.kind, row.isolated.verdict.rule
                groups.setdefault(key, []).append(row)
        ordered = sorted(groups.items(), key=lambda item: (KINDS.index(item[0][0]), -len(item[1])))
        return [(kind, rule, rows) for (kind, rule), rows in ordered]

    def __str__(self) -> str:
        return self.text()

    def text(self, columns: int | None = None) -> str:
        """The tables and what follows from them; columns as for `ptq.terminal.table`."""
        parts = [self._table(columns)] if self.rows else []
        if self.rules:
            parts.append(self._rule_table(columns))
        parts.append("\n".join(wrapped(sentence) for sentence in self.conclusions()))
        return "\n\n".join(parts)

    def _table(self, columns: int | None) -> str:
        header = ["#", "operator", "tensor", "isolated", "LSB", "cumulative", "LSB", "max error", "SQNR dB"]
        rows = [
            [r.number, r.type, r.name, r.kind or "-", steps_text(r.isolated), r.cumulative.verdict.kind,
             steps_text(r.cumulative), *_errors(r)]
            for r in self.rows
        ]  # fmt: skip
        return table(header, rows, {"#", "LSB", "max error", "SQNR dB"}, cut="tensor", columns=columns)

    def _rule_table(self, columns: int | None) -> str:
        header = ["isolated", "layers", "first", "worst", "LSB", "why"]
        lines = []
        for kind, rule, rows in self.rules:
            worst = max(rows, key=lambda row: largest(row.isolated))
            numbers = str(len(rows)), rows[0].number, worst.number, steps_text(worst.isolated)
            lines.append([kind, *numbers, rule or "-"])
        return table(header, lines, set(header[1:-1]), wrap="why", columns=columns)

    def conclusions(self) -> list[str]:
        """What follows from the rows, in sentences."""
        sentences = []
        if self.identical:
            sentences.append(f"All {len(self.rows)} outputs of operators are bit-identical.")
        elif not self.rows:
            sentences.append("No tensor of one model has a counterpart in the other; nothing was compared.")
        else:
            sentences += self._divergences()
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

    def _divergences(self) -> list[str]:
        first, below = self.first_difference, self.first_below
        what = "First divergent operator, by bits (outputs not bit-identical)"
        sentences = [f"{what}: {_location(first)}"]
        what = f"First divergent operator, by noise (SQNR below {self.threshold:g} dB)"
        sentences.append(f"{what}: {_location(below)}")
        if below is None:
            sentences.append(f"Lowest SQNR: {_location(min(self.rows, key=lambda row: row.sqnr))}")
        what = "First isolated divergence (differs even on a's values)"
        sentences.append(f"{what}: {_isolated_location(self.first_isolated)}")
        what, cause = "First isolated divergence beyond rounding", self.first_unexplained
        same = cause is not None and cause is self.first_isolated
        sentences.append(f"{what}: {'the same.' if same else _isolated_location(cause)}")
        if self.worst_isolated is not self.first_isolated and self.first_isolated is not None:
            sentences.append(f"Largest isolated difference: {_isolated_location(self.worst_isolated)}")
        alone = [row for row in self.rows if row.isolated is None]
        if alone:
            what = f"Not isolated: {len(alone)} outputs, the first of {_place(alone[0])}"
            sentences.append(f"{what}: {alone[0].obstacle}.")
        return sentences


def largest(difference: Difference | None) -> float:
    """The steps by which to order layers: NaN counts as more than any number, nothing as less."""
    if difference is None:
        return -1.0
    return math.inf if math.isnan(difference.max_steps) else difference.max_steps


def both(a: str, b: str) -> str:
    """A word for both models, or two."""
    return a if a == b else f"{a} / {b}"


def steps_text(difference: Difference | None) -> str:
    """The largest difference in steps."""
    return "-" if difference is None else f"{difference.max_steps:.3g}"


def _errors(row: Row) -> tuple[str, str]:
    if row.identical:
        return "0", "identical"
    return f"{row.max_error:.3g}", f"{row.sqnr:.1f}"


def _place(row: Row) -> str:
    return f"{row.number} {row.type}, writing '{middle_cut(row.name, LONGEST_NAME)}'"


def _location(row: Row | None) -> str:
    if row is None:
        return "none."
    error, ratio = _errors(row)
    ratio = ratio if row.identical else f"{ratio} dB"
    return f"{_place(row)} (max error {error}, SQNR {ratio})."


def _isolated_location(row: Row | None) -> str:
    if row is None or row.isolated is None:
        return "none."
    return f"{_place(row)} ({steps_text(row.isolated)} LSB; {row.isolated.verdict.brief})."
