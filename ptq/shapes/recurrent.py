"""Shapes of the recurrent layers, of SVDF and of EMBEDDING_LOOKUP."""

from __future__ import annotations

from ptq.errors import GraphError, UnsupportedError
from ptq.graph import Operator, Tensor
from ptq.shapes.common import Inputs, Rule, Shape, input_tensor, refuse

PROJECTION = 16
"""The input of an LSTM that holds the projection weights [outputs, cells], if there are any."""


def _rnn(operator: Operator, tensors: Inputs) -> list[Shape]:
    return [_sequence(operator, tensors, rank=2, outputs=_rows(operator, tensors, 1))]


def _sequence_rnn(operator: Operator, tensors: Inputs) -> list[Shape]:
    return [_sequence(operator, tensors, rank=3, outputs=_rows(operator, tensors, 1))]


def _bidirectional_rnn(operator: Operator, tensors: Inputs) -> list[Shape]:
    widths = [_rows(operator, tensors, 1), _rows(operator, tensors, 5)]
    return _both_directions(operator, tensors, widths)


def _lstm(operator: Operator, tensors: Inputs) -> list[Shape]:
    if operator.options["kernel_type"] != "FULL":
        raise UnsupportedError(
            f"operator LSTM: kernel type {operator.options['kernel_type']} found, expected FULL; ptq does "
            "not compute the older form with 5 inputs and 4 outputs; convert the model again"
        )
    return [_sequence(operator, tensors, rank=2, outputs=_lstm_outputs(operator, tensors, 0))]


def _sequence_lstm(operator: Operator, tensors: Inputs) -> list[Shape]:
    return [_sequence(operator, tensors, rank=3, outputs=_lstm_outputs(operator, tensors, 0))]


def _bidirectional_lstm(operator: Operator, tensors: Inputs) -> list[Shape]:
    widths = [_lstm_outputs(operator, tensors, 0), _lstm_outputs(operator, tensors, 17)]
    return _both_directions(operator, tensors, widths)


def _svdf(operator: Operator, tensors: Inputs) -> list[Shape]:
    filters, rank = _rows(operator, tensors, 1), operator.options["rank"]
    if rank < 1 or filters % rank:
        weights = input_tensor(operator, tensors, 1)
        refuse(operator, weights, f"{filters} filters", f"a multiple of the rank {rank}, which is positive")
    return [_sequence(operator, tensors, rank=2, outputs=filters // rank)]


def _embedding_lookup(operator: Operator, tensors: Inputs) -> list[Shape]:
    ids, table = input_tensor(operator, tensors, 0), input_tensor(operator, tensors, 1)
    if len(ids.shape) != 1 or len(table.shape) < 2:
        refuse(operator, table, f"shape {table.shape} with ids {ids.shape}", "[rows, ...] with ids [count]")
    return [(*ids.shape, *table.shape[1:])]


def _both_directions(operator: Operator, tensors: Inputs, widths: list[int]) -> list[Shape]:
    if operator.options["merge_outputs"]:
        return [_sequence(operator, tensors, rank=3, outputs=sum(widths))]
    return [_sequence(operator, tensors, rank=3, outputs=width) for width in widths]


def _lstm_outputs(operator: Operator, tensors: Inputs, offset: int) -> int:
    """The width of the output: that of the projection, or the number of cells."""
    projection = offset + PROJECTION
    if projection < len(tensors) and tensors[projection] is not None:
        return _rows(operator, tensors, projection)
    return _rows(operator, tensors, offset + 2)


def _sequence(operator: Operator, tensors: Inputs, rank: int, outputs: int) -> Shape:
    tensor: Tensor = input_tensor(operator, tensors, 0)
    if len(tensor.shape) != rank:
        expected = "[batch, inputs]" if rank == 2 else "[batch, time, inputs] or [time, batch, inputs]"
        refuse(operator, tensor, f"shape {tensor.shape}", expected)
    return (*tensor.shape[:-1], outputs)


def _rows(operator: Operator, tensors: Inputs, position: int) -> int:
    if position >= len(tensors):
        raise GraphError(
            f"operator {operator.type}: {len(tensors)} inputs found, expected more than {position}"
        )
    weights = input_tensor(operator, tensors, position)
    if len(weights.shape) != 2:
        refuse(operator, weights, f"shape {weights.shape}", "[outputs, inputs]")
    return weights.shape[0]


RULES: dict[str, Rule] = {
    "RNN": _rnn,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _sequence_rnn,
    "BIDIRECTIONAL_SEQUENCE_RNN": _bidirectional_rnn,
    "LSTM": _lstm,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _sequence_lstm,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _bidirectional_lstm,
    "SVDF": _svdf,
    "EMBEDDING_LOOKUP": _embedding_lookup,
}
