"""What is in a model: inputs and outputs as formulas, operators, tensors, and where the bytes are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq import kernels
from ptq.errors import UnsupportedError
from ptq.graph import ABSENT, Array, Graph, Operator, Quantization, Tensor
from ptq.operators import OPTIONS
from ptq.passes.report import Decision, by_subgraph
from ptq.terminal import human_size, printable, shape_text, table, wrapped

AGGREGATE_FROM = 13
"""A report on that many operators or more is summed up, unless it is wanted in full."""

NOT_RUN = " *"
NOT_RUN_NOTE = "* ptq has no kernel for this: it can be inspected and written, but not run"


def describe(graph: Graph, name: str, content: bytes | None = None, columns: int | None = None) -> str:
    """The whole model as text: one line in sum, inputs and outputs, operators, tensors, bytes.

    content: the bytes that `graph` was loaded from, to tell the place of each weight in them; without
    them, and for a model that was not loaded from bytes, no places are given. columns: as for `table`.
    """
    parts = [_headline(graph, name, content), interface(graph)]
    if graph.signatures:
        parts.append(f"signatures\n{signature_table(graph, columns)}")
    graphs = [graph, *graph.subgraphs]
    for position, subgraph in enumerate(graphs):
        title = f" of subgraph {position} '{printable(subgraph.name or '')}'" if len(graphs) > 1 else ""
        parts.append(f"operators{title}\n{operator_table(subgraph, columns)}")
        parts.append(f"tensors{title}\n{tensor_table(subgraph, content, columns)}")
    parts.append(f"bytes\n{size_table(graph, content, columns)}")
    return "\n\n".join(parts)


def real_value(tensor: Tensor, unquantized: str) -> str:
    """What real number an element stands for: `real = 0.0078125 * (int8 - 3)`.

    Without quantization: the type and `unquantized`, for instance "fed as it is".
    """
    kind, quantized = tensor.type.lower(), tensor.quantized
    if quantized is None:
        return f"{kind}, {unquantized}"
    # str of a float32 is the shortest text that still means this float32; an f-string would widen it first
    if not quantized.per_channel:
        return f"real = {quantized.scale[0]!s} * {_offset(kind, int(quantized.zero_point[0]))}"
    zero_points = set(quantized.zero_point.tolist())
    integer = _offset(kind, zero_points.pop()) if len(zero_points) == 1 else f"({kind} - zero_point[c])"
    scales = f"{quantized.scale.size} scales, {quantized.scale.min()!s} to {quantized.scale.max()!s}"
    return f"real = scale[c] * {integer}, c along dimension {quantized.quantized_dimension}; {scales}"


def interface(graph: Graph) -> str:
    """The inputs and outputs, one in two lines: name, type and shape; then the formula of its reals."""
    lines = []
    for title, indices, unquantized in (
        ("input", graph.inputs, "fed as it is"),
        ("output", graph.outputs, "returned as it is"),
    ):
        for position, index in enumerate(indices):
            tensor = graph.tensors[index]
            shape = shape_text(tensor.shape_signature or tensor.shape)
            lines.append(
                f"{title} {position}: '{printable(tensor.name)}', {tensor.type.lower()} [{shape}], "
                f"tensor {index}"
            )
            lines.append(f"  {real_value(tensor, unquantized)}")
    return "\n".join(lines) or "no inputs and no outputs"


def signature_table(graph: Graph, columns: int | None = None) -> str:
    """What each signature takes and returns by name, and the tensor of its subgraph that stands for it."""
    rows = []
    for signature in graph.signatures:
        tensors = [graph, *graph.subgraphs][signature.subgraph].tensors
        for role, names in (("input", signature.inputs), ("output", signature.outputs)):
            for name, index in sorted(names.items()):
                tensor = tensors[index]
                shape = shape_text(tensor.shape_signature or tensor.shape)
                rows.append([
                    signature.key, str(signature.subgraph), role, name, str(index), tensor.type.lower(), shape
                ])  # fmt: skip
    header = ["signature", "subgraph", "role", "name", "tensor", "type", "shape"]
    return table(header, rows, {"subgraph", "tensor"}, cut="name", columns=columns)


def operator_table(graph: Graph, columns: int | None = None) -> str:
    """The operators in execution order: arithmetic, the tensors read and written, shapes, options."""
    rows = []
    for position, operator in enumerate(graph.operators):
        tensors = [None if i == ABSENT else graph.tensors[i] for i in operator.inputs]
        rows.append([
            str(position), operator.custom_code or operator.type, str(operator.version),
            _arithmetic(operator, tensors), _indices(operator.inputs), _indices(operator.outputs),
            _shapes([graph.tensors[i] for i in operator.outputs]), option_text(operator),
        ])  # fmt: skip
    header = ["#", "operator", "ver", "arithmetic", "reads", "writes", "shape", "options"]
    lines = table(header, rows, {"#", "ver"}, wrap=("reads", "shape", "options"), columns=columns)
    return lines + (f"\n{NOT_RUN_NOTE}" if any(row[3].endswith(NOT_RUN) for row in rows) else "")


def tensor_table(graph: Graph, content: bytes | None = None, columns: int | None = None) -> str:
    """The tensors: what they are, type, shape, bytes, their place in the file, and their quantization."""
    rows = [
        [str(i), t.name, _role(graph, i), t.type.lower(), shape_text(t.shape), *_place(t, content),
         _quantization(t)]
        for i, t in enumerate(graph.tensors)
    ]  # fmt: skip
    header = ["#", "tensor", "role", "type", "shape", "bytes", "at byte", "quantization"]
    if content is None:
        header.remove("at byte")
        rows = [[*row[:6], *row[7:]] for row in rows]
    return table(header, rows, {"#", "bytes", "at byte"}, cut="tensor", columns=columns)


def size_table(graph: Graph, content: bytes | None = None, columns: int | None = None) -> str:
    """The bytes of the constants by type, each stored buffer counted once, and what remains of the file."""
    stored: dict[tuple[int, int], Tensor] = {}
    for subgraph in [graph, *graph.subgraphs]:
        for tensor in subgraph.tensors:
            if tensor.data is not None:
                stored.setdefault(_memory(tensor.data), tensor)
    total = len(content) if content is not None else sum(size for _, size in stored)
    by_type: dict[str, list[Tensor]] = {}
    for tensor in stored.values():
        by_type.setdefault(_kind(tensor), []).append(tensor)
    rows = [
        _size_row(kind, len(tensors), sum(t.data.nbytes for t in tensors if t.data is not None), total)
        for kind, tensors in by_type.items()
    ]
    rows.sort(key=lambda row: -int(row[2].replace(",", "")))
    if content is not None:
        rest = total - sum(size for _, size in stored)
        rows.append(["structure: names, shapes, scales, options", "", f"{rest:,}", _percent(rest, total)])
    rows.append(["all", "", f"{total:,}", _percent(total, total)])
    return table(["what", "buffers", "bytes", "share"], rows, {"buffers", "bytes", "share"}, columns=columns)


def decision_table(decisions: Iterable[Decision], full: bool = False, columns: int | None = None) -> str:
    """In which arithmetic each operator computes, and why; alike ones together where there are many."""
    rows = list(decisions)
    each = full or len(rows) < AGGREGATE_FROM
    first = "#" if each else "count"
    parts = []
    for title, group in by_subgraph(rows):
        lines = [[str(d.operator), d.type, d.arithmetic, d.reason] for d in group] if each else _sums(group)
        text = table([first, "operator", "arithmetic", "why"], lines, {first}, wrap="why", columns=columns)
        parts.append(f"{title}\n{text}" if title else text)
    return "\n\n".join(parts)


def option_text(operator: Operator) -> str:
    """The options that say something, in few words: "stride 2x2, SAME, RELU". Strides of 1 say nothing."""
    options = dict(operator.options)
    words = []
    for name, (vertical, horizontal) in {
        "window": ("filter_height", "filter_width"),
        "stride": ("stride_h", "stride_w"),
        "dilation": ("dilation_h_factor", "dilation_w_factor"),
    }.items():
        pair = (options.pop(vertical, None), options.pop(horizontal, None))
        if None not in pair and pair != (1, 1):
            words.append(f"{name} {pair[0]}x{pair[1]}")
    for name in ("padding", "fused_activation_function"):
        value = options.pop(name, "NONE")
        words += [str(value)] if value != "NONE" else []
    defaults = OPTIONS.get(operator.type, ("", {}))[1]
    told = {name: value for name, value in options.items() if _tells(value, defaults.get(name))}
    words += [f"{_SHORT.get(name, name)} {_plain(value)}".strip() for name, value in told.items()]
    return ", ".join(words)


_NUMBER = re.compile(r"\d+")
_SHORT = {
    "asymmetric_quantize_inputs": "asymmetric inputs",
    "depth_multiplier": "multiplier",
    "cond_subgraph_index": "condition",
    "body_subgraph_index": "body",
    "then_subgraph_index": "then",
    "else_subgraph_index": "else",
    "init_subgraph_index": "subgraph",
}
"""Long names of options, shorter; the subgraphs that an operator runs are named by their numbers."""


def _headline(graph: Graph, name: str, content: bytes | None) -> str:
    counts = [f"{len(graph.operators)} operators", f"{len(graph.tensors)} tensors"]
    if graph.subgraphs:
        counts.append(f"{len(graph.subgraphs)} further subgraphs")
    if graph.signatures:
        counts.append("signatures " + ", ".join(f"'{s.key}'" for s in graph.signatures))
    if graph.metadata:
        entries = (f"'{key}' ({len(data):,} bytes)" for key, data in graph.metadata)
        counts.append("metadata " + ", ".join(entries))
    size = "" if content is None else f"{len(content):,} bytes ({human_size(len(content))}), "
    described = f"\n{graph.description}" if graph.description else ""
    return "\n".join(map(wrapped, f"{name}: {size}{', '.join(counts)}{described}".splitlines()))


def _offset(kind: str, zero_point: int) -> str:
    """(int8 - 3), (int8 + 128), or int8 where the zero point is 0."""
    if zero_point == 0:
        return kind
    return f"({kind} {'-' if zero_point > 0 else '+'} {abs(zero_point)})"


def _arithmetic(operator: Operator, tensors: list[Tensor | None]) -> str:
    kind = kernels.arithmetic(operator, tensors)
    try:
        kernels.find(operator, tensors)
    except UnsupportedError:
        return kind + NOT_RUN
    return kind


def _shapes(tensors: list[Tensor]) -> str:
    """The shapes of an operator's outputs; equal ones are counted."""
    counts = Counter(shape_text(tensor.shape) for tensor in tensors)
    return ", ".join(shape if count == 1 else f"{count} of {shape}" for shape, count in counts.items())


