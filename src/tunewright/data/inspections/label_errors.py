"""Accuracy of labels: rows that look like another label's, to a classifier that has not seen them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunewright.base.events import Stage
from tunewright.data.meaning.looking import MeaningConfig, find_embedder, look
from tunewright.data.meaning.wrong_labels import ODDS, WrongLabel, find_wrong_labels
from tunewright.data.quality.inspection import SHARE, WORST, Inspection, NotRun, counted, graded
from tunewright.data.quality.view import View


class Config(MeaningConfig):
    """Settings of `label_errors`."""

    name: Literal["label_errors"] = "label_errors"
    look: float = Field(0.01, ge=0, le=1, description="From this share of suspect rows on a person should look.")
    act: float = Field(0.1, ge=0, le=1, description="From this share on, labels are too wrong to learn from.")
    odds: float = Field(ODDS, ge=1, description="How many times likelier than its own another label must be.")


def inspect(view: View, config: Config) -> Inspection | NotRun | None:
    """Counts the rows whose label is likely wrong, by confident learning; what it finds is a suspicion, no proof."""
    if view.labels is None:
        return None
    embedder = find_embedder(view, config)
    if isinstance(embedder, NotRun):
        return embedder
    seen = look(view, view.data, config, embedder)
    answers, texts = seen.answers, seen.texts
    labelled = [row for row, answer in enumerate(answers) if answer]
    found = find_wrong_labels(
        seen.vectors[labelled],
        [texts[row] for row in labelled],
        [answers[row] for row in labelled],
        odds=config.odds,
        rounds=1,
        progress=lambda done, total: view.listener(Stage("label_errors", "progress", done, total, "classifiers")),
    )
    view.listener(Stage("label_errors", "finished"))
    judged = len(labelled) - len(found.unjudged)
    if not judged:
        return None
    share = len(found.found) / judged
    return Inspection(
        title="Labels",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act),
        found=f"{counted(len(found.found), 'row')} of {judged:,} look like another label's rows.",
        meaning="A wrong label teaches the wrong answer, and calls a right one wrong where it is held out. Labels that "
        "overlap in meaning look the same from here.",
        advice="Look at the rows below; the step label_errors sets such rows aside." if found.found else "",
        numbers={
            "rows": len(found.found),
            "share": share,
            "judged": judged,
            "not_judged": len(seen) - judged,
            "confused": _confused([(answers[labelled[each.row]], each.better) for each in found.found]),
            "encoder": embedder.name,
        },
        worst=tuple(
            seen.rows.case(int(seen.index[row]), _why(each, answers[row]))
            for each in found.found[:WORST]
            for row in [labelled[each.row]]
        ),
        sampled=seen.sampled,
    )


def _why(each: WrongLabel, given: str) -> str:
    return f"“{given}” ({each.given_share:.2f}), more likely “{each.better}” ({each.share:.2f})"


def _confused(pairs: list[tuple[str, str]]) -> list[dict[str, str | int]]:
    """The pairs of labels that are suspected most often."""
    counts = {pair: pairs.count(pair) for pair in sorted(set(pairs))}
    often = sorted(counts, key=lambda pair: (-counts[pair], pair))[:WORST]
    return [{"label": given, "likely": better, "rows": counts[given, better]} for given, better in often]
