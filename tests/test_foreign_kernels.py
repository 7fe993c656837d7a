"""Two kernels that are not ptq's, checked as their authors would: C through ctypes, NumPy through files.

Each is right, and with a planted mistake the checker names the mistake.
"""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ptq.oracle
from ptq.quantizer import calculate_activation_range_quantized

FOREIGN = Path(__file__).parent / "foreign"
FIELDS = """batch in_h in_w in_c out_c k_h k_w depth out_h out_w stride_h stride_w dilation_h dilation_w same
    input_zero_point output_zero_point lowest highest""".split()


class Conv(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in FIELDS),
        ("input_scale", ctypes.c_float), ("output_scale", ctypes.c_float), ("per_channel", ctypes.c_int32),
    )  # fmt: skip


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A function that compiles the C kernel with some macros and returns a Python function of a task."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler 'cc' found on this system")
    folder = tmp_path_factory.mktemp("foreign")

    def build(*macros):
        library = folder / ("conv" + "".join(macros) + ".so")
        options = [f"-D{macro}" for macro in macros]
        source = str(FOREIGN / "conv2d_int8.c")
        subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", *options, "-o", library, source, "-lm"], check=True
        )
        kernel = ctypes.CDLL(str(library)).conv2d_int8
        return lambda task: run_c(kernel, task)

    return build


def run_c(kernel, task):
    """The task's output by the C kernel; None for types that it does not have."""
    input, filter, bias = task.inputs
    if (input.array.dtype, filter.array.dtype, bias.array.dtype) != (np.int8, np.int8, np.int32):
        return None
    output, options = task.outputs[0].quantization, task.options
    shape = task.output_shapes[0]
    bounds = calculate_activation_range_quantized(options["fused_activation_function"], output)
    sizes = (
        *input.array.shape, *filter.array.shape, *shape[1:3], options["stride_h"], options["stride_w"],
        options["dilation_h_factor"], options["dilation_w_factor"], options["padding"] == "SAME",
        input.quantization.zero_point[0], output.zero_point[0], *bounds,
    )  # fmt: skip
    scales = np.ascontiguousarray(filter.quantization.scale)
    conv = Conv(*map(int, sizes), input.quantization.scale[0], output.scale[0], scales.size > 1)
    result = np.zeros(shape, np.int8)
    arrays = [np.ascontiguousarray(a) for a in (input.array, filter.array, scales, bias.array)]
    kernel(ctypes.byref(conv), *(a.ctypes.data_as(ctypes.c_void_p) for a in (*arrays, result)))
    return result


@pytest.mark.parametrize("numerics", ["PORTABLE", "TFLITE_MICRO", "LITERT_REFERENCE"])
def test_the_c_kernel_is_right(compiled, numerics):
    report = ptq.oracle.check(compiled(), op="CONV_2D", arithmetic="integer", numerics=numerics, random=40)
    assert report.passed, report
    assert len(report.cases) > 20


@pytest.mark.parametrize(
    ("macro", "title"), [("SINGLE_ROUNDING", "single rounding"), ("ZERO_PADDING", "padding with 0")]
)
def test_the_checker_names_the_mistake_planted_in_c(compiled, macro, title):
    report = ptq.oracle.check(compiled(macro), op="CONV_2D", arithmetic="integer", random=40)
    assert not report.passed
    certain = [cause.title for cause in report.causes if cause.certain]
    assert any(title in cause for cause in certain), report


def test_single_rounding_is_right_where_it_is_meant(compiled):
    report = ptq.oracle.check(
        compiled("SINGLE_ROUNDING"), op="CONV_2D", arithmetic="integer", numerics="single"
    )
    assert report.passed, report


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    command = [
        "vectors",
        "--op",
        "FULLY_CONNECTED",
        "--arithmetic",
        "integer",
        "--random",
        "20",
        "-o",
        folder,
    ]
    subprocess.run([sys.executable, "-m", "ptq", *map(str, command)], check=True)
    return folder


def check_numpy(vectors, results, *rule):
    script = str(FOREIGN / "dense_numpy.py")
    subprocess.run([sys.executable, script, str(vectors), str(results), *rule], check=True)
    command = ["check", str(vectors), "--results", str(results), "--partial"]
    return subprocess.run([sys.executable, "-m", "ptq", *command], capture_output=True, text=True)


def test_the_numpy_kernel_is_right(vectors, tmp_path):
    ran = check_numpy(vectors, tmp_path / "results")
    assert ran.returncode == 0, ran.stdout


def test_the_checker_names_the_mistake_planted_in_numpy(vectors, tmp_path):
    ran = check_numpy(vectors, tmp_path / "results", "half-even")
    assert ran.returncode == 1
    assert "half to even: your kernel rounds ties to even" in ran.stdout
    assert "How ptq comes to the first wrong element" in ran.stdout
