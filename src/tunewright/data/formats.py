"""What a row may look like, and how it becomes a conversation.

A format flattens a row into text columns, which the steps clean, and makes messages of the cleaned columns. It is
recognised once, by the fields, and then holds for every row; rows that do not fit are refused with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tunewright.base.errors import DataError
from tunewright.data.example import ROLES as KNOWN_ROLES
from tunewright.data.example import Message
from tunewright.data.frame import RESERVED, ROLES
from tunewright.data.readers import columns_of, find_files
from tunewright.data.rows import as_text, parse_path, pick
from tunewright.data.template import Cells, JsonAnswer, Text, is_empty
from tunewright.recipe.schema import Data, Template

ANSWER = "answer"
_CONTENT = re.compile(r"messages\[(\d+)\]\.content")


class Format(Protocol):
    """How rows of one kind become conversations."""

    name: str
    #: Columns that every file must have.
    needed: tuple[str, ...]

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        """The row's text columns. Raises a `DataError` whose `what` is the reason to refuse the row."""
        ...

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns of a flattened frame that make up the prompt, and those that make up the answer."""
        ...

    def makes(self, column: str) -> bool:
        """Whether a column comes from flattening, and not from the row itself."""
        ...

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        """The conversation. Raises a `DataError` whose `what` is the reason to refuse the row."""
        ...


class TemplateFormat:
    """Rows of any columns, through the recipe's template. Also prompt/completion, which is a template."""

    def __init__(self, template: Template, name: str = "template") -> None:
        self.name = name
        self.system = Text.parse(template.system, "system")
        self.user = Text.parse(template.user, "user")
        self.answer: Text | JsonAnswer = (
            Text.parse(template.assistant, "assistant")
            if isinstance(template.assistant, str)
            else JsonAnswer(tuple(template.assistant.items()))
        )
        self.prompt_columns = tuple(dict.fromkeys((*self.system.columns, *self.user.columns)))
        self.needed = tuple(dict.fromkeys((*self.prompt_columns, *self.answer.columns)))
        for field, columns in (("user", self.prompt_columns), ("assistant", self.answer.columns)):
            if not columns:
                raise DataError("The template names no column", where=f"data.template.{field}", hint="As in: '{text}'.")
        self._paths = {name: parse_path(name) for name in self.needed}

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        return {name: as_text(pick(values, name, path)) for name, path in self._paths.items()}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.prompt_columns, self.answer.columns

    def makes(self, column: str) -> bool:
        return False

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        _refuse_if_all_empty(self.prompt_columns, cells, "the prompt is empty")
        if isinstance(self.answer, Text):
            for column in self.answer.columns:
                if is_empty(cells[column]):
                    raise DataError(f"'{column}' is empty, and the answer needs it")
        system = self.system.fill(cells)
        told = [Message("system", system)] if system.strip() else []
        return (*told, Message("user", self.user.fill(cells)), Message("assistant", self.answer.fill(cells)))


class InstructionFormat:
    """Rows with `instruction` and `output`, and perhaps `input` and `system`."""

    name = "instruction"
    needed: tuple[str, ...] = ("instruction", "output")
    _prompt = ("system", "instruction", "input")

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        return {name: as_text(values.get(name)) for name in (*self._prompt, "output")}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._prompt, ("output",)

    def makes(self, column: str) -> bool:
        return column in self._prompt or column == "output"

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        system, instruction, extra, output = (cells[name] or "" for name in (*self._prompt, "output"))
        _refuse_if_all_empty(("instruction", "input"), cells, "the prompt is empty")
        if not output.strip():
            raise DataError("'output' is empty")
        told = [Message("system", system)] if system.strip() else []
        asked = "\n\n".join(part for part in (instruction, extra) if part.strip())
        return (*told, Message("user", asked), Message("assistant", output))


class ConversationFormat:
    """Rows that hold a whole conversation in a list."""

    name = "chat"
    needed: tuple[str, ...] = ("messages",)

    def turns(self, values: Mapping[str, Any]) -> list[tuple[Any, Any, Any, str]]:
        """(role, content, weight, field) of each message; `field` is what an error calls it."""
        turns = []
        for index, message in enumerate(_list_of(values, "messages")):
            field = f"messages[{index}]"
            for key in ("tool_calls", "function_call"):
                if message.get(key):
                    raise DataError(f"{field} calls a tool, which cannot be learned yet")
            turns.append((message.get("role"), message.get("content"), message.get("weight"), field))
        return turns

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        turns = self.turns(values)
        last = max((index for index, turn in enumerate(turns) if turn[0] == "assistant"), default=-1)
        if last < 0:
            raise DataError("the conversation has no assistant message")
        if last == 0:
            raise DataError("the conversation begins with its only answer; nothing is asked")
        flat: dict[str, str | None] = {}
        roles = []
        for index, (role, content, weight, field) in enumerate(turns):
            if role not in KNOWN_ROLES:
                raise DataError(f"{field}: the role '{role}' is not one of {', '.join(KNOWN_ROLES)}")
            roles.append(f"{role}:{_weight(role, weight, field):g}")
            flat[ANSWER if index == last else f"messages[{index}].content"] = _content(content, field)
        if not any(role.endswith(":1") for role in roles):
            raise DataError("nothing is to be learned: every assistant message has weight 0")
        return {ROLES: " ".join(roles), **flat}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        contents = [name for name in columns if _CONTENT.fullmatch(name)]
        return tuple(sorted(contents, key=_index_of)), (ANSWER,)

    def makes(self, column: str) -> bool:
        return column == ANSWER or bool(_CONTENT.fullmatch(column))

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        roles = [role.split(":") for role in (cells[ROLES] or "").split()]
        last = max(index for index, (role, _) in enumerate(roles) if role == "assistant")
        messages = []
        for index, (role, weight) in enumerate(roles):
            content = cells[ANSWER if index == last else f"messages[{index}].content"]
            if content is None or not content.strip():
                raise DataError(f"messages[{index}]: 'content' is empty")
            messages.append(Message(role, content, float(weight)))
        return tuple(messages)


