"""Task files of lm-evaluation-harness, where their data are at hand: a task is data, and none of it runs as code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tunewright.base.errors import DataError, InputError

_INCLUDED = "include"
_IN_THE_HARNESS = "Run it in the harness itself: python -m tunewright.lifecycle.harness run --help."
_SPLITS = ("test_split", "validation_split")  # what is measured: the first that a task names, as in the harness
_UNCHANGING = ("tag", "task_alias", "metadata", "should_decontaminate", "doc_to_decontamination_query", "dataset_name")
METRICS: dict[str, tuple[str, ...]] = {
    "multiple_choice": ("acc", "acc_norm", "acc_bytes"),
    "loglikelihood": ("acc", "perplexity"),
    "generate_until": ("exact_match",),
}


class TaskMetric(BaseModel):
    """One metric of a task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    aggregation: Literal["mean", "perplexity"] | None = None
    higher_is_better: bool | None = None
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_numbers: bool = False
    regexes_to_ignore: tuple[str, ...] = ()

    @field_validator("regexes_to_ignore")
    @classmethod
    def _can_be_read(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}' is no pattern ({error})") from error
        return patterns


class TaskFile(BaseModel):
    """What a task file says. Fields that are not here change numbers in ways that are not known here, and are refused.

    Args:
        folder: The file's own; paths of data are relative to it, or to the working directory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    task: str
    dataset_path: Literal["json", "csv", "parquet"]
    dataset_kwargs: dict[str, Any]
    output_type: Literal["multiple_choice", "loglikelihood", "generate_until"]
    test_split: str | None = None
    validation_split: str | None = None
    training_split: str | None = None
    fewshot_split: str | None = None
    doc_to_text: str
    doc_to_target: str | int
    doc_to_choice: str | tuple[str, ...] | dict[str, str] | None = None
    description: str = ""
    target_delimiter: str = " "
    fewshot_delimiter: str = "\n\n"
    num_fewshot: Literal[0] | None = None
    repeats: Literal[1] = 1
    generation_kwargs: dict[str, Any] = Field(default_factory=dict)
    metric_list: tuple[TaskMetric, ...] = ()

    @property
    def metrics(self) -> tuple[TaskMetric, ...]:
        """Those that are named; else the harness's own for the kind of output."""
        return self.metric_list or tuple(TaskMetric(metric=name) for name in METRICS[self.output_type][:2])


def _parsed(text: str) -> Any:
    """What a YAML text says; raises an `InputError` where it would run code of the task's own."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def refuse(loader: Any, suffix: str, node: Any) -> Any:
        raise InputError(
            f"'!{suffix} {getattr(node, 'value', '')}' runs code of the task's own, which is not done here",
            where=f"line {node.start_mark.line + 1}",
            hint=_IN_THE_HARNESS,
        )

    Loader.add_multi_constructor("!", refuse)
    return yaml.load(text, Loader)  # noqa: S506 (of a safe loader)


def read_task(path: str | Path) -> TaskFile:
    """Reads a task file, and those that it includes.

    Raises:
        InputError: If it cannot be read, runs code, or asks for what is not done here; with file and field.
    """
    file = Path(path).expanduser()
    given = _merged(file, ())
    given = {name: value for name, value in given.items() if name not in _UNCHANGING}
    try:
        task = TaskFile.model_validate({**given, "folder": file.parent})
    except ValidationError as error:
        raise _refused(file, error) from error
    known = METRICS[task.output_type]
    if unknown := [each.metric for each in task.metrics if each.metric not in known]:
        raise InputError(
            f"The metric '{unknown[0]}' is not known for {task.output_type}",
            where=f"{file}: metric_list",
            hint=f"Known: {', '.join(known)}.",
        )
    if task.output_type == "multiple_choice" and task.doc_to_choice is None:
        raise InputError("A multiple choice needs its choices", where=f"{file}: doc_to_choice")
    return task


def _merged(file: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The fields of a file over those of the file that it includes."""
    import yaml

    if file.resolve() in above:
        raise InputError("A task file includes itself", where=str(file))
    try:
        given = _parsed(file.read_text(encoding="utf-8"))
    except InputError as error:
        raise InputError(error.what, where=f"{file}: {error.where}", hint=error.hint) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The task cannot be read ({' '.join(str(error).split())})", where=str(file)) from error
    if not isinstance(given, dict):
        raise InputError("A task file holds fields with values", where=str(file))
    included = given.pop(_INCLUDED, None)
    if included is None:
        return given
    return _merged(file.parent / str(included), (*above, file.resolve())) | given


def _refused(file: Path, error: ValidationError) -> InputError:
    faults = []
    for fault in error.errors():
        field = ".".join(map(str, fault["loc"]))
        unknown = fault["type"] == "extra_forbidden"
        faults.append(f"{field}: {'is not done here' if unknown else fault['msg'][:1].lower() + fault['msg'][1:]}")
    return InputError(
        f"The task asks for what is not done here: {'; '.join(faults)}",
        where=str(file),
        hint=_IN_THE_HARNESS,
    )


