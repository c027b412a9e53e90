"""How far two people's labels agree, beyond what chance would give (Cohen 1960, "A coefficient of agreement")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunewright.base.errors import DataError
from tunewright.data.labelling.journal import Labelled


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A text, and what each of two people called it."""

    id: str
    text: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two people's labels of the same texts.

    Args:
        both: Texts that both have labelled.
        only_first: Texts that only the first has.
        only_second: Texts that only the second has.
        agreed: Texts that both gave one label.
        kappa: Cohen's kappa: 1 for full agreement, 0 for what chance gives; None where both used one and the same label
            throughout, and chance would agree as well.
        confused: How often each pair of different labels was given, `(first, second, count)`, the most frequent first.
        disagreements: The texts they differ on, in the first one's order.
    """

    both: int
    only_first: int
    only_second: int
    agreed: int
    kappa: float | None
    confused: tuple[tuple[str, str, int], ...]
    disagreements: tuple[Disagreement, ...]

    def as_json(self) -> dict[str, Any]:
        """The agreement as `--json` prints it."""
        return asdict(self)


def compare_labels(first: Sequence[Labelled], second: Sequence[Labelled]) -> Agreement:
    """How far two people agree on the texts that both have labelled.

    Raises:
        DataError: If there are no such texts.
    """
    theirs = {each.id: each.label for each in second}
    shared = [each for each in first if each.id in theirs]
    if not shared:
        raise DataError("No text was labelled by both", hint="Let both label one file, each with an --output.")
    pairs = [(each.label, theirs[each.id]) for each in shared]
    agreed = sum(one == other for one, other in pairs)
    differing = [each for each in shared if each.label != theirs[each.id]]
    confused = Counter(pair for pair in pairs if pair[0] != pair[1])
    ordered = sorted(confused.items(), key=lambda item: (-item[1], item[0]))
    return Agreement(
        both=len(shared),
        only_first=len(first) - len(shared),
        only_second=len(second) - len(shared),
        agreed=agreed,
        kappa=_kappa(pairs),
        confused=tuple((*pair, count) for pair, count in ordered),
        disagreements=tuple(Disagreement(each.id, each.text, each.label, theirs[each.id]) for each in differing),
    )


def kappa_of(table: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] | None = None) -> float | None:
    """Cohen's kappa of a table of how often the first gave one label and the second another.

    Args:
        table: Counts, shape (labels, labels): rows are the first one's labels, columns the second one's.
        weights: How bad each pair of labels is, shape (labels, labels), 0 on the diagonal (Cohen 1968); None: any
            miss counts the same.

    Returns:
        1 for full agreement, 0 for what chance gives; None where chance would agree throughout as well.
    """
    if weights is None:
        weights = 1 - np.eye(len(table))
    by_chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(1.0, float(table.sum()))
    expected = float((weights * by_chance).sum())
    return None if expected == 0 else 1 - float((weights * table).sum()) / expected


def _kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    labels = sorted({label for pair in pairs for label in pair})
    place = {label: number for number, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)))
    for one, other in pairs:
        table[place[one], place[other]] += 1
    return kappa_of(table)
