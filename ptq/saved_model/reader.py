"""A SavedModel directory, or a frozen graph in one file, as a flat graph for one signature."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptq.errors import FormatError, InputError, UnsupportedError
from ptq.format.files import read_file
from ptq.saved_model import wire
from ptq.saved_model.bundle import open_bundle
from ptq.saved_model.element_types import element_type
from ptq.saved_model.flatten import Context, Flattener
from ptq.saved_model.functions import Body, Library, Tensor, graph_tensor
from ptq.saved_model.inline import Budget, Inliner
from ptq.saved_model.messages import TABLES
from ptq.saved_model.nodes import FlatGraph, Port
from ptq.saved_model.values import Values, shape
from ptq.saved_model.variables import Variables, captured_names, saved_names
from ptq.saved_model.wire import Message

FILE = "saved_model.pb"
SERVE = "serve"
DEFAULT = "serving_default"
_INTERNAL = "__saved_model_"  # signatures of operations that run on loading

Ports = list[tuple[Port, Tensor]]


def read(path: str | os.PathLike[str], signature_key: str | None = None) -> FlatGraph:
    """The graph of one signature of a SavedModel directory, or of a frozen GraphDef (a file "*.pb").

    signature_key: which one; without it "serving_default", or the only one there is. A frozen GraphDef has
    no signatures: its Placeholder nodes are the inputs, the nodes whose results nobody takes the outputs.
    InputError for an unknown key (the message lists those there are) or a path without a model, FormatError
    and GraphError for damaged files, UnsupportedError for what ptq does not read; the message says where.
    Source: `tensorflow/cc/saved_model/loader.cc`, `saved_model.proto`, `meta_graph.proto`.
    """
    place = Path(path)
    if place.is_dir():
        return _read_directory(place, signature_key)
    if place.name == FILE:
        return _read_directory(place.parent, signature_key)
    return _read_frozen(place, signature_key)


def signature_keys(path: str | os.PathLike[str]) -> list[str]:
    """The keys of the signatures of a SavedModel directory, sorted."""
    return sorted(_signatures(_meta_graph(Path(path))))


def _read_directory(directory: Path, signature_key: str | None) -> FlatGraph:
    meta_graph = _meta_graph(directory)
    key, signature = _signature(meta_graph, signature_key)
    library = Library(meta_graph["graph_def"], meta_graph["meta_info_def"]["stripped_op_list"]["op"])
    inputs = _ports(signature["inputs"], library, f"input of signature '{key}'")
    outputs = _ports(signature["outputs"], library, f"output of signature '{key}'")
    budget, values = Budget(), Values()
    variables = Variables(
        saved_names(library, meta_graph["saver_def"], budget, values),
        lambda: open_bundle(directory / "variables" / "variables"),
        lambda bundle: captured_names(library, meta_graph["object_graph_def"], bundle),
    )
    return _flat(library, inputs, outputs, Context(variables, budget, values), key)


def _read_frozen(path: Path, signature_key: str | None) -> FlatGraph:
    if signature_key is not None:
        raise InputError(
            f"signature '{signature_key}' asked for, but '{path}' is a single file, which has none; "
            "expected a SavedModel directory"
        )
    content = read_file(path, "a SavedModel directory or a frozen graph")
    library = Library(wire.decode(TABLES, "GraphDef", content))
    main = library.main
    placeholders = [name for name, node in main.nodes.items() if node["op"] == "Placeholder"]
    ends = _ends(main, placeholders)
    if not ends:
        raise FormatError(f"'{path}' has no outputs; expected a SavedModel directory or a frozen graph")
    context = Context(Variables(), Budget(), Values())
    inputs = [(_placeholder(name, main.nodes[name]), Tensor(name, 0)) for name in placeholders]
    outputs = [(Port(name, "", _result_type(main.nodes[name]), None), Tensor(name, 0)) for name in ends]
    return _flat(library, inputs, outputs, context, "")


def _ends(main: Body, placeholders: list[str]) -> list[str]:
    """The nodes that compute something from the inputs that no other node takes."""
    users: dict[str, list[str]] = {name: [] for name in main.nodes}
    for name, data in main.data.items():
        for tensor in data:
            users[tensor.node].append(name)
    found: set[str] = set()
    waiting = list(placeholders)
    while waiting:
        for user in users[waiting.pop()]:
            if user not in found:
                found.add(user)
                waiting.append(user)
    ends = [name for name in main.nodes if name in found and not users[name]]
    return [name for name in ends if main.nodes[name]["op"] != "Assert"]


def _flat(library: Library, inputs: Ports, outputs: Ports, context: Context, key: str) -> FlatGraph:
    inliner = Inliner(library, context.budget)
    feeds: dict[Tensor, Mapping[str, Any]] = {
        tensor: {"dtype": port.dtype, "shape": port.shape} for port, tensor in inputs
    }
    inliner.add_graph([tensor.node for _, tensor in [*inputs, *outputs]], feeds)
    return Flattener(inliner, context).graph([port for port, _ in inputs], outputs, key)


def _meta_graph(directory: Path) -> Message:
    """The graph for serving."""
    content = read_file(directory / FILE, "a SavedModel directory, which holds 'saved_model.pb'")
    model = wire.decode(TABLES, "SavedModel", content)
    graphs: list[Message] = model["meta_graphs"]
    for graph in graphs:
        if SERVE in graph["meta_info_def"]["tags"]:
            return graph
    found = [list(graph["meta_info_def"]["tags"]) for graph in graphs]
    if not graphs:
        raise FormatError(f"'{directory / FILE}' holds no graph; it is damaged or no SavedModel")
    raise UnsupportedError(f"'{directory}' has graphs with the tags {found}, expected one with '{SERVE}'")


def _signatures(meta_graph: Message) -> dict[str, Message]:
    found = meta_graph["signature_def"]
    return {key: found[key] for key in found if not key.startswith(_INTERNAL) and found[key]["outputs"]}


def _signature(meta_graph: Message, key: str | None) -> tuple[str, Message]:
    """The signature asked for, with its key."""
    found = _signatures(meta_graph)
    if not found:
        raise InputError(
            "the SavedModel has no signatures; save it with signatures=..., or with Keras' model.export"
        )
    if key is None:
        key = next(iter(found)) if len(found) == 1 else DEFAULT
    if key not in found:
        listed = ", ".join(f"'{name}'" for name in sorted(found))
        raise InputError(f"signature '{key}' asked for, but the SavedModel has {listed}; choose one of them")
    return key, found[key]


def _ports(infos: Mapping[str, Message], library: Library, what: str) -> Ports:
    """The inputs or outputs of a signature, sorted by name, with their tensors."""
    result = []
    for name in sorted(infos):
        info = infos[name]
        if "coo_sparse" in info or "composite_tensor" in info:
            raise UnsupportedError(f"{what}: '{name}' is no plain tensor, but sparse or ragged")
        tensor = graph_tensor(info["name"], library.main.nodes, f"{what}: '{name}' is '{info['name']}'")
        text = f"{tensor.node}:{tensor.output}"
        result.append((Port(name, text, element_type(info["dtype"]), shape(info["tensor_shape"])), tensor))
    return result


def _placeholder(name: str, node: Message) -> Port:
    attributes = node["attr"]
    if "dtype" not in attributes:
        raise FormatError(f"placeholder '{name}' has no element type; the file is damaged")
    sizes = shape(attributes["shape"]["shape"]) if "shape" in attributes else None
    return Port(name, f"{name}:0", element_type(attributes["dtype"]["type"]), sizes)


def _result_type(node: Message) -> Any:
    """The element type of a node's result, as far as one of the usual attributes says it."""
    for attribute in ("T", "dtype", "DstT", "out_type", "output_type"):
        if attribute in node["attr"] and "type" in node["attr"][attribute]:
            return element_type(node["attr"][attribute]["type"])
    return element_type(1)
