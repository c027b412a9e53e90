"""Requests answered together, against decoding one call at a time and against what is said of the contract."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base.errors import BusyError, InputError, TunewrightError, UnknownNameError
from tunewright.forest.layout import adopt
from tunewright.generate import Generation, generate
from tunewright.generate.drawing import Choosing
from tunewright.generate.serving import desk
from tunewright.generate.serving.blocking import Listening, Written, answer, answer_each
from tunewright.generate.serving.engine import Engine
from tunewright.generate.serving.request import Done, Ended, EngineSettings, Failed, Heard, Piece, Request
from tunewright.models.chat import ChatFormat

GREEDY = Choosing(temperature=0)
SMALL = EngineSettings(memory_bytes=1 << 20, max_rows=8, chunk_tokens=20)


def base_of(model: Any) -> Any:
    tokenizer = tiny_tokenizer()
    return SimpleNamespace(model=model, tokenizer=tokenizer, chat=ChatFormat(tokenizer), files=None)


@pytest.fixture(scope="module")
def base() -> Any:
    model = tiny_model(seed=4)
    adopt(model)
    return base_of(model)


@pytest.fixture
def engine(base: Any) -> Iterator[Engine]:
    yield from running(base, SMALL)


def running(base: Any, settings: EngineSettings) -> Iterator[Engine]:
    engine = Engine(base, settings=settings)
    engine.start()
    yield engine
    engine.stop()
    assert not engine._desk.busy
    lead = len(engine._desk._lead)
    assert engine.status().pages_held == -(-lead // 16)  # nothing is held by what is over


def some_prompts(seed: int = 0, count: int = 10) -> list[list[int]]:
    random = np.random.default_rng(seed)
    trunk = random.integers(3, 259, 60).tolist()
    prompts = [[*trunk, *random.integers(3, 259, 1 + 5 * n).tolist()] for n in range(count)]
    return [*prompts, trunk, prompts[2], [7], [7, 8]]


def greedy(prompt: Sequence[int], limit: int, **more: Any) -> Request:
    return Request(tuple(prompt), limit, choosing=GREEDY, **more)


def check_equal(found: Written, expected: Generation) -> None:
    assert [chosen.token for chosen in found.tokens] == expected.tokens
    logps = [chosen.logprob for chosen in found.tokens]
    assert logps == pytest.approx(expected.logprobs[: len(logps)], abs=1e-4)


def test_answers_are_those_of_plain_decoding_whatever_stands_beside_them(base: Any, engine: Engine) -> None:
    prompts = some_prompts(count=6)
    free = generate(base.model, prompts, max_new_tokens=24, stop_ids=())
    stop = free[0].tokens[5]  # it does come up, so that answers end at many lengths
    expected = generate(base.model, prompts, max_new_tokens=24, stop_ids={stop})
    assert {one.stopped for one in expected} == {True, False}
    for _ in range(2):  # cold, then with everything read before
        found = list(answer_each(engine, [greedy(prompt, 24, stop_ids=frozenset({stop})) for prompt in prompts]))
        for one, plain in zip(found, expected, strict=True):
            check_equal(one.answers[0], plain)
            assert one.answers[0].reason == ("stop" if plain.stopped else "length")
    assert engine.status().put_back == 0
    assert [one.done.cached_tokens for one in found] == [len(prompt) - 1 for prompt in prompts]


def test_long_answers_move_out_of_their_tails(base: Any) -> None:
    prompts = some_prompts(1, 3)[:3]
    expected = generate(base.model, prompts, max_new_tokens=60, stop_ids=())
    # Tails of 16 tokens, which become part of the tree while the answer is written.
    for engine in running(base, EngineSettings(memory_bytes=120_000, max_rows=7, chunk_tokens=64)):
        assert engine._desk._store.sizes.tail == 16
        found = list(answer_each(engine, [greedy(prompt, 60) for prompt in prompts]))
        for one, plain in zip(found, expected, strict=True):
            check_equal(one.answers[0], plain)


def test_rows_wait_where_pages_run_out_and_go_on_where_they_stood(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_EXPECTED", 16)  # so that too many are let in
    random = np.random.default_rng(2)
    prompts = [random.integers(3, 259, 8).tolist() for _ in range(6)]
    expected = generate(base.model, prompts, max_new_tokens=60, stop_ids=())
    for engine in running(base, EngineSettings(memory_bytes=90_000, max_rows=6, chunk_tokens=64)):
        found = list(answer_each(engine, [greedy(prompt, 60) for prompt in prompts]))
        for one, plain in zip(found, expected, strict=True):
            check_equal(one.answers[0], plain)
        status = engine.status()
        assert status.put_back > 0
        assert status.completion_tokens == 6 * 60
        assert status.prompt_tokens == 6 * 8


def test_draws_follow_from_the_seed_alone(engine: Engine) -> None:
    prompts = some_prompts(3, 3)
    how = Choosing(temperature=1.5, top_p=0.9, seed=5, frequency_penalty=0.4, presence_penalty=0.2)
    requests = [Request(tuple(prompt), 8, choosing=how, samples=2, top_logprobs=2) for prompt in prompts]
    together = list(answer_each(engine, requests))
    for request, found in zip(requests, together, strict=True):
        alone = answer(engine, request)
        for one, other in zip(found.answers, alone.answers, strict=True):
            assert [x.token for x in one.tokens] == [x.token for x in other.tokens]
            assert all(len(x.top) == 2 for x in one.tokens)
    assert any(x.answers[0].tokens[0].token != x.answers[1].tokens[0].token for x in together)


def test_samples_share_their_prompt(engine: Engine) -> None:
    before = engine.status()
    prompt = tuple(some_prompts(4)[5])
    found = answer(engine, Request(prompt, 5, choosing=Choosing(seed=1), samples=12))  # more than there are rows
    assert len(found.answers) == 12
    after = engine.status()
    assert after.prompt_tokens - before.prompt_tokens == len(prompt)
    assert found.done.completion_tokens == 60


def test_a_prompt_is_scored_as_the_model_scores_it(base: Any, engine: Engine) -> None:
    prompt = some_prompts(5)[4]
    with torch.no_grad():
        plain = tiny_model(seed=4)(torch.tensor([prompt])).logits[0].log_softmax(-1)
    expected = [float(plain[place, token]) for place, token in enumerate(prompt[1:])]
    answer(engine, greedy(prompt, 3))  # what is read already is scored all the same
    for limit in (0, 4):
        found = answer(engine, greedy(prompt, limit, prompt_logprobs=3))
        assert found.done.prompt is not None
        assert [chosen.token for chosen in found.done.prompt] == prompt[1:]
        assert [chosen.logprob for chosen in found.done.prompt] == pytest.approx(expected, abs=1e-4)
        best = plain[7].topk(3)
        assert [token for token, _ in found.done.prompt[7].top] == best.indices.tolist()
        assert [value for _, value in found.done.prompt[7].top] == pytest.approx(best.values.tolist(), abs=1e-4)
        assert len(found.answers[0].tokens) == limit
        assert found.answers[0].reason == "length"
    assert answer(engine, greedy([9], 0, prompt_logprobs=0)).done.prompt == ()


def test_stop_texts_end_an_answer_and_are_no_part_of_it(base: Any, engine: Engine) -> None:
    prompt = some_prompts(6)[3]
    free = answer(engine, greedy(prompt, 40)).answers[0]
    stop = free.text[6:9]
    assert len(stop) == 3
    found = answer(engine, greedy(prompt, 40, stop_texts=(stop,))).answers[0]
    assert found.text == free.text[: free.text.index(stop)]
    assert found.reason == "stop"
    assert [x.token for x in found.tokens] == [x.token for x in free.tokens][: len(found.tokens)]
    assert base.chat.decode([x.token for x in found.tokens]) == found.text


def test_what_is_heard_comes_in_order_with_one_last_word(engine: Engine) -> None:
    heard: list[Heard] = []
    over = threading.Event()

    def hear(one: Heard) -> None:
        heard.append(one)
        if isinstance(one, Done | Failed):
            over.set()

    engine.submit(Request((5, 6, 7), 6, choosing=Choosing(seed=0), samples=3), hear)
    assert over.wait(30)
    assert isinstance(heard[-1], Done)
    for sample in range(3):
        mine = [one for one in heard[:-1] if one.sample == sample]  # type: ignore[union-attr]
        assert isinstance(mine[-1], Ended)
        assert all(isinstance(one, Piece) for one in mine[:-1])
        assert sum(len(one.tokens) for one in mine[:-1] if isinstance(one, Piece)) == 6
    assert 0 <= heard[-1].queued_s <= heard[-1].first_token_s <= heard[-1].seconds


def hold_still(engine: Engine) -> tuple[threading.Event, threading.Event]:
    """Has the engine's next pass wait: an event once it does, and one that lets it go on."""
    waits, goes_on = threading.Event(), threading.Event()
    step = engine._desk.step

    def held() -> None:
        waits.set()
        assert goes_on.wait(30)
        step()

    engine._desk.step = held  # type: ignore[method-assign]
    return waits, goes_on


