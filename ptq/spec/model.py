"""A whole model by the specification: operator by operator, element by element, loops and variables too.

WHILE, IF, CALL_ONCE and resource variables have no arithmetic: what they do is which part of the model runs
when, on which values, and that is all here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ptq.errors import GraphError
from ptq.spec import answer
from ptq.spec.question import Operand, Question
from ptq.spec.rules import Rules

ABSENT = -1
"""The place of an optional input that an operator does not have."""

MOST_ROUNDS = 1_000_000
"""How often the body of a loop may run."""

Ask = Callable[[Sequence[Operand | None]], Question]
"""The question that operands make of an operator; the shapes of its outputs may depend on their values."""


@dataclass(frozen=True)
class Step:
    """One operator of a part. inputs, outputs: which tensors it reads and writes, by their numbers."""

    operator: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Mapping[str, Any]
    ask: Ask

    def __str__(self) -> str:
        return self.operator


@dataclass(frozen=True)
class Part:
    """One subgraph.

    tensors: what is known of each before it runs, with values where they are constants. inputs, outputs:
    numbers of tensors. constants: the tensors with values. states: the tensors that outlive a run.
    """

    tensors: Sequence[Operand]
    steps: Sequence[Step]
    inputs: Sequence[int]
    outputs: Sequence[int]
    constants: Sequence[int] = ()
    states: Sequence[int] = ()

    def initial_states(self) -> dict[int, Operand]:
        """Each state at its start: zero, or its zero point if it is a quantized int8 tensor.

        Source: `tflite/core/api/tensor_utils.cc`, ResetVariableTensor.
        """
        return {number: _at_start(self.tensors[number]) for number in self.states}


@dataclass
class Machine:
    """A model that runs, with what outlives an invocation.

    parts: its subgraphs, the main one first. rules: by which elements are worked out. states: of each part,
    by tensor. variables: the resource variables by their handles. handles: those by (container, name).
    initialized: the parts that CALL_ONCE has run. values: of each part, its tensors at the last run.
    """

    parts: Sequence[Part]
    rules: Rules = field(default_factory=Rules)
    states: list[dict[int, Operand]] = field(init=False)
    variables: dict[int, Operand] = field(init=False, default_factory=dict)
    handles: dict[tuple[str, str], int] = field(init=False, default_factory=dict)
    initialized: set[int] = field(init=False, default_factory=set)
    values: dict[int, dict[int, Operand]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.states = [part.initial_states() for part in self.parts]

    def run(self, inputs: Sequence[Operand]) -> list[Operand]:
        """The outputs of the model for its inputs."""
        return self._run(0, inputs)

    # --- parts ------------------------------------------------------------------------------------

    def _run(self, number: int, inputs: Sequence[Operand]) -> list[Operand]:
        part = self.parts[number]
        values = {i: part.tensors[i] for i in part.constants}
        values |= self.states[number]
        for i, value in zip(part.inputs, inputs, strict=True):
            values[i] = _held_by(part.tensors[i], value)
        self.values[number] = values
        for step in part.steps:
            self._step(number, step, values)
        return [_value_of(values, i) for i in part.outputs]

    def _step(self, number: int, step: Step, values: dict[int, Operand]) -> None:
        operands = [None if i == ABSENT else _value_of(values, i) for i in step.inputs]
        tensors = self.parts[number].tensors
        if step.operator in CONTROL:
            given = [_present(step, operand) for operand in operands]
            declared = [tensors[i] for i in step.outputs]
            results = CONTROL[step.operator](self, step, given, declared)
            results = [_held_by(tensor, result) for tensor, result in zip(declared, results, strict=True)]
            values |= zip(step.outputs, results, strict=True)
            return
        question = step.ask(operands)
        written = [*step.outputs, *(step.inputs[position] for position in question.states)]
        for i, place, result in zip(written, question.places, answer(question, self.rules), strict=True):
            values[i] = replace(place, values=result)
        new = {step.inputs[position] for position in question.states}
        self.states[number] |= {i: values[i] for i in new}

    def _anew(self, number: int) -> Callable[[Sequence[Operand]], list[Operand]]:
        """A part as a function, whose states start anew: they last for one WHILE or IF.

        Source: `tflite/kernels/while.cc`, Eval, which frees the memory of a part when it is done.
        """
        self.states[number] = self.parts[number].initial_states()
        return lambda inputs: self._run(number, inputs)

    # --- control ----------------------------------------------------------------------------------

    def _while(self, step: Step, given: list[Operand], _: Sequence[Operand]) -> list[Operand]:
        """values = body(values) as long as condition(values) holds.

        Source: `tflite/kernels/while.cc`, Eval_dynamic and Eval_static.
        """
        body_number = step.options["body_subgraph_index"]
        condition, body = self._anew(step.options["cond_subgraph_index"]), self._anew(body_number)
        meant = held = given
        for _round in range(MOST_ROUNDS):
            if not _holds(condition(meant)[0]):
                return held
            meant = body(held)
            held = self._carried(meant, self.parts[body_number])
        raise GraphError(f"WHILE: {MOST_ROUNDS} rounds found, expected a loop that ends")

    def _carried(self, meant: list[Operand], body: Part) -> list[Operand]:
        """What the next round of a loop finds: the results of this one.

        Numerics that reproduce TensorFlow Lite's defects copy them one after the other into the inputs of the
        body, so that output k finds a new value where the body passes on an input i < k.
        """
        if self.rules.numerics.upstream_defects != "reproduce":
            return meant
        held = list(meant)
        for k, tensor in enumerate(body.outputs):
            if tensor in body.inputs and (i := list(body.inputs).index(tensor)) < k:
                held[k] = held[i]
        return held

    def _if(self, step: Step, given: list[Operand], _: Sequence[Operand]) -> list[Operand]:
        """then(values) if the condition holds, else otherwise(values).

        Source: `tflite/kernels/if.cc`, Eval.
        """
        then = _holds(given[0])
        return self._anew(step.options["then_subgraph_index" if then else "else_subgraph_index"])(given[1:])

    def _call_once(self, step: Step, *_: object) -> list[Operand]:
        """Run a part, but in the first invocation only. Source: `tflite/kernels/call_once.cc`, Eval."""
        number = step.options["init_subgraph_index"]
        if number not in self.initialized:
            self._anew(number)([])
            self.initialized.add(number)
        return []

    # --- variables --------------------------------------------------------------------------------

    def _var_handle(self, step: Step, _: list[Operand], declared: Sequence[Operand]) -> list[Operand]:
        """The number of a variable, the same for its name all over the model.

        Source: `tflite/kernels/var_handle.cc`, Init.
        """
        name = step.options.get("container") or "", step.options.get("shared_name") or ""
        handle = self.handles.setdefault(name, len(self.handles))
        return [replace(declared[0], values=[handle] * declared[0].size)]

    def _read_variable(self, step: Step, given: list[Operand], _: Sequence[Operand]) -> list[Operand]:
        """What was assigned last. Source: `tflite/kernels/read_variable.cc`, Eval."""
        handle = int(given[0].values[0])
        if handle not in self.variables:
            raise GraphError(f"variable {handle} is read before anything is assigned to it")
        return [self.variables[handle]]

    def _assign_variable(self, step: Step, given: list[Operand], _: Sequence[Operand]) -> list[Operand]:
        """Keep a value. Source: `tflite/kernels/assign_variable.cc`, Eval."""
        self.variables[int(given[0].values[0])] = given[1]
        return []


Control = Callable[[Machine, Step, list[Operand], Sequence[Operand]], list[Operand]]
"""An operator without arithmetic: its results, given its operands and what is known of its outputs."""

CONTROL: dict[str, Control] = {
    "WHILE": Machine._while,
    "IF": Machine._if,
    "CALL_ONCE": Machine._call_once,
    "VAR_HANDLE": Machine._var_handle,
    "READ_VARIABLE": Machine._read_variable,
    "ASSIGN_VARIABLE": Machine._assign_variable,
}


def _held_by(tensor: Operand, value: Operand) -> Operand:
    """A value in a tensor, which has a type, a scale and a name of its own."""
    return replace(tensor, shape=value.shape, values=value.values)


def _value_of(values: Mapping[int, Operand], number: int) -> Operand:
    if number not in values:
        raise GraphError(f"tensor {number} is read, but nothing writes it")
    return values[number]


def _present(step: Step, operand: Operand | None) -> Operand:
    if operand is None:
        raise GraphError(f"{step}: an absent input found, expected a tensor")
    return operand


def _holds(condition: Operand) -> bool:
    if condition.type != "BOOL" or condition.size != 1:
        raise GraphError(
            f"condition of type {condition.type} and shape {condition.shape} found, expected one bool"
        )
    return bool(condition.values[0])


def _at_start(state: Operand) -> Operand:
    point = state.only_zero_point if state.type == "INT8" and len(state.zero_point) == 1 else 0
    return replace(state, values=[point] * state.size)
