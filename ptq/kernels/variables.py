"""VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE: values that outlive an invocation, found by a handle.

They are how TensorFlow writes a `tf.Variable` that the model itself changes. The recurrent layers keep
their state in another way, in tensors that are marked as variables (see `Call.state`).
"""

from __future__ import annotations

import numpy as np

from ptq import defects
from ptq.errors import GraphError, UnsupportedError
from ptq.kernels.call import Array, Call, Kernel


def _var_handle(call: Call) -> list[Array]:
    """The number of the variable of this name, the same wherever in the model the name occurs.

    Source: `tflite/kernels/var_handle.cc`, Init.
    """
    handles = call.shared.handles
    names = call.options.get("container") or "", call.options.get("shared_name") or ""
    handle = handles.setdefault(names, len(handles))
    return [np.full(call.output_tensors[0].shape, handle, np.int32)]


def _read_variable(call: Call) -> list[Array]:
    """The variable's value. Source: `tflite/kernels/read_variable.cc`, Eval."""
    handle = _handle(call)
    if handle not in call.shared.variables:
        raise GraphError(f"variable {handle} is read before anything is assigned to it")
    value, output = call.shared.variables[handle], call.output_tensors[0]
    if value.dtype != output.dtype:
        raise GraphError(f"variable of {value.dtype} found, tensor '{output.name}' expects {output.type}")
    declared = call.memory.setdefault("declared shape", output.shape)
    if declared and value.shape != declared:
        found = f"variable of shape {value.shape}, output '{output.name}' of shape {declared}"
        raise UnsupportedError(defects.READ_VARIABLE_SIZE.message(found))
    return [value]


def _assign_variable(call: Call) -> list[Array]:
    """Replace the variable's value. Source: `tflite/kernels/assign_variable.cc`, Eval."""
    call.shared.variables[_handle(call)] = call.array(1)
    return []


def _handle(call: Call) -> int:
    handle = call.array(0)
    if handle.size != 1 or handle.dtype != np.int32:
        raise GraphError(
            f"input 0 of dtype {handle.dtype} and shape {handle.shape} found, expected one variable's handle"
        )
    return int(handle.item())


FLOAT: dict[str, Kernel] = {
    "VAR_HANDLE": _var_handle,
    "READ_VARIABLE": _read_variable,
    "ASSIGN_VARIABLE": _assign_variable,
}
