"""The messages of TensorFlow's files as data: the fields that ptq reads, with protobuf's numbers for them.

These are facts of `tensorflow/core/protobuf/` (saved_model, meta_graph, saver, saved_object_graph,
trackable_object_graph, tensor_bundle) and
`tensorflow/core/framework/` (graph, node_def, function, op_def, attr_value, tensor, tensor_shape, types),
Copyright The TensorFlow Authors, Apache-2.0. What is left out is skipped when a file is read: how a
Python object is put together again, debugging information, other devices.
The notation is that of `ptq.saved_model.wire.tables`. Functions and their bodies are left as bytes until
somebody calls them: a Keras export has many that its signatures never use.
"""

from __future__ import annotations

from ptq.saved_model import wire

TABLES = wire.tables("""
    SavedModel = saved_model_schema_version:int@1 meta_graphs:[MetaGraphDef]@2
    MetaGraphDef = meta_info_def:MetaInfoDef@1 graph_def:GraphDef@2 saver_def:SaverDef@3
        signature_def:{SignatureDef}@5 object_graph_def:bytes@7
    MetaInfoDef = stripped_op_list:OpList@2 tags:[string]@4 tensorflow_version:string@5
    SaverDef = filename_tensor_name:string@1 save_tensor_name:string@2 restore_op_name:string@3
    SignatureDef = inputs:{TensorInfo}@1 outputs:{TensorInfo}@2 method_name:string@3
    TensorInfo = name:string@1 dtype:int@2 tensor_shape:TensorShapeProto@3 coo_sparse:bytes@4
        composite_tensor:bytes@5

    OpList = op:[OpDef]@1
    OpDef = name:string@1 input_arg:[ArgDef]@2 output_arg:[ArgDef]@3 attr:[AttrDef]@4
    ArgDef = name:string@1 type:int@3 type_attr:string@4 number_attr:string@5 type_list_attr:string@6
    AttrDef = name:string@1 default_value:AttrValue@3

    SavedObjectGraph = concrete_functions:{SavedConcreteFunction}@2
    SavedConcreteFunction = bound_inputs:[int32]@2
    TrackableObjectGraph = nodes:[TrackableObject]@1
    TrackableObject = attributes:[SerializedTensor]@2
    SerializedTensor = name:string@1 full_name:string@2 checkpoint_key:string@3

    GraphDef = node:[NodeDef]@1 library:FunctionDefLibrary@2
    NodeDef = name:string@1 op:string@2 input:[string]@3 attr:{AttrValue}@5
    FunctionDefLibrary = function:[bytes]@1
    FunctionHeader = signature:OpDef@1
    FunctionDef = signature:OpDef@1 node_def:[NodeDef]@3 ret:{string}@4 control_ret:{string}@6
        arg_attr:[ArgAttrEntry]@7
    ArgAttrEntry = key:uint@1 value:ArgAttrs@2
    ArgAttrs = attr:{AttrValue}@1

    AttrValue = s:bytes@2 i:int@3 f:float@4 b:bool@5 type:int@6 shape:TensorShapeProto@7 tensor:TensorProto@8
        list:ListValue@1 func:NameAttrList@10 placeholder:string@9
    ListValue = s:[bytes]@2 i:[int]@3 f:[float]@4 b:[bool]@5 type:[int]@6 shape:[TensorShapeProto]@7
        tensor:[TensorProto]@8 func:[NameAttrList]@9
    NameAttrList = name:string@1
    TensorShapeProto = dim:[Dim]@2 unknown_rank:bool@3
    Dim = size:int@1
    TensorProto = dtype:int@1 tensor_shape:TensorShapeProto@2 tensor_content:bytes@4 float_val:[float]@5
        double_val:[double]@6 int_val:[int32]@7 string_val:[bytes]@8 scomplex_val:[float]@9
        int64_val:[int]@10 bool_val:[bool]@11 dcomplex_val:[double]@12 half_val:[int32]@13
        uint32_val:[uint]@16 uint64_val:[uint]@17

    BundleHeaderProto = num_shards:int32@1 endianness:int@2 version:VersionDef@3
    VersionDef = producer:int32@1 min_consumer:int32@2 bad_consumers:[int32]@3
    BundleEntryProto = dtype:int@1 shape:TensorShapeProto@2 shard_id:int32@3 offset:int@4 size:int@5
        crc32c:fixed32@6 slices:[TensorSliceProto]@7
    TensorSliceProto = extent:[Extent]@1
    Extent = start:int@1 length:int@2
""")
