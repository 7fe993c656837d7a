"""TensorFlow's SavedModel directories, read without TensorFlow.

How a SavedModel is laid out, by a model that computes y = v × x with one variable v:

  saved_model.pb                           graphs, functions and signatures: one protobuf message
  variables/variables.index                the names of the variables, and where their bytes are
  variables/variables.data-00000-of-00001  their bytes, nothing else

`saved_model.pb` begins with 08 01: field 1, a varint, 1, the version of the format. Then 12 a3 46: field 2 of
8,995 bytes, the graph with all that belongs to it (`wire` reads the bytes, `messages` says what they mean):

  signature "serving_default"   x is serving_default_x:0, output_0 is StatefulPartitionedCall:0
  graph                         serving_default_x         Placeholder
                                Variable                  VarHandleOp
                                StatefulPartitionedCall   calls wrapper(serving_default_x, Variable)
  function wrapper(x, args_1)   StatefulPartitionedCall   calls call(x, args_1)
  function call(x, resource)    mul/ReadVariableOp        ReadVariableOp(resource)
                                mul                       Mul(x, mul/ReadVariableOp:value:0)
                                Identity                  Identity(mul:z:0)

No number is there: `Variable` is only a handle. The value comes from the restore operation, one more function
of the file: RestoreV2 reads the tensor "v/.ATTRIBUTES/VARIABLE_VALUE", AssignVariableOp gives it to the
handle. `variables` follows it backwards, `table` finds the name in the index, `bundle` the bytes.

`functions` and `inline` replace calls by what they call, `flatten` keeps what the outputs need. `read` gives:

  serving_default_x  Placeholder
  StatefulPartitionedCall/StatefulPartitionedCall/mul/ReadVariableOp  Const, v's bytes where they lie
  StatefulPartitionedCall/StatefulPartitionedCall/mul  Mul

Source: `tensorflow/core/protobuf/saved_model.proto`, and what is named in the modules.
"""

from ptq.saved_model.nodes import ElementType, FlatGraph, FunctionName, Node, Port, TypeName
from ptq.saved_model.reader import read, signature_keys
from ptq.saved_model.translate import translate

__all__ = [
    "ElementType", "FlatGraph", "FunctionName", "Node", "Port", "TypeName", "read", "signature_keys",
    "translate",
]  # fmt: skip
