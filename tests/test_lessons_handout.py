"""The exercises without notebooks: what is handed out, and what is said of what is handed in."""

import re
import subprocess
import sys

import pytest
from notebook_runner import NOTEBOOKS

from ptq.errors import InputError
from ptq.lessons import handout
from ptq.lessons.__main__ import main

LESSONS = handout.lessons()


def completed(lesson):
    """A file with all answers, as a good learner would hand it in; the setup's names are not in it."""
    return "\n\n".join(exercise.answer for exercise in lesson.exercises)


def test_every_notebook_has_its_lesson_here_and_the_reverse():
    numbers = sorted(int(path.stem[:2]) for path in NOTEBOOKS.glob("*.ipynb"))
    assert [lesson.number for lesson in LESSONS] == numbers
    assert handout.lessons([3, 1])[0].number == 1
    with pytest.raises(InputError, match="lesson 77 found"):
        handout.lessons([1, 77])


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: str(lesson.number))
def test_markdown_has_every_question_and_no_answer_unless_asked(lesson):
    plain = handout.markdown(lesson)
    for exercise in lesson.exercises:
        assert exercise.question.strip() in plain
        assert exercise.stub.strip() in plain
        assert exercise.answer.strip() not in plain
        assert exercise.answer.strip() in handout.markdown(lesson, answers=True)
        assert all(hint in handout.markdown(lesson, hints=True) for hint in exercise.hints)
        assert not any(hint in plain for hint in exercise.hints)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: str(lesson.number))
def test_a_file_of_stubs_fails_and_a_file_of_answers_passes(lesson, tmp_path):
    names = [exercise.name for exercise in lesson.exercises]
    assert len(set(names)) == len(names)
    stubs, answers = tmp_path / "stubs.py", tmp_path / "answers.py"
    stubs.write_text(handout.python(lesson))
    answers.write_text(completed(lesson))
    failed, passed = handout.check(lesson, stubs), handout.check(lesson, answers)
    assert passed.passed and not failed.passed
    assert failed.row()[-1] == f"0 of {len(names)}"
    assert not any(isinstance(outcome, str) for outcome in failed.outcomes)


def test_a_class_is_a_table_with_what_is_wrong_below(tmp_path, capsys):
    (lesson,) = handout.lessons([1])
    (tmp_path / "anna.py").write_text(completed(lesson))
    wrong = "\ndef parameters(low, high):\n    return 1 / 0\n"
    (tmp_path / "ben.py").write_text(lesson.exercises[0].answer + wrong)
    (tmp_path / "cem.py").write_text("def to_reals(:\n")
    files = [str(tmp_path / f"{name}.py") for name in ("anna", "ben", "cem")]
    assert main(["1", "--check", *files]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"anna\.py +4/4 +9/9 +7/7 +4/4 +4 of 4", printed)
    assert re.search(r"ben\.py +4/4 +- +0/7 +- +1 of 4", printed)
    assert "ben.py: Exercise 2: no function to_integer found" in printed
    assert "ben.py: Exercise 3: not yet right, 0 of 7 cases; ZeroDivisionError" in printed
    assert "cem.py: Exercise 1: the file does not run; SyntaxError" in printed
    assert main(["1", "--check", files[0]]) == 0


def test_the_command_line_says_what_is_wrong(tmp_path, capsys):
    assert main(["1", "--check", str(tmp_path / "nobody.py")]) == 1
    assert "nobody.py: No such file" in capsys.readouterr().err
    for arguments in (["--python"], ["1", "2", "--check", "a.py"], ["1", "--python", "--answers"]):
        with pytest.raises(SystemExit):
            main(arguments)


def test_it_runs_as_a_module_without_matplotlib(tmp_path):
    """A teacher's server needs NumPy alone."""
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')\n")
    (tmp_path / "mine.py").write_text(completed(handout.lessons([2])[0]))
    run = subprocess.run(
        [sys.executable, "-m", "ptq.lessons", "2", "--check", "mine.py"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "4 of 4" in run.stdout
