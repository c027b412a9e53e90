"""The file of labels: JSONL, a line for each label, on disk before the next question. It can be trained on as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tunewright.base.errors import DataError
from tunewright.base.lines import Lines, read_lines
from tunewright.data.folding import text_key


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and the label that a person gave it.

    Args:
        id: What texts share that are the same but for white space and case (`folding.text_key`).
        text: The text.
        label: Its label.
        source: The file it came from.
        line: Where it stands there.
        predicted: What the model would have said; None where there was none yet. It was not shown.
    """

    id: str
    text: str
    label: str
    source: str
    line: int
    predicted: str | None = None


def label_id(text: str) -> str:
    """The id of a text to be labelled: two people's labels of it find each other, whatever file it came from."""
    return text_key([text])


class Journal:
    """A file of labels, open for more. One process at a time."""

    def __init__(self, lines: Lines[Labelled]) -> None:
        self._lines = lines
        self.path, self.labelled, self.torn_bytes = lines.path, lines.values, lines.torn_bytes

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens a file of labels, made first where there is none.

        Raises:
            DataError: If it is no file of labels, or another process has it open.
        """
        taken = DataError(
            "Someone is labelling into this file right now",
            where=str(path),
            hint="Name another with --output, and compare the two later with --compare.",
        )
        return cls(Lines.open(path, _parse, taken=taken))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def add(self, labelled: Labelled) -> None:
        """Puts a label on disk."""
        self._lines.add(labelled, asdict(labelled))

    def take_back(self) -> Labelled | None:
        """Takes the last label off the file; None where there is none."""
        return self._lines.take_back()


def read_labels(path: Path) -> list[Labelled]:
    """The labels in a file, which is left as it is.

    Raises:
        DataError: If it is no file of labels.
    """
    return read_lines(path, _parse)


def _parse(line: bytes, where: str) -> Labelled:
    try:
        found = Labelled(**json.loads(line))
        if not (isinstance(found.text, str) and isinstance(found.label, str) and isinstance(found.id, str)):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise DataError(
            "This line is no label that `tunewright data label` wrote",
            where=where,
            hint="Name another file with --output.",
        ) from None
    return found


def counts(labelled: Sequence[Labelled]) -> dict[str, int]:
    """How often each label was given, the most frequent first."""
    found: dict[str, int] = {}
    for each in labelled:
        found[each.label] = found.get(each.label, 0) + 1
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
