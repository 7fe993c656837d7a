"""Executes the notebooks and writes their outputs back, the same bytes each time.

    python tests/notebook_runner.py [notebooks/01_numbers_and_scales.ipynb ...]

After a change of a lesson, run this and look at the result: the notebooks are committed with their outputs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TIMEOUT = 120
TIMING = "timing"
"""The tag of cells whose outputs depend on the machine: they are shown, but not compared."""

GREETING = "INFO: Created TensorFlow Lite XNNPACK delegate"
"""What LiteRT says on the error stream, where it is installed."""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of today; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False,
        coalesce_streams=True,  # or else it is chance in how many pieces a printed text comes
        resources={"metadata": {"path": str(path.parent)}},
    )  # fmt: skip
    client.execute()
    return tidy(notebook)


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what changes from run to run: identifiers, counts, the kernel's version."""
    notebook.metadata = nbformat.from_dict(METADATA)
    count = 0
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number:02}"
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = [output for output in cell.outputs if GREETING not in output.get("text", "")]
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = count
    return notebook


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell printed or returned as text; pictures have a sentence."""
    found = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            found.append(output.text)
        elif "data" in output:
            found += [str(v) for k, v in sorted(output.data.items()) if k in ("text/plain", "text/markdown")]
    return found


def main(names: list[str]) -> None:
    """Run and rewrite the named notebooks, or all."""
    for path in [Path(name) for name in names] or sorted(NOTEBOOKS.glob("*.ipynb")):
        nbformat.write(executed(path), path)
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