def _indices(indices: Iterable[int]) -> str:
    """7 3 - 4..9: tensors' numbers, absent ones, and numbers that follow each other."""
    runs: list[list[int]] = []
    for i in indices:
        if runs and i != ABSENT and i == runs[-1][-1] + 1 and runs[-1][-1] != ABSENT:
            runs[-1].append(i)
        else:
            runs.append([i])
    words = [[f"{run[0]}..{run[-1]}"] if len(run) > 3 else map(str, run) for run in runs]
    return " ".join("-" if word == str(ABSENT) else word for run in words for word in run)


def _role(graph: Graph, index: int) -> str:
    if index in graph.inputs:
        return "input"
    if graph.tensors[index].is_variable:
        return "variable"
    if graph.tensors[index].is_constant:
        return "constant"
    return "output" if index in graph.outputs else "computed"


def _memory(data: Array) -> tuple[int, int]:
    """Where an array lies in memory, and how many bytes it has: views of one buffer have this in common."""
    address: int = data.__array_interface__["data"][0]
    return address, data.nbytes


def _place(tensor: Tensor, content: bytes | None) -> tuple[str, str]:
    """The bytes of a tensor, and for a constant the byte of the file where its data start."""
    if tensor.data is None:
        return (f"{tensor.size * tensor.dtype.itemsize:,}" if tensor.dtype is not None else "?"), ""
    size = f"{tensor.data.nbytes:,}"
    if content is None:
        return size, ""
    start, _ = _memory(np.frombuffer(content, np.uint8))
    offset = _memory(tensor.data)[0] - start
    return size, f"{offset:,}" if 0 <= offset <= len(content) - tensor.data.nbytes else "copy"


