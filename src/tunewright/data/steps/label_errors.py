"""Finds rows whose label is likely wrong: what they mean looks like another label's rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import Field

from tunewright.base.events import Stage
from tunewright.data.frame import ROW_ID, StepResult, check_columns, drop, no_edits
from tunewright.data.meaning.rows import texts_of
from tunewright.data.meaning.settings import MeaningConfig
from tunewright.data.meaning.vectors import unit
from tunewright.data.meaning.wrong_labels import ODDS, find_wrong_labels


class Config(MeaningConfig):
    """Settings of `label_errors`."""

    name: Literal["label_errors"] = "label_errors"
    action: Literal["set_aside", "drop", "report"] = Field(
        "set_aside",
        description="set_aside: the rows leave, and count as unusable, to be looked at; drop: they leave; report: they "
        "stay, and are counted.",
    )
    odds: float = Field(
        ODDS, ge=1, description="How many times likelier than its own another label must be for a row to be suspect."
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What the survey found, by row id.

    Args:
        reasons: Why each suspect row's label is likely wrong.
        unjudged: Rows without a text or a label, or whose label has too few texts.
    """

    reasons: dict[str, str]
    unjudged: frozenset[str]


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Looks for suspect labels among all rows, until what is left has none.

    Holds texts and float32 vectors in memory: some 2 KB a row.
    """
    ids: list[str] = []
    texts: list[str] = []
    labels: list[str] = []
    without: list[str] = []
    for piece in pieces:
        check_columns(piece, config.needed(), config.name)
        rows = zip(piece[ROW_ID], texts_of(piece, config.columns), texts_of(piece, config.answer), strict=True)
        for row, text, label in rows:
            if text and label:
                ids.append(row)
                texts.append(text)
                labels.append(label)
            else:
                without.append(row)
    vectors = unit(config.embedder().spill([texts]))
    found = find_wrong_labels(
        vectors,
        texts,
        labels,
        odds=config.odds,
        rounds=1 if config.action == "report" else 0,
        progress=lambda done, total: config.tell(Stage(config.name, "progress", done, total, "classifiers")),
    )
    config.tell(Stage(config.name, "finished", note=f"{found.rounds} rounds"))
    reasons = {
        ids[each.row]: f"likely '{each.better}' ({each.share:.2f}) rather than '{labels[each.row]}' "
        f"({each.given_share:.2f}), by meaning"
        for each in found.found
    }
    return Known(reasons, frozenset([*without, *(ids[row] for row in found.unjudged)]))


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Takes out the rows that the survey named, or counts them."""
    check_columns(frame, config.needed(), config.name)
    found = {
        "likely_wrong_labels": sum(row in known.reasons for row in frame[ROW_ID]),
        "not_judged": sum(row in known.unjudged for row in frame[ROW_ID]),
    }
    if config.action == "report":
        return StepResult(frame, no_edits(), found)
    kept, edits = drop(frame, pl.Series([known.reasons.get(row) for row in frame[ROW_ID]], dtype=pl.String))
    return StepResult(kept, edits, found, frozenset(edits["row_id"]) if config.action == "set_aside" else frozenset())
