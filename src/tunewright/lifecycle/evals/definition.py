"""An eval as an object: which rows it takes, and by which graders answers are held."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError
from tunewright.evaluate.graders import check_allowed, parse_grader
from tunewright.store.records import Record, new_id

if TYPE_CHECKING:
    from tunewright.store import Workspace

KIND = "eval"

# What templates find of an answer: `evaluate.graders.sample_of`.
_SAMPLE_SCHEMA = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "output_text": {"type": "string"},
        "output_json": {},
        "output_tools": {"type": "array", "items": {"type": "object"}},
        "choices": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["output_text"],
}


def create_eval(
    workspace: Workspace,
    *,
    data_source: Mapping[str, Any],
    criteria: Sequence[Mapping[str, Any]],
    name: str | None,
    metadata: Mapping[str, str] | None,
    project: str,
    runs_python: bool,
) -> Record:
    """Makes an eval.

    Args:
        data_source: `data_source_config` as the API takes it, checked.
        criteria: Graders as the API takes them, not checked.
        runs_python: Whether graders may run code.

    Raises:
        InputError: If the schema of the rows or a grader is wrong.
    """
    graders = []
    for place, raw in enumerate(criteria):
        where = f"testing_criteria[{place}]"
        grader = parse_grader(raw, where=where)
        if grader.type == "multi":
            raise InputError(
                "A multi grader scores in fine-tuning, and is no criterion of an eval",
                where=where,
                hint="Give its graders as criteria of their own.",
            )
        if grader.type == "text_similarity" and raw.get("pass_threshold") is None:
            raise InputError("There is no pass_threshold", where=f"{where}.pass_threshold")
        check_allowed(grader, runs_python=runs_python, where=where)
        graders.append(grader.as_json())
    id = new_id("eval_")
    body = {
        "data_source_config": _config(data_source),
        "metadata": None if metadata is None else dict(metadata),
        "name": name or id,
        "testing_criteria": graders,
        "_item_schema": data_source.get("item_schema"),
        "_updated_at": time.time(),
    }
    return workspace.add_record(KIND, body, id=id, project=project)


def render_eval(record: Record) -> dict[str, Any]:
    """An eval as the API says it."""
    told = {name: value for name, value in record.body.items() if not name.startswith("_")}
    return {"id": record.id, "object": "eval", "created_at": record.created_at, **told}


def update_eval(workspace: Workspace, id: str, changes: Mapping[str, Any]) -> Record:
    """Renames an eval, or changes its notes."""
    return workspace.change_record(KIND, id, lambda body: {**body, **changes, "_updated_at": time.time()})


def validator_of(schema: Mapping[str, Any]) -> Any:
    """What rows are checked by; nothing is fetched from anywhere.

    Raises:
        InputError: If it is no JSON Schema.
    """
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    where = "data_source_config.item_schema"
    if not isinstance(schema.get("$schema", ""), str):
        raise InputError("This is no JSON Schema: its $schema is no text", where=where)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema, format_checker=kind.FORMAT_CHECKER)
    except SchemaError as error:
        raise InputError(f"This is no JSON Schema: {error.message} (at {error.json_path})", where=where) from error
    except RecursionError as error:
        raise InputError("This JSON Schema is nested too deeply", where=where) from error
    registry: Registry[Any] = Registry()
    return kind(schema, registry=registry)


def _config(source: Mapping[str, Any]) -> dict[str, Any]:
    """A data source's configuration as the API tells it, with the schema of what templates find."""
    if source["type"] != "custom":
        schema = _schema({"type": "object"}, with_sample=True)
        return {"type": source["type"], "metadata": source.get("metadata"), "schema": schema}
    validator_of(source["item_schema"])
    return {"type": "custom", "schema": _schema(source["item_schema"], source.get("include_sample_schema", False))}


def _schema(item: Mapping[str, Any], with_sample: bool) -> dict[str, Any]:
    properties = {"item": dict(item), **({"sample": _SAMPLE_SCHEMA} if with_sample else {})}
    return {"type": "object", "properties": properties, "required": list(properties)}
