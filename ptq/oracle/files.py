"""Test vectors as files: a JSON manifest and one file of raw little-endian arrays for each operator.

`FORMAT.md` beside this module describes them for strangers and is written into every folder of vectors.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ptq.errors import FormatError, InputError
from ptq.format.files import make_directory, read_file, write_file
from ptq.graph import DTYPES, Array, Quantization, type_of
from ptq.oracle.case import Answer, Case, by_suite
from ptq.oracle.confirm import RUNTIMES
from ptq.oracle.problem import Given, Problem, Wanted

FORMAT, VERSION = "ptq-vectors", "1.0"
MANIFEST, DATA, DOCUMENT, INDEX = "manifest.json", "data.bin", "README.md", "index.json"
ALIGNMENT = 8
"""Every array begins at a multiple of this, so that any language may read it in place."""

INVALID = "invalid"
"""The folder of what must be refused, whose manifest has no answers."""

SHORT = 8
"""Float arrays of up to this many elements stand in the manifest as bit patterns, too."""


def suite_name(operator: str, arithmetic: str) -> str:
    """The folder of an operator and arithmetic."""
    return f"{operator}-{arithmetic}"


# --- writing --------------------------------------------------------------------------------------


class Blob:
    """The raw arrays of a suite; equal bytes are stored once."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._known: dict[bytes, int] = {}

    def add(self, array: Array, bits: bool = True) -> dict[str, Any]:
        """Store an array; what the manifest says of it, with the bits of a few floats."""
        kind = type_of(array.dtype)
        raw = np.ascontiguousarray(array, DTYPES[kind]).tobytes()
        if raw not in self._known:
            self.content += bytes(-len(self.content) % ALIGNMENT)
            self._known[raw] = len(self.content)
            self.content += raw
        entry: dict[str, Any] = {"type": kind, "shape": list(array.shape), "offset": self._known[raw]}
        if bits and kind == "FLOAT32" and array.size <= SHORT:
            entry["bits"] = [f"0x{bits:08x}" for bits in np.ascontiguousarray(array).view("<u4").reshape(-1)]
        return entry


def write_vectors(directory: str | Path, cases: Sequence[Case], seed: int = 0) -> list[Path]:
    """Write the cases, a folder for each operator and arithmetic; returns the folders.

    An existing folder of the same operator is replaced; others stay.
    """
    top = Path(directory)
    written = []
    for (operator, arithmetic), suite in by_suite(cases):
        blob = Blob()
        entries = [_case_entry(case, blob) for case in suite]
        head = {
            "format": FORMAT, "format_version": VERSION, "operator": operator, "arithmetic": arithmetic,
            "seed": seed, "runtimes": _runtimes(suite), "data": DATA,
            "data_sha256": hashlib.sha256(blob.content).hexdigest(),
        }  # fmt: skip
        folder = make_directory(top / suite_name(operator, arithmetic))
        write_file(folder / DATA, [bytes(blob.content)])
        write_file(folder / MANIFEST, [_manifest_text(head, entries).encode()])
        written.append(folder)
    write_file(top / DOCUMENT, [files("ptq.oracle").joinpath("FORMAT.md").read_bytes()])
    write_index(top)
    return written


def _manifests(top: Path) -> list[Path]:
    """Those of all suites of a folder."""
    return [path for path in sorted(top.glob(f"*/{MANIFEST}")) if path.parent.name != INVALID]


def _runtimes(suite: Sequence[Case]) -> dict[str, str]:
    """The runtimes that confirm something in a suite, with their versions."""
    named = {name for case in suite for answer in case.answers for name in answer.confirmed_by}
    return {runtime.name: runtime.label for runtime in RUNTIMES if runtime.name in named}


def write_index(top: Path) -> None:
    """The list of all suites of a folder, with the checksums of their manifests."""
    suites = []
    for path in _manifests(top):
        content = path.read_bytes()
        suites.append({
            "name": path.parent.name, "cases": len(json.loads(content)["cases"]),
            "manifest_sha256": hashlib.sha256(content).hexdigest(),
        })  # fmt: skip
    index = {"format": FORMAT, "format_version": VERSION, "suites": suites}
    write_file(top / INDEX, [(json.dumps(index, indent=1) + "\n").encode()])


