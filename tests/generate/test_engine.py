"""Greedy decoding in passes equals transformers' own, one prompt at a time."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.models.methods.virtual import CONFIGS, both, greedy, plain_logits
from tests.tiny import tiny_model
from tunewright.base import events
from tunewright.base.errors import DataError
from tunewright.forest import Path, score_paths
from tunewright.forest.layout import adopt
from tunewright.generate import generate
from tunewright.generate.cache import Blocks
from tunewright.generate.family import Family


@pytest.fixture(scope="module")
def pair() -> tuple[object, object]:
    stock = tiny_model(seed=4)
    ours = copy.deepcopy(stock)
    adopt(ours)
    return stock, ours


def some_prompts() -> list[list[int]]:
    random = np.random.default_rng(0)
    trunk = random.integers(3, 259, 12).tolist()
    prompts = [[*trunk, *random.integers(3, 259, 1 + 5 * n).tolist()] for n in range(6)]
    return [*prompts, trunk, prompts[2], [7]]


def reference(model: object, prompt: list[int], stop: int, limit: int) -> list[int]:
    out = model.generate(  # type: ignore[attr-defined]
        input_ids=torch.tensor([prompt]), max_new_tokens=limit, do_sample=False, eos_token_id=stop, pad_token_id=0
    )
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_equals_transformers_one_by_one(pair: tuple[object, object], batch_size: int) -> None:
    stock, ours = pair
    prompts = some_prompts()
    free = generate(ours, prompts, max_new_tokens=20, stop_ids=(), batch_size=batch_size)
    stop = free[0].tokens[5]  # a token that does come up, so that some answers end early
    found = generate(ours, prompts, max_new_tokens=20, stop_ids={stop}, batch_size=batch_size)
    for prompt, answer in zip(prompts, found, strict=True):
        expected = reference(stock, prompt, stop, 20)
        assert answer.tokens + [stop] * answer.stopped == expected
        assert answer.stopped == (expected[-1] == stop)
    assert any(answer.stopped for answer in found)
    assert not all(answer.stopped for answer in found)


def test_logprob_is_that_of_scoring_the_answer(pair: tuple[object, object]) -> None:
    _, ours = pair
    prompts = some_prompts()
    answers = generate(ours, prompts, max_new_tokens=6, stop_ids=())
    paths = []
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        weights = [0.0] * len(prompt) + [1.0] * len(answer.tokens)
        tokens = np.array([*prompt, *answer.tokens], dtype=np.int32)
        paths.append(Path(tokens, np.array(weights, dtype=np.float32), row, row))
    assert [a.logprob for a in answers] == pytest.approx(score_paths(ours, paths), abs=1e-4)  # type: ignore[arg-type]


def test_tokens_are_told_as_they_come(pair: tuple[object, object]) -> None:
    _, ours = pair
    heard: dict[int, list[int]] = {}
    progress: list[events.Event] = []
    answers = generate(
        ours,
        some_prompts(),
        max_new_tokens=4,
        stop_ids=(),
        batch_size=5,
        listener=progress.append,
        on_token=lambda row, token: heard.setdefault(row, []).append(token),
    )
    assert heard == {row: answer.tokens for row, answer in enumerate(answers)}
    assert [(e.done, e.total) for e in progress if isinstance(e, events.Stage)] == [(n, 9) for n in range(1, 10)]


def test_empty_prompt_is_refused(pair: tuple[object, object]) -> None:
    with pytest.raises(DataError, match="prompt 1: A prompt holds no token"):
        generate(pair[1], [[1], []], max_new_tokens=4, stop_ids=())


def test_references_are_scored_in_the_pass_that_reads_the_prompts(pair: tuple[object, object]) -> None:
    _, ours = pair
    prompts = some_prompts()
    references = [[9, 8, 7], prompts[1][:2], [5], [9, 8], [9, 8, 7, 6], [3], [4, 4], [11], [12, 13]]
    plain = generate(ours, prompts, max_new_tokens=5, stop_ids=())
    found = generate(ours, prompts, references=references, max_new_tokens=5, stop_ids=(), batch_size=4)
    paths = []
    for row, (prompt, answer) in enumerate(zip(prompts, references, strict=True)):
        weights = np.array([0.0] * len(prompt) + [1.0] * len(answer), dtype=np.float32)
        paths.append(Path(np.array([*prompt, *answer], dtype=np.int32), weights, row, row))
    assert [a.reference_logprob for a in found] == pytest.approx(score_paths(ours, paths), abs=1e-4)  # type: ignore[arg-type]
    assert [a.tokens for a in found] == [a.tokens for a in plain]
    assert all(np.isnan(a.reference_logprob) for a in plain)


def test_as_many_references_as_prompts(pair: tuple[object, object]) -> None:
    with pytest.raises(DataError, match="1 prompts and 2 references"):
        generate(pair[1], [[1]], references=[[1], [2]], max_new_tokens=4, stop_ids=())


def test_following_a_reference_changes_no_answer(pair: tuple[object, object]) -> None:
    """References that agree with the answer for a while, to its end, or beyond the limit."""
    _, ours = pair
    prompts = some_prompts()
    free = generate(ours, prompts, max_new_tokens=12, stop_ids=())
    stop = free[0].tokens[5]
    plain = generate(ours, prompts, max_new_tokens=12, stop_ids={stop})
    for kept in (1, 3, 5, 12):
        references = [[*answer.tokens[:kept], 7] for answer in free]
        references[3] = free[3].tokens[:kept]  # followed to its end, with no stop token there
        references[0] = free[0].tokens[:6]  # followed to its end, which is the stop token
        found = generate(ours, prompts, references=references, max_new_tokens=12, stop_ids={stop}, batch_size=5)
        assert [a.tokens for a in found] == [a.tokens for a in plain]
        assert [a.stopped for a in found] == [a.stopped for a in plain]
        assert [a.logprob for a in found] == pytest.approx([a.logprob for a in plain], abs=1e-4)


def test_an_agreed_reference_is_not_decoded_again(pair: tuple[object, object], monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = pair
    prompt = some_prompts()[0]
    answer = generate(ours, [prompt], max_new_tokens=3, stop_ids=())[0].tokens
    passes: list[int] = []
    monkeypatch.setattr(Blocks, "step", lambda blocks, device: passes.append(len(blocks.lengths)))
    found = generate(ours, [prompt], references=[answer], max_new_tokens=3, stop_ids={answer[2]})
    assert (found[0].tokens, found[0].stopped) == (answer[:2], True)
    assert not passes


def test_rows_take_the_places_of_those_that_have_ended(
    pair: tuple[object, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of many lengths, longer than a block is at first, in fewer places than there are rows."""
    _, ours = pair
    random = np.random.default_rng(1)
    prompts = [[5, 6, *random.integers(3, 259, 1 + n % 9).tolist()] for n in range(26)]
    alone = [generate(ours, [prompt], max_new_tokens=40, stop_ids=range(24))[0] for prompt in prompts]
    lengths = [len(answer.tokens) for answer in alone]
    assert min(lengths) <= 1 < 36 < max(lengths)
    side_by_side: list[int] = []
    step = Blocks.step
    monkeypatch.setattr(
        Blocks, "step", lambda blocks, device: side_by_side.append(len(blocks.lengths)) or step(blocks, device)
    )
    for batch_size in (3, 8):
        found = generate(ours, prompts, max_new_tokens=40, stop_ids=range(24), batch_size=batch_size)
        assert [(a.tokens, a.stopped) for a in found] == [(a.tokens, a.stopped) for a in alone]
        for answer, expected in zip(found, alone, strict=True):
            assert answer.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
        assert max(side_by_side) == batch_size
        side_by_side.clear()