def _quantization(tensor: Tensor) -> str:
    quantized: Quantization | None = tensor.quantized
    if quantized is None:
        return ""
    if quantized.per_channel:
        return f"{quantized.scale.size} scales, dim {quantized.quantized_dimension}"
    zero_point = int(quantized.zero_point[0])
    return f"scale {quantized.scale[0]:.4g}" + (f", zero {zero_point}" if zero_point else "")


def _kind(tensor: Tensor) -> str:
    return f"{tensor.type.lower()} {'quantized' if tensor.quantized is not None else 'as it is'}"


def _size_row(kind: str, buffers: int, count: int, total: int) -> list[str]:
    return [kind, f"{buffers:,}", f"{count:,}", _percent(count, total)]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value.tolist() if isinstance(value, np.ndarray) else value)


def _tells(value: Any, default: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.size)
    return value is not None and value != (False if default is None else default)


def _sums(decisions: Iterable[Decision]) -> list[list[str]]:
    """How many decisions are alike but for the numbers in their reasons."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for d in decisions:
        groups.setdefault((d.type, d.arithmetic, _NUMBER.sub("#", d.reason)), []).append(d.reason)
    return [
        [str(len(reasons)), kind, arithmetic, _merged(reasons)]
        for (kind, arithmetic, _), reasons in groups.items()
    ]


def _merged(reasons: list[str]) -> str:
    """One sentence for sentences that differ in their numbers: each number as its range."""
    words = _NUMBER.split(reasons[0])
    columns = zip(*([int(n) for n in _NUMBER.findall(reason)] for reason in reasons), strict=True)
    ranges = [f"{min(c)}" if min(c) == max(c) else f"{min(c)} to {max(c)}" for c in columns]
    return "".join(word + number for word, number in zip(words, [*ranges, ""], strict=True))
