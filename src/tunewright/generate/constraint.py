"""Answers held to a grammar while they are written: JSON, a schema's JSON, tool calls, a regular expression.

The grammar engine is llguidance's (MIT): for each step it says, in some tens of microseconds, which tokens may follow.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tunewright.base.errors import InputError, ModelError, TunewrightError, UnknownNameError
from tunewright.generate.strict_schema import check_size, check_strict
from tunewright.models.tool_calls import CLOSE, OPEN

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.models.base import Base
    from tunewright.models.chat import ChatFormat

Tool = Mapping[
    str, Any
]  # as OpenAI's API takes them: {"type": "function", "function": {"name", "parameters", "strict"}}
Choice = str | Mapping[str, Any]  # none, auto, required, or an object that names functions

# Between the parts of a JSON value: nothing, a space, or a new line and what it is indented by. Without a bound a weak
# model goes on with blanks for ever.
_BLANKS = {"whitespace_pattern": r"( |\n[ \t]{0,40})?"}
_NO_ARGUMENTS = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
_ANY_TEXT = r"/(.|\n)*/"
_KEPT_GRAMMARS = 64
_BITS = 32


@dataclass(frozen=True, slots=True)
class Grammar:
    """What an answer must look like.

    Args:
        text: In llguidance's words.
        text_if_special: The same for tokenizers to which the tags of tool calls are special tokens; empty where that
            makes no difference.
        where: The name of the place that asks for it, for errors.
    """

    text: str
    text_if_special: str = ""
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class Otherwise:
    """JSON that an answer says where it calls no tool.

    Args:
        schema: What it keeps.
        strict: As `json_schema` takes it.
    """

    schema: Mapping[str, Any]
    strict: bool


def json_object() -> Grammar:
    """Any JSON object."""
    return Grammar(_lark(f"start: {_json({'type': 'object'}, 'schema', strict=True)}"))


def json_schema(schema: Mapping[str, Any], *, strict: bool = True, where: str = "schema") -> Grammar:
    """JSON that a schema allows, its properties in the schema's order.

    Args:
        schema: In OpenAI's subset where it is strict (`strict_schema`).
        strict: Whether all of it must be kept. Else keywords that are not supported count for nothing, and the rest is
            kept.
        where: The name of the place where the schema stands, for errors.
    Raises:
        InputError: If it is strict, and outside of the subset; names the place.
    """
    if strict:
        check_strict(schema, where)
    return Grammar(_lark(f"start: {_json(schema, where, strict=strict)}"), where=where)


def regex(pattern: str, *, where: str = "regex") -> Grammar:
    """Text that matches a regular expression as a whole, in Rust's syntax: no look-around, no back-references."""
    from llguidance import LLMatcher

    return Grammar(LLMatcher.grammar_from_regex(pattern), where=where)


def lark(text: str, *, where: str = "grammar") -> Grammar:
    """Text of a context-free grammar, in llguidance's variant of Lark's syntax."""
    return Grammar(_lark(text), where=where)


def tool_call(
    tools: Sequence[Tool],
    choice: Choice = "auto",
    *,
    parallel: bool = True,
    where: str = "tools",
    said: Otherwise | None = None,
) -> Grammar:
    """An answer that calls tools, in the form that `models.tool_calls` writes and reads.

    Args:
        tools: What may be called. Arguments keep their `parameters`; of those that are not `strict`, as far as they are
            supported.
        choice: `none`: text without calls; `auto`: text, or calls, with or without text in front; `required`: calls
            alone; an object: calls of the function that it names, or of its `allowed_tools`.
        parallel: Whether there may be several calls.
        where: The name of the place where the tools stand, for errors.
        said: What an answer that need not call must say if it does not, and then there is no text in front of calls;
            None: any text.
    Raises:
        InputError: If a tool or the choice is none of these, or a strict tool's parameters are outside of the subset.
    """
    mode, tools = _chosen(tools, choice, where)
    plain, special = json.dumps(OPEN), json.dumps(CLOSE)
    if mode == "none":
        free = f"start: TEXT\nTEXT: {_ANY_TEXT} & ~/(.|\\n)*{OPEN}(.|\\n)*/"
        return Grammar(_lark(free), _lark(f"start: TEXT\nTEXT: {_ANY_TEXT}"), where=where)
    bodies = [_body(tool, f"{where}[{number}]") for number, tool in enumerate(tools)]
    texts = []
    for is_special in (False, True):
        opening, closing = (OPEN, CLOSE) if is_special else (plain, special)
        lines = [f"call: {opening} body", "body: " + " | ".join(f"body_{number}" for number in range(len(bodies)))]
        lines += [f"body_{number}: {body} {closing}" for number, body in enumerate(bodies)]
        further = '("\\n" call)*' if parallel else ""
        if mode == "required":
            lines.insert(0, f"start: call {further}")
        elif said is not None:
            instead = _json(said.schema, "response_format.json_schema.schema", strict=said.strict)
            lines = [f"start: said | call {further}", *lines, f"said: {instead}"]
        else:
            # A lazy lexeme ends with the first tag, so that nothing but a call can follow one.
            lines = [f"start: TEXT | opened body {further}", *lines, f"TEXT: {_ANY_TEXT}"]
            lines.append(f"opened: TEXT {OPEN}" if is_special else f"opened[lazy]: TEXT {plain}")
        texts.append(_lark("\n".join(lines)))
    return Grammar(texts[0], texts[1], where=where)


