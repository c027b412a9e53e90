"""Representation: whether the held-out rows look like the data, and which of its subjects they leave out."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.base.seeds import derive
from tunewright.data.meaning.clusters import Clusters, coverage
from tunewright.data.meaning.looking import Looked, MeaningConfig, find_embedder, look, look_at_held_out, sampled_words
from tunewright.data.meaning.representation import SHUFFLES, Difference, difference
from tunewright.data.quality.inspection import WORST, Case, Inspection, NotRun, Verdict
from tunewright.data.quality.view import View


class Config(MeaningConfig):
    """Settings of `representation`."""

    name: Literal["representation"] = "representation"
    sure: float = Field(0.01, gt=0, lt=1, description="A difference counts from this p-value downwards.")
    look: float = Field(0.6, ge=0.5, le=1, description="From this area under the curve on a person should look.")
    act: float = Field(0.8, ge=0.5, le=1, description="From here on, held-out rows say little about the data.")


def inspect(view: View, config: Config) -> Inspection | NotRun | None:
    """A classifier two-sample test between data and held-out rows, and the clusters of the data they leave out."""
    if not view.held_out:
        return None
    embedder = find_embedder(view, config)
    if isinstance(embedder, NotRun):
        return embedder
    seen = look(view, view.data, config, embedder)
    held = look_at_held_out(view, config, embedder)
    total = sum(len(each) for each in held)
    if len(seen) < 2 or total < 2:
        return None
    ours, theirs = seen.vectors, np.concatenate([each.vectors for each in held])
    test = difference(ours, theirs, seed=derive(view.seed, "representation"))
    groups = coverage(ours, theirs, seed=derive(view.seed, "representation clusters"))
    return Inspection(
        title="Representation",
        value=test.auc,
        unit="AUC",
        verdict=_verdict(test, config),
        found=f"A classifier tells held-out rows from the data with an AUC of {test.auc:.2f} (0.5: not at all; "
        f"p = {test.p_value:.3f}); of {groups.count:,} clusters of the data, {len(groups.missed):,} have no held-out "
        "row.",
        meaning="A score on held-out rows says how the model does on rows like them. Where they differ from the "
        "data, or leave subjects out, the score is about something else.",
        advice=_advice(test, groups, config),
        numbers={
            "auc": test.auc,
            "p_value": test.p_value,
            "shuffles": SHUFFLES,
            "clusters": groups.count,
            "clusters_missed": len(groups.missed),
            "missed_share": groups.missed_share,
            "encoder": embedder.name,
        },
        worst=tuple(_worst(seen, held, test, groups, _verdict(test, config) != "good")),
        sampled=sampled_words([seen, *held]),
    )


def _verdict(test: Difference, config: Config) -> Verdict:
    """With many rows the smallest difference is sure, so it must be large as well."""
    if test.p_value > config.sure or test.auc < config.look:
        return "good"
    return "act" if test.auc >= config.act else "look"


def _advice(test: Difference, groups: Clusters, config: Config) -> str:
    if _verdict(test, config) != "good":
        return "Hold out rows drawn from the same source and time as the data, or let data.split draw them."
    return "Hold out rows of the subjects below as well." if groups.missed else ""


def _worst(seen: Looked, held: list[Looked], test: Difference, groups: Clusters, different: bool) -> list[Case]:
    """The middle of each subject that is left out; then, where the sides differ, held-out rows least like the data."""
    cases = [
        seen.rows.case(int(seen.index[each.middle]), f"in the middle of {each.rows:,} rows that none is held out of")
        for each in groups.missed
    ]
    if different:
        owners = [(each, row) for each in held for row in range(len(each))]
        for place in np.argsort(-test.other_score, kind="stable")[:WORST].tolist():
            each, row = owners[place]
            cases.append(each.rows.case(int(each.index[row]), "held out, and unlike the data"))
    return cases[:WORST]
