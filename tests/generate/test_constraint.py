"""Answers held to a grammar: whatever a model would rather say, what it says can be read."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.tiny import tiny_tokenizer
from tunewright.base.errors import InputError, TunewrightError
from tunewright.generate import constraint as constraints
from tunewright.generate.constraint import Alphabet, Constraint, Grammar, json_object, json_schema, tool_call
from tunewright.generate.drawing import Choosing, RowState, draw_rows
from tunewright.models.tool_calls import CLOSE, OPEN, ToolCall, read_calls, write_answer

WORDS, END, START = 288, 2, 1  # more logits than tokens, as in models with padded embeddings


@cache
def alphabet() -> Alphabet:
    return Alphabet(tiny_tokenizer(), WORDS, {END, 0})


def tokens_of(text: str) -> list[int]:
    found: list[int] = tiny_tokenizer_once()(text, add_special_tokens=False)["input_ids"]
    return found


@cache
def tiny_tokenizer_once() -> Any:
    return tiny_tokenizer()


def allowed(constraint: Constraint) -> set[int]:
    bits = constraint.mask().numpy().view("uint8")
    return {token for token in range(WORDS) if bits[token // 8] >> (token % 8) & 1}


def begun(grammar: Grammar, text: str = "") -> Constraint:
    constraint = Constraint(grammar, alphabet())
    for token in tokens_of(text):
        assert token in allowed(constraint)
        constraint.take(token)
    return constraint


def refuses(grammar: Grammar, text: str, more: str) -> bool:
    return tokens_of(more)[0] not in allowed(begun(grammar, text))


def written(grammar: Grammar, seed: int, limit: int = 400) -> tuple[str, Constraint]:
    """What a model of random opinions writes, and how far it came."""
    constraint = Constraint(grammar, alphabet())
    row = RowState(Choosing(seed=seed), [seed])
    generator = torch.Generator().manual_seed(seed)
    tokens: list[int] = []
    while len(tokens) < limit and not constraint.is_done:
        forced = constraint.forced()
        if forced:
            assert allowed(constraint) == {forced[0]}
            token = forced[0]
        else:
            logits = torch.randn(1, WORDS, generator=generator) * 3
            token = draw_rows(logits, [row], [None], [constraint.mask()])[0].token
        if token in (END, 0):
            assert constraint.is_whole
            break
        constraint.take(token)
        tokens.append(token)
    return tiny_tokenizer_once().decode(tokens), constraint


NAMES = st.sampled_from(["a", "name", "größe", 'with "quotes"', "two words", "<tool_call>", "x-guidance"])
LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": ["string", "null"], "maxLength": 4}),
    st.just({"type": "string", "pattern": "^[a-c]{2,4}$"}),
    st.just({"type": "string", "format": "date"}),
    st.integers(-20, 20).map(lambda low: {"type": "integer", "minimum": low, "maximum": low + 30}),
    st.integers(-5, 5).map(lambda low: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + 2}),
    st.lists(st.sampled_from(["x", "y z", 3, 2.5, None, True, "é"]), min_size=1, max_size=3).map(lambda x: {"enum": x}),
    st.just({"const": "fixed"}),
    st.just({"$ref": "#/$defs/tree"}),
)


def an_object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TREE = an_object({"kind": {"enum": ["leaf", "node"]}, "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]}})


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.dictionaries(NAMES, inner, max_size=3).map(an_object),
        inner.map(lambda one: {"type": "array", "items": one, "minItems": 1, "maxItems": 2}),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    )


VALUES = st.recursive(LEAVES, larger, max_leaves=5)
SCHEMAS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=3).map(
    lambda properties: {**an_object(properties), "$defs": {"tree": TREE}}
)


@settings(max_examples=20, deadline=None)
@given(schema=SCHEMAS, seed=st.integers(0, 99), limit=st.sampled_from([15, 250]))
def test_what_is_written_by_a_schema_is_valid(schema: dict[str, Any], seed: int, limit: int) -> None:
    text, constraint = written(json_schema(schema), seed, limit)
    if constraint.is_done:
        value = json.loads(text)
        assert list(Draft202012Validator(schema).iter_errors(value)) == []
        assert list(value) == list(schema["properties"])
    else:  # it was cut, and says so
        assert not constraint.is_whole
        with pytest.raises(ValueError, match=r"line \d"):
            json.loads(text)


def test_most_answers_come_to_an_end() -> None:
    schema = {**an_object({"tree": TREE, "n": {"type": "integer"}}), "$defs": {"tree": TREE}}
    ends = [written(json_schema(schema), seed)[1].is_done for seed in range(4)]
    assert sum(ends) > 2


def test_any_object() -> None:
    for seed in range(4):
        text, constraint = written(json_object(), seed, 120)
        if constraint.is_whole:
            assert isinstance(json.loads(text), dict)
    assert begun(json_object(), '{"a": [1, {"b": null}],\n  "c": "d"}').is_done
    assert refuses(json_object(), "", "[")
    assert not refuses(json_object(), '{"a":', " ")
    assert refuses(json_object(), '{"a": ', " ")  # blanks have an end


def test_a_regular_expression_matches_as_a_whole() -> None:
    grammar = constraints.regex("(ab)+c?")
    assert [begun(grammar, text).is_whole for text in ("", "ab", "aba", "abab", "abc")] == [
        False, True, False, True, True,
    ]  # fmt: skip
    assert [begun(grammar, text).is_done for text in ("ab", "abc")] == [False, True]
    assert re.fullmatch("(ab)+c?", written(grammar, 1)[0])
    with pytest.raises(InputError, match=r"^tools\.pattern: "):
        Constraint(constraints.regex("(?=a)b", where="tools.pattern"), alphabet())
    assert begun(constraints.lark('start: "a" start "b" | "c"'), "aacbb").is_done
    with pytest.raises(InputError, match="cannot be held"):
        Constraint(constraints.lark("start: nowhere"), alphabet())


SOME = an_object({"a": {"type": "integer"}})


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ([], "an object, and this is a list"),
        ({"type": "string"}, "^s: .*outermost"),
        ({"anyOf": [SOME]}, "^s: .*outermost"),
        ({"type": "objekt"}, r"^s\.type: .*'objekt'"),
        ({**SOME, "additionalProperties": True}, r"^s\.additionalProperties: "),
        ({"type": "object", "properties": {}}, r"^s\.additionalProperties: "),
        ({**SOME, "required": []}, r"^s\.required: .*'a' is missing"),
        ({**SOME, "required": ["a", "b"]}, r"^s\.required: .*'b', which is no"),
        (an_object({"a": {"type": "string", "not": {}}}), r"^s\.properties\.a\.not: .*not supported"),
        (an_object({"a": {"allOf": [SOME]}}), r"^s\.properties\.a\.allOf: "),
        (an_object({"a": {}}), r"^s\.properties\.a: .*no 'type'"),
        (an_object({"a": {"enum": []}}), r"^s\.properties\.a\.enum: "),
        (an_object({"a": {"type": "array"}}), r"^s\.properties\.a: .*'items'"),
        (an_object({"a": {"type": "string", "minimum": 3}}), r"^s\.properties\.a\.minimum: .*'number'"),
        (an_object({"a": {"anyOf": [{"type": "null"}, an_object({"b": 3})]}}), r"a\.anyOf\[1\]\.properties\.b: "),
        (an_object({"a": {"type": "array", "items": {"type": "object"}}}), r"a\.items\.additionalProperties: "),
        (an_object({"a": {"$ref": "#/$defs/b"}}), r"^s\.properties\.a\.\$ref: .*not there"),
        (an_object({"a": {"$ref": "http://x.y/z"}}), r"^s\.properties\.a\.\$ref: .*into this"),
        ({**SOME, "$defs": []}, r"^s\.\$defs: "),
        (an_object({"a": {"enum": list(range(1001))}}), "1,001 values in enums"),
        (an_object({f"{n}": {"type": "null"} for n in range(5001)}), "5,001 properties"),
        (an_object({"a" * 120_001: {"type": "null"}}), "120,001 characters"),
    ],
)
def test_schemas_that_cannot_be_promised_name_the_place(schema: Any, place: str) -> None:
    with pytest.raises(InputError, match=place):
        json_schema(schema, where="s")


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    for strict in (True, False):
        with pytest.raises(InputError, match="more than 64 deep"):
            json_schema(an_object({"a": schema}), strict=strict)


@pytest.mark.parametrize(
    ("factor", "fits"), [(10_000, True), (0.001, True), (10_001, False), (9999.99, False), (1e9, False)]
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_would_take_long_to_compile_is_refused(factor: float, fits: bool, strict: bool) -> None:
    schema = an_object({"a": {"type": "array", "items": {"type": "number", "multipleOf": factor}}})
    if fits:
        assert begun(json_schema(schema, strict=strict), '{"a": [0').is_whole is False
        return
    with pytest.raises(InputError, match=r"^s\.properties\.a\.items\.multipleOf: "):
        json_schema(schema, strict=strict, where="s")
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": strict}}
    with pytest.raises(InputError, match=r"^tools\[0\]\.function\.parameters\.properties\.a\.items\.multipleOf: "):
        tool_call([tool])


def test_a_schema_that_is_not_strict_is_kept_as_far_as_it_goes() -> None:
    loose = {"type": "object", "properties": {"n": {"type": "integer", "uniqueItems": True}}, "x-guidance": {"no": 1}}
    grammar = json_schema(loose, strict=False)
    assert begun(grammar, '{"n": 3}').is_done
    assert begun(grammar, '{"more": "x"}').is_done
    assert refuses(grammar, '{"n": ', '"')
    with pytest.raises(InputError, match="there"):
        Constraint(json_schema({"type": "wrong"}, strict=False, where="there"), alphabet())


def test_only_what_may_follow_is_taken() -> None:
    constraint = begun(json_object(), "{")
    copy = constraint.copy()
    with pytest.raises(TunewrightError, match="does not follow"):
        constraint.take(tokens_of("x")[0])
    copy.take(tokens_of("}")[0])
    assert copy.is_done
    assert allowed(copy) == {END, 0}
    assert not begun(json_object(), "{").is_whole


def test_grammars_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import llguidance

    made = []
    matcher = llguidance.LLMatcher
    mine = Alphabet(tiny_tokenizer(), WORDS, {END})

    class Counted:
        grammar_from_lark = staticmethod(matcher.grammar_from_lark)

        def __new__(cls, *args: Any, **settings: Any) -> Any:
            made.append(args)
            return matcher(*args, **settings)

    monkeypatch.setattr(llguidance, "LLMatcher", Counted)
    for _ in range(3):
        Constraint(json_schema(SOME), mine)
        Constraint(json_object(), mine)
    assert len(made) == 2
    for number in range(70):  # more than are kept
        Constraint(json_schema(an_object({f"a{number}": {"type": "null"}})), mine)
    Constraint(json_schema(SOME), mine)
    assert len(made) == 2 + 70 + 1


WEATHER = an_object({"city": {"enum": ["Oslo", "Rome"]}, "days": {"$ref": "#/$defs/n"}}) | {
    "$defs": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER, "strict": True}},
    {"type": "function", "function": {"name": "wait"}},
    {"type": "function", "function": {"name": "loose", "parameters": {"properties": {"q": {"type": "boolean"}}}}},
]
CALL = write_answer("", [ToolCall("weather", {"city": "Oslo", "days": 3})]).strip()
WAIT = write_answer("", [ToolCall("wait", {})]).strip()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_calls_that_must_come_can_be_read(choice: Any, seed: int) -> None:
    text, constraint = written(tool_call(TOOLS, choice, parallel=False), seed, 900)
    assert text.startswith(OPEN)
    if constraint.is_whole:
        (call,) = read_calls(text) or ()
        assert choice == "required" or call.name == "weather"
        schemas = {"weather": WEATHER, "wait": an_object({}), "loose": {"properties": {"q": {"type": "boolean"}}}}
        assert list(Draft202012Validator(schemas[call.name]).iter_errors(call.arguments)) == []
        assert text.endswith(CLOSE)
    assert isinstance(choice, str) or constraint.is_done  # nothing in these arguments can go on for ever


def test_which_calls_may_come() -> None:
    auto, single = tool_call(TOOLS), tool_call(TOOLS, "auto", parallel=False)
    for text in ("", "Hello <there", f"Let me see.\n{CALL}", CALL, f"{CALL}\n{WAIT}\n{CALL}"):
        assert begun(auto, text).is_whole
    assert not begun(auto, f"{CALL}\n").is_whole
    assert refuses(auto, OPEN, "x")  # nothing but a call follows the tag
    assert refuses(auto, CALL, " ")
    assert begun(single, f"So: {CALL}").is_done
    assert begun(tool_call(TOOLS, "required"), f"{WAIT}\n{CALL}").is_whole
    assert refuses(tool_call(TOOLS, "required"), "", "H")
    assert refuses(tool_call(TOOLS, {"type": "function", "function": {"name": "wait"}}), f'{OPEN}\n{{"name": "w', "e")
    only = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOLS[1]]}}
    assert begun(tool_call(TOOLS, only), f"Hm. {WAIT}").is_whole
    assert refuses(tool_call(TOOLS, only), f'{OPEN}\n{{"name": "w', "e")
    none = tool_call(TOOLS, "none")
    assert begun(none, "Hello <tool_call").is_whole
    assert refuses(none, "Hello <tool_call", ">")


def test_forced_tokens_are_the_call_s_own_frame() -> None:
    constraint = begun(tool_call(TOOLS[1:2], "required"))
    assert tiny_tokenizer_once().decode(constraint.forced()) == f'{OPEN}\n{{"name": "wait", "arguments": {{'
    for token in constraint.forced():
        constraint.take(token)
    assert not constraint.is_done


def test_tags_that_are_special_tokens_are_written_as_such() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [OPEN, CLOSE]})
    opening, closing = (tokenizer.convert_tokens_to_ids(tag) for tag in (OPEN, CLOSE))
    own = Alphabet(tokenizer, WORDS, {END})
    for choice, text in (("required", CALL), ("auto", f"Well. {CALL}"), ("none", "Well.")):
        constraint = Constraint(tool_call(TOOLS, choice), own)
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert (opening in tokens, closing in tokens) == (choice != "none",) * 2
        for token in tokens:
            constraint.take(token)
        assert constraint.is_whole
        assert opening not in allowed(constraint)


@pytest.mark.parametrize(
    ("tools", "choice", "said"),
    [
        ([], "auto", "no tools"),
        (TOOLS, "sometimes", "none, auto, required"),
        (TOOLS, {"type": "function", "function": {"name": "wheather"}}, "Did you mean 'weather'"),
        (TOOLS, {"type": "custom", "custom": {"name": "x"}}, "'custom' are not supported"),
        ([{"type": "custom"}], "auto", r"^tools\[0\]: "),
        ([{"type": "function", "function": {}}], "auto", r"^tools\[0\]: "),
        (
            [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}],
            "auto",
            r"^tools\[0\]\.function\.parameters\.additionalProperties: ",
        ),
        ([{"type": "function", "function": {"name": "f", "parameters": [1]}}], "auto", "parameters: "),
    ],
)
def test_tools_that_are_wrong_name_the_place(tools: Any, choice: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tool_call(tools, choice)
