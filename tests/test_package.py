"""The package's front door: its public names, what importing it costs, and what is not there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ptq


def test_every_public_name_is_there_and_typed():
    assert all(getattr(ptq, name) is not None for name in ptq.__all__)
    assert set(ptq.__all__) <= set(dir(ptq))
    source = ast.parse(Path(ptq.__file__).read_text())
    typed = {a.name for n in ast.walk(source) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(ptq.__all__) <= typed


def test_modules_are_reachable_as_attributes():
    assert ptq.kernels.conv.conv2d_hybrid.__name__ == "conv2d_hybrid"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Convertor'"):
        _ = ptq.Convertor


def test_the_command_pins_blas_before_numpy_is_imported():
    code = "import sys, ptq.__main__; print('numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_using_everything_needs_numpy_alone():
    code = (
        "import sys; before = set(sys.modules); import ptq; [getattr(ptq, name) for name in ptq.__all__];"
        "import ptq.cli; new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    inside_numpy = {"cython_runtime"}  # how NumPy's own extension modules appear
    names = {name for name in ast.literal_eval(loaded.stdout) if not name.startswith("_cython")}
    assert names - inside_numpy == {"numpy", "ptq"}
