"""Missing values: rows without a question or an answer, records that could not be read, empty cells."""

from __future__ import annotations

from itertools import islice
from typing import Literal

import polars as pl
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Case, Inspection, counted, graded
from tunewright.data.quality.view import View


class Config(PluginConfig):
    """Settings of `missing`."""

    name: Literal["missing"] = "missing"
    act: float = Field(0.05, ge=0, le=1, description="From this share of unusable rows on, something is wrong.")


def inspect(view: View, config: Config) -> Inspection:
    """Counts what cannot be learned from, and the empty cells of every column."""
    data = view.data
    no_question = [row for row, text in enumerate(data.prompts) if not text.strip()]
    no_answer = [row for row, text in enumerate(data.answers) if not text.strip()] if data.answer_columns else []
    refused = data.refused.height
    count = len(set(no_question) | set(no_answer))
    share = (count + refused) / (len(data) + refused)
    empty = data.frame.select((pl.col(name).fill_null("").str.strip_chars() == "").mean() for name in data.columns)
    shares = dict(sorted(empty.to_dicts()[0].items(), key=lambda item: -item[1])) if data.columns else {}
    some = tuple((name, value) for name, value in islice(shares.items(), 20) if value)
    return Inspection(
        title="Missing values",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=1e-12, act=config.act),
        found=f"{counted(refused, 'record')} could not be read, {counted(len(no_question), 'row')} without a question, "
        f"{counted(len(no_answer), 'row')} without an answer.",
        meaning="Nothing can be learned from such rows, and where there are many, an export or a join has usually gone "
        "wrong for the others too.",
        advice="Mend the source, or set such rows aside with the steps require and missing_values." if share else "",
        numbers={
            "refused": {"rows": refused, "reasons": _reasons(data.refused)},
            "no_question": len(no_question),
            "no_answer": len(no_answer),
            "empty_share": shares,
        },
        worst=(
            *_refused(data.refused),
            *(data.case(row, "no answer") for row in no_answer[: WORST // 2]),
            *(data.case(row, "no question", data.answers[row]) for row in no_question[: WORST // 2]),
        )[:WORST],
        charts=(Bars("Empty cells", some, SHARE),) if some else (),
    )


def _reasons(refused: pl.DataFrame) -> dict[str, int]:
    counts = refused.group_by("reason").len().sort(["len", "reason"], descending=[True, False]).head(WORST)
    return dict(counts.iter_rows())


def _refused(refused: pl.DataFrame) -> tuple[Case, ...]:
    first = refused.head(WORST // 2).select("source", "line", "reason")
    return tuple(Case(f"{source}:{line}", "", reason) for source, line, reason in first.iter_rows())
