"""Rows with a class: a text, or a pair of texts, with a label; and a list of words with a tag each."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.base.errors import DataError
from tunewright.data.example import Message
from tunewright.data.formats import TemplateFormat, refuse_if_all_empty
from tunewright.data.rows import as_text
from tunewright.data.template import Cells, is_empty
from tunewright.recipe.schema import Template

TEXT_PAIR = "text_pair"


class LabelledFormat(TemplateFormat):
    """Rows with a `text` and its `label`; where there is a `text_pair` too, the label is that of both together."""

    def __init__(self) -> None:
        super().__init__(Template(user="{text}", assistant="{label}"), "labelled")

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        other = as_text(values.get(TEXT_PAIR))
        return super().flatten(values) | ({} if other is None else {TEXT_PAIR: other})

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (*self.prompt_columns, *([TEXT_PAIR] if TEXT_PAIR in columns else [])), self.answer_columns

    def makes(self, column: str) -> bool:
        return column == TEXT_PAIR

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        *asked, answer = super().messages(cells)
        other = cells.get(TEXT_PAIR)
        return (*asked, *([] if is_empty(other) else [Message("user", other or "")]), answer)


class TaggedFormat:
    """Rows with a list of words, `tokens`, and a list of their `tags`, as many."""

    name = "tagged"
    needed: tuple[str, ...] = ("tokens", "tags")
    pairs = False

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        words, tags = (_words(values, name) for name in self.needed)
        if len(words) != len(tags):
            raise DataError(f"there are {len(words):,} tokens and {len(tags):,} tags")
        return {"tokens": " ".join(words), "tags": " ".join(tags)}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return ("tokens",), ("tags",)

    def makes(self, column: str) -> bool:
        return column in self.needed

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        refuse_if_all_empty(("tokens",), cells, "there are no tokens")
        return Message("user", cells["tokens"] or ""), Message("assistant", cells["tags"] or "")

    def rejected(self, cells: Cells) -> str | None:
        return None


def _words(values: Mapping[str, Any], field: str) -> list[str]:
    """A list's items as text; each is one word, since a row's words are kept with a space between them."""
    items = values.get(field)
    if isinstance(items, str) and items.lstrip().startswith("["):  # tables keep lists as JSON text
        with contextlib.suppress(ValueError):
            items = json.loads(items)
    if not isinstance(items, list | tuple) or not items:
        raise DataError(f"'{field}' is not a list of words")
    words = [as_text(item) for item in items]
    for place, word in enumerate(words):
        if word is None or len(word.split()) != 1:
            raise DataError(f"{field}[{place}] is empty, or has white space inside")
    return [word or "" for word in words]
