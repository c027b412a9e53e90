"""Copies by meaning: different texts that say the same, to a text encoder."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.data.meaning.looking import Looked, MeaningConfig, find_embedder, look
from tunewright.data.meaning.neighbours import THRESHOLD, Copies, keep_best
from tunewright.data.meaning.vectors import Integers
from tunewright.data.quality.inspection import SHARE, WORST, Case, Inspection, NotRun, counted, graded
from tunewright.data.quality.view import View


class Config(MeaningConfig):
    """Settings of `meaning_duplicates`."""

    name: Literal["meaning_duplicates"] = "meaning_duplicates"
    threshold: float = Field(THRESHOLD, ge=0.5, le=1, description="Lowest cosine that counts as the same meaning.")
    look: float = Field(0.05, ge=0, le=1, description="From this share of copies on a person should look.")
    act: float = Field(0.25, ge=0, le=1, description="From this share of copies on they should go.")


def inspect(view: View, config: Config) -> Inspection | NotRun:
    """Counts texts that mean the same as a longer one, and of these the pairs with different labels.

    Copies word for word and near copies are the business of `duplicates`, and are not counted again.
    """
    embedder = find_embedder(view, config)
    if isinstance(embedder, NotRun):
        return embedder
    seen = look(view, view.data, config, embedder)
    kept = _originals(view, seen)
    near = _near(seen, kept, config.threshold)
    gone = np.flatnonzero(near.kept_by >= 0)
    pairs = [(int(kept[row]), int(kept[near.kept_by[row]]), float(near.similarity[row])) for row in gone]
    answers = seen.answers
    judged = view.kind in ("label", "tags", "json")
    apart = [pair for pair in pairs if judged and answers[pair[0]] != answers[pair[1]]]
    share = len(pairs) / max(1, len(seen))
    return Inspection(
        title="Copies by meaning",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act) if not apart else max_look(share, config.act),
        found=f"{counted(len(pairs), 'text')} say the same as another in other words"
        + (f", {len(apart):,} of them under another answer." if judged else "."),
        meaning="Such rows teach little that is new, and on both sides of a split they make a score look better than "
        "it is. With different answers, one of the two is likely wrong.",
        advice=_advice(len(pairs), len(apart)),
        numbers={
            "rows": len(pairs),
            "share": share,
            "clusters": len({pair[1] for pair in pairs}),
            "other_answers": len(apart),
            "threshold": config.threshold,
            "encoder": embedder.name,
        },
        worst=_worst(seen, pairs, apart),
        sampled=seen.sampled,
    )


def max_look(share: float, act: float) -> Literal["look", "act"]:
    """At least `look`: two answers to one meaning are worth a look, however few."""
    return "act" if share >= act else "look"


def _originals(view: View, seen: Looked) -> Integers:
    """Of the rows seen, the first of each text that is no near copy of another."""
    owner = view.texts.owner[seen.index]
    _, first = np.unique(owner, return_index=True)
    first = np.sort(first[owner[first] >= 0])
    return first[view.texts.near.kept_by[owner[first]] < 0].astype(np.int64)


def _near(seen: Looked, kept: Integers, threshold: float) -> Copies:
    size = np.array([len(text) for text in seen.texts], dtype=np.int64)[kept]
    rank = np.empty(len(kept), dtype=np.int64)
    rank[np.argsort(-size, kind="stable")] = np.arange(len(kept))
    return keep_best(seen.stored[kept], threshold=threshold, rank=rank)


def _advice(pairs: int, apart: int) -> str:
    if apart:
        return "Decide which answer is right where two texts mean the same, and add the step meaning_duplicates."
    return "Add the step meaning_duplicates to data.steps." if pairs else ""


def _worst(seen: Looked, pairs: list[tuple[int, int, float]], apart: list[tuple[int, int, float]]) -> tuple[Case, ...]:
    """Those with different answers first, then the most alike."""
    first = sorted(apart, key=lambda pair: -pair[2])
    ordered = [*first, *sorted(set(pairs) - set(apart), key=lambda pair: (-pair[2], pair))]
    answers, texts = seen.answers, seen.texts
    cases = []
    for row, by, similarity in ordered[:WORST]:
        place = seen.rows.places[seen.index[by]]
        told = f", “{answers[row]}” against “{answers[by]}”" if (row, by, similarity) in apart else ""
        cases.append(seen.rows.case(int(seen.index[row]), f"similarity {similarity:.2f} to {place}{told}: {texts[by]}"))
    return tuple(cases)
