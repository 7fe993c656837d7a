"""The tables of the model optimization guide in `tutorials.md`, as tests read them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GUIDE, PAGE = ROOT / "tutorials.md", ROOT / "notebooks" / "announcement" / "figures.md"


def lines_of(path, title):
    """The lines of the table under a heading, as they are."""
    return re.search(rf"^##+ {title}\n\n((?:\|.*\n)+)", path.read_text(), re.MULTILINE)[1].splitlines()


def integers_of(title, techniques):
    """The leading integer of each cell: {name: {technique: 1866}} of "1,866 (93.30%)"."""
    table = {}
    for line in lines_of(GUIDE, title)[2:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        numbers = (int(cell.split()[0].replace(",", "")) for cell in cells)
        table[name] = dict(zip(techniques, numbers, strict=True))
    return table