def _chosen(tools: Sequence[Tool], choice: Choice, where: str) -> tuple[str, Sequence[Tool]]:
    """`none`, `auto` or `required`, and the tools that may be called."""
    names = [_function(tool, f"{where}[{number}]")["name"] for number, tool in enumerate(tools)]
    mode: Any = choice
    if isinstance(choice, Mapping):
        kind = choice.get("type")
        if kind == "function":
            mode, wanted = "required", [choice]
        elif kind == "allowed_tools":
            allowed = choice.get("allowed_tools", {})
            mode, wanted = allowed.get("mode"), allowed.get("tools", [])
        else:
            raise InputError(f"Tools of the type {kind!r} are not supported", where="tool_choice")
        called = [_function(one, "tool_choice")["name"] for one in wanted]
        for name in called:
            if name not in names:
                raise UnknownNameError("function", name, names, where="tool_choice")
        tools = [tool for tool, name in zip(tools, names, strict=True) if name in called]
    if mode not in ("none", "auto", "required"):
        raise InputError(f"{mode!r} is not one of none, auto, required", where="tool_choice")
    if mode != "none" and not tools:
        raise InputError("There are no tools that could be called", where=where)
    return mode, tools


def _function(tool: Tool, where: str) -> Mapping[str, Any]:
    function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InputError("This is no tool of the type 'function' with a name", where=where)
    return function


def _body(tool: Tool, where: str) -> str:
    """A call between its tags, in Lark's syntax."""
    function = tool["function"]
    parameters = function.get("parameters") or _NO_ARGUMENTS
    strict = bool(function.get("strict"))
    if strict:
        check_strict(parameters, f"{where}.function.parameters")
    elif not isinstance(parameters, Mapping):
        raise InputError("A schema must be an object", where=f"{where}.function.parameters")
    name = json.dumps(function["name"], ensure_ascii=False)
    # Spaced as `tool_calls.write_answer` has it, which is what models were trained on.
    head = json.dumps(f'\n{{"name": {name}, "arguments": ')
    arguments = _json({"type": "object", **parameters}, f"{where}.function.parameters", strict=strict)
    return f"{head} {arguments} {json.dumps('}' + chr(10))}"


def _json(schema: Mapping[str, Any], where: str, *, strict: bool) -> str:
    check_size(schema, where)
    # The last key is one of llguidance's, and a caller's own must not change how it works.
    return f"%json {json.dumps({**schema, 'x-guidance': {**_BLANKS, 'lenient': not strict}})}"


def _lark(text: str) -> str:
    from llguidance import LLMatcher

    return str(LLMatcher.grammar_from_lark(f"%llguidance {{}}\n{text}\n"))