class ShareGptFormat(ConversationFormat):
    """Rows with `conversations`, each turn `from` someone with a `value`; perhaps a `system` beside them."""

    name = "sharegpt"
    needed: tuple[str, ...] = ("conversations",)
    _roles = {"human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant"}  # noqa: RUF012

    def turns(self, values: Mapping[str, Any]) -> list[tuple[Any, Any, Any, str]]:
        system = values.get("system")
        turns: list[tuple[Any, Any, Any, str]] = []
        if isinstance(system, str) and system.strip():
            turns.append(("system", system, None, "system"))
        for index, turn in enumerate(_list_of(values, "conversations")):
            speaker = turn.get("from")
            role = self._roles.get(str(speaker), speaker)
            turns.append((role, turn.get("value"), turn.get("weight"), f"conversations[{index}]"))
        return turns


def choose_format(data: Data) -> Format:
    """The format that a recipe asks for, or that the first training file's fields show.

    Raises:
        DataError: If no format fits; lists the columns, and shows what a template would look like.
    """
    if data.format == "template" or (data.format == "auto" and data.template):
        assert data.template is not None
        return _checked(TemplateFormat(data.template))
    if data.format != "auto":
        if data.template:
            raise DataError(
                f"data.format is '{data.format}', and yet there is a data.template",
                hint="Take one of them out; with a template the format is 'template'.",
            )
        return _formats()[data.format]
    source = data.train[0]
    file = find_files(source)[0]
    columns = list(source.columns) or columns_of(file)
    for known in _formats().values():
        if set(known.needed) <= set(columns):
            return known
    asked, answered = columns[0], columns[-1]
    raise DataError(
        "The rows fit no known format",
        where=str(file),
        hint=f"Columns: {', '.join(columns)}.\nSay with a template what is asked and what is answered:\n"
        f'  data:\n    template:\n      user: "{{{asked}}}"\n      assistant: "{{{answered}}}"\n'
        "Known formats: messages (chat), conversations (ShareGPT), prompt and completion, instruction and output.",
    )


def _formats() -> dict[str, Format]:
    completion = TemplateFormat(Template(user="{prompt}", assistant="{completion}"), "prompt_completion")
    return {
        "chat": ConversationFormat(),
        "sharegpt": ShareGptFormat(),
        "prompt_completion": completion,
        "instruction": InstructionFormat(),
    }


def _checked(format: TemplateFormat) -> TemplateFormat:
    for name in format.needed:
        if name in RESERVED:
            raise DataError(
                f"The column name '{name}' is used inside", where="data.template", hint="Rename it under 'columns'."
            )
    return format


def _refuse_if_all_empty(columns: Sequence[str], cells: Cells, what: str) -> None:
    if all(is_empty(cells[name]) for name in columns):
        raise DataError(f"{what}: nothing in {', '.join(columns)}")


def _list_of(values: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = values.get(name)
    if isinstance(value, str):  # tables keep lists as JSON text
        try:
            value = json.loads(value)
        except ValueError:
            raise DataError(f"'{name}' is a text, and not a list of messages") from None
    if not isinstance(value, list) or not value:
        raise DataError(f"'{name}' is {'empty' if value in (None, [], {}) else 'not a list of messages'}")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise DataError(f"{name}[{index}] is not an object")
    return value


def _content(content: Any, field: str) -> str:
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        content = "".join(str(part.get("text", "")) for part in content)
    if content is None:
        raise DataError(f"{field}: 'content' is null")
    if not isinstance(content, str):
        raise DataError(f"{field}: 'content' is not text")
    if not content.strip():
        raise DataError(f"{field}: 'content' is empty")
    return content


def _weight(role: str, weight: Any, field: str) -> float:
    if weight is None:
        return float(role == "assistant")
    if weight not in (0, 1) or (weight == 1 and role != "assistant"):
        raise DataError(f"{field}: 'weight' is {weight!r}; it is 0 or 1, and 1 for the assistant only")
    return float(weight)


def _index_of(column: str) -> int:
    found = _CONTENT.fullmatch(column)
    assert found is not None
    return int(found[1])
