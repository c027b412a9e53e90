"""Texts with places for fields of the row and of the answer: `{{item.question}}`, `{{sample.output_json.total}}`."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError

if TYPE_CHECKING:
    from tunewright.evaluate.graders._contract import GradingError

NAMESPACES = ("item", "sample")

# Texts come from clients: nothing here takes longer than their length.
_PLACE = re.compile(r"\{\{([^{}]+)\}\}")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Look:
    """What a grader looks at.

    Args:
        item: The row's fields.
        sample: What is known of the answer (`sample_of`); None where nothing was answered.
    """

    item: Mapping[str, Any]
    sample: Mapping[str, Any] | None = None


def sample_of(text: str, *, tools: Sequence[Mapping[str, Any]] = (), model: str = "") -> dict[str, Any]:
    """An answer as templates see it; `output_json` is there only where the text is JSON."""
    sample: dict[str, Any] = {
        "model": model,
        "output_text": text,
        "output_tools": [*tools],
        "choices": [{"message": {"role": "assistant", "content": text, "tool_calls": [*tools]}}],
    }
    with contextlib.suppress(ValueError, RecursionError):  # most answers are no JSON; whoever asks for it is told
        sample["output_json"] = json.loads(text)
    return sample


def check_namespaces(texts: Iterable[str], *, where: str) -> None:
    """Refuses templates that ask for something else than the row and the answer.

    Raises:
        InputError: Naming the first place that does.
    """
    for path in _places(texts):
        if _namespace(path) not in NAMESPACES:
            raise InputError(
                f"The template asks for '{{{{{path}}}}}', which is of neither the row nor the answer",
                where=where,
                hint="Write {{item.field}} for the row's field, {{sample.output_text}} for the answer.",
            )


def places_of(texts: Iterable[str], namespace: str) -> list[str]:
    """What templates ask the row (`item`), or the answer (`sample`), for."""
    return [path for path in _places(texts) if _namespace(path) == namespace]


def _places(texts: Iterable[str]) -> list[str]:
    return [path for text in texts for found in _PLACE.findall(text) if (path := found.strip())]


def _namespace(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def fill(text: str, look: Look) -> str:
    """A template with its places filled: text as it stands, all else as JSON.

    Raises:
        GradingError: If a field is missing; names it.
    """

    def filled(place: re.Match[str]) -> str:
        path = place[1].strip()
        return _as_text(find(path, look)) if path else place[0]

    return _PLACE.sub(filled, text)


def fill_messages(messages: Iterable[Mapping[str, Any]], look: Look) -> list[dict[str, Any]]:
    """Messages (role, content) with the places in their contents filled.

    Raises:
        GradingError: If a field is missing; names it.
    """
    return [{**message, "content": fill(str(message["content"]), look)} for message in messages]


def find(path: str, look: Look) -> Any:
    """What stands at a path such as `item.answers[0].text`.

    Raises:
        GradingError: If there is nothing; names the step that leads nowhere, and what there is.
    """
    steps = [name or int(number) for name, number in _STEP.findall(path)]
    if steps[:2] == ["sample", "output_json"] and look.sample is not None and "output_json" not in look.sample:
        raise _missing("sample_parse_error", f"The answer is no JSON, and '{path}' asks for a field of it")
    spaces: dict[str, Any] = {"item": look.item}
    if look.sample is not None:
        spaces["sample"] = look.sample
    value: Any = spaces
    for place, step in enumerate(steps):
        value, there = _step(value, step)
        if not there:
            known = f"; there is {', '.join(sorted(map(str, value)))}" if isinstance(value, Mapping) and value else ""
            told = ".".join(map(str, steps[: place + 1]))
            raise _missing("invalid_variable_error", f"There is no '{told}', which '{{{{{path}}}}}' asks for{known}")
    return value


def _step(value: Any, step: str | int) -> tuple[Any, bool]:
    """The field of a value, and True; or the value itself, and False, where it has no such field."""
    if isinstance(value, Mapping) and str(step) in value:
        return value[str(step)], True
    if isinstance(value, list):
        number = int(step) if str(step).isdecimal() else len(value)
        if number < len(value):
            return value[number], True
    return value, False


def _missing(kind: Any, what: str) -> GradingError:
    from tunewright.evaluate.graders._contract import GradingError

    return GradingError(kind, what, hint="Correct the template, or give the rows this field.")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
