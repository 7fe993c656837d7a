"""tutorials.md as a handbook: links lead somewhere, lessons and exercises exist, tables are today's."""

import re
import shlex
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from itertools import pairwise

import nbformat
import numpy as np
import pytest
from notebook_runner import NOTEBOOKS, texts
from test_docs import DOCUMENTS, ROOT
from test_zoo_accuracy import CORRECT

import ptq
from ptq.lessons import handout
from ptq.lessons.__main__ import main as lessons_main
from ptq.passes.equalize import equalize
from ptq.passes.fold import simplify
from ptq.quantizer import quantize
from ptq.zoo import accuracy

TEXT = (ROOT / "tutorials.md").read_text()
PATHS = {path.stem[:2]: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
EXERCISES = {f"{lesson.number:02}": len(lesson.exercises) for lesson in handout.lessons()}


def section(heading):
    """The text below a heading, to the next one of its level or above."""
    level = heading.split()[0]
    start = TEXT.index(f"\n{heading}\n") + len(heading) + 2
    following = re.search(rf"^#{{1,{len(level)}}} ", TEXT[start:], re.MULTILINE)
    return TEXT[start : start + following.start()] if following else TEXT[start:]


def rows(text):
    """The cells of the rows of the tables in a text, without headers."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
        found += lines[2:]
    return found


def marked(name):
    """The table between the comments `<!-- name -->` and `<!-- end -->`."""
    return rows(TEXT.split(f"<!-- {name} -->")[1].split("<!-- end -->")[0])


def lessons_in(text):
    return re.findall(r"\[(\d\d)\]", text)


@cache
def markdown_of(number):
    cells = nbformat.read(PATHS[number], as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def written(number):
    """The equations that a notebook writes down, with their numbers behind them."""
    return set(re.findall(r"\\tag\{(Q\d+)", markdown_of(number)))


# links and names


def test_every_link_leads_somewhere():
    headings = re.findall(r"^#+ (.*)", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
    defined = dict(re.findall(r"^\[(\d\d)\]: (\S+)$", TEXT, re.MULTILINE))
    assert set(lessons_in(TEXT)) == set(defined)
    assert all((ROOT / target).exists() and target[10:12] == number for number, target in defined.items())


def test_every_section_is_in_the_contents():
    contents = section("## Contents")
    for heading in re.findall(r"^## (.*)", TEXT, re.MULTILINE):
        assert heading == "Contents" or f"[{heading}](#" in contents, heading


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_name_of_ptq_exists(document):
    for name in set(re.findall(r"`(ptq(?:\.\w+)+)", (ROOT / document).read_text())):
        parts, found = name.split("."), ptq
        for depth, part in enumerate(parts[1:], 2):
            if not hasattr(found, part):
                import_module(".".join(parts[:depth]))
            found = getattr(found, part)


# equations


def annotations():
    """By equation, the lessons that are named behind its number."""
    found = re.findall(r"^\*\*\((Q\d+)\)\*\*((?:,? \[\d\d\])*)", TEXT, re.MULTILINE)
    return {equation: lessons_in(text) for equation, text in found}


def test_documents_and_notebooks_cite_equations_that_exist():
    pages = {number: said(number) for number in PATHS}  # without the pictures, whose bytes spell anything
    pages |= {name: (ROOT / name).read_text() for name in DOCUMENTS}
    for name, text in pages.items():
        assert set(re.findall(r"\bQ\d+\b", text)) <= set(annotations()), name


def test_the_lessons_behind_an_equation_have_it():
    for equation, lessons in annotations().items():
        for number in lessons:
            assert re.search(rf"\b{equation}\b", markdown_of(number)), f"{equation} is not in lesson {number}"


def test_the_first_lesson_that_writes_an_equation_down_stands_behind_it():
    for equation, lessons in annotations().items():
        # lesson 00 gives a foretaste of what the others derive
        having = [number for number in sorted(PATHS) if number != "00" and equation in written(number)]
        assert having[:1] == [number for number in lessons if number in having[:1]], equation


# the course


def test_the_syllabus_has_every_lesson_with_its_question_and_time():
    table = {lessons_in(row[0])[0]: row for row in marked("syllabus")}
    assert set(table) == set(PATHS)
    for number, (_, question, minutes, before, *_) in table.items():
        first = markdown_of(number).split("\n## ")[0]
        assert first.startswith(f"# {question}\n")
        assert re.search(rf"[Aa]bout {minutes} minutes", first)
        assert all(earlier < number for earlier in re.findall(r"\d\d", before))


def test_beliefs_and_syllabus_name_each_other():
    beliefs = re.split(r"^(\d+)\. ", section("## Fifteen beliefs"), flags=re.MULTILINE)[1:]
    of_belief = {int(n): set(lessons_in(text)) for n, text in zip(beliefs[::2], beliefs[1::2], strict=True)}
    assert sorted(of_belief) == list(range(1, 16))
    assert all(of_belief.values())
    for row in marked("syllabus"):
        (number,) = lessons_in(row[0])
        named = {int(n) for n in re.findall(r"\d+", row[5])}
        assert named == {belief for belief, lessons in of_belief.items() if number in lessons}, number


@pytest.mark.parametrize("heading", ["### A course of three hours", "### A course of ten hours"])
def test_the_timetables_name_sections_that_exist(heading):
    named = 0
    for row in rows(section(heading)):
        number = None
        for lesson, title in re.findall(r"\[(\d\d)\]|\*([^*]+)\*", row[1]):
            number = lesson or number
            if title:
                named += 1
                assert re.search(rf"^## {re.escape(title)}$", markdown_of(number), re.MULTILINE), title
    assert named > 10


def said(number):
    """All that a notebook says, in text and in stored outputs."""
    cells = nbformat.read(PATHS[number], as_version=4).cells
    return "\n".join([cell.source for cell in cells] + [text for cell in cells for text in texts(cell)])


def test_what_comes_out_is_what_the_lesson_says():
    """A teacher who quotes the column is not contradicted by the screen."""
    short = [(row[1], row[4]) for row in rows(section("### A course of three hours"))]
    answers = [(row[1], " ".join(re.findall(r"\((.*?)\)", row[3]))) for row in long_course()]
    checked = 0
    for lessons, text in [*short, *answers]:
        source = "\n".join(said(number) for number in lessons_in(lessons))
        for number in re.findall(r"-?\d[\d,]*(?:\.\d+)?(?= %|%|\b)", text):
            checked += 1
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d,]*\d)", source), f"{number} in {text!r}"
    assert checked > 30


def long_course():
    return rows(section("### A course of ten hours"))


def test_the_short_course_takes_three_hours():
    minutes = [int(row[0]) for row in rows(section("### A course of three hours"))]
    assert minutes == sorted(minutes) and minutes[0] == 0
    assert 170 <= minutes[-1] < 180
    assert all(later - earlier <= 20 for earlier, later in pairwise(minutes))


def test_the_long_course_does_every_exercise_once():
    done = {}
    for row in long_course():
        for number, exercises in re.findall(r"(\d\d): ([\d, ]+)", f"{row[4]}; {row[5]}"):
            done.setdefault(number, []).extend(int(n) for n in re.findall(r"\d+", exercises))
    for number, exercises in done.items():
        assert sorted(exercises) == list(range(1, EXERCISES[number] + 1)), number
    assert len(done) == 12


def test_wrong_answers_are_of_all_exercises_of_their_lessons():
    named = [row[0].split(".") for row in marked("wrong answers")]
    for number in {number for number, _ in named}:
        exercises = [int(n) for lesson, n in named if lesson == number]
        assert exercises == list(range(1, EXERCISES[number] + 1)), number


def test_the_commands_for_exercises_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```sh\n(.*?)```", section("### Exercises, out and in"), re.DOTALL)
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        assert words[:3] == ["python", "-m", "ptq.lessons"]
        command, target = (words[3:-2], words[-1]) if ">" in words else (words[3:], "table.txt")
        with open(target, "w") as file, redirect_stdout(file):
            assert lessons_main(command) == (1 if "--check" in command else 0)
        assert (tmp_path / target).stat().st_size > 100
    assert "answer" not in (tmp_path / "exercises.md").read_text().lower().split("exercise 1")[0]


def test_what_is_quoted_of_a_lesson_is_stored_in_it():
    (quoted,) = re.findall(r"Of 500 test pictures.*?\(\[07\]", TEXT, re.DOTALL)
    stored = PATHS["07"].read_text()
    percentages = re.findall(r"[\d.]+%", quoted)
    assert len(percentages) == 5
    labels = ["a: 200 pictures", "b: one picture", "d: noise, 0 to 1", "c: pixels 0 to 255", "e: black"]
    for label, value in zip(labels, percentages, strict=True):
        assert re.search(rf"{label} +{re.escape(value)}", stored), label


def test_the_glossary_is_sorted():
    terms = re.findall(r"^- \*\*(.+?)\*\*: ", section("## Glossary"), re.MULTILINE)
    assert len(terms) > 50
    assert terms == sorted(terms, key=lambda term: re.sub(r"[^a-z0-9 ]", " ", term.lower()))


# which quantization?

MODELS = "fashion_cnn", "fashion_ds_cnn", "country_lstm"
MEASURED = {
    "float": "float", "dynamic range": "hybrid, current", 'dynamic range, "2018"': "hybrid, 2018",
    "full integer": "int8 per channel", "int16 activations": "int16 x int8", "one scale": "int8 per tensor",
    "one scale, equalized": "+ equalized",
}  # fmt: skip
"""The forms of which `python -m ptq.zoo.accuracy` counts the right answers; of the others we do so here."""

FORMS = marked("forms")


def converted(subject, lines):
    """Convert a subject by the lines of a row; returns the converter and the bytes."""
    names = {"np": np, "graph": subject.graph, "samples": subject.samples, "simplify": simplify}
    names["equalize"] = equalize
    for line in (line for line in lines if line.startswith("graph")):
        exec(line, names)
    converter = names["converter"] = ptq.Converter.from_graph(names["graph"])
    for line in (line for line in lines if not line.startswith("graph")):
        exec(line, names)
    return converter, converter.convert()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("row", FORMS, ids=[row[0] for row in FORMS])
def test_each_form_has_the_size_and_the_float_operators_said(row, model):
    form, lines, sizes, right, floats, _ = row
    place = MODELS.index(model)
    said = [cell.split("; ")[place].replace(",", "") for cell in (sizes, right, floats)]
    if said[0] == "-":
        assert not equalize(accuracy.SUBJECTS[model]().graph)[1]
        return
    subject = accuracy.SUBJECTS[model]()
    converter, content = converted(subject, re.findall(r"`(.+?)`", lines))
    assert len(content) == int(said[0])
    assert converter.report.counts().get("float", 0) == int(said[2])
    if form in MEASURED:
        assert CORRECT[model][MEASURED[form]] == int(said[1])
    else:
        graph = ptq.load(content)
        inputs, taken = subject.inputs, graph.tensors[graph.inputs[0]].quantization
        if inputs.dtype == np.float32 and taken is not None:
            inputs = quantize(inputs, taken)  # the caller's part
        found = accuracy.measure(form, graph, inputs)
        # another machine's float32 sums may move a scale by its last bit, and an image across a border
        assert abs(int((found.classes == subject.labels).sum()) - int(said[1])) <= 5


def test_the_readme_s_table_of_accuracy_has_the_same_numbers():
    readme = (ROOT / "README.md").read_text().split("## What accuracy costs")[1].split("\n## ")[0]
    table = {row[0]: row for row in FORMS}
    names = {
        "float": "float", 'hybrid, "2018"': 'dynamic range, "2018"', 'hybrid, "current"': "dynamic range",
        "int8, one scale for each tensor": "one scale", "int8, one for each channel": "full integer",
        "int16 activations": "int16 activations",
    }  # fmt: skip
    for label, form in names.items():
        (line,) = re.findall(rf"^\| {re.escape(label)} \|.*", readme, re.MULTILINE)
        pairs = re.findall(r"(\d,\d{3})\**\s\(([\d,]+)", line)
        assert [right for right, _ in pairs] == table[form][3].split("; "), label
        assert [size for _, size in pairs] == table[form][2].split("; "), label


def test_times_are_those_of_the_readme():
    chosen = section("## Which quantization should I use?")
    speed = (ROOT / "README.md").read_text().split("## Speed")[1].split("\n## ")[0]
    forms = "float", 'hybrid, "current"', 'hybrid, "2018"', "int8"
    xnnpack = [row[5].split()[0] for row in rows(speed) if row[0] in forms]
    assert xnnpack == re.findall(r"([\d.]+) ms", chosen)
    (gains,) = re.findall(r"([\d.]+) and ([\d.]+) times", chosen)
    assert [row[3] for row in rows(speed) if row[0].endswith('hybrid "current"')] == list(gains)
