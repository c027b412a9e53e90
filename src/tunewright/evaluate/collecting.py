"""What rows to collect next: where the errors are, what is rare in training, and what is taken for what.

A suggestion, and no more: more rows of a class help where the model has seen too few of them, and not where the labels
contradict each other. So the wrong answers stand beside it, to be read first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from tunewright.evaluate.cuts import Cut
from tunewright.metrics import Answer
from tunewright.metrics._records import canonical, read_record

_SUGGESTIONS = 5
_FEWEST_ROWS = 10
_LIKE = 3
_CONFUSED = 2
_FIELD = "answer."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows that would probably help.

    Args:
        by: What the rows are told apart by.
        value: What the wanted ones have.
        rows: About how many: as many as bring a class to the middle one's number of training rows; where it has these,
            as many again as the share of it that is wrong; at least 10.
        wrong: How many held-out rows of it are answered wrongly.
        n: Of how many.
        in_training: Rows of it that were learned from; None where that is not known.
        usual: The middle class's number of them.
        taken_for: What it is taken for, with how often, the most frequent first.
        like: Questions that went wrong, word for word.
    """

    by: str
    value: str
    rows: int
    wrong: int
    n: int
    in_training: int | None
    usual: int | None
    taken_for: tuple[tuple[str, int], ...]
    like: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The suggestion as reports, manifests and `--json` carry it, with the sentence that says it."""
        told = {name: getattr(self, name) for name in ("by", "value", "rows", "wrong", "n", "in_training", "usual")}
        taken = [{"value": value, "rows": rows} for value, rows in self.taken_for]
        return told | {"taken_for": taken, "like": list(self.like), "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The suggestion in words."""
        value = f"`{_clipped(self.value, 40)}`"
        what = value if self.by == "class" else f"`{self.by}` = {value}"
        why = [f"{self.wrong:,} of {self.n:,} wrong"]
        if self.taken_for:
            taken = " and ".join(f"{rows:,} for `{_clipped(value, 40)}`" for value, rows in self.taken_for)
            why.append(f"taken {taken}")
        if self.in_training is not None and self.usual is not None:
            why.append(f"{self.in_training:,} in training, where the middle one has {self.usual:,}")
        like = f" People word them like “{_clipped(self.like[0])}”." if self.like else ""
        return f"Collect about {self.rows:,} more rows of {what}: {'; '.join(why)}.{like}"


def what_to_collect(
    rows: Sequence[Answer],
    cuts: Sequence[Cut],
    wrong: Sequence[bool],
    worse: Sequence[str],
    training: Sequence[str],
    answer_kind: str,
) -> list[Wanted]:
    """Suggests rows: of the classes with the most errors, twice as urgent where they are rare in training, and of
    whatever other slice is surely worse than the rest.

    Args:
        rows: The system's answers.
        cuts: How the rows are told apart.
        wrong: Which of them are wrong.
        worse: Names of the slices that are surely worse, such as `language=de`.
        training: The right answers of the training rows; empty: not known.
        answer_kind: What an answer is.

    Returns:
        At most five, the most urgent first.
    """
    found: list[tuple[float, Wanted]] = []
    for cut in cuts:
        seen = Counter(_values(cut.by, training, answer_kind)) if cut.is_class and training else None
        for value, n in Counter(cut.values).items():
            missed = [
                row
                for row, own in enumerate(cut.values)
                if own == value and _is_missed(cut, rows[row], value, wrong[row])
            ]
            named = not value.startswith("(")
            if missed and named and (cut.is_class or f"{cut.by}={value}" in worse):
                wanted = _wanted(cut, value, n, [rows[row] for row in missed], seen)
                found.append((_urgency(wanted), wanted))
    found.sort(key=lambda each: (-each[0], each[1].by, each[1].value))
    return [wanted for _, wanted in found[:_SUGGESTIONS]]


def _is_missed(cut: Cut, answer: Answer, value: str, wrong: bool) -> bool:
    """Whether a row counts as an error of its slice; where that is one field of a record, the field alone counts."""
    if cut.by.startswith(_FIELD):
        return _given(answer.prediction, cut.by.removeprefix(_FIELD)) != value
    return wrong


def _wanted(cut: Cut, value: str, n: int, missed: Sequence[Answer], seen: Mapping[str, int] | None) -> Wanted:
    taken: list[str] = []
    if cut.is_class:
        field = cut.by.removeprefix(_FIELD) if cut.by.startswith(_FIELD) else ""
        taken = [given for answer in missed if (given := _given(answer.prediction, field)) != value]
    usual = median_low(sorted(seen.values())) if seen else None
    here = None if seen is None else seen.get(value, 0)
    again = math.ceil((here if here is not None else 2 * n) * len(missed) / n)
    short = max(0, (usual or 0) - (here or 0)) if here is not None else 0
    return Wanted(
        by=cut.by,
        value=value,
        rows=_rounded(max(again, short, _FEWEST_ROWS)),
        wrong=len(missed),
        n=n,
        in_training=here,
        usual=usual,
        taken_for=tuple(Counter(taken).most_common(_CONFUSED)),
        like=tuple(answer.question for answer in missed if answer.question)[:_LIKE],
    )


def _urgency(wanted: Wanted) -> float:
    rare = wanted.in_training is not None and wanted.usual is not None and wanted.in_training < wanted.usual
    return wanted.wrong * (2.0 if rare else 1.0)


def _values(by: str, training: Sequence[str], answer_kind: str) -> list[str]:
    """Each training row's class, as the cut calls it."""
    if answer_kind != "json":
        return [answer.strip() for answer in training]
    field = by.removeprefix(_FIELD)
    return [_given(answer, field) for answer in training]


def _given(answer: str, field: str) -> str:
    if not field:
        return answer.strip() or "(nothing)"
    record = read_record(answer)
    if record is None:
        return "(no record)"
    value = record.get(field)
    return "(none)" if value is None else value if isinstance(value, str) else canonical(value)


def _rounded(rows: int) -> int:
    """Up to the next five, or ten from 50 on: more digits would promise what no rule of thumb can."""
    step = 5 if rows < 50 else 10
    return step * math.ceil(rows / step)


def _clipped(text: str, most: int = 120) -> str:
    # A model may well write what a terminal would obey.
    line = "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"
