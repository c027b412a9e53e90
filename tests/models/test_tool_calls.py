"""Tool calls through templates that know them and through one that does not, by hand."""

from __future__ import annotations

import json

import pytest

from tests.tiny import CHAT_TEMPLATE, tiny_tokenizer
from tunewright.base.errors import DataError
from tunewright.models.chat import ChatFormat, Turn
from tunewright.models.tool_calls import ToolCall, read_calls, write_answer

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
# In the way of Qwen's: tools in the system turn, calls in tags, a result in the user's turn.
NATIVE = (
    "{% if tools %}<|im_start|>system\nTOOLS {% for tool in tools %}{{ tool | tojson }}{% endfor %}<|im_end|>\n"
    "{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls %}[CALL]{{ call.function.name }} {{ call.function.arguments | tojson }}"
    "{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PARIS, OSLO = ToolCall("weather", {"city": "Paris"}, "c1"), ToolCall("weather", {"city": "Oslo"}, "c2")
TALK = [
    Turn("user", "Where is it warmer?"),
    Turn("assistant", "", 1.0, (PARIS, OSLO)),
    Turn("tool", "20", tool_call_id="c1"),
    Turn("tool", "9", tool_call_id="c2"),
    Turn("assistant", "Paris", 1.0),
]


def chat_of(template: str) -> ChatFormat:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return ChatFormat(tokenizer)


def parts(chat: ChatFormat, turns: list[Turn]) -> tuple[str, str]:
    """What is rendered, and what of it is learned."""
    rendered = chat.render(turns, [TOOL])
    learned = [token for token, weight in zip(rendered.tokens, rendered.learned, strict=True) if weight]
    return chat.plain.show(rendered.tokens), chat.plain.show(learned)


def test_a_template_that_knows_tools_renders_them() -> None:
    chat = chat_of(NATIVE)
    assert chat.knows_tools
    whole, learned = parts(chat, TALK)
    assert whole.startswith('<|im_start|>system\nTOOLS {"type": "function"')
    assert learned == '[CALL]weather {"city": "Paris"}[CALL]weather {"city": "Oslo"}<|im_end|>Paris<|im_end|>'
    assert "<|im_start|>tool\n20<|im_end|>\n<|im_start|>tool\n9<|im_end|>" in whole


def test_without_one_they_are_written_out_in_plain_messages() -> None:
    chat = chat_of(CHAT_TEMPLATE)
    assert not chat.knows_tools
    whole, learned = parts(chat, [Turn("system", "Be brief."), *TALK])
    calls = "\n".join(
        f'<tool_call>\n{{"name": "weather", "arguments": {{"city": "{city}"}}}}\n</tool_call>'
        for city in ("Paris", "Oslo")
    )
    assert learned == f"{calls}<|im_end|>Paris<|im_end|>"
    assert whole.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n\nYou may call one or more functions")
    assert f"<tools>\n{json.dumps(TOOL)}\n</tools>" in whole
    results = "<tool_response>\n20\n</tool_response>\n<tool_response>\n9\n</tool_response>"
    assert f"<|im_start|>user\n{results}<|im_end|>" in whole


@pytest.mark.parametrize("template", [NATIVE, CHAT_TEMPLATE])
def test_the_prompt_is_the_beginning_of_the_whole(template: str) -> None:
    chat = chat_of(template)
    for count in (1, 4):
        prompt = chat.prompt(TALK[:count], [TOOL])
        assert chat.render(TALK[: count + 1], [TOOL]).tokens[: len(prompt)] == prompt


@pytest.mark.parametrize("template", [NATIVE, CHAT_TEMPLATE])
def test_what_is_learned_reads_back_as_the_calls(template: str) -> None:
    chat = chat_of(
        template.replace(
            "[CALL]{{ call.function.name }} {{ call.function.arguments | tojson }}", "{{ call.function | tojson }}"
        )
    )
    found = read_calls(parts(chat, TALK[:2])[1])
    assert found is not None
    assert [(call.name, call.arguments) for call in found] == [(call.name, call.arguments) for call in (PARIS, OSLO)]


def test_a_template_that_refuses_says_why() -> None:
    chat = chat_of(NATIVE + "{% if messages | length > 3 %}{{ raise_exception('One call at a time!') }}{% endif %}")
    with pytest.raises(DataError, match=r"refuses this conversation \(One call at a time!\)"):
        chat.render(TALK, [TOOL])


def test_a_developer_is_the_system_where_the_template_has_no_such_role() -> None:
    told = [Turn("system", "A."), Turn("developer", "B."), Turn("user", "?")]
    assert chat_of(CHAT_TEMPLATE).text(told).startswith("<|im_start|>system\nA.\n\nB.<|im_end|>\n<|im_start|>user")
    knowing = CHAT_TEMPLATE + "{# developer #}"
    assert "<|im_start|>developer\nB." in chat_of(knowing).text(told)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("It is warm.", []),
        (write_answer("Let me look.", [PARIS, OSLO]), ["weather", "weather"]),
        ('[TOOL_CALLS] [{"name": "a", "arguments": {}}, {"name": "b", "arguments": "{\\"x\\": 1}"}]', ["a", "b"]),
        ('{"name": "a", "parameters": {"x": [1]}}', ["a"]),
        ('{"name": "a"} and [1, 2] and {', []),
        ('<tool_call>{"name": "a", "arguments": {}}', ["a"]),
        ("<tool_call>a()</tool_call>", None),
    ],
)
def test_reading_calls(text: str, names: list[str] | None) -> None:
    found = read_calls(text)
    assert (None if found is None else [call.name for call in found]) == names


def test_an_answer_without_calls_is_its_text() -> None:
    assert write_answer("", []) == ""
    assert write_answer("yes", []) == "yes"
