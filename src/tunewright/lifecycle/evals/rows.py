"""The rows of a run: read from the request or from a file, and held against the eval's schema."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import SHOWN_FAULTS, DataError, InputError, NoSuchRecordError, collect
from tunewright.lifecycle.evals.definition import validator_of
from tunewright.store.records import Record
from tunewright.store.uploads import find_upload, open_upload

if TYPE_CHECKING:
    from tunewright.store import Workspace

MOST_ROWS = 100_000
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")  # what records cannot keep
# Chat completions that were asked for with `store`.
STORED = "chat_completion"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a run.

    Args:
        number: From 0, without empty lines.
        item: Its fields.
        sample: What was answered, where that is given.
    """

    number: int
    item: dict[str, Any]
    sample: dict[str, Any] | None


def rows_of(workspace: Workspace, run: Record) -> Iterator[Row]:
    """The rows of a run, checked before (`check_rows`), one after another."""
    for number, (where, raw) in enumerate(_raw(workspace, run)):
        yield _row(number, where, raw)


def check_rows(workspace: Workspace, run: Record) -> int:
    """Reads all rows of a run and says how many there are.

    Raises:
        DataError: If there is none, there are too many, or some are not as the eval wants them; names the first ones.
    """
    schema = run.body["_item_schema"]
    validator = None if schema is None else validator_of(schema)
    faults: list[str] = []
    total = count = 0
    for number, (where, raw) in enumerate(_raw(workspace, run)):
        total += 1
        fault = _fault(number, where, raw, validator)
        count += fault is not None
        if fault is not None and len(faults) < SHOWN_FAULTS:
            faults.append(fault)
    if count:
        raise DataError(f"{count:,} of {total:,} rows are not as the eval wants them:\n{collect(faults, total=count)}")
    if not total:
        raise DataError("There are no rows to grade", where="data_source.source")
    if total > MOST_ROWS:
        raise DataError(f"There are {total:,} rows; {MOST_ROWS:,} are the most", where="data_source.source")
    return total


def _raw(workspace: Workspace, run: Record) -> Iterator[tuple[str, Any]]:
    """What stands in each row, and where."""
    source = run.body["data_source"]["source"]
    if source["type"] == "stored_completions":
        for id in run.body["_stored"]:
            yield id, _stored(workspace, id, run.project)
        return
    if source["type"] == "file_content":
        for place, row in enumerate(source["content"]):
            yield f"content[{place}]", row
        return
    file = find_upload(workspace, source["id"], project=run.project)
    yield from _lines(open_upload(workspace, file), file.body["filename"])


def stored_ids(workspace: Workspace, source: Mapping[str, Any], *, noted: Mapping[str, str], project: str) -> list[str]:
    """The stored chat completions that a source means, the oldest first.

    Args:
        source: Filters: `model`, `metadata`, `created_after`, `created_before` (inclusive, seconds), `limit`.
        noted: Metadata that the eval itself asks for.
    """
    wanted = {f"metadata.{name}": value for name, value in {**noted, **(source.get("metadata") or {})}.items()}
    if source.get("model"):
        wanted["model"] = source["model"]
    after, before = source.get("created_after") or 0, source.get("created_before") or math.inf
    found = workspace.each_record(STORED, project=project, where=wanted)
    ids = (record.id for record in found if after <= record.created_at <= before)
    return [*islice(ids, min(source.get("limit") or MOST_ROWS, MOST_ROWS))]


def _stored(workspace: Workspace, id: str, project: str) -> dict[str, Any]:
    """A stored chat completion as a row: what was asked, and what was answered."""
    try:
        body = workspace.record(STORED, id, project=project).body
    except NoSuchRecordError as error:
        raise DataError("This stored completion was deleted before it was graded", where=id) from error
    message = body["completion"]["choices"][0]["message"]
    text = message.get("content") or ""
    sample = {"output_text": text, "output_tools": message.get("tool_calls") or [], "model": body["model"]}
    return {"item": {"input": body["messages"], "output": text, "metadata": body["metadata"]}, "sample": sample}


def _lines(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if text.strip():
                try:
                    yield f"{name}:{number}", json.loads(text)
                except (ValueError, RecursionError):
                    yield f"{name}:{number}", None


def _row(number: int, where: str, raw: Any) -> Row:
    """A row; raises a DataError where it is none."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("item"), dict):
        raise DataError('A row is an object such as {"item": {…}}', where=where)
    sample = raw.get("sample")
    if sample is not None and not isinstance(sample, dict):
        raise DataError("A row's 'sample' is an object", where=where)
    if any(_UNSENDABLE.search(text) for text in _texts(raw)):
        raise DataError("A text holds a NUL character or half a surrogate pair", where=where, hint="Remove it.")
    return Row(number, raw["item"], sample)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value, names of fields included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _fault(number: int, where: str, raw: Any, validator: Any) -> str | None:
    from jsonschema import ValidationError
    from referencing.exceptions import Unresolvable

    try:
        row = _row(number, where, raw)
        if validator is not None:
            validator.validate(row.item)
    except DataError as error:
        return str(error)
    except ValidationError as error:
        return f"{where}: {error.message[:200]} (at item{error.json_path.removeprefix('$')})"
    except RecursionError as error:
        raise InputError(
            "The schema, or a row, leads deeper and deeper", where="data_source_config.item_schema"
        ) from error
    except Unresolvable as error:
        raise InputError(
            f"The schema refers to '{error.ref}', which it does not hold",
            where="data_source_config.item_schema",
            hint="Put it under $defs: nothing is fetched from elsewhere.",
        ) from error
    return None
