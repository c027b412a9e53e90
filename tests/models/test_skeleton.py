from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import tiny_tokenizer
from tunewright.models.chat import ChatFormat, Turn
from tunewright.models.skeleton import Skeletons, only_prints

CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
STRIPPING = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ messages[0].content | trim ~ '\n' }}{% endif %}"
    "{% for m in messages %}{% if 'tool_calls' in m %}{{ raise_exception('no') }}{% endif %}"
    "{% if m.role != 'system' %}{{ '<|im_start|>' ~ m.role ~ ' ' ~ (m['content'] | trim) ~ '<|im_end|>' }}{% endif %}"
    "{% endfor %}"
)
PRINTING = {"chatml": CHATML, "stripping": STRIPPING}
# Each does something with a text, or hands it on, that a placeholder in its place would not show.
OTHERS = {
    "tested": "{% for m in messages %}{% if m.content %}{{ m.content }}{% endif %}{% endfor %}",
    "split": "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}",
    "filtered": "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
    "measured": "{% for m in messages %}{{ m.content | length }}{% endfor %}",
    "stripped with more": "{% for m in messages %}{{ (m.content + ' ') | trim }}{% endfor %}",
    "chosen": "{% for m in messages %}{{ m.content if m.content != 'x' else 'y' }}{% endfor %}",
    "set": "{% set first = messages[0]['content'] %}{{ first | upper }}",
    "set in a namespace": "{% set ns = namespace(t='') %}{% set ns.t = messages[0].content %}{{ ns.t }}",
    "sliced": "{% set rest = messages[1:] %}{% for m in rest %}{{ m.content }}{% endfor %}",
    "whole": "{{ messages | tojson }}",
    "of one": "{% for m in messages %}{{ m | tojson }}{% endfor %}",
    "items": "{% for m in messages %}{% for k, v in m.items() %}{{ v }}{% endfor %}{% endfor %}",
    "computed key": "{% set k = 'content' %}{% for m in messages %}{{ m[k] | upper }}{% endfor %}",
    "neighbour": "{% for m in messages %}{{ loop.previtem.content | upper }}{% endfor %}",
    "macro": "{% macro show(m) %}{{ m.content }}{% endmacro %}{% for m in messages %}{{ show(m) }}{% endfor %}",
    "block": "{% filter upper %}{% for m in messages %}{{ m.content }}{% endfor %}{% endfilter %}",
    "date": "{{ strftime_now('%H') }}{% for m in messages %}{{ m.content }}{% endfor %}",
    "no template": "{% for m in messages",
}


def chat_of(template: str) -> ChatFormat:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return ChatFormat(tokenizer)


@pytest.mark.parametrize("name", PRINTING)
def test_a_template_that_prints_is_known_as_one(name: str) -> None:
    assert only_prints(PRINTING[name])


@pytest.mark.parametrize("name", OTHERS)
def test_a_template_that_does_more_is_asked_itself(name: str) -> None:
    assert not only_prints(OTHERS[name])
    asked = Skeletons(OTHERS[name], lambda messages: pytest.fail("A placeholder is no text"))
    assert asked.fill([{"role": "system", "content": "x"}]) is None


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", " ", "\u2003x\u2003", "\ue0000\ue001", "<|im_end|>", "{{ x }}"]
)


@pytest.mark.parametrize("name", PRINTING)
@given(said=st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), text), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_filled_skeleton_is_what_the_template_makes(name: str, said: list[tuple[str, str]]) -> None:
    chat = CHATS[name]
    messages = [{"role": role, "content": content} for role, content in said]
    for begun in (False, True):
        filled = chat._skeletons[begun].fill(messages)
        assert filled == chat.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=begun)


def test_roles_that_a_template_refuses_are_left_to_it() -> None:
    refusing = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('') }}{% endif %}{{ m.content }}"
    refusing += "{% endfor %}"
    chat = chat_of(refusing)
    assert only_prints(refusing)
    assert chat._skeletons[False].fill([{"role": "system", "content": "x"}]) is None
    assert chat._skeletons[False].fill([{"role": "assistant", "content": "x"}]) == "x"


def test_the_template_is_asked_once_for_each_succession_of_roles() -> None:
    asked: list[int] = []
    chat = chat_of(CHATML)
    skeletons = Skeletons(CHATML, lambda messages: asked.append(len(messages)) or chat.text(_turns(messages)))  # type: ignore[func-returns-value]
    for content in ("a", "b", "c"):
        skeletons.fill([{"role": "user", "content": content}])
        skeletons.fill([{"role": "system", "content": content}, {"role": "user", "content": content}])
    assert asked == [1, 2]


def test_what_goes_with_tools_is_left_to_the_template() -> None:
    result = {"role": "tool", "content": "x", "tool_call_id": "1", "name": "look"}
    assert chat_of(CHATML)._skeletons[False].fill([result]) is None


def _turns(messages: list[dict[str, str]]) -> list[Turn]:
    return [Turn(message["role"], message["content"]) for message in messages]


CHATS = {name: chat_of(template) for name, template in PRINTING.items()}
