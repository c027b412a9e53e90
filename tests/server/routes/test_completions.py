"""Completions through OpenAI's own client, and as evaluation tools read them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import torch

from tests.server.served import Running, running
from tests.tiny import tiny_model

PROMPT = "a red apple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as found:
        yield found


def ask(server: Running, **more: Any) -> Any:
    return server.client.completions.create(**{"model": "tiny", "prompt": PROMPT, "temperature": 0, **more})


def ids(text: str) -> list[int]:
    """The tokens of a text without blanks and marks: three specials come first, then the bytes from "!" on."""
    return [3 + ord(letter) - ord("!") for letter in text]


def test_a_scored_prompt_has_the_models_own_probabilities(server: Running) -> None:
    """What `local-completions` of lm-evaluation-harness reads, held against the model's plain forward pass."""
    tokens = ids("aredapple")
    choice = ask(server, prompt=[tokens], echo=True, logprobs=1, max_tokens=1).choices[0]
    found = choice.logprobs
    assert found.tokens[:-1] == list("aredapple")
    assert found.text_offset == list(range(10))
    assert (found.token_logprobs[0], found.top_logprobs[0]) == (None, None)
    with torch.inference_mode():
        logp_TV = tiny_model(1)(torch.tensor([tokens])).logits[0].log_softmax(-1)
    expected = [float(logp_TV[place, token]) for place, token in enumerate(tokens[1:])]
    assert found.token_logprobs[1:-1] == pytest.approx(expected, abs=1e-4)
    # As the harness sums a continuation's, and asks whether it is the likeliest.
    context = 4
    assert math.fsum(found.token_logprobs[context:-1]) == pytest.approx(math.fsum(expected[context - 1 :]), abs=1e-4)
    greedy = [
        token == max(top, key=top.__getitem__)
        for token, top in zip(found.tokens[1:], found.top_logprobs[1:], strict=True)
    ]
    assert greedy[:-1] == [int(logp_TV[place].argmax()) == token for place, token in enumerate(tokens[1:])]
    assert greedy[-1]
    assert choice.text.startswith("aredapple")


def test_prompts_of_all_kinds_are_answered_in_their_order(server: Running) -> None:
    answer = ask(server, prompt=["ab", "cd"], n=2, temperature=1, seed=1, max_tokens=3, echo=True)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text[:2] for choice in answer.choices] == ["ab", "ab", "cd", "cd"]
    assert answer.usage.prompt_tokens == 4
    assert answer.usage.completion_tokens == 12
    alone = ask(server, prompt=ids("ab"), max_tokens=3)
    assert [ask(server, prompt=given, max_tokens=3).choices[0].text for given in ([ids("ab")], ids("ab"))] == [
        alone.choices[0].text
    ] * 2
    assert len(ask(server, prompt="", max_tokens=2).choices) == 1


def test_a_prompt_alone_is_scored_or_given_back(server: Running) -> None:
    scored = ask(server, prompt=ids("abc"), echo=True, logprobs=0, max_tokens=0).choices[0]
    assert (scored.text, scored.finish_reason, len(scored.logprobs.tokens)) == ("abc", "length", 3)
    assert all(len(top) == 1 for top in scored.logprobs.top_logprobs[1:])  # the token itself
    plain = ask(server, echo=True, max_tokens=0)
    assert (plain.choices[0].text, plain.choices[0].logprobs, plain.usage.completion_tokens) == (PROMPT, None, 0)


def test_the_best_of_several_is_the_likeliest(server: Running) -> None:
    drawn = {"temperature": 1.5, "seed": 5, "max_tokens": 6, "logprobs": 0}
    each = ask(server, n=6, **drawn).choices
    means = [math.fsum(one.logprobs.token_logprobs) / len(one.logprobs.tokens) for one in each]
    best = ask(server, best_of=6, **drawn)
    assert len(best.choices) == 1
    assert best.choices[0].text == each[means.index(max(means))].text
    assert best.usage.completion_tokens == 36
    assert len(ask(server, best_of=0, max_tokens=1).choices) == 1


def test_offsets_go_on_behind_the_prompt(server: Running) -> None:
    found = ask(server, max_tokens=4, logprobs=1).choices[0].logprobs
    assert found.text_offset[0] == len(PROMPT)
    assert found.text_offset == sorted(found.text_offset)


def test_a_stream_tells_the_same_as_the_whole(server: Running) -> None:
    asked = {"max_tokens": 8, "prompt": ["ab", "cd"], "echo": True}
    whole = ask(server, **asked)
    chunks = list(ask(server, **asked, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    for choice in whole.choices:
        mine = [each.choices[0] for each in chunks[:-1] if each.choices[0].index == choice.index]
        assert "".join(each.text for each in mine) == choice.text
        assert [each.finish_reason for each in mine if each.finish_reason] == [choice.finish_reason]


def test_the_context_is_named_where_a_prompt_leaves_no_room(server: Running) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, prompt="x" * 2048)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "prompt")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2, "n": 3}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"echo": True, "logprobs": 1, "stream": True}, "echo"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": [[1, 259]]}, "prompt[0]"),
        ({"prompt": [-1]}, "prompt"),
        ({"logprobs": 21}, "logprobs"),
    ],
)
def test_impossible_requests_name_their_field(server: Running, more: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, **more)
    assert refused.value.param == param
    assert ask(server, suffix="", max_tokens=1).choices
