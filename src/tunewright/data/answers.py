"""What kind of answers conversations end in, found out from all of them, a few at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from tunewright.base.errors import DataError
from tunewright.data.rows import as_text
from tunewright.models.tool_calls import OPEN as CALL_OPENS

AnswerKind = Literal["label", "tags", "json", "text", "tool_call", "document", "prompt"]

_MOST_LABELS = 200
_LEAST_USES = 2
_LONGEST_LABEL_CHARACTERS = 100


def answer_fields(answer: str) -> dict[str, str | None] | None:
    """The fields of an answer that is a JSON object, as text; None where it is none."""
    if not answer.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return {key: as_text(item) for key, item in value.items()} if isinstance(value, dict) else None


def answer_kind(answers: Iterable[pl.Series], declared: str) -> AnswerKind:
    """What the answers are: as the recipe declares, else found out from all of them.

    `tool_call` when some of them call a tool; `json` when each is a JSON object; `label` when they are short and few
    (at most 200, used twice or more on average); else `text`.

    Args:
        answers: All of them, some at a time; gone through once.
        declared: What the recipe says, or `auto`.

    Raises:
        DataError: If labels are declared or found, and all rows have the same one.
    """
    seen = _Seen()
    for some in answers:
        seen.look(some, declared)
    kind = seen.kind() if declared == "auto" else declared
    if kind == "label" and len(seen.labels) == 1:
        raise DataError(
            f"All {seen.rows:,} rows have the same answer, '{next(iter(seen.labels))}'; there is nothing to tell apart",
            where="data.train",
            hint="A label set needs two labels or more; set data.answer to 'text' if one fixed answer is meant.",
        )
    if kind == "tags" and len(seen.tags) == 1:
        raise DataError("All words have the same tag; there is nothing to tell apart", where="data.train")
    assert kind in ("label", "tags", "json", "text", "tool_call", "prompt")
    return kind  # type: ignore[return-value]


def kind_of(answers: Iterable[pl.Series]) -> AnswerKind:
    """What answers seem to be, as `answer_kind` has it; one label alone is a label too, where nothing is learned."""
    seen = _Seen()
    for some in answers:
        seen.look(some, "auto")
    return seen.kind()


class _Seen:
    """What all answers so far have in common."""

    def __init__(self) -> None:
        self.rows = 0
        self.calls, self.objects, self.short = False, True, True
        self.labels: set[str] = set()  # no more than tells whether they are few
        self.tags: set[str] = set()

    def look(self, answers: pl.Series, declared: str) -> None:
        self.rows += len(answers)
        distinct = answers.unique(maintain_order=True)
        if declared == "tags":
            self.tags.update(tag for answer in distinct for tag in answer.split())
            return
        if len(self.labels) <= _MOST_LABELS:
            self.labels.update(distinct.head(_MOST_LABELS + 1))
        self.short &= all(len(text) <= _LONGEST_LABEL_CHARACTERS and "\n" not in text for text in distinct)
        self.calls |= bool(distinct.str.contains(CALL_OPENS, literal=True).any())
        self.objects = self.objects and all(answer_fields(answer) is not None for answer in distinct)

    def kind(self) -> AnswerKind:
        if self.calls:
            return "tool_call"
        if self.objects:
            return "json"
        return "label" if self.short and len(self.labels) <= _MOST_LABELS and self._is_used() else "text"

    def _is_used(self) -> bool:
        return len(self.labels) * _LEAST_USES <= self.rows


def strata(answers: Sequence[pl.Series], kind: AnswerKind) -> tuple[npt.NDArray[np.int32], list[str]]:
    """What to keep in proportion when rows are held out: the label; for JSON its first field of few values.

    Args:
        answers: All of them, some at a time; gone through more than once.
        kind: What they are.

    Returns:
        For each row the number of its group, and the groups' names, sorted.
    """
    if kind == "label":
        return _numbered(answers)
    name = _telling_field(answers) if kind == "json" else None
    if name is None:
        return np.zeros(sum(map(len, answers)), dtype=np.int32), [""]
    return _numbered([_values(some, name) for some in answers])


def _numbered(parts: Iterable[pl.Series]) -> tuple[npt.NDArray[np.int32], list[str]]:
    names: dict[str, int] = {}
    codes = [np.empty(0, dtype=np.int32)]
    for part in parts:
        codes.append(np.array([names.setdefault(text, len(names)) for text in part], dtype=np.int32))
    ordered = sorted(names)
    place = {name: index for index, name in enumerate(ordered)}
    table = np.array([place[name] for name in names], dtype=np.int32)
    return table[np.concatenate(codes)] if names else np.concatenate(codes), ordered


def _values(answers: pl.Series, name: str) -> pl.Series:
    return pl.Series([str((answer_fields(answer) or {}).get(name)) for answer in answers], dtype=pl.String)


def _telling_field(answers: Sequence[pl.Series]) -> str | None:
    """The first field of the first answer that has few values, and more than one."""
    first = next((answer for some in answers for answer in some), "")
    values: dict[str, set[str]] = {name: set() for name in answer_fields(first) or {}}
    rows = 0
    for some in answers:
        rows += len(some)
        for answer in some:
            fields = answer_fields(answer) or {}
            for name, found in values.items():
                if len(found) <= _MOST_LABELS:
                    found.add(str(fields.get(name)))
    few = (
        name for name, found in values.items() if 1 < len(found) <= _MOST_LABELS and len(found) * _LEAST_USES <= rows
    )
    return next(few, None)


def count_labels(answers: Iterable[Iterable[str]], kind: AnswerKind = "label") -> dict[str, int]:
    """How often each label stands there, sorted by label; of tags each word's."""
    counts: Counter[str] = Counter()
    for some in answers:
        counts.update(some if kind == "label" else (tag for answer in some for tag in answer.split()))
    return dict(sorted(counts.items()))
