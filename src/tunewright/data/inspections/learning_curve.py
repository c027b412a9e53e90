"""Enough data? What twice the rows would buy, from a learning curve of a light classifier."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tunewright.base.errors import DataError
from tunewright.base.events import Stage
from tunewright.data.meaning.curve import Curve, learning_curve
from tunewright.data.meaning.head import deal_folds
from tunewright.data.meaning.looking import Looked, MeaningConfig, find_embedder, look, look_at_held_out, sampled_words
from tunewright.data.meaning.vectors import Vectors
from tunewright.data.quality import inspection
from tunewright.data.quality.inspection import Inspection, NotRun, graded
from tunewright.data.quality.view import View


class Config(MeaningConfig):
    """Settings of `learning_curve`."""

    name: Literal["learning_curve"] = "learning_curve"
    look: float = Field(0.02, ge=0, le=1, description="If twice the rows bring more accuracy than this, look for more.")
    act: float = Field(0.1, ge=0, le=1, description="If they bring more than this, there is too little data.")


def inspect(view: View, config: Config) -> Inspection | NotRun | None:
    """Accuracy on growing parts of the data, a power law through it, and what it says of twice the rows.

    Measured on the held-out rows, or, where there are none, on a fifth of the data.
    """
    if view.labels is None:
        return None
    embedder = find_embedder(view, config)
    if isinstance(embedder, NotRun):
        return embedder
    seen = look(view, view.data, config, embedder)
    held = look_at_held_out(view, config, embedder)
    vectors, labels = _labelled([seen])
    measured, wanted = _labelled(held) if held else (vectors[:0], [])
    if not wanted:
        mine = deal_folds([text for text, answer in zip(seen.texts, seen.answers, strict=True) if answer], labels)
        vectors, labels, measured, wanted = _cut(vectors, labels, mine == 0)
    try:
        curve = learning_curve(
            vectors,
            labels,
            measured,
            wanted,
            seed=view.seed,
            progress=lambda done, total: view.listener(Stage("learning_curve", "progress", done, total, "classifiers")),
        )
    except DataError as error:
        return NotRun(error.what, error.hint)
    view.listener(Stage("learning_curve", "finished"))
    return _told(curve, config, embedder.name, len(wanted), sampled_words([seen, *held]))


def _labelled(several: list[Looked]) -> tuple[Vectors, list[str]]:
    """The vectors and labels of the rows that have one."""
    answers = [answer for each in several for answer in each.answers]
    kept = [row for row, answer in enumerate(answers) if answer]
    return np.concatenate([each.vectors for each in several])[kept], [answers[row] for row in kept]


def _cut(
    vectors: Vectors,
    labels: list[str],
    held: NDArray[np.bool_],
) -> tuple[
    Vectors,
    list[str],
    Vectors,
    list[str],
]:
    kept, taken = np.flatnonzero(~held), np.flatnonzero(held)
    return vectors[kept], [labels[row] for row in kept], vectors[taken], [labels[row] for row in taken]


def _told(curve: Curve, config: Config, encoder: str, held_rows: int, sampled: str) -> Inspection:
    last, law = curve.points[-1], curve.law
    verdict = graded(curve.gain, look=config.look, act=config.act)
    low, high = max(0.0, curve.gain_low), curve.gain_high
    return Inspection(
        title="Enough data?",
        value=curve.gain,
        unit=inspection.SHARE,
        verdict=verdict,
        found=f"With {last.rows:,} rows a light classifier gets {last.mean:.1%} of {held_rows:,} rows right; twice as "
        f"many would bring {100 * curve.gain:+.1f} points (95% interval {100 * low:.1f} to {100 * high:.1f}).",
        meaning="The classifier reads only what a text encoder makes of a text, and a fine-tuned model will get more "
        "right; but where its curve is flat, more rows of the same kind rarely help.",
        advice="More rows of the same kind are worth their cost." if verdict != "good" else "",
        numbers={
            "gain": curve.gain,
            "gain_low": curve.gain_low,
            "gain_high": curve.gain_high,
            "doubled": curve.doubled,
            "points": [
                {"rows": point.rows, "accuracy": point.mean, "accuracies": list(point.accuracies)}
                for point in curve.points
            ],
            "law": {"floor": law.floor, "scale": law.scale, "fall": law.fall},
            "held_out_rows": held_rows,
            "encoder": encoder,
        },
        charts=(
            inspection.Curve(
                "Accuracy by rows learned from",
                tuple((float(point.rows), point.mean) for point in curve.points),
                "rows",
                "accuracy",
                inspection.SHARE,
                intervals=tuple((min(point.accuracies), max(point.accuracies)) for point in curve.points),
                fitted=tuple((float(rows), law.accuracy(rows)) for rows in _line(curve)),
            ),
        ),
        sampled=sampled,
    )


def _line(curve: Curve) -> list[float]:
    """Where the law is drawn: from the first point to twice the last."""
    return [float(rows) for rows in np.geomspace(curve.points[0].rows, 2 * curve.points[-1].rows, 24)]
