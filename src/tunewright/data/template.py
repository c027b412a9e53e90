"""Templates: how the columns of a row become a conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tunewright.base.errors import DataError
from tunewright.data.rows import compact_json

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")

Cells = Mapping[str, str | None]


def is_empty(value: str | None) -> bool:
    """Whether a cell holds nothing but white space."""
    return value is None or not value.strip()


@dataclass(frozen=True, slots=True)
class Text:
    """A text with `{column}` placeholders, taken apart.

    Args:
        parts: Literal texts and columns, in turn: literal, column, literal, …, literal.
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, field: str) -> Text:
        """Takes a template text apart; a literal brace is doubled.

        Raises:
            DataError: If a brace stands alone.
        """
        parts, at = [""], 0
        for token in _TOKEN.finditer(text):
            parts[-1] += text[at : token.start()]
            at = token.end()
            if token[1] is not None:
                parts += [token[1].strip(), ""]
            elif token[0] in ("{{", "}}"):
                parts[-1] += token[0][0]
            else:
                raise DataError(
                    f"A '{token[0]}' stands alone at position {token.start() + 1}",
                    where=f"data.template.{field}",
                    hint="A column is written {column}; a literal brace is doubled: {{ or }}.",
                )
        parts[-1] += text[at:]
        return cls(tuple(parts))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names, each once."""
        return tuple(dict.fromkeys(self.parts[1::2]))

    def fill(self, cells: Cells) -> str:
        """The text with the cells' values; an empty cell leaves nothing behind."""
        return "".join(part if index % 2 == 0 else cells[part] or "" for index, part in enumerate(self.parts))


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """An answer in compact JSON: keys in the recipe's order, each with the text of a column; an empty cell is null."""

    keys: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names, each once."""
        return tuple(dict.fromkeys(column for _, column in self.keys))

    def fill(self, cells: Cells) -> str:
        """The JSON object as text."""
        return compact_json({key: None if is_empty(cells[column]) else cells[column] for key, column in self.keys})
