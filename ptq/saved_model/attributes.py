"""Attributes of nodes as TensorFlow Lite wants them, refused clearly where it has no such thing."""

from __future__ import annotations

from typing import Any

from ptq.errors import UnsupportedError
from ptq.saved_model.nodes import Node


def refuse(node: Node, found: str, expected: str) -> UnsupportedError:
    """The error for a node that TensorFlow Lite or ptq cannot express."""
    return UnsupportedError(f"{node.op} '{node.name}': {found} found, expected {expected}")


def check_layout(node: Node) -> None:
    """Raise UnsupportedError unless images are [batch, height, width, channels]."""
    layout = node.attributes.get("data_format", "NHWC")
    if layout not in ("NHWC", b"NHWC"):
        raise refuse(node, f"data_format {text(layout)}", "NHWC; export the model with channels last")


def text(value: Any) -> str:
    """A string attribute, which TensorFlow stores as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def window(node: Node, name: str) -> tuple[int, int]:
    """The two middle numbers of an attribute that has one for each of batch, height, width, channels."""
    values = [int(n) for n in node.attributes.get(name) or (1, 1, 1, 1)]
    if len(values) != 4 or values[0] != 1 or values[3] != 1:
        raise refuse(node, f"{name} {values}", "[1, height, width, 1]")
    return values[1], values[2]


def padding(node: Node) -> str:
    """SAME, VALID or EXPLICIT."""
    kind = text(node.attributes.get("padding", "VALID"))
    if kind not in ("SAME", "VALID", "EXPLICIT"):
        raise refuse(node, f"padding {kind}", "SAME, VALID or EXPLICIT")
    return kind
