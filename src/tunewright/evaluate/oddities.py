"""What is odd about answers, counted as what it is: empty ones, ones that were cut, labels that nobody asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewright.metrics import Answer

_SHOWN = 20
# Different answers kept; with more of them they are no labels.
_MOST_DIFFERENT = 10_000


@dataclass
class Oddities:
    """Counts over answers, gathered as they pass.

    Args:
        labels: Whether the answers are labels.
    """

    labels: bool = False
    rows: int = 0
    empty: int = 0
    cut: int = 0
    empty_references: int = 0
    _known: set[str] = field(default_factory=set)
    _given: Counter[str] = field(default_factory=Counter)

    def watch(self, pieces: Iterable[Sequence[Answer]]) -> Iterator[Sequence[Answer]]:
        """The same pieces, counted on their way."""
        for piece in pieces:
            self.add(piece)
            yield piece

    def add(self, answers: Sequence[Answer]) -> None:
        """Counts some answers."""
        for answer in answers:
            self.rows += 1
            self.cut += not answer.stopped
            said, wanted = answer.prediction.strip(), answer.reference.strip()
            self.empty += not said
            self.empty_references += not wanted
            if self.labels:
                self._known.update([wanted, *(other.strip() for other in answer.references)])
                if said and (said in self._given or len(self._given) < _MOST_DIFFERENT):
                    self._given[said] += 1

    @property
    def unknown(self) -> dict[str, int]:
        """Labels that were given and that no reference has, the most frequent first."""
        return {label: count for label, count in self._given.most_common() if label not in self._known}

    def as_json(self) -> dict[str, Any]:
        """`rows`, `empty`, `cut`; `unknown_labels` (rows, and the most frequent of them) where labels are given."""
        value: dict[str, Any] = {"rows": self.rows, "empty": self.empty, "cut": self.cut}
        if self.empty_references:
            value["empty_references"] = self.empty_references
        if self.labels:
            unknown = self.unknown
            shown = dict(list(unknown.items())[:_SHOWN])
            value["unknown_labels"] = {"rows": sum(unknown.values()), "different": len(unknown), "labels": shown}
        return value

    def lines(self) -> list[str]:
        """What a person should know, a sentence each; none where nothing is odd."""
        said = []
        if self.empty:
            said.append(f"{self.empty:,} of {self.rows:,} answers are empty, and count as wrong.")
        if self.cut:
            said.append(f"{self.cut:,} of {self.rows:,} answers were cut at the length limit.")
        if self.empty_references:
            said.append(f"{self.empty_references:,} of {self.rows:,} references are empty.")
        if self.labels and (unknown := self.unknown):
            first = ", ".join(f"'{_shortened(label)}'" for label in list(unknown)[:3])
            said.append(
                f"{sum(unknown.values()):,} of {self.rows:,} answers are labels that no reference has, such as {first}."
            )
        return said


def _shortened(text: str, most: int = 40) -> str:
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= most else f"{line[:most]}…"
