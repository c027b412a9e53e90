"""Views of rows made on the spot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunewright.data.formats import TemplateFormat
from tunewright.data.quality.reading import AskedOnly, Shape, gather, kind_of, without_constant
from tunewright.data.quality.view import Rows, View
from tunewright.data.rows import Fault, Row
from tunewright.recipe.schema import Template

LABELLED = TemplateFormat(Template(user="{text}", assistant="{label}"), "labelled")


def rows_of(
    pairs: Iterable[tuple[str | None, str | None] | Fault], *, name: str = "data.csv", shape: Shape = LABELLED
) -> Rows:
    """Rows with a text and a label; lines count from 2, as behind a header."""
    found = (
        pair if isinstance(pair, Fault) else Row({"text": pair[0], "label": pair[1]}, name, line)
        for line, pair in enumerate(pairs, 2)
    )
    rows = gather(found, shape, name=name)
    return Rows(rows.name, rows.frame, rows.refused, rows.total, without_constant(rows), rows.answer_columns)


def view_of(
    pairs: Sequence[tuple[str | None, str | None] | Fault],
    *,
    held: Mapping[str, Sequence[tuple[str | None, str | None]]] | None = None,
    benchmarks: Mapping[str, Sequence[tuple[str | None, str | None]]] | None = None,
    **fields: Any,
) -> View:
    """A view of labelled rows."""
    data = rows_of(pairs)
    others = [
        tuple(rows_of(given, name=name) for name, given in (several or {}).items()) for several in (held, benchmarks)
    ]
    return View(data, *others, format="labelled", kind=fields.pop("kind", kind_of(data)), **fields)


def texts_only(texts: Sequence[str]) -> View:
    """A view of texts without answers."""
    data = rows_of([(text, None) for text in texts], shape=AskedOnly("text"))
    return View(data, format="text", kind="document")
