"""The architecture as a test: who may import whom, and how large a file may be."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ptq"

LAYERS = """
    errors numerics
    defects.defect defects.hybrid defects.recurrent defects.movement defects.integer defects defects.__main__
    graph operators subgraphs
    fixed_point float_rescale fixed_point_math fixed_point_log lookup_table quantizer gemm
    spec.numbers spec.sheet spec.question spec.libm spec.eigen
    spec.rules.core spec.rules.bounds spec.rules.layout
    spec.rules.rescaling spec.rules.accumulating spec.rules.real spec.rules.running
    spec.rules.recurrent spec.rules.gates
    spec.rules.functions spec.rules.broadcasting spec.rules.plain spec.rules.converting
    spec.rules.exponentials spec.rules.lookup spec.rules.reducing spec.rules.resizing
    spec.rules.moving spec.rules.striding spec.rules.common_scale spec.rules.pointwise
    spec.rules.integer_gates
    spec.rules
    spec.registry spec.recurrent spec.lstm_layer spec.lstm spec.rnn spec.svdf
    spec.integer_lstm
    spec.window spec.products spec.dense spec.conv
    spec.depthwise spec.transpose_conv spec.batch_matmul spec.embedding
    spec.integer_pool spec.axes spec.integer_reduce spec.integer_resize spec.integer_roots
    spec.integer_softmax
    spec.integer_tables
    spec.operands spec.unary spec.activation spec.elementwise spec.logic spec.pool spec.reduce spec.resize
    spec.convert
    spec.integer_elementwise spec.integer_activation
    spec.movement spec.slicing spec.filling
    spec spec.model
    shapes.common shapes.layers shapes.elementwise shapes.movement shapes.slicing shapes.recurrent shapes
    builder builder.core builder.elementwise builder.layers builder.recurrent build
    kernels.call kernels.libm kernels.eigen kernels.padding kernels.dynamic_range kernels.hybrid
    kernels.lanes kernels.recurrent kernels.activation
    kernels.rnn kernels.bidirectional_rnn kernels.lstm kernels.lstm_ops kernels.svdf
    kernels.dense
    kernels.conv kernels.depthwise kernels.transpose_conv kernels.batch_matmul
    kernels.pool kernels.operands kernels.unary kernels.elementwise kernels.logic kernels.reduce
    kernels.movement
    kernels.slicing kernels.filling kernels.embedding kernels.resize kernels.convert
    kernels.control kernels.variables
    kernels.integer.parameters kernels.integer.output_stage
    kernels.integer.product_rescale kernels.integer.product_parameters
    kernels.integer.dense kernels.integer.conv kernels.integer.depthwise kernels.integer.transpose_conv
    kernels.integer.batch_matmul
    kernels.integer.operands kernels.integer.common_scale kernels.integer.activation kernels.integer.unary
    kernels.integer.elementwise kernels.integer.logic kernels.integer.pool kernels.integer.reduce
    kernels.integer.tables kernels.integer.softmax kernels.integer.convert kernels.integer.resize
    kernels.integer.lstm kernels.integer.lstm_ops
    kernels.integer
    kernels
    format.flatbuffer format.files format.schema_tables format.schema format.elements format.plain
    format.tflite_read format.tflite_write format.weights format.directory format.regions format
    saved_model.nodes saved_model.wire
    saved_model.crc32c saved_model.element_types saved_model.snappy saved_model.table
    saved_model.messages saved_model.values saved_model.slices saved_model.bundle
    saved_model.functions saved_model.inline saved_model.variables saved_model.flatten saved_model.reader
    terminal executor tensor_access signature_runner interpreter histogram observers calibration quality
    passes passes.report passes.fold passes.recipes passes.hybrid_defects passes.rewire passes.explain
    passes.first_release
    passes.dynamic_range passes.float16
    passes.integer_rules passes.activation_scales passes.integer_constants passes.integer_wiring
    passes.integer_lstm passes.full_integer passes.equalize passes.bias_correction
    saved_model.attributes saved_model.translation saved_model.layers saved_model.pointwise saved_model.pools
    saved_model.movement saved_model.composed saved_model.einsum saved_model.differences
    saved_model.dilation saved_model.order saved_model.rewriter saved_model.patterns
    saved_model.loops saved_model.cells saved_model.lists saved_model.recurrent
    saved_model.fuse saved_model.control saved_model.translate saved_model
    saved_model.__main__
    converter
    zoo.layers zoo.recurrent zoo.network zoo.data zoo.names zoo.fashion zoo.country zoo.export
    zoo.tensorflow_export zoo.mobilenet
    zoo.standardize zoo.inception zoo.resnet zoo.lstm
    zoo zoo.train
    plot.picture plot.numbers plot.arithmetic plot.models plot.targets plot.hexdump
    plot.running plot.sequences plot.filemap plot.sums plot.windows
    plot.answers plot.rounding
    plot.meeting plot.choices
    plot.layers plot.bars plot.catches plot zoo.accuracy arrays inspect
    comparison.match comparison.trace comparison.twin comparison.difference comparison.alone comparison.bounds
    comparison.fit comparison.isolate comparison.rules comparison.classify comparison.report
    comparison.glossary comparison.svg comparison.charts comparison.style comparison.report_html comparison
    compare demo
    figures.payload figures.published figures.timing figures.measure figures.draw figures.text
    figures.guide figures
    oracle.same oracle.apart oracle.problem oracle.traces oracle.model
    oracle.mistakes.core oracle.mistakes.zero_points oracle.mistakes.accumulators oracle.mistakes.scales
    oracle.mistakes.running oracle.mistakes.windows oracle.mistakes.sums
    oracle.mistakes.lstm oracle.mistakes.recurrent oracle.mistakes.integer_lstm
    oracle.mistakes.rounding oracle.mistakes.functions oracle.mistakes.plain
    oracle.mistakes.converting
    oracle.mistakes.averages oracle.mistakes.resizing oracle.mistakes.softmax oracle.mistakes.tables
    oracle.mistakes.moving oracle.mistakes.striding oracle.mistakes.pointwise
    oracle.mistakes oracle.alternatives
    oracle.draw.core oracle.draw.layers oracle.draw.matrices oracle.draw.stages oracle.draw.rows
    oracle.draw.reals oracle.draw.geometry oracle.draw.conv oracle.draw.depthwise oracle.draw.transpose_conv
    oracle.draw.batch_matmul oracle.draw.embedding
    oracle.draw.lstm_recipe oracle.draw.lstm oracle.draw.rnn oracle.draw.integer_lstm oracle.draw.dense
    oracle.draw.plain
    oracle.draw.functions oracle.draw.elementwise oracle.draw.logic oracle.draw.reduce oracle.draw.pool
    oracle.draw.resize oracle.draw.convert
    oracle.draw.integer_pool oracle.draw.integer_reduce oracle.draw.integer_resize oracle.draw.integer_roots
    oracle.draw.integer_softmax oracle.draw.integer_tables
    oracle.draw.quantized oracle.draw.integer_elementwise oracle.draw.integer_products
    oracle.draw.integer_compare
    oracle.draw.integer_activation
    oracle.draw.moved oracle.draw.movement oracle.draw.slicing oracle.draw.filling
    oracle.draw
    oracle.case oracle.unfit oracle.confirm oracle.generate oracle.files oracle.invalid
    oracle.models
    oracle.diagnose oracle.explain oracle.report oracle.check oracle.results oracle
    lessons.note lessons.exercise
    lessons.announcement lessons.numbers_and_scales lessons.rounding_and_fixed_point
    lessons.exact_integer_matmul lessons.one_dense_layer
    lessons.convolution_and_per_channel
    lessons.operators_without_weights lessons.calibration lessons.why_is_this_still_float
    lessons.dynamic_range lessons.the_lstm lessons.a_file_byte_by_byte lessons.the_figures
    lessons.an_oracle_for_your_kernel lessons
    lessons.handout lessons.__main__
    cli.common cli.demo cli.convert cli.run cli.inspect cli.compare cli.explain cli.vectors cli.check
    cli.figures cli
"""
ORDER = {f"ptq.{name}": rank for rank, name in enumerate(LAYERS.split())}
FACADES = {"ptq", "ptq.__main__"}
LONGEST = 350

MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports_of(path):
    """The ptq modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ptq"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ptq"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in ORDER else node.module


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_imports_only_from_layers_above_it(path):
    name = module_name(path)
    if name in FACADES:
        return
    assert name in ORDER, f"{name} has no place in the list of layers"
    wrong = [i for i in imports_of(path) if i in FACADES or ORDER[i] >= ORDER[name]]
    assert not wrong, f"{name} imports {wrong}, which come later in the list of layers"


def test_every_layer_exists():
    assert set(ORDER) <= {module_name(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_is_short_enough_to_read(path):
    assert len(path.read_text().splitlines()) <= LONGEST
