"""Whether a model goes by groups more than the data that it learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.evaluate.conduct.groups import Axis
from tunewright.metrics._measure import Floats, Ints

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Learned:
    """How much more often training rows that name a group have each label than the other rows.

    Args:
        axis: What sets the group apart.
        group: The group.
        naming: Training rows that name it.
        labels: The labels, in order.
        difference: Each label's share among rows that name the group less that among the others, shape (labels,).
    """

    axis: str
    group: str
    naming: int
    labels: tuple[str, ...]
    difference: Floats


def naming(axis: Axis, texts: Sequence[str]) -> dict[str, Flags]:
    """For each group whether each text names it, shape (texts,)."""
    flags = {group: np.zeros(len(texts), dtype=bool) for group in axis.groups}
    for row, text in enumerate(texts):
        for group in axis.named(text):
            flags[group][row] = True
    return flags


def learned(axis: Axis, texts: Sequence[str], labels: Sequence[str], *, least: int) -> list[Learned]:
    """What training rows say of each group that at least `least` of them name, and as many do not."""
    names = tuple(sorted(set(labels)))
    found = []
    for group, inside in naming(axis, texts).items():
        if min(inside.sum(), (~inside).sum()) >= least:
            found.append(Learned(axis.name, group, int(inside.sum()), names, difference(labels, inside, names)))
    return found


def difference(labels: Sequence[str], inside: Flags, names: Sequence[str]) -> Floats:
    """Each label's share among some rows less that among the others, shape (names,)."""
    place = {name: number for number, name in enumerate(names)}
    code = np.array([place.get(label, len(names)) for label in labels])
    shares = [
        np.bincount(code[rows], minlength=len(names) + 1)[: len(names)] / rows.sum() for rows in (inside, ~inside)
    ]
    found: Floats = shares[0] - shares[1]
    return found


def amplified(known: Learned, labels: Sequence[str], inside: Flags, rows: Ints) -> Floats:
    """How much further answers go in the direction of the data, for resamples of rows; shape (..., m) becomes (...).

    Half the sum over labels of sign(d) * (d' - d), where d is the label's difference in share between rows that name
    the group and the others in the training data, and d' the same among answers. 0: as in the data; above: more so.
    After the directional bias amplification of Wang and Russakovsky 2021 (arXiv:2102.12594), summed over labels and not
    averaged, so that it is a share of rows. A resample without a row on either side gives 0.
    """
    place = {name: number for number, name in enumerate(known.labels)}
    code = np.array([place.get(label, len(place)) for label in labels])
    sign = np.append(np.sign(known.difference), 0.0)
    # Of each row only the sign of its label counts: sums of signs are shares of labels, weighed.
    value, there = sign[code][rows], inside[rows]
    ours, others = there.sum(-1), (~there).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (value * there).sum(-1) / ours - (value * ~there).sum(-1) / others
    distance: Floats = np.where((ours > 0) & (others > 0), (found - np.abs(known.difference).sum()) / 2, 0.0)
    return distance


def as_row(known: Learned, labels: Sequence[str], inside: Flags) -> dict[str, Any]:
    """A group's line in a table: the label that the data ties to it most, in the data and in the answers."""
    top = int(np.abs(known.difference).argmax())
    now = difference(labels, inside, known.labels)
    return {
        "axis": known.axis,
        "group": known.group,
        "training rows": known.naming,
        "held-out rows": int(inside.sum()),
        "label": known.labels[top],
        "in the data": float(known.difference[top]),
        "in the answers": float(now[top]),
        "amplified": float(amplified(known, labels, inside, np.arange(len(labels)))),
    }