def test_a_full_queue_says_when_to_ask_again(base: Any) -> None:
    for engine in running(base, EngineSettings(memory_bytes=1 << 20, max_rows=1, queue_limit=2)):
        waits, goes_on = hold_still(engine)
        first = Listening(1)
        engine.submit(greedy([5], 4), first.hear)
        assert waits.wait(30)
        more = [Listening(1) for _ in range(2)]
        for listening in more[: 2 - engine.status().waiting]:
            engine.submit(greedy([5], 4), listening.hear)
        with pytest.raises(BusyError) as caught:
            engine.submit(greedy([5], 4), first.hear)
        assert caught.value.retry_after_s >= 1
        goes_on.set()
        assert first.result().answers[0].reason == "length"


def test_a_cancelled_request_ends_as_it_stands_and_frees_its_pages(engine: Engine) -> None:
    other, mine = Listening(1), Listening(2)
    began = threading.Event()

    def hear(heard: Heard) -> None:
        began.set()
        mine.hear(heard)

    engine.submit(greedy([5, 6, 7], 100), other.hear)
    ticket = engine.submit(Request((9, 8), 1500, choosing=Choosing(seed=0), samples=2), hear)
    assert began.wait(30)
    ticket.cancel()
    found = mine.result()
    assert [one.reason for one in found.answers] == ["cancelled", "cancelled"]
    assert 0 < len(found.answers[0].tokens) < 1500
    assert len(other.result().answers[0].tokens) == 100


