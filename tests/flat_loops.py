"""A recurrent layer as Keras writes it, by hand and with mistakes; and what such graphs compute."""

from dataclasses import replace

import bounded
import numpy as np
from flat_graphs import Flat

from ptq.saved_model.nodes import FunctionName, TypeName

STEPS, BATCH, INPUTS, UNITS = 4, 2, 3, 2


def weights(units=UNITS, gates=4):
    rng = np.random.default_rng(0)
    shapes = (INPUTS, gates * units), (units, gates * units), (gates * units,)
    return [rng.normal(0, 0.7, shape).astype(np.float32) for shape in shapes]


def lstm_cell(
    f, x, h, c, parts, order=(0, 1, 2, 3), candidate="Tanh", commuted=False, axis=1, scale=None, turned=False
):
    """One step; returns h and c. order: which part of the split is input, forget, cell and output gate.

    turned: the weights are stored the other way round, and the product turns them.
    """

    def two(op, a, b):
        return f.op(op, [b, a] if commuted else [a, b])

    kernel, recurrent, bias = parts
    kernel = np.ascontiguousarray(kernel.T) if turned else kernel
    z = two("AddV2", f.op("MatMul", [x, kernel], transpose_b=turned), f.op("MatMul", [h, recurrent]))
    z = two("AddV2", z, bias) if commuted else f.op("BiasAdd", [z, bias])
    z = z if scale is None else f.op("Mul", [z, np.float32(scale)])
    split = f.op("Split", [np.int32(axis), z], num_split=4).rpartition(":")[0]
    i, forget, g, o = (f"{split}:{k}" for k in order)
    kept = two("Mul", f.op("Sigmoid", [forget]), c)
    c = two("AddV2", kept, two("Mul", f.op("Sigmoid", [i]), f.op(candidate, [g])))
    return two("Mul", f.op("Sigmoid", [o]), f.op("Tanh", [c])), c


def layer(
    sequences=True, limit=STEPS, start=0, state=0.0, count=None, index=None, read=(), cell=lstm_cell,
    parts=None, captured=False, by=1, swapped=True, shape=(BATCH, STEPS, INPUTS), **details
):
    """The flat graph of a layer [batch, steps, inputs] -> [batch, steps, units] or [batch, units].

    limit: the number of rounds. start: of the counter, which grows by `by`. state: what states begin with.
    count: of the list of outputs, set at `index`. read: further results of the loop that are outputs.
    captured: the weights are arguments of the loop. swapped: whether the input is transposed.
    """
    parts = weights() if parts is None else parts
    f = Flat()
    x = f.input("x", shape if swapped else (shape[1], shape[0], shape[2]))
    x = f.op("Transpose", [x, np.int32([1, 0, 2])], "transpose") if swapped else x
    values = f.op("TensorListFromTensor", [x, np.int32([-1, INPUTS])], "values")
    size = (STEPS if sequences else 1) if count is None else count
    listed = f.op("TensorListReserve", [np.int32([-1, UNITS]), np.int32(size)], "list")
    zeros = np.full((BATCH, UNITS), state, np.float32) if shape[0] >= 0 else _zeros(f, x)
    arguments = [np.int32(start), listed, zeros, zeros, values, *(parts if captured else ())]
    body, condition = _body(sequences, index, cell, parts, captured, by, details), _condition(limit, captured)
    named = {"body": FunctionName("body"), "cond": FunctionName("condition")}
    loop = f.op("While", arguments, "while", **named).rpartition(":")[0]
    y = f.op("TensorListStack", [f"{loop}:1", np.int32([-1, UNITS])], "stack")
    y = f.op("Transpose", [y, np.int32([1, 0, 2])]) if sequences else _item(f, y, -1)
    flat = f.finish(y, *(f"{loop}:{k}" for k in read))
    return replace(flat, functions={"body": body, "condition": condition})


def _zeros(f, x):
    batch = _item(f, f.op("Shape", [x]), 1)
    return f.op("Fill", [f.op("Pack", [batch, np.int32(UNITS)], axis=0), np.float32(0)])


def _item(f, y, index):
    bounds = [np.int32([n]) for n in (index, index + 1, 1)]
    return f.op("StridedSlice", [y, *bounds], shrink_axis_mask=1)


def _arguments(f, captured):
    kinds = [np.int32, TypeName("variant"), np.float32, np.float32, TypeName("variant")]
    names = ["counter", "list", "h", "c", "values"] + (["kernel", "recurrent", "bias"] if captured else [])
    return [argument(f, name, kind) for name, kind in zip(names, kinds + [np.float32] * 3, strict=False)]


def argument(f, name, kind=np.float32):
    """An input of a function, whose shape is not known; of lists the type is a name."""
    value = f.input(name, None)
    if isinstance(kind, TypeName):
        f.ports[-1] = replace(f.ports[-1], dtype=kind)
    return value


def _body(sequences, index, cell, parts, captured, by, details):
    f = Flat()
    counter, listed, h, c, values, *held = _arguments(f, captured)
    x = f.op("TensorListGetItem", [values, counter, np.int32([-1, INPUTS])], "step")
    new_h, new_c = cell(f, x, h, c, held or parts, **details)
    where = (counter if sequences else np.int32(0)) if index is None else np.int32(index)
    written = f.op("TensorListSetItem", [listed, where, new_h], "set")
    return f.finish(f.op("AddV2", [counter, np.int32(by)], "next"), written, new_h, new_c, values, *held)


