"""What the inspections by meaning share: the encoder, if it is here, and the rows they look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tunewright.base.errors import ModelError
from tunewright.base.plugins import PluginConfig
from tunewright.data.meaning.embedding import ENCODER, Embedder
from tunewright.data.meaning.vectors import Integers, Stored, Vectors, unit
from tunewright.data.quality.inspection import NotRun
from tunewright.data.quality.view import Rows, View

# All inspections by meaning look at the same rows, so that each text is embedded once.
_DRAW = "meaning"


class MeaningConfig(PluginConfig):
    """Settings that all inspections by meaning have."""

    encoder: str = Field(ENCODER, description="The text encoder; it must be on this machine.")
    most: int = Field(20_000, ge=100, description="Rows of one side that are looked at; of more, so many are drawn.")


@dataclass(frozen=True)
class Looked:
    """The rows of one side that have a text, and their vectors.

    Args:
        rows: The side.
        index: Their positions in it, shape (n,).
        stored: Their vectors as they are stored, shape (n, width).
        sampled: Which rows these are, in words; empty: all.
    """

    rows: Rows
    index: Integers
    stored: Stored
    sampled: str

    def __len__(self) -> int:
        return len(self.index)

    @property
    def vectors(self) -> Vectors:
        """Their vectors, of unit length."""
        return unit(self.stored)

    @property
    def texts(self) -> list[str]:
        """What each asks."""
        return [self.rows.prompts[row] for row in self.index]

    @property
    def answers(self) -> list[str]:
        """What each answers."""
        return [self.rows.answers[row] for row in self.index]


def find_embedder(view: View, config: MeaningConfig) -> Embedder | NotRun:
    """The encoder, or why there is none and how to get it."""
    if view.cache is None:
        return NotRun(
            "What texts mean is read by a text encoder, and there is no workspace to look for one in",
            f"Fetch it once with: tunewright models pull {config.encoder}.",
        )
    try:
        return Embedder.open(config.encoder, view.cache, view.listener)
    except ModelError as error:
        return NotRun(error.what, error.hint)


def look(view: View, rows: Rows, config: MeaningConfig, embedder: Embedder) -> Looked:
    """Some rows and their vectors; rows without a text are left out."""
    drawn, sampled = view.sample(rows, config.most, what=_DRAW)
    index = np.array([row for row in drawn.tolist() if rows.prompts[row].strip()], dtype=np.int64)
    stored = embedder.spill([[rows.prompts[row] for row in index]])
    return Looked(rows, index, stored, sampled)


def look_at_held_out(view: View, config: MeaningConfig, embedder: Embedder) -> list[Looked]:
    """The same for each file of held-out rows."""
    return [look(view, rows, config, embedder) for rows in view.held_out]


def sampled_words(each: list[Looked]) -> str:
    """What was drawn of several sides, in words; empty where nothing was."""
    return "; ".join(f"{looked.rows.name}: {looked.sampled}" for looked in each if looked.sampled)
