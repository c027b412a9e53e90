"""The one place where a conversation becomes tokens.

Tools and their calls go through the model's own chat template where it knows them, else they are written out in plain
messages (`models/tool_calls.py`). A developer's message is a system message to a template that has no such role.

A prompt and the answer after it are tokenised apart and joined. Tokenising the whole text at once may merge
characters across the border, and then the model would be trained on tokens that it never meets when it is served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol

from tunewright.base.errors import DataError, ModelError
from tunewright.base.files import hash_value
from tunewright.models.plain_text import PlainText
from tunewright.models.skeleton import Skeletons
from tunewright.models.tokenising import Tokeniser
from tunewright.models.tool_calls import Plain, ToolCall, write_answer, written_out

Tools = Sequence[Mapping[str, Any]]  # definitions, as OpenAI's API takes them
Parts = list[tuple[str, float]]  # texts one after another, each with the weight of learning it
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
        self._around: dict[tuple[str, ...], tuple[str, str]] = {}
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
        return self.encode_all([self._parts(messages, tools, open_end=True)])[0].tokens

    def render(self, messages: Sequence[ChatMessage], tools: Tools = ()) -> Rendered:
        """Tokens of a whole conversation; an answer's text, its tool calls and its end token carry the answer's weight.

        What follows the end token (a line break, in most templates) is read by later turns and never learned,
        since generation has stopped before it.

        Raises:
            DataError: If the template refuses the conversation.
            ModelError: If there is no template.
        """
        return self.encode_all([self._parts(messages, tools, open_end=False)])[0]

    def parts_all(self, conversations: Sequence[Sequence[ChatMessage]]) -> list[Parts] | None:
        """The texts of conversations without tools, cut where weights change; None where each must be rendered alone.

        Each conversation is rendered once, where `render` takes two: that a prompt looks alone as it does with its
        answer behind it is checked for one conversation of each succession of roles.

        Raises:
            DataError: If the template refuses one of them.
            ModelError: If there is no template.
        """
        # Encoders and the like have a way of their own.
        if type(self).render is not ChatFormat.render or not all(map(_is_one_answer, conversations)):
            return None
        whole = self._apply_all([self._as_plain(messages) for messages in conversations]) if conversations else []
        found = []
        for messages, text in zip(conversations, whole, strict=True):
            opening, closing = self._around_answer(tuple(message.role for message in messages))
            answer = messages[-1]
            learned = f"{answer.content}{closing}"
            start = len(text) - len(learned)
            if closing and text.endswith(opening + learned):
                end = start + self._end_of_answer(text[start:], answer)
                found.append([(text[:start], 0.0), (text[start:end], answer.weight)])
            else:
                found.append(self._parts(messages, (), open_end=False))
        return found

    def encode_all(self, conversations: Sequence[Parts]) -> list[Rendered]:
        """Tokens of conversations that were cut into texts."""
        ids = iter(self._tokens.ids_of_all([text for parts in conversations for text, _ in parts]))
        found = []
        for parts in conversations:
            tokens: list[int] = []
            learned: list[float] = []
            for (_, weight), more in zip(parts, ids, strict=False):
                tokens += more
                learned += [weight] * len(more)
            found.append(Rendered(tokens, learned))
        return found

    def _around_answer(self, roles: tuple[str, ...]) -> tuple[str, str]:
        """What a template puts before and after a last answer behind these roles; empty where it is not simply so."""
        if roles not in self._around:
            turns = [Turn(role, f"{_PROBE} {number}") for number, role in enumerate(roles)]
            try:
                shown, asked = self.text(turns[:-1]), self.text(turns[:-1], open_end=True)
                (before, _), (after, _) = self._parts(turns, (), open_end=False)
                whole = self.text(turns)
            except (DataError, ValueError):
                self._around[roles] = "", ""
            else:
                simple = before == asked and asked.startswith(shown) and after.startswith(turns[-1].content)
                tail = whole[len(asked) + len(turns[-1].content) :]
                self._around[roles] = (asked[len(shown) :], tail) if simple else ("", "")
        return self._around[roles]

    def text(self, messages: Sequence[ChatMessage], tools: Tools = (), *, open_end: bool = False) -> str:
        """The rendered text, markers included; raises as `render` does."""
        import jinja2

        plain = self._as_plain(messages)
        if _uses_tools(messages, tools) and not self.knows_tools:
            plain, tools = written_out(plain, tools), ()
        try:
            return self._apply(plain, tools, open_end=open_end)
        except jinja2.TemplateError as error:
            raise _refused(error) from error

    def _apply(self, plain: list[Plain], tools: Tools, *, open_end: bool) -> str:
        filled = None if tools else self._skeletons[open_end].fill(plain)
        return self._ask_template(plain, tools, open_end=open_end) if filled is None else filled

    def _ask_template(self, plain: list[Plain], tools: Tools, *, open_end: bool) -> str:
        self._check_template()
        given = [dict(tool) for tool in tools] or None
        return str(
            self._tokenizer.apply_chat_template(plain, tools=given, tokenize=False, add_generation_prompt=open_end)
        )

    def _apply_all(self, plain: list[list[Plain]]) -> list[str]:
        import jinja2

        self._check_template()
        filled = [self._skeletons[False].fill(messages) for messages in plain]
        left = [messages for messages, text in zip(plain, filled, strict=True) if text is None]
        try:
            asked = iter(self._tokenizer.apply_chat_template(left, tokenize=False) if left else [])
        except jinja2.TemplateError as error:
            raise _refused(error) from error
        return [str(next(asked)) if text is None else text for text in filled]

    @cached_property
    def _skeletons(self) -> dict[bool, Skeletons]:
        """By whether the next answer is begun."""
        return {
            open_end: Skeletons(self.template, partial(self._ask_template, tools=(), open_end=open_end))
            for open_end in (False, True)
        }

    def _check_template(self) -> None:
        if not self.template:
            raise ModelError(
                "This model has no chat template",
                where=str(getattr(self._tokenizer, "name_or_path", "")),
                hint="Use an instruction-tuned model, put a chat_template.jinja beside its tokenizer, or learn from "
                "plain text (train.objective: cpt).",
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

    def _parts(self, messages: Sequence[ChatMessage], tools: Tools, *, open_end: bool) -> Parts:
        parts: Parts = []
        text = ""  # rendered so far
        for index, message in enumerate(messages):
            if message.role != "assistant":
                continue
            before = self.text(messages[:index], tools, open_end=True)
            after = self.text(messages[: index + 1], tools)
            answer = self._rest(after, before)
            end = self._end_of_answer(answer, message)
            parts += [(self._rest(before, text), 0.0), (answer[:end], message.weight)]
            text = before + answer[:end]
        if open_end or not messages or messages[-1].role != "assistant":
            parts.append((self._rest(self.text(messages, tools, open_end=open_end), text), 0.0))
        return parts

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
        for marker in self._end_markers:
            place = answer.find(marker, tail)
            if place >= 0:
                return place + len(marker)
        return tail or len(answer)

    @cached_property
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


def _is_one_answer(messages: Sequence[ChatMessage]) -> bool:
    """Whether a conversation has one answer, its last message, and no tools."""
    roles = [message.role for message in messages]
    return roles.count("assistant") == 1 and roles[-1] == "assistant" and not _uses_tools(messages, ())


def _refused(error: Exception) -> DataError:
    return DataError(
        f"The model's chat template refuses this conversation ({str(error).strip().rstrip('.')})",
        hint="Change or leave out such rows, or use a model whose template takes them.",
    )
