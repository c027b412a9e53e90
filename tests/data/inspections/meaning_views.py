"""Views of a few rows, for the inspections by meaning, and the tiny encoder in a cache."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from tests.data.steps.frames import frame_of
from tunewright.data.quality.view import Rows, View
from tunewright.data.table import REFUSED

# Words that the tiny encoder knows.
CATS = ["cat", "sat", "mat"]
DOGS = ["dog", "on", "the"]


def rows_of(name: str, texts: list[str | None], labels: list[str | None]) -> Rows:
    """Rows with a text and a label; they stand on lines 1, 2, … of a file of this name."""
    frame = frame_of(text=texts, label=labels).with_columns(pl.lit(name).alias("_source"))
    return Rows(name, frame, pl.DataFrame(schema=REFUSED), len(texts), ("text",), ("label",))


def view_of(data: Rows, *held_out: Rows, cache: Path | None, **fields: Any) -> View:
    """A view of labelled rows."""
    return View(data, held_out=held_out, format="labelled", kind="label", cache=cache, **fields)


def sentences(nouns: list[str], count: int) -> list[str]:
    """Different texts about some things: to the tiny encoder those of other things lie elsewhere."""
    return [" ".join(words) for size in (2, 3, 4, 5) for words in product(nouns, repeat=size)][:count]
