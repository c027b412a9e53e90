"""F1, precision and recall of entities in tagged words: exact spans of the right type, summed over all rows.

An entity begins at a word tagged `B-type`, and goes on through the words tagged `I-type` behind it. An `I-type` behind
another type, or behind none, begins one as well, as in the evaluation of CoNLL-2003 (`conlleval`; Tjong Kim Sang and De
Meulder 2003, section 2.3). A tag of no such form, other than `O`, is an entity of its own word. Words without a given
tag count as `O`; tags beyond the last word are left out. Where there is nothing to find and nothing was found, all
three are 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Floats, Measure, Sums

ABOUT = {
    "entity_f1": About("Entities, F1", "the entities found are the expected ones: precision and recall in one number"),
    "entity_precision": About("Entities, precision", "of the entities found, the share that is right"),
    "entity_recall": About("Entities, recall", "of the entities expected, the share that is found"),
}

OUTSIDE = "O"

Span = tuple[int, int, str]


class Config(PluginConfig):
    """The F1 of entities has no settings."""

    name: Literal["entity_f1"] = "entity_f1"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where all entities of a row are right, else 0; reduced to `entity_f1`, `entity_precision`, `entity_recall`."""
    require_answers(config.name, answers)
    counts = np.array([_count(answer) for answer in answers], dtype=np.int32)
    right, given, wanted = counts.T
    values, sums = ((right == given) & (right == wanted)).astype(np.float64), Sums(counts)
    formulas = {"entity_f1": _f1, "entity_precision": _precision, "entity_recall": _recall}
    return [Measure(name, values, sums=sums, formula=formula) for name, formula in formulas.items()]


def _f1(sums: Floats) -> Floats:
    return _share(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _precision(sums: Floats) -> Floats:
    return _share(sums[..., 0], sums[..., 1])


def _recall(sums: Floats) -> Floats:
    return _share(sums[..., 0], sums[..., 2])


def entities(tags: Sequence[str]) -> list[Span]:
    """The entities of tagged words: first word, one past the last, type."""
    found: list[Span] = []
    for place, tag in enumerate(tags):
        mark, dash, kind = tag.partition("-")
        if tag == OUTSIDE:
            continue
        if not dash or mark not in ("B", "I"):
            found.append((place, place + 1, tag))
        elif mark == "I" and found and found[-1][1:] == (place, kind) and _is_marked(tags[place - 1]):
            found[-1] = (found[-1][0], place + 1, kind)
        else:
            found.append((place, place + 1, kind))
    return found


def _is_marked(tag: str) -> bool:
    return tag.startswith(("B-", "I-"))


def _count(answer: Answer) -> tuple[int, int, int]:
    """Entities that are right, that were given, and that there are."""
    wanted = answer.reference.split()
    given = answer.prediction.split()[: len(wanted)]
    right, found = set(entities(wanted)), set(entities([*given, *[OUTSIDE] * (len(wanted) - len(given))]))
    return len(right & found), len(found), len(right)


def _share(part: Floats, whole: Floats) -> Floats:
    """A share; 1 of nothing."""
    shares: Floats = np.where(whole > 0, part / np.maximum(whole, 1), 1.0)
    return shares
