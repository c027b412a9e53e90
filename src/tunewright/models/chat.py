"""The one place where a conversation becomes tokens.

Tools and their calls go through the model's own chat template where it knows them, else they are written out in plain
messages (`models/tool_calls.py`). A developer's message is a system message to a template that has no such role.

A prompt and the answer after it are tokenised apart and joined. Tokenising the whole text at once may merge
characters across the border, and then the model would be trained on tokens that it never meets when it is served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from tunewright.base.errors import DataError, ModelError
from tunewright.base.files import hash_value
from tunewright.models.plain_text import PlainText
from tunewright.models.tokenising import Tokeniser
from tunewright.models.tool_calls import Plain, ToolCall, write_answer, written_out

Tools = Sequence[Mapping[str, Any]]  # definitions, as OpenAI's API takes them
_PROBE = "probe_of_tools"


class ChatMessage(Protocol):
    """What a message must have; `data.example.Message` does."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def tool_calls(self) -> Sequence[ToolCall]: ...
    @property
    def tool_call_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation in tokens.

    Args:
        tokens: Token ids, shape (T,).
        learned: Weight of learning each token, shape (T,); 0 where it is only read. Where classes are learned: of
            learning the class of each token.
        targets: Where classes are learned, the class of each token, shape (T,), any where its weight is 0; else empty.
        types: Which text of a pair each token belongs to, where the model is told so, shape (T,); else empty.
    """

    tokens: list[int]
    learned: list[float]
    targets: list[int] = field(default_factory=list)
    types: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation that is no training example: a question being asked."""

    role: str
    content: str
    weight: float = 0.0
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class ChatFormat:
    """Renders conversations with a tokenizer's own chat template; without one, it only reads `plain` text.

    Raises:
        DataError: If the template does not put an answer behind its prompt.
    """

    #: Whether each answer of a conversation can be learned, and not its last one alone.
    learns_every_answer = True

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tokens = Tokeniser(tokenizer)
        self.stop_ids = self._find_stop_ids()

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        return self._tokenizer

    @property
    def template(self) -> str:
        """The chat template's text, empty where there is none; its hash belongs beside every score."""
        return str(getattr(self._tokenizer, "chat_template", None) or "")

    @cached_property
    def plain(self) -> PlainText:
        """How the model reads documents."""
        return PlainText(self._tokenizer)

    @cached_property
    def knows_tools(self) -> bool:
        """Whether the template shows tools, calls and results; else they are written out in plain messages."""
        import jinja2

        parameters = {"type": "object", "properties": {}}
        tool = {"type": "function", "function": {"name": _PROBE, "description": "", "parameters": parameters}}
        call = ToolCall(f"{_PROBE}_call", {"at": f"{_PROBE}_value"}, "a1b2c3d4e")  # some templates want nine letters
        asked = [Turn("user", "?"), Turn("assistant", "", tool_calls=(call,))]
        asked += [Turn("tool", f"{_PROBE}_result", tool_call_id=call.id)]
        try:
            shown = self._apply(self._as_plain(asked), [tool], open_end=True)
        except (jinja2.TemplateError, TypeError):
            return False
        told = [f"{_PROBE}_call", f"{_PROBE}_value", f"{_PROBE}_result"]
        # The tool's own name is the beginning of the others', so it is looked for without them.
        return all(each in shown for each in told) and shown.count(_PROBE) > sum(shown.count(each) for each in told)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides which tokens a conversation becomes: the template and the tokenizer."""
        return hash_value([self.template, self._tokenizer.backend_tokenizer.to_str()])

    def prompt(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> list[int]:
        """Tokens of a conversation up to where the next answer begins."""
        return self._segments(messages, tools, open_end=True).tokens

    def render(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> Rendered:
        """Tokens of a whole conversation; an answer's text, its tool calls and its end token carry the answer's weight.

        What follows the end token (a line break, in most templates) is read by later turns and never learned,
        since generation has stopped before it.

        Raises:
            DataError: If the template refuses the conversation.
            ModelError: If there is no template.
        """
        return self._segments(messages, tools, open_end=False)

    def text(self, messages: Sequence[ChatMessage], tools: Tools = (), *, open_end: bool = False) -> str:
        """The rendered text, markers included; raises as `render` does."""
        import jinja2

        plain = self._as_plain(messages)
        if _uses_tools(messages, tools) and not self.knows_tools:
            plain, tools = written_out(plain, tools), ()
        try:
            return self._apply(plain, tools, open_end=open_end)
        except jinja2.TemplateError as error:
            raise DataError(
                f"The model's chat template refuses this conversation ({str(error).strip().rstrip('.')})",
                hint="Change or leave out such rows, or use a model whose template takes them.",
            ) from error

    def _apply(self, plain: list[Plain], tools: Tools, *, open_end: bool) -> str:
        if not self.template:
            raise ModelError(
                "This model has no chat template",
                where=str(getattr(self._tokenizer, "name_or_path", "")),
                hint="Use an instruction-tuned model, put a chat_template.jinja beside its tokenizer, or learn from "
                "plain text (train.objective: cpt).",
            )
        given = [dict(tool) for tool in tools] or None
        return str(
            self._tokenizer.apply_chat_template(plain, tools=given, tokenize=False, add_generation_prompt=open_end)
        )

    def _as_plain(self, messages: Sequence[ChatMessage]) -> list[Plain]:
        """The messages as templates take them."""
        has_developer = "developer" in self.template
        names: dict[str, str] = {}
        plain: list[Plain] = []
        for message in messages:
            role = "system" if message.role == "developer" and not has_developer else message.role
            one: Plain = {"role": role, "content": message.content}
            if message.tool_calls:
                one["tool_calls"] = [call.as_json() for call in message.tool_calls]
                names |= {call.id: call.name for call in message.tool_calls}
            if role == "tool":
                one |= {"tool_call_id": message.tool_call_id, "name": names.get(message.tool_call_id, "")}
            if message.role == "developer" and role == "system" and plain and plain[-1]["role"] == "system":
                # Many templates look for one system message, at the beginning.
                plain[-1] = {"role": role, "content": f"{plain[-1]['content']}\n\n{message.content}"}
            else:
                plain.append(one)
        return plain

    def answers(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Places of the messages that are learned."""
        return [place for place, message in enumerate(messages) if message.weight]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens, without markers."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _segments(self, messages: Sequence[ChatMessage], tools: Tools, *, open_end: bool) -> Rendered:
        tokens: list[int] = []
        learned: list[float] = []
        text = ""  # rendered and tokenised so far
        for index, message in enumerate(messages):
            if message.role != "assistant":
                continue
            before = self.text(messages[:index], tools, open_end=True)
            after = self.text(messages[: index + 1], tools)
            self._append(tokens, learned, self._rest(before, text), 0.0)
            answer = self._rest(after, before)
            end = self._end_of_answer(answer, message)
            self._append(tokens, learned, answer[:end], message.weight)
            text = before + answer[:end]
        if open_end or not messages or messages[-1].role != "assistant":
            whole = self.text(messages, tools, open_end=open_end)
            self._append(tokens, learned, self._rest(whole, text), 0.0)
        return Rendered(tokens, learned)

    def _append(self, tokens: list[int], learned: list[float], text: str, weight: float) -> None:
        ids = self._tokens.ids(text)
        tokens.extend(ids)
        learned.extend([weight] * len(ids))

    def _rest(self, whole: str, start: str) -> str:
        if not whole.startswith(start):
            raise DataError(
                "The chat template rewrites earlier turns, so this conversation has no fixed prompt",
                hint="Keep one answer per conversation, or use a model whose template only appends.",
            )
        return whole[len(start) :]

    def _end_of_answer(self, answer: str, message: ChatMessage) -> int:
        """Characters of `answer` (content, calls, end marker, whatever follows) up to and with the end marker."""
        content = message.content
        if message.tool_calls:
            content = message.tool_calls[-1].name if self.knows_tools else write_answer(content, message.tool_calls)
        shown = content if content in answer else content.strip()  # some templates trim
        tail = answer.find(shown) + len(shown) if shown in answer else 0
        for marker in self._end_markers():
            place = answer.find(marker, tail)
            if place >= 0:
                return place + len(marker)
        return tail or len(answer)

    def _end_markers(self) -> list[str]:
        return sorted(str(self._tokenizer.convert_ids_to_tokens(token)) for token in self.stop_ids)

    def _find_stop_ids(self) -> frozenset[int]:
        """The tokens that end an answer: the tokenizer's own, and the marker its template puts behind one."""
        stops = {self._tokenizer.eos_token_id} if self._tokenizer.eos_token_id is not None else set()
        if not self.template:
            return frozenset(stops)
        question = [Turn("user", "?"), Turn("assistant", "x")]
        answer = self._rest(self.text(question), self.text(question[:1], open_end=True))
        specials: Mapping[str, int] = self._tokenizer.get_added_vocab()
        behind = answer[answer.find("x") + 1 :].strip()
        stops.update(token for text, token in specials.items() if behind.startswith(text))
        return frozenset(stops)


def _uses_tools(messages: Sequence[ChatMessage], tools: Tools) -> bool:
    return bool(tools) or any(message.tool_calls or message.role == "tool" for message in messages)
