"""How far two people's labels agree, beyond what chance would give (Cohen 1960, "A coefficient of agreement")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

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


def _kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    from sklearn.metrics import cohen_kappa_score

    if len({label for pair in pairs for label in pair}) == 1:
        return None
    return float(cohen_kappa_score([one for one, _ in pairs], [other for _, other in pairs]))