def test_an_error_in_a_pass_fails_those_in_it_alone(base: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = generate(base.model, [[5, 6, 7]], max_new_tokens=9, stop_ids=())[0]
    states = engine._desk._reader.states

    def broken(tokens: list[int], *others: Any) -> Any:
        if 66 in tokens:
            raise RuntimeError("no such kernel")
        return states(tokens, *others)

    monkeypatch.setattr(engine._desk._reader, "states", broken)
    check_equal(answer(engine, greedy([5, 6, 7], 9)).answers[0], expected)
    with pytest.raises(RuntimeError, match="no such kernel"):
        answer(engine, greedy([5, 66, 7, 8], 9))
    check_equal(answer(engine, greedy([5, 6, 7], 9)).answers[0], expected)
    status = engine.status()
    assert (status.failed, status.rows, status.reading) == (1, 0, 0)


def test_a_listener_that_fails_disturbs_nobody(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def hear(heard: Heard) -> None:
        raise OSError("hung up")

    other = Listening(1)
    engine.submit(greedy([5, 6], 500), hear)
    engine.submit(greedy([7, 6], 20), other.hear)
    assert len(other.result().answers[0].tokens) == 20
    assert "hung up" in caplog.text


class Letters:
    """A constraint that leaves some tokens, and is done after some of them."""

    def __init__(self, allowed: Sequence[int], length: int) -> None:
        self._allowed, self._length = list(allowed), length

    def copy(self) -> Letters:
        return Letters(self._allowed, self._length)

    def mask(self) -> torch.Tensor:
        bits = np.zeros(288, dtype=bool)
        bits[self._allowed] = True
        return torch.from_numpy(np.packbits(bits, bitorder="little").view(np.int32))

    def take(self, token: int) -> None:
        if token not in self._allowed:
            raise TunewrightError("that does not follow")
        self._length -= 1

    def forced(self) -> list[int]:
        return []

    @property
    def is_done(self) -> bool:
        return self._length == 0


def test_constraints_hold_their_own_rows_alone(engine: Engine) -> None:
    free = answer(engine, greedy([5, 6, 7], 9)).answers[0]
    held = Request((5, 6, 7), 9, choosing=Choosing(seed=3), samples=2, constraint=Letters([70, 71, 72], 4))  # type: ignore[arg-type]
    nothing = Request((5, 6, 7), 9, choosing=GREEDY, constraint=Letters([], 4))  # type: ignore[arg-type]
    listening = [Listening(1), Listening(2), Listening(1)]
    for one, request in zip(listening, (greedy([5, 6, 7], 9), held, nothing), strict=True):
        engine.submit(request, one.hear)
    assert [x.token for x in listening[0].result().answers[0].tokens] == [x.token for x in free.tokens]
    for one in listening[1].result().answers:
        assert len(one.tokens) == 4
        assert {x.token for x in one.tokens} <= {70, 71, 72}
        assert one.reason == "stop"
    with pytest.raises(TunewrightError, match="allows no token"):
        listening[2].result()


def test_what_can_never_fit_is_refused(base: Any, engine: Engine) -> None:
    with pytest.raises(InputError, match="at most 2048 fit"):
        engine.submit(greedy([5] * 2000, 49), print)
    with pytest.raises(InputError, match="outside of the vocabulary"):
        engine.submit(greedy([5, 259], 4), print)
    with pytest.raises(InputError, match="no token 300"):
        engine.submit(Request((5,), 4, choosing=Choosing(logit_bias={300: 1.0})), print)
    with pytest.raises(UnknownNameError, match="adapter 'x'"):
        engine.submit(greedy([5], 4, adapter="x"), print)
    with pytest.raises(InputError, match="no token"):
        greedy([], 4)
    with pytest.raises(InputError, match="hold next to no keys"):
        Engine(base, settings=EngineSettings(memory_bytes=4000))


def test_stopping_lets_answers_end_or_fails_them(base: Any) -> None:
    engine = Engine(base, settings=SMALL)
    with pytest.raises(BusyError, match="stopped"):
        engine.submit(greedy([5], 4), print)
    engine.start()
    short, long = Listening(1), Listening(1)
    engine.submit(greedy([5], 30), short.hear)
    engine.stop(30)
    assert len(short.result().answers[0].tokens) == 30
    engine.start()
    engine.submit(greedy([5], 2000), long.hear)
    engine.stop()
    with pytest.raises(TunewrightError, match="stopped before"):
        long.result()


def test_memory_stays_where_it_is(base: Any) -> None:
    random = np.random.default_rng(8)
    for engine in running(base, EngineSettings(memory_bytes=200_000, max_rows=4, chunk_tokens=64)):
        for _ in range(2):
            requests = [greedy(random.integers(3, 259, 20).tolist(), 3) for _ in range(30)]
            for _ in answer_each(engine, requests):
                assert engine.status().pages_used <= engine.status().pages_total
            nodes = len(list(engine._desk._prefixes.nodes()))
            assert nodes <= 2 * engine.status().pages_total  # a page may have the end of one and the start of another
            assert len(engine._desk._prefixes._idle) <= 2 * nodes + 65


def test_windows_compare_depths() -> None:
    model = mistral()
    prompts = some_prompts(9, 3)[:3]
    stock = mistral()
    adopt(model)
    for engine in running(base_of(model), EngineSettings(memory_bytes=300_000, max_rows=5, chunk_tokens=33)):
        for prompt, found in zip(prompts, answer_each(engine, [greedy(x, 30) for x in prompts]), strict=True):
            out = stock.generate(
                input_ids=torch.tensor([prompt]), max_new_tokens=30, do_sample=False, eos_token_id=None, pad_token_id=0
            )
            assert [x.token for x in found.answers[0].tokens] == out[0, len(prompt) :].tolist()


def mistral() -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(3)
        sizes: dict[str, Any] = {"vocab_size": 259, "hidden_size": 32, "intermediate_size": 64}
        layers = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        config = MistralConfig(**sizes, **layers, sliding_window=24, initializer_range=0.3, eos_token_id=2)
        return MistralForCausalLM(config).eval()
