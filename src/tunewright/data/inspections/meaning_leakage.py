"""Leakage by meaning: held-out rows whose meaning also stands in the data."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.data.meaning.looking import Looked, MeaningConfig, find_embedder, look, look_at_held_out, sampled_words
from tunewright.data.meaning.neighbours import THRESHOLD, nearest
from tunewright.data.meaning.vectors import Floats, Integers
from tunewright.data.quality.inspection import SHARE, WORST, Case, Inspection, NotRun, graded
from tunewright.data.quality.view import View


class Config(MeaningConfig):
    """Settings of `meaning_leakage`."""

    name: Literal["meaning_leakage"] = "meaning_leakage"
    threshold: float = Field(THRESHOLD, ge=0.5, le=1, description="Lowest cosine that counts as the same meaning.")
    look: float = Field(0.02, ge=0, le=1, description="From this share of held-out rows on a person should look.")
    act: float = Field(0.5, ge=0, le=1, description="From this share on, a score says little about new texts.")


def inspect(view: View, config: Config) -> Inspection | NotRun | None:
    """Looks for the row of the data that means most nearly the same as each held-out one.

    Held-out rows that stand in the data word for word are the business of `leakage`, and are not counted again.
    """
    if not view.held_out:
        return None
    embedder = find_embedder(view, config)
    if isinstance(embedder, NotRun):
        return embedder
    seen = look(view, view.data, config, embedder)
    held = look_at_held_out(view, config, embedder)
    total = sum(len(each) for each in held)
    if not len(seen) or not total:
        return None
    found = [(each, *_leaks(view, seen, each, config.threshold)) for each in held]
    rows = sum(len(leaked) for _, leaked, _, _ in found)
    share = rows / total
    return Inspection(
        title="Leakage by meaning",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act),
        found=f"Of {total:,} held-out rows, {rows:,} mean the same as a row of the data in other words.",
        meaning="A paraphrase that was learned is an easy question: the score is higher than on texts that are new in "
        "what they say.",
        advice="Report the score on the other rows beside it, or hold out rows from another time or source."
        if rows
        else "",
        numbers={
            "rows": rows,
            "share": share,
            "of": total,
            "threshold": config.threshold,
            "encoder": embedder.name,
            "held_out": {each.rows.name: {"rows": len(leaked), "of": len(each)} for each, leaked, _, _ in found},
        },
        worst=_worst(seen, found),
        sampled=sampled_words([seen, *held]),
    )


def _leaks(view: View, seen: Looked, held: Looked, threshold: float) -> tuple[Integers, Integers, Floats]:
    """The held-out rows that leak, the rows they are nearest to, and the cosine of each pair; the nearest first."""
    known = set(view.texts.distinct)
    new = np.array([held.rows.words[row] not in known for row in held.index], dtype=np.bool_)
    key, cosine = nearest(held.stored, seen.stored)
    rows = np.flatnonzero(new & (cosine >= threshold))
    rows = rows[np.argsort(-cosine[rows], kind="stable")]
    return rows, key[rows], cosine[rows]


def _worst(seen: Looked, found: list[tuple[Looked, Integers, Integers, Floats]]) -> tuple[Case, ...]:
    texts, cases = seen.texts, []
    for each, rows, keys, cosines in found:
        for row, key, cosine in zip(rows[:WORST], keys[:WORST], cosines[:WORST], strict=True):
            place = seen.rows.places[seen.index[key]]
            why = f"similarity {cosine:.2f} to {place}: {texts[key]}"
            cases.append((-float(cosine), each.rows.case(int(each.index[row]), why)))
    return tuple(case for _, case in sorted(cases, key=lambda item: item[0])[:WORST])
