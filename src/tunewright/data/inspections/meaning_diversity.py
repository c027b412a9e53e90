"""Diversity by meaning: how many different things the rows say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunewright.data.meaning.diversity import effective_number
from tunewright.data.meaning.looking import MeaningConfig, find_embedder, look
from tunewright.data.quality.inspection import Inspection, NotRun, Verdict
from tunewright.data.quality.view import View


class Config(MeaningConfig):
    """Settings of `meaning_diversity`."""

    name: Literal["meaning_diversity"] = "meaning_diversity"
    look: float = Field(10.0, ge=1, description="Below so many effective meanings a person should look.")
    act: float = Field(3.0, ge=1, description="Below so many, the rows say the same over and over.")
    least_rows: int = Field(100, ge=1, description="With fewer rows than this the number says little, and is good.")


def inspect(view: View, config: Config) -> Inspection | NotRun | None:
    """The effective number of meanings (Vendi score), of all rows and of each label's."""
    embedder = find_embedder(view, config)
    if isinstance(embedder, NotRun):
        return embedder
    seen = look(view, view.data, config, embedder)
    if not len(seen):
        return None
    number = effective_number(seen.stored)
    verdict: Verdict = "good"
    if len(seen) >= config.least_rows:
        verdict = "act" if number < config.act else "look" if number < config.look else "good"
    return Inspection(
        title="Diversity by meaning",
        value=number,
        unit="meanings",
        verdict=verdict,
        found=f"{len(seen):,} rows are worth {number:,.1f} meanings that have nothing in common.",
        meaning="The more the rows differ in what they say, the more a model meets before it is used. One narrow task "
        "has a small number by nature.",
        advice="Bring rows on other subjects, or worded by other people." if verdict != "good" else "",
        numbers={"effective_number": number, "rows": len(seen), "encoder": embedder.name},
        sampled=seen.sampled,
    )