def _condition(limit, captured):
    f = Flat()
    counter = _arguments(f, captured)[0]
    below = [f.op("Less", [counter, np.int32(n)]) for n in np.atleast_1d(limit)]
    return f.finish(below[0] if len(below) == 1 else f.op("LogicalAnd", below))


REALS = frozenset({"BiasAdd", "MatMul", "Mul", "Sigmoid", "Split", "Tanh", "TensorListGetItem"})


def changed(flat, rng):
    """The same graph with one constant changed, or one real operand or result of the body replaced."""
    where = rng.choice(["body", "body", "condition", None])
    part = flat if where is None else flat.functions[where]
    nodes, outputs = list(part.nodes), list(part.outputs)
    reals = [f"{node.name}:0" for node in nodes if _is_real(node)]
    position = int(rng.integers(len(nodes) + len(outputs)))
    if position >= len(nodes):
        port = outputs[position - len(nodes)]
        other = str(rng.choice(reals)) if port.tensor in reals else port.tensor
        outputs[position - len(nodes)] = replace(port, tensor=other)
    elif nodes[position].op == "Const":
        value = nodes[position].attributes["value"]
        nodes[position] = replace(nodes[position], attributes={"value": value + value.dtype.type(1)})
    else:
        before = {f"{node.name}:0" for node in nodes[:position]}.intersection(reals)
        inputs = list(nodes[position].inputs)
        places = [k for k, name in enumerate(inputs) if name in before]
        if places:
            inputs[rng.choice(places)] = str(rng.choice(sorted(before)))
        nodes[position] = replace(nodes[position], inputs=tuple(inputs))
    part = replace(part, nodes=tuple(nodes), outputs=tuple(outputs))
    return part if where is None else replace(flat, functions={**flat.functions, where: part})


def _is_real(node):
    if node.op == "Const":
        return node.attributes["value"].dtype == np.float32
    return node.op in REALS or node.name in ("h", "c") or (node.op == "AddV2" and node.name != "next")


# --- what they compute ----------------------------------------------------------------------------


def evaluate(flat, inputs, functions=None):
    """The outputs of a flat graph with loops and lists, reals as `Bounded`."""
    functions = functions or flat.functions
    known = {port.tensor: value for port, value in zip(flat.inputs, inputs, strict=True)}
    for node in flat.nodes:
        if node.op != "Placeholder":
            results = OPERATIONS[node.op](node, functions, *(known[name] for name in node.inputs))
            results = results if isinstance(results, tuple) else (results,)
            known |= {f"{node.name}:{k}": result for k, result in enumerate(results)}
    return [known[port.tensor] for port in flat.outputs]


def _constant(node, functions):
    value = np.asarray(node.attributes["value"])
    return bounded.exactly(value) if value.dtype == np.float32 else value


def _loop(node, functions, *values):
    values = list(values)
    while evaluate(functions[node.attributes["cond"]], values, functions)[0]:
        values = evaluate(functions[node.attributes["body"]], values, functions)
    return tuple(values)


def _transpose(node, functions, x, order):
    return bounded.Bounded(x.value.transpose(order), x.error.transpose(order))


def _product(node, functions, a, b):
    return bounded.affine((a, b.value.T if node.attributes.get("transpose_b") else b.value))


def _split(node, functions, axis, x):
    parts = (np.split(array, node.attributes["num_split"], int(axis)) for array in (x.value, x.error))
    return tuple(bounded.Bounded(*part) for part in zip(*parts, strict=True))


def _set(node, functions, values, index, item):
    return [item if k == index else value for k, value in enumerate(values)]


def _stack(node, functions, values, shape):
    known = next(value for value in values if value is not None)
    nothing = bounded.exactly(np.zeros_like(known.value))
    return bounded.stack([nothing if value is None else value for value in values], 0)


OPERATIONS = {
    "Const": _constant,
    "Transpose": _transpose,
    "MatMul": _product,
    "Split": _split,
    "Sigmoid": lambda node, _, x: bounded.sigmoid(x),
    "Tanh": lambda node, _, x: bounded.tanh(x),
    "Relu": lambda node, _, x: bounded.relu(x),
    "StridedSlice": lambda node, _, x, *bounds: x[int(bounds[0][0])],
    "Shape": lambda node, _, x: np.int32(x.value.shape),
    "Pack": lambda node, _, *values: np.stack(values),
    "Fill": lambda node, _, sizes, number: bounded.exactly(np.full(sizes, number.value)),
    "TensorListFromTensor": lambda node, _, x, shape: [x[k] for k in range(len(x.value))],
    "TensorListReserve": lambda node, _, shape, count: [None] * int(count),
    "TensorListGetItem": lambda node, _, values, index, shape: values[int(index)],
    "TensorListSetItem": _set,
    "TensorListStack": _stack,
    "While": _loop,
    "Less": lambda node, _, a, b: a < b,
    "LogicalAnd": lambda node, _, a, b: a and b,
    "Mul": lambda node, _, a, b: a * b,
    **dict.fromkeys(("AddV2", "BiasAdd"), lambda node, _, a, b: a + b),
}
"""What the operations of these graphs compute, of a node, the functions and the values."""
