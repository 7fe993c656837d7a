"""SavedModels for tests: written field by field, or exported by TensorFlow, and flat graphs run by it."""

import struct

import numpy as np
from tables import varint

from ptq.saved_model.messages import TABLES


def encode(message, fields):
    """The bytes of a message, from a dict of its fields: dicts for messages, lists where they repeat."""
    return b"".join(
        _one(number, field.kind, value)
        for number, field in TABLES.by_number[message].items()
        if field.name in fields
        for value in _values(field, fields[field.name])
    )


def _values(field, value):
    if field.is_map:
        return [{"key": key, "value": item} for key, item in value.items()]
    return value if field.repeated else [value]


def _one(number, kind, value):
    if kind == "float":
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if kind == "fixed32":
        return varint(number << 3 | 5) + struct.pack("<I", value & 2**32 - 1)
    if kind in ("int", "int32", "uint", "bool"):
        return varint(number << 3) + varint(int(value))
    if kind in TABLES.by_number:
        content = value if isinstance(value, bytes) else encode(kind, value)
    else:
        content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


FLOAT, STRING, RESOURCE = 1, 7, 20


def node(name, op, inputs=(), **attributes):
    """A NodeDef; the attributes are AttrValues as dicts."""
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def call(name, function, inputs=()):
    """A call of a function."""
    return node(name, "StatefulPartitionedCall", inputs, f={"func": {"name": function}})


def function(name, arguments, nodes, returns, effects=()):
    """A FunctionDef of float tensors; `returns` maps output names to tensors."""
    return encode(
        "FunctionDef",
        {
            "signature": {
                "name": name,
                "input_arg": [{"name": item, "type": FLOAT} for item in arguments],
                "output_arg": [{"name": item, "type": FLOAT} for item in returns],
            },
            "node_def": nodes,
            "ret": returns,
            "control_ret": {item: item for item in effects},
        },
    )


def strings(*values):
    """The attribute "value" of a constant of strings, bytes each."""
    shape = {"dim": [{"size": len(values)}]}
    return {"tensor": {"dtype": STRING, "tensor_shape": shape, "string_val": list(values)}}


PLACEHOLDER = node("x", "Placeholder", dtype={"type": FLOAT}, shape={"shape": {"dim": [{"size": 2}]}})


def write(directory, nodes, functions=(), outputs=None, inputs=None, restore="", signatures=None):
    """A SavedModel directory with one signature, "serving_default", from "x:0" to `outputs`."""
    info = {"dtype": FLOAT, "tensor_shape": {"dim": [{"size": 2}]}}
    signature = {
        "inputs": {key: {"name": value, **info} for key, value in (inputs or {"x": "x:0"}).items()},
        "outputs": {key: {"name": value, **info} for key, value in (outputs or {}).items()},
    }
    meta_graph = {
        "meta_info_def": {"tags": ["serve"]},
        "graph_def": {"node": nodes, "library": {"function": list(functions)}},
        "saver_def": {"restore_op_name": restore},
        "signature_def": signatures or {"serving_default": signature},
    }
    directory.mkdir(exist_ok=True)
    model = {"saved_model_schema_version": 1, "meta_graphs": [meta_graph]}
    (directory / "saved_model.pb").write_bytes(encode("SavedModel", model))
    return directory


def graph_def(flat):
    """A flat graph as TensorFlow's GraphDef, with the bodies of its loops as functions."""
    from tensorflow.core.framework import graph_pb2
    from tensorflow.python.framework import op_def_registry

    result = graph_pb2.GraphDef()
    result.versions.producer = 1882
    bodies = {name: wrapped(body) for name, body in flat.functions.items()}
    for body in bodies.values():
        result.library.function.append(body.function_def)
        result.library.MergeFrom(body.graph.as_graph_def().library)
    for item in flat.nodes:
        written = result.node.add(name=item.name, op=item.op, input=item.inputs)
        kinds = {attribute.name: attribute.type for attribute in op_def_registry.get(item.op).attr}
        for name, value in item.attributes.items():
            if value is not None or kinds[name] == "shape":
                _set(written.attr[name], kinds[name], value, bodies)
    return result


def _set(attribute, kind, value, bodies):
    import tensorflow as tf

    types = lambda item: 21 if item == "variant" else tf.as_dtype(item).as_datatype_enum  # noqa: E731
    if kind == "tensor":
        attribute.tensor.CopyFrom(tf.make_tensor_proto(value))
    elif kind == "shape":
        attribute.shape.CopyFrom(_shape(value))
    elif kind == "list(shape)":
        attribute.list.shape.extend(_shape(item) for item in value)
    elif kind == "type":
        attribute.type = types(value)
    elif kind == "list(type)":
        attribute.list.type.extend(types(item) for item in value)
    elif kind == "func":
        attribute.func.name = bodies[value].function_def.signature.name
    elif kind == "string":
        attribute.s = value.encode()
    elif kind.startswith("list("):
        getattr(attribute.list, {"int": "i", "float": "f", "bool": "b"}[kind[5:-1]]).extend(value)
    else:
        setattr(attribute, {"int": "i", "float": "f", "bool": "b"}[kind], value)


def _shape(sizes):
    import tensorflow as tf

    return tf.TensorShape(None if sizes is None else [None if s < 0 else s for s in sizes]).as_proto()


def wrapped(flat):
    """A flat graph as a TensorFlow function of its inputs, in their order."""
    import tensorflow as tf

    definition = graph_def(flat)

    def run(*arguments):
        feeds = {port.tensor: value for port, value in zip(flat.inputs, arguments, strict=True)}
        ends = [port.tensor for port in flat.outputs]
        return tf.graph_util.import_graph_def(definition, feeds, ends, name="")

    signature = [
        tf.TensorSpec(port.shape and [None if s < 0 else s for s in port.shape], _dtype(port.dtype))
        if port.shape is not None
        else tf.TensorSpec(None, _dtype(port.dtype))
        for port in flat.inputs
    ]
    return tf.compat.v1.wrap_function(run, signature)


def _dtype(dtype):
    import tensorflow as tf

    return tf.variant if dtype == "variant" else tf.as_dtype(np.dtype(dtype))