class Alphabet:
    """A tokenizer's tokens as grammars see them, and the grammars that were compiled for them.

    Args:
        tokenizer: The base's tokenizer, a fast one.
        words: How many logits the model gives.
        stop_ids: Tokens that end an answer.

    Raises:
        ModelError: If it is no fast tokenizer.
    """

    def __init__(self, tokenizer: Any, words: int, stop_ids: Collection[int]) -> None:
        from llguidance.hf import from_tokenizer

        try:
            self._tokens = from_tokenizer(tokenizer, n_vocab=words, eos_token=sorted(stop_ids))
        except ValueError as error:
            raise ModelError(
                f"Answers of this model cannot be held to a grammar ({str(error).strip().rstrip('.')})",
                where=str(getattr(tokenizer, "name_or_path", "")),
                hint="Use a model with a fast tokenizer (a tokenizer.json).",
            ) from error
        self.words, self.stop_ids = words, frozenset(stop_ids)
        tag = tokenizer.get_added_vocab().get(OPEN)
        self._tags_are_special = tag is not None and self._tokens.is_special_token(tag)
        self._compiled: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def text_of(self, grammar: Grammar) -> str:
        """A grammar in llguidance's words, as it is for these tokens."""
        return grammar.text_if_special if self._tags_are_special and grammar.text_if_special else grammar.text

    def begin(self, grammar: Grammar) -> Any:
        """llguidance's matcher at the beginning of an answer. The latest grammars stay compiled.

        Raises:
            InputError: If the grammar cannot be compiled.
        """
        from llguidance import LLMatcher, LLParserLimits

        text = self.text_of(grammar)
        with self._lock:
            if text not in self._compiled:
                # Its longer errors show the text so far, which has no place in a log.
                matcher = LLMatcher(self._tokens, text, log_level=0, limits=LLParserLimits(verbose_errors=False))
                if matcher.is_error():
                    raise _refused(matcher, grammar.where)
                self._compiled[text] = matcher
            self._compiled.move_to_end(text)
            while len(self._compiled) > _KEPT_GRAMMARS:
                self._compiled.popitem(last=False)
            return self._compiled[text].deep_copy()


_alphabets: WeakKeyDictionary[ChatFormat, Alphabet] = WeakKeyDictionary()
_alphabets_lock = threading.Lock()


def alphabet_of(base: Base) -> Alphabet:
    """A base's tokens; made once, which takes about a second for a large vocabulary."""
    from tunewright.forest import layout as layouts

    with _alphabets_lock:
        if base.chat not in _alphabets:
            words = int(layouts.unwrap(base.model).get_output_embeddings().weight.shape[0])
            _alphabets[base.chat] = Alphabet(base.tokenizer, words, base.chat.stop_ids)
        return _alphabets[base.chat]


class Constraint:
    """One answer's way through a grammar.

    Args:
        grammar: What it must look like.
        alphabet: The tokens that it is written in.

    `text` is the grammar in llguidance's words.

    Raises:
        InputError: If the grammar cannot be compiled.
    """

    def __init__(self, grammar: Grammar, alphabet: Alphabet) -> None:
        self._matcher = alphabet.begin(grammar)
        self._where = grammar.where
        self.text = alphabet.text_of(grammar)

    def copy(self) -> Constraint:
        """Another answer that has come as far."""
        other = object.__new__(Constraint)
        other._matcher, other._where, other.text = self._matcher.deep_copy(), self._where, self.text
        return other

    def mask(self) -> Tensor:
        """The tokens that may follow as packed bits, int32, shape (V / 32,) rounded up; `draw_rows` takes them so.

        Where the text is whole, the tokens that end an answer are among them.

        Raises:
            InputError: If the grammar is too costly to follow.
        """
        import torch

        packed = self._matcher.compute_bitmask()
        if self._matcher.is_error():
            raise _refused(self._matcher, self._where)
        return torch.frombuffer(bytearray(packed), dtype=torch.int32)

    def take(self, token: int) -> None:
        """Goes on with a token.

        Raises:
            TunewrightError: If it is none of those that may follow.
        """
        if not self._matcher.consume_token(token):
            raise TunewrightError(f"Token {token} does not follow here by the answer's grammar")

    def forced(self) -> list[int]:
        """The tokens that follow of necessity, perhaps none; they are not taken yet."""
        return list(self._matcher.compute_ff_tokens())

    @property
    def is_whole(self) -> bool:
        """Whether the answer satisfies the grammar as it stands; where it does not, it was cut."""
        return bool(self._matcher.is_accepting())

    @property
    def is_done(self) -> bool:
        """Whether nothing but the answer's end can follow."""
        return bool(self._matcher.is_stopped())


def _refused(matcher: Any, where: str) -> InputError:
    reason = str(matcher.get_error()).strip().splitlines()[0].rstrip(".:")
    return InputError(f"The answer cannot be held to this grammar ({reason})", where=where)