def test_a_familys_beginning_is_read_once(pair: tuple[object, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows without the others' long beginning do not shorten what those share."""
    _, ours = pair
    system = list(range(3, 103))
    prompts = [[*system, 200 + n, 7] for n in range(40)] + [[150 + n, 8] for n in range(30)]
    read: list[int] = []
    layout = Family._layout
    monkeypatch.setattr(
        Family, "_layout", lambda family, forest, known: read.append(forest.nodes) or layout(family, forest, known)
    )
    found = generate(ours, prompts, max_new_tokens=2, stop_ids=(), batch_size=8)
    assert sum(read) == 100 + 40 * 2 + 30 * 2
    assert found[3].tokens == reference(pair[0], prompts[3], -1, 2)
    assert found[50].tokens == reference(pair[0], prompts[50], -1, 2)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("batch_size", [1, 64])
def test_virtual_tokens_stand_before_every_prompt(name: str, batch_size: int) -> None:
    stock, ours = both(CONFIGS[name], tiny_model(seed=4))
    prompts = some_prompts()
    stop = generate(ours, prompts[:1], max_new_tokens=8, stop_ids=())[0].tokens[4]
    references = [[9, 8, 7]] * len(prompts)
    found = generate(ours, prompts, references=references, max_new_tokens=8, stop_ids={stop}, batch_size=batch_size)
    for prompt, answer in zip(prompts, found, strict=True):
        assert answer.tokens + [stop] * answer.stopped == greedy(stock, prompt, 8, stop)
        with torch.no_grad():
            logp = plain_logits(stock, [*prompt, 9, 8, 7])[-4:-1].log_softmax(-1)
        expected = float(logp.gather(1, torch.tensor([[9], [8], [7]])).sum())
        assert answer.reference_logprob == pytest.approx(expected, abs=1e-3)