def rows_of(task: TaskFile, limit: int | None = None) -> list[dict[str, Any]]:
    """The rows that a task measures, the first ones where there is a limit.

    Raises:
        DataError: If a file is missing or cannot be read, or there are no rows.
    """
    split = next((getattr(task, name) for name in _SPLITS if getattr(task, name)), None)
    unknown = sorted(set(task.dataset_kwargs) - {"data_files"})
    if unknown or "data_files" not in task.dataset_kwargs:
        raise DataError(
            f"The data are not at hand{f': {unknown[0]} is not done here' if unknown else ''}",
            where=f"{task.task}: dataset_kwargs",
            hint="Name local files: dataset_kwargs: {data_files: {test: rows.jsonl}}.",
        )
    files = task.dataset_kwargs["data_files"]
    if isinstance(files, Mapping):
        if split not in files:
            raise DataError(f"There is no file for the part '{split}'", where=f"{task.task}: data_files")
        files = files[split]
    named = [files] if isinstance(files, str) else list(files)
    rows = [row for name in named for row in _read(task, str(name))]
    if not rows:
        raise DataError("There are no rows to measure", where=f"{task.task}: data_files")
    return rows[:limit] if limit else rows


def _read(task: TaskFile, name: str) -> list[dict[str, Any]]:
    import polars as pl

    path = next((each for each in (task.folder / name, Path(name)) if each.is_file()), None)
    if path is None:
        raise DataError("The file does not exist", where=str(task.folder / name), hint="Nothing is downloaded.")
    try:
        if task.dataset_path == "csv":
            return pl.read_csv(path, infer_schema_length=None).to_dicts()
        if task.dataset_path == "parquet":
            return pl.read_parquet(path).to_dicts()
        text = path.read_text(encoding="utf-8-sig")
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    except (pl.exceptions.PolarsError, ValueError, OSError) as error:
        raise DataError(f"The rows cannot be read ({str(error).splitlines()[0]})", where=str(path)) from error
    if not all(isinstance(row, dict) for row in rows):
        raise DataError("Rows are objects with fields", where=str(path))
    return list(rows)


class Texts:
    """A task's texts for one row after another, its templates filled in a sandbox."""

    def __init__(self, task: TaskFile) -> None:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        self._task = task
        self._made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)

    def context(self, row: Mapping[str, Any]) -> str:
        """What stands in front of the answer."""
        task = self._task
        asked = self._text(task.doc_to_text, row, "doc_to_text")
        if not isinstance(asked, str) or (asked.isdigit() and task.doc_to_choice is not None):
            raise InputError(
                "Choices that stand in front of one ending are not done here",
                where=f"{task.task}: doc_to_text",
                hint=_IN_THE_HARNESS,
            )
        return self._filled(task.description, row, "description") + asked

    def choices(self, row: Mapping[str, Any]) -> list[str]:
        """What may be answered; empty where nothing is chosen."""
        given = self._task.doc_to_choice
        if given is None:
            return []
        if isinstance(given, dict):
            return list(given.values())
        found: Any = given if isinstance(given, tuple) else self._listed(given, row)
        if not isinstance(found, list | tuple) or not found or not all(isinstance(each, str) for each in found):
            raise DataError("The choices are no list of texts", where=f"{self._task.task}: doc_to_choice")
        return list(found)

    def target(self, row: Mapping[str, Any]) -> int | str | list[Any]:
        """The right answer: its text, its place among the choices, or several of them."""
        given, choices = self._task.doc_to_target, self._task.doc_to_choice is not None
        if isinstance(given, int):
            return given
        if given in row:
            found: int | str | list[Any] = row[given]
            return found
        text = self._filled(given, row, "doc_to_target")
        if text.isdigit() and choices:
            return int(text)
        if len(text) >= 2 and text[0] == "[" and text[-1] == "]":
            try:
                listed: list[Any] = ast.literal_eval(text)
            except (SyntaxError, ValueError):
                return text
            return listed
        return text

    def _listed(self, template: str, row: Mapping[str, Any]) -> Any:
        if template in row:
            return row[template]
        try:
            return ast.literal_eval(self._filled(template, row, "doc_to_choice"))
        except (SyntaxError, ValueError) as error:
            raise DataError("The choices are no list of texts", where=f"{self._task.task}: doc_to_choice") from error

    def _text(self, template: str, row: Mapping[str, Any], field: str) -> Any:
        return row[template] if template in row else self._filled(template, row, field)

    def _filled(self, template: str, row: Mapping[str, Any], field: str) -> str:
        from jinja2 import TemplateError

        try:
            return self._made.from_string(template).render(**row)
        except (TemplateError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"The template does not fit the row ({error})", where=f"{self._task.task}: {field}"
            ) from error


def places_of(target: int | str | Sequence[Any], choices: Sequence[str], where: str) -> set[int]:
    """The right choices, by their places.

    Raises:
        DataError: If the right answer is none of the choices.
    """
    each = target if isinstance(target, list | tuple) else [target]
    found = {one if isinstance(one, int) else choices.index(one) if one in choices else -1 for one in each}
    if not found or min(found) < 0 or max(found) >= len(choices):
        raise DataError(f"The right answer ({target!r}) is none of the {len(choices)} choices", where=where)
    return found
