"""Test vectors as files: what is written is read back, strangers can read it, damage is noticed."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

import ptq.oracle
from ptq.errors import FormatError, InputError
from ptq.numerics import PRESETS
from ptq.oracle.case import solve
from ptq.oracle.draw import DRAWS
from ptq.oracle.files import DATA, INDEX, MANIFEST, read_vectors, write_vectors
from ptq.oracle.generate import compact, generate, suites
from ptq.oracle.problem import CONSTANT, STATE, Given, Problem, Wanted, quantization
from ptq.oracle.same import same_bits

SUITE = ("FULLY_CONNECTED", "integer")


@pytest.fixture(scope="module")
def cases():
    return generate(SUITE, random=3)


def test_cases_are_read_back(cases, tmp_path):
    (folder,) = write_vectors(tmp_path, cases)
    back = read_vectors(tmp_path)
    assert [case.id for case in back] == [case.id for case in cases]
    for old, new in zip(cases, back, strict=True):
        assert new.problem.graph() == old.problem.graph()
        assert [dataclasses.replace(a, outputs=(), traces=()) for a in new.answers] == [
            dataclasses.replace(a, outputs=(), traces=()) for a in old.answers
        ]
        for a, b in zip(old.answers, new.answers, strict=True):
            assert all(map(same_bits, a.outputs, b.outputs))
            assert [list(t) for t in a.traces] == [list(t) for t in b.traces]
            for x, y in zip(a.traces, b.traces, strict=True):
                assert all(same_bits(x[name], y[name]) for name in x)
    assert read_vectors(folder)[0].id == cases[0].id


@pytest.mark.parametrize("suite", sorted(DRAWS), ids="-".join)
def test_a_problem_of_every_operator_survives_the_file(suite, tmp_path):
    problem = next(iter(DRAWS[suite].boundary()))
    write_vectors(tmp_path, [solve("one", "boundary", problem)])
    (back,) = read_vectors(tmp_path)
    for answer in back.answers:
        for preset in answer.numerics:
            assert all(map(same_bits, back.problem.run(PRESETS[preset]), answer.outputs))


def test_states_and_absent_operands_and_odd_floats_survive(tmp_path):
    odd = np.array([[np.nan, -0.0, np.inf, 1e-45]], np.float32)
    problem = Problem(
        "FULLY_CONNECTED",
        [Given(odd), Given(np.ones((2, 4), np.float32), None, CONSTANT), None, Given(odd, None, STATE)],
        [Wanted()],
    )
    entry = dataclasses.replace(solve("odd", "random", _dense()), problem=problem)
    write_vectors(tmp_path, [entry])
    (back,) = read_vectors(tmp_path)
    assert back.problem.operands[2] is None
    assert back.problem.operands[3].kind == STATE
    assert same_bits(back.problem.operands[0].array, odd)
    assert np.signbit(back.problem.operands[0].array[0, 1])


def _dense():
    return Problem(
        "FULLY_CONNECTED",
        [
            Given(np.ones((1, 2), np.int8), quantization(0.1, 3)),
            Given(np.ones((2, 2), np.int8), quantization(0.1)),
        ],
        [Wanted("INT8", quantization(1.0))],
    )


def test_the_loader_of_the_document_reads_what_is_written(cases, tmp_path):
    (folder,) = write_vectors(tmp_path, cases)
    document = (tmp_path / "README.md").read_text()
    names = {}
    source = re.search(r"```python\n(.*?)```", document, re.DOTALL)[1]
    exec(source, names)
    assert len(source.strip().splitlines()) < 30
    loaded = list(names["load"](folder, "TFLITE_MICRO"))
    assert len(loaded) == len(cases)
    for (entry, inputs, outputs), case in zip(loaded, cases, strict=True):
        assert entry["id"] == case.id
        assert all(np.array_equal(a, g.array) for a, g in zip(inputs, case.problem.operands, strict=True))
        assert same_bits(outputs[0], case.answer("TFLITE_MICRO").outputs[0])


def test_the_document_names_every_field_of_a_manifest(cases, tmp_path):
    (folder,) = write_vectors(tmp_path, cases)
    manifest = json.loads((folder / MANIFEST).read_text())
    case = manifest["cases"][0]
    fields = {*manifest, *case, *case["answers"][0], *case["inputs"][0], *case["inputs"][0]["quantization"]}
    document = (tmp_path / "README.md").read_text()
    assert {name for name in fields if f"`{name}`" not in document} == set()
    assert all(f"`{name}`" in document for name in PRESETS)


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_vectors(tmp_path / name, generate(SUITE, random=3, seed=7))
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            other = tmp_path / "b" / path.relative_to(tmp_path / "a")
            assert path.read_bytes() == other.read_bytes()
    other = generate(SUITE, random=3, seed=8)
    ids = [case.id for case in generate(SUITE, random=3, seed=7)]
    assert [case.id for case in other] == ids
    again = generate(SUITE, random=3, seed=7)
    assert not same_bits(other[-1].problem.operands[0].array, again[-1].problem.operands[0].array)


def test_arrays_begin_at_multiples_of_eight(cases, tmp_path):
    (folder,) = write_vectors(tmp_path, cases)
    offsets = [int(n) for n in re.findall(r'"offset":(\d+)', (folder / MANIFEST).read_text())]
    assert offsets and all(n % 8 == 0 for n in offsets)


def damage(folder, what):
    manifest = folder / MANIFEST
    if what == "data":
        content = bytearray((folder / DATA).read_bytes())
        content[0] ^= 1
        (folder / DATA).write_bytes(bytes(content))
    elif what == "no data":
        (folder / DATA).unlink()
    elif what == "truncated":
        manifest.write_bytes(manifest.read_bytes()[:-40])
    else:
        text = manifest.read_text()
        old, new = {
            "format": ('"ptq-vectors"', '"other"'), "version": ('"1.0"', '"2.0"'), "offset": ('"offset":0',
            '"offset":-8'),
            "far": ('"offset":0', '"offset":99999999'), "type": ('"INT8"', '"INT7"'),
            "field": ('"answers"', '"answer"'),
        }[what]  # fmt: skip
        assert old in text
        manifest.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "what", ["data", "no data", "truncated", "format", "version", "offset", "far", "type", "field"]
)
def test_damage_is_an_error_of_ptq(cases, tmp_path, what):
    (folder,) = write_vectors(tmp_path, cases)
    damage(folder, what)
    with pytest.raises((FormatError, InputError)) as caught:
        read_vectors(tmp_path)
    assert str(folder) in str(caught.value) or "array" in str(caught.value)


def test_no_vectors_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"no manifest\.json found"):
        read_vectors(tmp_path)


def test_the_index_lists_all_suites(cases, tmp_path):
    write_vectors(tmp_path, cases)
    write_vectors(tmp_path, [dataclasses.replace(cases[0], id="other", problem=_float())])
    index = json.loads((tmp_path / INDEX).read_text())
    assert [entry["name"] for entry in index["suites"]] == [
        "FULLY_CONNECTED-float",
        "FULLY_CONNECTED-integer",
    ]


def _float():
    return Problem(
        "FULLY_CONNECTED",
        [Given(np.ones((1, 2), np.float32)), Given(np.ones((2, 2), np.float32))],
        [Wanted()],
    )


def test_compact_keeps_boundary_cases_and_what_catches_more():
    every = generate(SUITE, random=8)
    kept = compact(every, at_least=1)
    assert [c for c in every if c.kind == "boundary"] == [c for c in kept if c.kind == "boundary"]
    caught = [{t for a in c.answers for t in a.catches} for c in every]
    assert set().union(*caught) == set().union(*({t for a in c.answers for t in a.catches} for c in kept))


def test_unknown_suites_are_errors():
    with pytest.raises(InputError, match="expected one of"):
        suites("CONV_9D")
    with pytest.raises(InputError, match="expected one of float, hybrid, integer"):
        suites("FULLY_CONNECTED", "other")


def test_presets_that_have_no_kernel_are_left_out():
    (case,) = [solve("x", "random", next(iter(DRAWS[SUITE].boundary())), [PRESETS["XNNPACK"]])]
    assert [answer.numerics for answer in case.answers] == [("XNNPACK",)]
    assert not case.has("PORTABLE")
    with pytest.raises(InputError, match="expected one of XNNPACK"):
        case.answer("PORTABLE")


def test_the_package_ships_the_document():
    assert Path(ptq.oracle.__file__).with_name("FORMAT.md").is_file()
