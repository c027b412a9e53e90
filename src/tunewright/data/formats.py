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
from tunewright.data.example import Message
from tunewright.data.frame import RESERVED, ROLES, TOOLS
from tunewright.data.readers import columns_of, find_files
from tunewright.data.rows import as_text, parse_path, pick
from tunewright.data.template import Cells, JsonAnswer, Text, is_empty
from tunewright.data.tool_rows import CALLS, RESULT_OF, check_results, read_cells, tool_cells, tools_text
from tunewright.recipe.schema import Data, Template

ANSWER = "answer"
KNOWN_ROLES = ("system", "user", "assistant")
# Roles that only rows in OpenAI's own form have.
_CHAT_ROLES = ("system", "developer", "user", "assistant", "tool")
_CONTENT = re.compile(rf"messages\[(\d+)\]\.(?:content|{CALLS})")


class Format(Protocol):
    """How rows of one kind become conversations."""

    name: str
    #: Columns that every file must have.
    needed: tuple[str, ...]
    #: Whether a row holds a rejected answer beside the chosen one.
    pairs: bool

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

    def rejected(self, cells: Cells) -> str | None:
        """An answer found worse than the conversation's last, if the format has such; raises as `messages` does."""
        ...


class TemplateFormat:
    """Rows of any columns, through the recipe's template. Also prompt/completion, which is a template."""

    def __init__(self, template: Template, name: str = "template") -> None:
        self.name = name
        self.system = Text.parse(template.system, "system")
        self.user = Text.parse(template.user, "user")
        self.answer = _answer(template.assistant, "assistant")
        self.worse = None if template.rejected is None else _answer(template.rejected, "rejected")
        self.pairs = self.worse is not None
        self.prompt_columns = tuple(dict.fromkeys((*self.system.columns, *self.user.columns)))
        sides = {"user": self.prompt_columns, "assistant": self.answer.columns}
        if self.worse:
            sides["rejected"] = self.worse.columns
        self.answer_columns = tuple(dict.fromkeys((*self.answer.columns, *sides.get("rejected", ()))))
        self.needed = tuple(dict.fromkeys((*self.prompt_columns, *self.answer_columns)))
        for field, columns in sides.items():
            if not columns:
                raise DataError("The template names no column", where=f"data.template.{field}", hint="As in: '{text}'.")
        self._paths = {name: parse_path(name) for name in self.needed}

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        return {name: as_text(pick(values, name, path)) for name, path in self._paths.items()}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.prompt_columns, self.answer_columns

    def makes(self, column: str) -> bool:
        return False

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        refuse_if_all_empty(self.prompt_columns, cells, "the prompt is empty")
        answer = _filled(self.answer, cells)
        system = self.system.fill(cells)
        told = [Message("system", system)] if system.strip() else []
        return (*told, Message("user", self.user.fill(cells)), Message("assistant", answer))

    def rejected(self, cells: Cells) -> str | None:
        if self.worse is None:
            return None
        return _differing(_filled(self.worse, cells), _filled(self.answer, cells))


class InstructionFormat:
    """Rows with `instruction` and `output`, and perhaps `input` and `system`."""

    name = "instruction"
    needed: tuple[str, ...] = ("instruction", "output")
    pairs = False
    _prompt = ("system", "instruction", "input")

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        return {name: as_text(values.get(name)) for name in (*self._prompt, "output")}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._prompt, ("output",)

    def makes(self, column: str) -> bool:
        return column in self._prompt or column == "output"

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        system, instruction, extra, output = (cells[name] or "" for name in (*self._prompt, "output"))
        refuse_if_all_empty(("instruction", "input"), cells, "the prompt is empty")
        if not output.strip():
            raise DataError("'output' is empty")
        told = [Message("system", system)] if system.strip() else []
        asked = "\n\n".join(part for part in (instruction, extra) if part.strip())
        return (*told, Message("user", asked), Message("assistant", output))

    def rejected(self, cells: Cells) -> str | None:
        return None


