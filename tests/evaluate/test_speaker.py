"""Speakers give drawn answers: a model in memory, and an endpoint that gets temperature and seed."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from tests.endpoints.server import serving
from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base.errors import InputError
from tunewright.data.example import Message
from tunewright.endpoints import Client, Endpoint
from tunewright.evaluate import EndpointSpeaker, LocalSpeaker
from tunewright.forest.layout import adopt
from tunewright.models.chat import ChatFormat
from tunewright.recipe.sampling import Sampling

ASKED = [[Message("user", "Hi")], [Message("user", "Where is it?")]]
DRAWN = Sampling(temperature=2.0, seed=5)


def local() -> LocalSpeaker:
    model = tiny_model(seed=2)
    adopt(model)
    base: Any = SimpleNamespace(chat=ChatFormat(tiny_tokenizer()))
    return LocalSpeaker("tiny", base, lambda: nullcontext(model))


def test_a_local_speaker_draws_as_it_is_told() -> None:
    speaker = local()
    plain = speaker.say(ASKED, max_new_tokens=6)
    assert all(not said.further for said in plain)
    drawn = speaker.say(ASKED, max_new_tokens=6, sampling=DRAWN, samples=3)
    assert [len(said.further) for said in drawn] == [2, 2]
    texts = [[said.text, *(other.text for other in said.further)] for said in drawn]
    assert all(len(set(three)) == 3 for three in texts)
    again = speaker.say(ASKED[::-1], max_new_tokens=6, sampling=DRAWN, samples=3)[::-1]
    assert again == drawn
    assert all(said.stopped or said.written == 6 for said in drawn)


def test_an_endpoint_gets_temperature_top_p_and_a_seed_for_each_answer() -> None:
    def number(body: dict[str, Any]) -> str:
        return f"{body['messages'][-1]['content']} {body.get('seed')}"

    with serving(number) as server, Client(Endpoint.of(url=server.url, model="m"), environment={}) as client:
        speaker = EndpointSpeaker(client)
        assert [said.text for said in speaker.say(ASKED, max_new_tokens=6)] == ["Hi None", "Where is it? None"]
        assert {body["temperature"] for body in server.asked} == {0.0}
        server.asked.clear()
        drawn = speaker.say(ASKED, max_new_tokens=6, sampling=Sampling(temperature=0.7, top_p=0.9, seed=5), samples=2)
        assert [[said.text, said.further[0].text] for said in drawn] == [
            ["Hi 5", "Hi 6"],
            ["Where is it? 5", "Where is it? 6"],
        ]
        assert {(body["temperature"], body["top_p"]) for body in server.asked} == {(0.7, 0.9)}
        for wrong, said in ((Sampling(temperature=1, top_k=3), "top_k"), (Sampling(), "all the same")):
            with pytest.raises(InputError, match=said):
                speaker.say(ASKED, max_new_tokens=6, sampling=wrong, samples=2)
