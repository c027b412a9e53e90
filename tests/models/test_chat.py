from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import CHAT_TEMPLATE, tiny_tokenizer
from tunewright.base.errors import DataError, ModelError
from tunewright.models.chat import ChatFormat, Turn


def learned_text(chat: ChatFormat, turns: list[Turn]) -> str:
    rendered = chat.render(turns)
    tokens = [token for token, weight in zip(rendered.tokens, rendered.learned, strict=True) if weight]
    return str(chat._tokenizer.decode(tokens))


def test_only_the_answer_and_its_end_are_learned() -> None:
    chat = ChatFormat(tiny_tokenizer())
    turns = [Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Yo", 1.0)]
    assert learned_text(chat, turns) == "Yo<|im_end|>"
    assert chat.stop_ids == {2}


def test_turns_of_weight_zero_are_read_and_not_learned() -> None:
    chat = ChatFormat(tiny_tokenizer())
    turns = [Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d", 1.0)]
    assert learned_text(chat, turns) == "d<|im_end|>"


text = st.text(max_size=12)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(text, text), min_size=1, max_size=3), text)
def test_a_prompt_is_the_beginning_of_its_whole_conversation(turns: list[tuple[str, str]], system: str) -> None:
    chat = ChatFormat(tiny_tokenizer())
    messages = [Turn("system", system)]
    for question, answer in turns:
        messages += [Turn("user", question), Turn("assistant", answer, 1.0)]
    whole = chat.render(messages)
    prompt = chat.prompt(messages[:-1])
    assert whole.tokens[: len(prompt)] == prompt
    assert all(whole.learned[len(prompt) :])


def test_answers_that_a_template_trims_still_end_with_their_marker() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim")
    chat = ChatFormat(tokenizer)
    assert learned_text(chat, [Turn("user", "q"), Turn("assistant", "  yes ", 1.0)]) == "yes<|im_end|>"


def test_a_template_that_rewrites_the_past_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ messages | length }}" + CHAT_TEMPLATE
    with pytest.raises(DataError, match="rewrites earlier turns"):
        ChatFormat(tokenizer)


def test_a_model_without_a_template_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    chat = ChatFormat(tokenizer)
    assert (chat.template, chat.stop_ids) == ("", {2})
    with pytest.raises(ModelError, match="no chat template"):
        chat.prompt([Turn("user", "Hi")])


def test_fingerprint_follows_template_and_tokenizer() -> None:
    first, second = tiny_tokenizer(), tiny_tokenizer()
    assert ChatFormat(first).fingerprint == ChatFormat(second).fingerprint
    second.chat_template = CHAT_TEMPLATE.replace("message['role']", "message['role'] | lower")
    assert ChatFormat(first).fingerprint != ChatFormat(second).fingerprint


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["", "Be brief.", "<|im_end|>"]), text, text), max_size=5), st.booleans())
def test_many_conversations_are_rendered_as_one_by_one(rows: list[tuple[str, str, str]], longer: bool) -> None:
    chat = ChatFormat(tiny_tokenizer())
    many = [
        [Turn("system", system), Turn("user", question), Turn("assistant", answer, 0.5)]
        for system, question, answer in rows
    ]
    if longer and many:
        many[0] += [Turn("user", "And?"), Turn("assistant", "No.", 1.0)]
    parts = chat.parts_all(many)
    assert (parts is None) == (longer and bool(many))
    assert chat.encode_all(parts or []) == ([chat.render(turns) for turns in many] if parts else [])


TRIMS = CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim")
LAST_ALONE = CHAT_TEMPLATE.replace("{{ message['role'] }}", "{{ message['role'] }}{{ '!' if loop.last else '' }}")


@pytest.mark.parametrize("template", [TRIMS, CHAT_TEMPLATE.replace("<|im_end|>\n", "<|im_end|>")])
def test_templates_that_trim_or_end_at_once(template: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    chat = ChatFormat(tokenizer)
    many = [[Turn("user", "Hi "), Turn("assistant", answer, 1.0)] for answer in ("Yo", " Yo ", "", "<|im_end|>")]
    parts = chat.parts_all(many)
    assert parts is not None
    assert chat.encode_all(parts) == [chat.render(turns) for turns in many]


def test_a_template_that_rewrites_prompts_is_refused_all_the_same() -> None:
    tokenizer = tiny_tokenizer()
    chat = ChatFormat(tokenizer)
    tokenizer.chat_template = LAST_ALONE
    del chat._skeletons  # those of the template that stood there when its end tokens were looked for
    with pytest.raises(DataError, match="rewrites earlier turns"):
        chat.parts_all([[Turn("user", "Hi"), Turn("assistant", "Yo", 1.0)]])