def _manifest_text(head: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> str:
    """JSON in which every case is one line: short, and a change of one case is a change of one line."""
    fields = "".join(f"{json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items())
    cases = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
    return f'{{\n{fields}"cases": [\n{cases}\n]\n}}\n'


def _case_entry(case: Case, blob: Blob) -> dict[str, Any]:
    problem, graph = case.problem, case.problem.graph()
    operator = graph.operators[0]
    places = [graph.tensors[i].name for i in operator.outputs]
    return {
        "id": case.id, "kind": case.kind, "purpose": problem.purpose,
        "options": plain_options(operator.options),
        "version": problem.version, "order_free": problem.order_free,
        "inputs": [None if x is None else operand_entry(x, n, blob) for n, x in enumerate(problem.operands)],
        "outputs": [
            {"name": name, **wanted_entry(wanted), "shape": list(graph.tensors[index].shape)}
            for name, wanted, index in zip(places, problem.wanted, operator.outputs, strict=True)
        ],
        "intermediates": [wanted_entry(wanted) for wanted in problem.intermediates],
        "answers": [_answer_entry(answer, len(places), blob) for answer in case.answers],
    }  # fmt: skip


def operand_entry(given: Given, number: int, blob: Blob) -> dict[str, Any]:
    """What a manifest says of an operand."""
    name = given.name or f"{given.kind}_{number}"
    quantized = {} if given.quantization is None else {"quantization": _scales(given.quantization)}
    return {"name": name, "kind": given.kind, **quantized, "data": blob.add(given.array)}


def wanted_entry(wanted: Wanted) -> dict[str, Any]:
    """What a manifest says of an output's type and scale."""
    quantized = {} if wanted.quantization is None else {"quantization": _scales(wanted.quantization)}
    return {"type": wanted.type, **quantized}


def _scales(quantization: Quantization) -> dict[str, Any]:
    """Scales as exact decimals of the float32, and as its bits."""
    return {
        "scale": quantization.scale.astype(np.float64).tolist(),
        "scale_bits": [f"0x{bits:08x}" for bits in quantization.scale.astype("<f4").view("<u4")],
        "zero_point": quantization.zero_point.tolist(),
        "quantized_dimension": quantization.quantized_dimension,
    }


def _answer_entry(answer: Answer, outputs: int, blob: Blob) -> dict[str, Any]:
    return {
        "numerics": list(answer.numerics), "near": list(answer.near),
        "outputs": [blob.add(array) for array in answer.outputs[:outputs]],
        "states": [blob.add(array) for array in answer.outputs[outputs:]],
        "trace": [{name: blob.add(a, bits=False) for name, a in trace.items()} for trace in answer.traces],
        "catches": list(answer.catches), "confirmed_by": list(answer.confirmed_by),
    }  # fmt: skip


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON has them."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in options.items()
    }


# --- reading --------------------------------------------------------------------------------------


def read_vectors(directory: str | Path) -> list[Case]:
    """All cases of a folder of vectors, or of one of its suites; FormatError for damaged files."""
    top = Path(directory)
    manifests = [top / MANIFEST] if (top / MANIFEST).is_file() else _manifests(top)
    if not manifests:
        raise InputError(
            f"'{top}': no {MANIFEST} found, in it or one folder below; expected what `ptq vectors` writes"
        )
    return [case for path in manifests for case in _read_suite(path)]


def _read_suite(path: Path) -> list[Case]:
    try:
        manifest = json.loads(read_file(path, "a manifest of test vectors"))
        if manifest.get("format") != FORMAT or str(manifest.get("format_version")).split(".")[0] != "1":
            raise FormatError(
                f"'{path}': format {manifest.get('format')} {manifest.get('format_version')} found, "
                f"expected {FORMAT} 1"
            )
        blob = read_file(path.parent / DATA, "the arrays of test vectors")
        if hashlib.sha256(blob).hexdigest() != manifest["data_sha256"]:
            raise FormatError(
                f"'{path.parent / DATA}': its checksum is not the manifest's; write the vectors again"
            )
        return [_read_case(entry, manifest["operator"], blob) for entry in manifest["cases"]]
    except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise FormatError(f"'{path}': {error!r}; expected a manifest of {FORMAT} {VERSION}") from error


def _read_case(entry: Mapping[str, Any], operator: str, blob: bytes) -> Case:
    problem = Problem(
        operator,
        [None if x is None else Given(read_array(x["data"], blob), _read_scales(x), x["kind"], x["name"])
         for x in entry["inputs"]],
        [Wanted(x["type"], _read_scales(x)) for x in entry["outputs"]],
        entry["options"], entry["version"],
        [Wanted(x["type"], _read_scales(x)) for x in entry["intermediates"]],
        entry["purpose"], entry["order_free"],
    )  # fmt: skip
    answers = [
        Answer(
            tuple(x["numerics"]), [read_array(a, blob) for a in (*x["outputs"], *x["states"])],
            [{name: read_array(a, blob) for name, a in trace.items()} for trace in x["trace"]],
            tuple(x["near"]), tuple(x["catches"]), tuple(x["confirmed_by"]),
        )
        for x in entry["answers"]
    ]  # fmt: skip
    return Case(entry["id"], entry["kind"], problem, answers)


def _read_scales(entry: Mapping[str, Any]) -> Quantization | None:
    if "quantization" not in entry:
        return None
    quantized = entry["quantization"]
    bits = np.array([int(text, 16) for text in quantized["scale_bits"]], "<u4")
    zero_point = np.array(quantized["zero_point"], np.int64)
    return Quantization(bits.view("<f4"), zero_point, int(quantized["quantized_dimension"]))


def read_array(entry: Mapping[str, Any], blob: bytes) -> Array:
    """An array by its entry in a manifest; FormatError if it does not lie inside the data."""
    dtype, shape, offset = DTYPES[entry["type"]], tuple(entry["shape"]), entry["offset"]
    count = int(np.prod(shape, dtype=np.int64))
    if min((offset, *shape), default=0) < 0 or offset + count * dtype.itemsize > len(blob):
        raise FormatError(f"array {entry} found, expected one inside of {len(blob)} bytes")
    return np.frombuffer(blob, dtype, count, offset).reshape(shape).copy()