class ConversationFormat:
    """Rows that hold a whole conversation in a list, in the form of OpenAI's: also with `tools` and calls of them."""

    name = "chat"
    needed: tuple[str, ...] = ("messages",)
    pairs = False
    roles: tuple[str, ...] = _CHAT_ROLES

    def turns(self, values: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
        """Each message, and what an error calls it."""
        return [(message, f"messages[{index}]") for index, message in enumerate(list_of(values, "messages"))]

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        turns = self.turns(values)
        last = max((index for index, (turn, _) in enumerate(turns) if turn.get("role") == "assistant"), default=-1)
        if last < 0:
            raise DataError("the conversation has no assistant message")
        if last == 0:
            raise DataError("the conversation begins with its only answer; nothing is asked")
        flat: dict[str, str | None] = {}
        roles = []
        for index, (turn, field) in enumerate(turns):
            role = turn.get("role")
            if role not in self.roles:
                raise DataError(f"{field}: the role '{role}' is not one of {', '.join(self.roles)}")
            roles.append(f"{role}:{_weight(role, turn.get('weight'), field)!r}")
            cells = tool_cells(turn, field)
            flat[_column(index, last)] = _content(turn.get("content"), field, may_be_empty=CALLS in cells)
            flat |= {_column(index, last, name): text for name, text in cells.items()}
        check_results(turns)
        if all(role.endswith(":0.0") for role in roles):
            raise DataError("nothing is to be learned: every assistant message has weight 0")
        tools = tools_text(values)
        return {ROLES: " ".join(roles), **flat, **({TOOLS: tools} if tools else {})}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        contents = [name for name in columns if _CONTENT.fullmatch(name)]
        calls = f"{ANSWER}.{CALLS}"
        return tuple(sorted(contents, key=_index_of)), (ANSWER, calls) if calls in columns else (ANSWER,)

    def makes(self, column: str) -> bool:
        return column in (ANSWER, f"{ANSWER}.{CALLS}") or bool(_CONTENT.fullmatch(column))

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        roles = [role.split(":") for role in (cells[ROLES] or "").split()]
        last = max(index for index, (role, _) in enumerate(roles) if role == "assistant")
        messages = []
        for index, (role, weight) in enumerate(roles):
            content = cells[_column(index, last)]
            calls = read_cells(cells.get(_column(index, last, CALLS)), f"messages[{index}]")
            if not calls and is_empty(content):
                raise DataError(f"messages[{index}]: 'content' is empty")
            result_of = cells.get(_column(index, last, RESULT_OF)) or ""
            messages.append(Message(role, content or "", float(weight), calls, result_of))
        return tuple(messages)

    def rejected(self, cells: Cells) -> str | None:
        return None


class ShareGptFormat(ConversationFormat):
    """Rows with `conversations`, each turn `from` someone with a `value`; perhaps a `system` beside them."""

    name = "sharegpt"
    needed: tuple[str, ...] = ("conversations",)
    roles = KNOWN_ROLES
    _roles = {"human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant"}  # noqa: RUF012

    def turns(self, values: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
        system = values.get("system")
        turns: list[tuple[Mapping[str, Any], str]] = []
        if isinstance(system, str) and system.strip():
            turns.append(({"role": "system", "content": system}, "system"))
        for index, turn in enumerate(list_of(values, "conversations")):
            # Some call it as OpenAI does, and the list as ShareGPT does.
            speaker = turn.get("from", turn.get("role"))
            content = turn.get("value", turn.get("content"))
            message = {"role": self._roles.get(str(speaker), speaker), "content": content}
            turns.append((message | {"weight": turn.get("weight")}, f"conversations[{index}]"))
        return turns


class PreferenceFormat:
    """Rows with a `chosen` and a `rejected` answer to one prompt.

    The answers are texts and the prompt is a text, perhaps with a `system` beside it; or all are lists of messages. A
    list of answers may begin with the prompt, and a `prompt` that is a text is then not looked at.
    """

    name = "preference"
    needed: tuple[str, ...] = ("chosen", "rejected")
    pairs = True

    def __init__(self) -> None:
        self._texts = TemplateFormat(
            Template(system="{system}", user="{prompt}", assistant="{chosen}", rejected="{rejected}"), self.name
        )

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        if all(is_list(values.get(name)) for name in self.needed):
            return self._flatten_lists(values)
        for name in ("prompt", *self.needed):
            if is_list(values.get(name)):
                raise DataError(f"'{name}' is a list of messages, and the other texts are none")
        if values.get("prompt") is None:
            raise DataError("'chosen' and 'rejected' are texts, and there is no 'prompt'")
        return self._texts.flatten(values)

    def _flatten_lists(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        prompt = _turns(values, "prompt") if is_list(values.get("prompt")) else []
        chosen, rejected = (_turns(values, name) for name in self.needed)
        shared = _common_length(chosen, rejected)
        if any(len(turns) != shared + 1 or turns[-1][0] != "assistant" for turns in (chosen, rejected)):
            raise DataError("'chosen' and 'rejected' must begin alike and then end in one assistant's message each")
        # Some sources repeat the prompt in front of both answers.
        asked = [*([] if chosen[: len(prompt)] == prompt else prompt), *chosen[:shared]]
        if not any(role == "user" for role, _ in asked):
            raise DataError("nothing is asked: there is no user's message in front of the answers")
        roles = [f"{role}:0" for role, _ in asked]
        contents = {f"messages[{index}].content": content for index, (_, content) in enumerate(asked)}
        return {ROLES: " ".join(roles), **contents, "chosen": chosen[-1][1], "rejected": rejected[-1][1]}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        contents = sorted((name for name in columns if _CONTENT.fullmatch(name)), key=_index_of)
        return (*(name for name in self._texts.prompt_columns if name in columns), *contents), self.needed

    def makes(self, column: str) -> bool:
        return column in self._texts.needed or bool(_CONTENT.fullmatch(column))

    def messages(self, cells: Cells) -> tuple[Message, ...]:
        roles = cells.get(ROLES)
        if roles is None:
            refuse_if_all_empty(("prompt",), cells, "the prompt is empty")
            return self._texts.messages(cells)
        if is_empty(cells["chosen"]):
            raise DataError("'chosen' is empty")
        messages = []
        for index, role in enumerate(roles.split()):
            content = cells[f"messages[{index}].content"]
            if content is None or not content.strip():
                raise DataError(f"messages[{index}]: 'content' is empty")
            messages.append(Message(role.partition(":")[0], content, 0))
        return (*messages, Message("assistant", cells["chosen"] or ""))

    def rejected(self, cells: Cells) -> str | None:
        return self._texts.rejected(cells)


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
        return format_called(data.format)
    source = data.train[0]
    file = find_files(source)[0]
    columns = list(source.columns) or columns_of(file, sheet=source.sheet)
    for known in _formats().values():
        if set(known.needed) <= set(columns):
            return known
    asked, answered = columns[0], columns[-1]
    raise DataError(
        "The rows fit no known format",
        where=str(file),
        hint=f"Columns: {', '.join(columns)}.\nSay with a template what is asked and what is answered:\n"
        f'  data:\n    template:\n      user: "{{{asked}}}"\n      assistant: "{{{answered}}}"\n'
        "Known formats: messages (chat), conversations (ShareGPT), prompt and completion, instruction and output, "
        "prompt with chosen and rejected (preference), text and label (labelled), tokens and tags (tagged), OpenAI's "
        "input with preferred and non-preferred output.",
    )


def format_called(name: str) -> Format:
    """The format that `data.format` calls so; that of a template needs the template (`choose_format`)."""
    return _formats()[name]


def _formats() -> dict[str, Format]:
    from tunewright.data.class_rows import LabelledFormat, TaggedFormat  # which builds on this file
    from tunewright.data.completion_rows import CompletionFormat, OpenAiPreferenceFormat, VerdictFormat
    from tunewright.data.prompt_rows import PromptFormat

    return {
        # First, since such rows often hold the chosen conversation as `messages`, too.
        "preference": PreferenceFormat(),
        "openai_preference": OpenAiPreferenceFormat(),
        "chat": ConversationFormat(),
        "prompts": PromptFormat(),  # never recognised: its fields are those of `chat`
        "sharegpt": ShareGptFormat(),
        "kto": VerdictFormat(),
        "prompt_completion": CompletionFormat(),
        "instruction": InstructionFormat(),
        "tagged": TaggedFormat(),
        "labelled": LabelledFormat(),
    }


def _checked(format: TemplateFormat) -> TemplateFormat:
    for name in format.needed:
        if name in RESERVED:
            raise DataError(
                f"The column name '{name}' is used inside", where="data.template", hint="Rename it under 'columns'."
            )
    return format


def _answer(template: str | dict[str, str], field: str) -> Text | JsonAnswer:
    return Text.parse(template, field) if isinstance(template, str) else JsonAnswer(tuple(template.items()))


def _filled(answer: Text | JsonAnswer, cells: Cells) -> str:
    if isinstance(answer, Text):
        for column in answer.columns:
            if is_empty(cells[column]):
                raise DataError(f"'{column}' is empty, and the answer needs it")
    return answer.fill(cells)


def _differing(rejected: str, chosen: str) -> str:
    if rejected == chosen:
        raise DataError("the chosen and the rejected answer are the same")
    return rejected


def refuse_if_all_empty(columns: Sequence[str], cells: Cells, what: str) -> None:
    if all(is_empty(cells[name]) for name in columns):
        raise DataError(f"{what}: nothing in {', '.join(columns)}")


def list_of(values: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A row's list of objects; tables keep it as JSON text. Raises a `DataError` if it is none, or empty."""
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


def is_list(value: Any) -> bool:
    """Whether a value is a list of messages; tables keep it as JSON text, and an answer may be other JSON."""
    if isinstance(value, str) and re.match(r"\s*\[\s*\{", value):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return False
        return all(isinstance(item, dict) and "role" in item for item in value)
    return isinstance(value, list)


def _turns(values: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    """(role, content) of each message in a list."""
    turns = []
    for index, message in enumerate(list_of(values, name)):
        field = f"{name}[{index}]"
        if message.get("role") not in KNOWN_ROLES:
            raise DataError(f"{field}: the role '{message.get('role')}' is not one of {', '.join(KNOWN_ROLES)}")
        for key in ("tool_calls", "function_call"):
            if message.get(key):
                raise DataError(f"{field} calls a tool, and answers that do cannot be compared yet")
        turns.append((str(message["role"]), _content(message.get("content"), field)))
    return turns


def _common_length(first: Sequence[Any], second: Sequence[Any]) -> int:
    """How many items two lists have in common from the beginning, the last one of each left out."""
    pairs = list(zip(first[:-1], second[:-1], strict=False))
    return next((index for index, (one, other) in enumerate(pairs) if one != other), len(pairs))


def _content(content: Any, field: str, *, may_be_empty: bool = False) -> str:
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        content = "".join(str(part.get("text", "")) for part in content)
    if content is None and may_be_empty:
        return ""
    if content is None:
        raise DataError(f"{field}: 'content' is null")
    if not isinstance(content, str):
        raise DataError(f"{field}: 'content' is not text")
    if not content.strip() and not may_be_empty:
        raise DataError(f"{field}: 'content' is empty")
    return content


def _weight(role: str, weight: Any, field: str) -> float:
    if weight is None:
        return float(role == "assistant")
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not 0 <= weight <= 1 or (weight and role != "assistant"):
        raise DataError(f"{field}: 'weight' is {weight!r}; it lies between 0 and 1, above 0 for the assistant only")
    return float(weight)


def _column(index: int, last: int, name: str = "content") -> str:
    """The column of a message's part; that of the last answer, at `last`, has a name of its own."""
    if index != last:
        return f"messages[{index}].{name}"
    return ANSWER if name == "content" else f"{ANSWER}.{name}"


def _index_of(column: str) -> tuple[int, str]:
    found = _CONTENT.fullmatch(column)
    assert found is not None
    return int(found[1]), column
