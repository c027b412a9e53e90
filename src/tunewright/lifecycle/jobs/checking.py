"""Whether a file holds what a job can learn from; faults are said as OpenAI's service says them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tunewright.base.errors import SHOWN_FAULTS, DataError
from tunewright.data.example import ROLES
from tunewright.data.formats import Format, format_called
from tunewright.evaluate.graders import GraderConfig, GradingError, check_item
from tunewright.lifecycle.jobs.jobs import REINFORCEMENT

LEAST_EXAMPLES = {"training_file": 10, "validation_file": 1}
_CALLED = {"training_file": "Training file", "validation_file": "Validation file"}
_LONGEST_SHOWN = 80

Param = Literal["training_file", "validation_file"]


class FileError(DataError):
    """A file that a job cannot use.

    Args:
        message: What is wrong, as the job's error says it.
        code: `invalid_training_file`, `invalid_validation_file` or `invalid_n_examples`.
        param: Which of the job's files it is.
    """

    def __init__(self, message: str, *, code: str, param: Param) -> None:
        super().__init__(message.removesuffix("."), where=param)
        self.message, self.code, self.param = message, code, param


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a usable file.

    Args:
        examples: How many it holds.
        longest: Characters of the longest of them, as it stands there.
    """

    examples: int
    longest: int


def format_of(method: str) -> str:
    """What the rows of a method look like, as a recipe's `data.format` has it."""
    return {"dpo": "openai_preference", REINFORCEMENT: "prompts"}.get(method, "chat")


def check_file(path: Path, method: str, param: Param, grader: GraderConfig | None = None) -> Checked:
    """Looks at each example of a file.

    Args:
        path: The file.
        method: How it is learned.
        param: Which of the job's files it is.
        grader: What will read the examples' fields, if anything does.
    Raises:
        FileError: If one cannot be used, or there are too few.
    """
    format = format_called(format_of(method))
    count, longest = 0, 0
    faults: list[tuple[int, str]] = []
    for count, (line, text) in enumerate(_lines(path, param), 1):
        longest = max(longest, len(text))
        if fault := _fault(text, format, line, grader):
            faults.append((count, fault))
    if faults:
        raise FileError(_told(faults), code=f"invalid_{param}", param=param)
    least = LEAST_EXAMPLES[param]
    if count < least:
        message = f"{_CALLED[param]} has {count} example(s), but must have at least {least} examples"
        raise FileError(message, code="invalid_n_examples", param=param)
    return Checked(count, longest)


def _lines(path: Path, param: Param) -> Iterator[tuple[int, str]]:
    """Each line that is not blank, with its number."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise FileError(
                    f"Invalid file format. Line {number} is not UTF-8 (byte {error.start}).",
                    code=f"invalid_{param}",
                    param=param,
                ) from error
            if text:
                yield number, text


def _told(faults: list[tuple[int, str]]) -> str:
    (number, first), *others = faults
    message = f"Invalid file format. Example {number}{first}"
    if not others:
        return message
    shown = ", ".join(str(each) for each, _ in others[:SHOWN_FAULTS])
    more = ", …" if len(others) > SHOWN_FAULTS else ""
    return f"{message}. {len(others)} more cannot be used: {shown}{more}"


def _fault(text: str, format: Format, line: int, grader: GraderConfig | None) -> str:
    """What is wrong with an example, as it follows "Example 12"; empty if nothing is."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f" (line {line}) is not valid JSON: {error}"
    if not isinstance(row, dict):
        return " is no JSON object"
    for name, messages in _messages(row, format):
        if fault := _role_fault(name, messages):
            return fault
    missing = [name for name in format.needed if name not in row]
    if missing:
        return f", '{missing[0]}' is missing"
    try:
        cells = format.flatten(row)
        format.messages(cells)
        format.rejected(cells)
        if grader:
            check_item(grader, row)
    except (DataError, GradingError) as error:
        return f", {error.what}"
    return ""


def _messages(row: Mapping[str, Any], format: Format) -> Iterator[tuple[str, list[Any]]]:
    """Each list of messages in an example, with what goes before the number of one of them."""
    if not format.pairs:
        places = {"message": row.get("messages")}
    else:
        asked = row.get("input")
        places = {"input message": asked.get("messages") if isinstance(asked, dict) else None}
        places |= {f"{name} message": row.get(name) for name in ("preferred_output", "non_preferred_output")}
    for name, messages in places.items():
        if isinstance(messages, list):
            yield name, messages


def _role_fault(name: str, messages: list[Any]) -> str:
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            return f", {name} {number} Input should be a valid dictionary"
        if "role" not in message:
            return f", {name} {number} Discriminator 'role' is missing in value"
        if message["role"] not in ROLES:
            found = str(message["role"])[:_LONGEST_SHOWN]
            expected = ", ".join(f"'{role}'" for role in ROLES)
            return f", {name} {number} Input tag '{found}' found using 'role' does not match any of: {expected}"
    return ""
