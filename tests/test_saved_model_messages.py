"""The tables of messages and the wire format beside TensorFlow's own protobuf classes, field by field."""

from collections.abc import Mapping

import pytest

from ptq.saved_model import wire
from ptq.saved_model.bundle import open_bundle
from ptq.saved_model.messages import TABLES
from ptq.saved_model.variables import OBJECT_GRAPH

pytestmark = pytest.mark.peers


def check_same(ours, theirs):
    """Every field of the tables, down to the last; how many values were compared."""
    compared = 0
    for field in TABLES.by_number[ours.spec].values():
        found, expected = ours[field.name], getattr(theirs, field.name)
        kind = field.kind
        if isinstance(expected, Mapping):
            if not field.is_map:  # the key is a number: entries as they are written
                found = {entry["key"]: entry["value"] for entry in found}
            assert found.keys() == expected.keys()
            kind = TABLES.by_number[kind][2].kind
            pairs = [(value, expected[key]) for key, value in found.items()]
        else:
            pairs = list(zip(found, expected, strict=True)) if field.repeated else [(found, expected)]
        if not field.repeated and theirs.DESCRIPTOR.fields_by_name[field.name].has_presence:
            assert (field.name in ours) == theirs.HasField(field.name), (ours.spec, field.name)
            pairs = pairs if field.name in ours else []
        for value, other in pairs:
            if kind in TABLES.by_number:
                compared += check_same(value, other)
            else:
                same(kind, value, other)
                compared += 1
    return compared


def same(kind, value, other):
    if kind != "bytes":
        assert value == other and type(value) is type(other)
    elif isinstance(other, bytes):
        assert bytes(value) == other
    else:  # a message that is left as bytes until somebody wants it
        assert type(other).FromString(bytes(value)) == other


@pytest.mark.parametrize(
    "name", ["kws_ds_cnn", "tfjs_small/int64_multiply", "tfjs_small/module_with_multiple_signatures"]
)
def test_a_saved_model(shared, name):
    from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

    path = shared / "saved_models" / name
    content = (path / "saved_model.pb").read_bytes()
    ours, theirs = wire.decode(TABLES, "SavedModel", content), saved_model_pb2.SavedModel.FromString(content)
    assert check_same(ours, theirs) > 150
    raws = ours["meta_graphs"][0]["graph_def"]["library"]["function"]
    for raw, function in zip(raws, theirs.meta_graphs[0].graph_def.library.function, strict=True):
        assert check_same(wire.decode(TABLES, "FunctionDef", raw), function) > 10
    listed = open_bundle(path / "variables" / "variables").read(OBJECT_GRAPH).item()
    objects = trackable_object_graph_pb2.TrackableObjectGraph.FromString(listed)
    assert check_same(wire.decode(TABLES, "TrackableObjectGraph", listed), objects) > 3
