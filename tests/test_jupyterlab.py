"""The notebooks open and run in JupyterLab, in a real browser, started as the README says.

A learner's first minutes: open a lesson, run all of its cells, look at a figure, solve an exercise. The
lesson is opened without its stored outputs, so that whatever the page shows was computed there and then.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from matplotlib.image import imread
from notebook_runner import NOTEBOOKS

from ptq.lessons.rounding_and_fixed_point import lesson

README = NOTEBOOKS.parent / "README.md"
NAME = "02_rounding_and_fixed_point.ipynb"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
START, RUN = 60, 60
"""Seconds that a busy machine may need to start the server or the page, and to run the lesson."""

IDLE = re.compile(r"^Python 3.* \| Idle$")
"""What the status bar says when the kernel is there and has nothing to do."""

NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}
"""JupyterLab would ask whether it may fetch news, in a window over the notebook."""

pytestmark = pytest.mark.peers


def commands():
    """The README's command that starts the notebooks: what comes before it, and itself."""
    (line,) = re.findall(r"^(.* && \S*jupyter lab notebooks)$", README.read_text(), re.MULTILINE)
    return [shlex.split(command) for command in line.split(" && ")]


def browser_path():
    """The installed browser; PTQ_BROWSER names one that has to work."""
    if "PTQ_BROWSER" in os.environ:
        return os.environ["PTQ_BROWSER"]
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        pytest.skip(f"no browser found, none of {', '.join(BROWSERS)}; PTQ_BROWSER may name another")
    return found[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a copy of `notebooks`, of which the lesson to be run has no outputs."""
    for package in ("jupyterlab", "playwright"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install '.[notebooks,peers]'")
    folder = tmp_path_factory.mktemp("jupyterlab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    notebook = nbformat.read(folder / "notebooks" / NAME, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, folder / "notebooks" / NAME)
    settings = folder / "config/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(NO_NEWS))
    return folder


@pytest.fixture(scope="module")
def address(folder):
    """Of the lesson in a running JupyterLab, which was started by the README's command."""
    program, *arguments = commands()[-1]
    command = [str(Path(sys.executable).parent / Path(program).name), *arguments]
    command += ["--no-browser", "--port=0", *(["--allow-root"] if os.geteuid() == 0 else [])]
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    environment = {**os.environ, **{name: str(folder / place) for name, place in places.items()}}
    environment["IPYTHONDIR"] = str(folder / "ipython")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        facts = server_facts(folder, server)
        yield f"{facts['url']}lab/tree/{NAME}?token={facts['token']}"
    finally:
        server.terminate()  # which ends its kernels, too
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_until(condition):
    end = time.monotonic() + START
    while not condition():
        assert time.monotonic() < end, f"waited {START} seconds in vain"
        time.sleep(0.1)


def server_facts(folder, server):
    """What the server says of itself when it is ready."""
    path = folder / "runtime" / f"jpserver-{server.pid}.json"
    wait_until(lambda: server.poll() is not None or (path.exists() and path.read_text().endswith("}")))
    assert server.poll() is None, f"JupyterLab ended:\n{(folder / 'log').read_text()}"
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def page(folder, address):
    """The lesson in the browser, after all of its cells have run; a screenshot is left in the folder."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=browser_path(), args=options)
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(1000 * START)
        try:
            page.goto(address)
            page.get_by_text(IDLE).wait_for()
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            last = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output")
            error = page.locator("[data-mime-type='application/vnd.jupyter.stderr']")  # it ends the run
            last.or_(error).first.wait_for(state="attached", timeout=1000 * RUN)
            page.get_by_text(IDLE).wait_for()
            yield page
        finally:
            page.screenshot(path=folder / "screenshot.png")
            browser.close()


def cell_with(page, source):
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=source)).first


def picture_of(cell):
    """The image that a cell shows, when the browser has drawn it."""
    image = cell.locator(".jp-OutputArea-output img").first
    image.scroll_into_view_if_needed()
    image.evaluate("image => image.decode()")
    return image


def test_the_readme_installs_what_it_starts():
    *before, start = commands()
    assert any(command[-2:] == ["install", ".[notebooks]"] for command in before)
    assert start[1:] == ["lab", "notebooks"]


def test_every_cell_runs_without_an_error(page, folder):
    path = folder / "notebooks" / NAME
    before = path.stat().st_mtime_ns
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Save Notebook Ctrl")).click()
    wait_until(lambda: path.stat().st_mtime_ns != before)
    saved = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in saved for output in cell.get("outputs", [])]
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []
    counts = [cell.execution_count for cell in saved if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert page.locator(".jp-OutputArea-output img").count() == len(pictures) > 5


def test_a_figure_is_drawn_in_the_page(page, tmp_path):
    image = picture_of(cell_with(page, "plot.rounding_rules"))
    assert image.evaluate("image => image.naturalWidth") > 400
    image.screenshot(path=tmp_path / "figure.png")
    pixels = imread(tmp_path / "figure.png")
    assert len({tuple(color) for row in pixels[::4, ::4] for color in row}) > 20  # not a blank


def test_a_learner_solves_an_exercise(page):
    cell = cell_with(page, "lesson.check(1, half_away)")
    said = cell.locator("[data-mime-type='application/vnd.jupyter.stdout']")
    assert "Exercise 1: not yet right" in said.text_content()
    before = picture_of(cell).get_attribute("src")
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(f"{lesson.exercises[0].answer.strip()}\n\nlesson.check(1, half_away)")
    page.keyboard.press("Control+Enter")
    cell.get_by_text("Exercise 1: right, 9 of 9 cases").wait_for()
    assert picture_of(cell).get_attribute("src") != before
