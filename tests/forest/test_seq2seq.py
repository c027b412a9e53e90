"""An encoder-decoder's loss and gradient on a forest equal its own, row by row."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forest.test_score import adapted, forest_loss, gradient
from tests.tiny import tiny_model
from tests.tiny_t5 import tiny_t5
from tunewright.base.errors import DataError, ModelError
from tunewright.forest import Path, build, cut, score_paths
from tunewright.forest.layout import adopt, unwrap
from tunewright.forest.reference import score_with_reference
from tunewright.forest.score import score
from tunewright.forest.seq2seq import hidden_states, is_encoder_decoder, sources
from tunewright.models.text_format import ANSWER_START

ANY = "auto"  # encoder-decoders have one way of their own


def pair(source: list[int], answer: list[int], weights: Sequence[float] = (), group: int = 0, row: int = 0) -> Path:
    tokens = np.array([*source, ANSWER_START, *answer], dtype=np.int32)
    learned = list(weights) or [1.0] * len(answer)
    return Path(tokens, np.array([0.0] * (len(source) + 1) + learned, dtype=np.float32), group, row)


@st.composite
def some_pairs(draw: st.DrawFn) -> list[Path]:
    """Few tokens and few sources, so that sources repeat, begin alike, and answers share beginnings."""
    token = st.integers(0, 5)
    pool = draw(st.lists(st.lists(token, max_size=7), min_size=1, max_size=3))
    found = []
    for row in range(draw(st.integers(1, 6))):
        answer = draw(st.lists(token, min_size=1, max_size=6))
        weights = draw(st.lists(st.sampled_from([0.0, 1.0, -0.5]), min_size=len(answer), max_size=len(answer)))
        found.append(pair(draw(st.sampled_from(pool)), answer, weights, group=draw(st.integers(0, 3)), row=row))
    return found


def plain_loss(model: Any, paths: Sequence[Path]) -> torch.Tensor:
    """Weighted negative log-probability through the model's own forward pass, one row at a time."""
    total = torch.zeros((), dtype=torch.float64)
    for path in paths:
        tokens = path.tokens.tolist()
        border = tokens.index(ANSWER_START)
        source, answer = tokens[:border], tokens[border + 1 :]
        read = [unwrap(model).config.decoder_start_token_id, *answer[:-1]]
        logits = model(
            input_ids=torch.tensor([source or [unwrap(model).config.pad_token_id]]),
            decoder_input_ids=torch.tensor([read]),
        ).logits[0]
        logp = logits.double().log_softmax(-1).gather(1, torch.tensor(answer)[:, None])[:, 0]
        total = total - (logp * torch.tensor(path.weights[border + 1 :], dtype=torch.float64)).sum()
    return total


def assert_same(model: Any, paths: list[Path], budget: int, tolerance: float) -> None:
    expected, found = plain_loss(model, paths), forest_loss(model, paths, budget, ANY)
    scale = sum(float(np.abs(path.weights).sum()) for path in paths) + 1e-9
    assert abs(float((expected - found).detach())) <= 10 * tolerance * scale
    g_plain, g_forest = gradient(model, expected), gradient(model, found)
    assert float((g_plain - g_forest).norm()) <= tolerance * float(g_plain.norm()) + 1e-12


@pytest.fixture(scope="module")
def model() -> Any:
    wrapped = adapted(tiny_t5())
    adopt(wrapped)
    return wrapped


@settings(deadline=None, max_examples=12)
@given(paths=some_pairs(), budget=st.integers(4, 40))
def test_equals_plain_rows_in_float32(model: Any, paths: list[Path], budget: int) -> None:
    assert_same(model, paths, budget, 1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_equals_plain_rows_in_float64_with_all_weights_trained(tied: bool) -> None:
    model = tiny_t5(tie_word_embeddings=tied).double().requires_grad_(True)
    if not tied:  # T5 1.1: a head of its own, and no scale before it
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    adopt(model)
    assert_same(model, mixed_rows(), 24, 1e-6)


def mixed_rows() -> list[Path]:
    """Repeated and nested sources, one that holds the padding token, answers that share a beginning or are alike."""
    return [
        pair([5, 3, 8], [7, 4, 6, 1], row=0),
        pair([5, 3, 8], [7, 4, 9, 1], row=1),
        pair([5, 3, 8], [7, 4, 9, 1], weights=[0, 0.5, -1, 2], row=2),
        pair([5, 3, 8, 4, 9, 30, 31, 32], [7, 4, 9, 1], row=3),
        pair([5, 0], [0, 7, 1], row=4),
        pair([5], [0, 7, 1], row=5),
        pair([], [4, 1], row=6),
    ]


def test_equals_transformers_own_loss(model: Any) -> None:
    source, answer = [5, 3, 8, 20], [7, 4, 9, 1]
    expected = model(input_ids=torch.tensor([source]), labels=torch.tensor([answer])).loss * len(answer)
    found = forest_loss(model, [pair(source, answer)], 100, ANY)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_other_encoder_decoders_fit_as_well() -> None:
    from transformers import BartConfig, BartForConditionalGeneration

    width = {f"{stack}_{name}": n for stack in ("encoder", "decoder") for name, n in SHAPE.items()}
    ids = {"pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bart = BartForConditionalGeneration(BartConfig(vocab_size=40, d_model=16, init_std=0.3, **width, **ids)).eval()
    adopt(bart.requires_grad_(True))
    assert_same(bart, mixed_rows()[:4], 24, 1e-5)


SHAPE = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}


def test_sources_are_shared_whole_or_not_at_all() -> None:
    forest = build([pair([5, 6], [7, 9], row=0), pair([5, 6], [7, 8], row=1), pair([5, 6, 3], [7, 9], row=2)])
    # 5 - 6 - | - 7      the third row's source begins alike, and all of its states are others
    # 5 - 6 - 3 - | - 7
    assert forest.token.tolist() == [5, 6, ANSWER_START, 7, 5, 6, 3, ANSWER_START, 7]
    assert forest.parent.tolist() == [-1, 0, 1, 2, -1, 4, 5, 6, 7]
    assert forest.end.tolist() == [4, 4, 4, 4, 9, 9, 9, 9, 9]
    assert forest.count.tolist() == [2, 2, 2, 2, 1, 1, 1, 1, 1]


def test_each_distinct_source_is_read_once_and_each_distinct_answer_written_once() -> None:
    found = sources(build(mixed_rows()))
    assert [source.tokens.tolist() for source in found] == [[], [5], [5, 0], [5, 3, 8], [5, 3, 8, 4, 9, 30, 31, 32]]
    alike = found[3]
    assert [row.tolist() for row in alike.rows] == [[ANSWER_START, 7, 4, 6], [ANSWER_START, 7, 4, 9]]


def test_a_cut_counts_each_source_whole() -> None:
    # Two sources of four tokens with their marks and one token fed behind each: six nodes a row.
    rows = [pair([5, 6, 7, n], [9, 9], group=n, row=n) for n in range(2)]
    assert [piece.nodes for piece in cut(build(rows), 12)] == [12]
    assert [piece.nodes for piece in cut(build(rows), 11)] == [6, 6]
    alike = [pair([5, 6, 7, 8], [9, 9], group=n, row=n) for n in range(2)]
    assert [piece.nodes for piece in cut(build(alike), 6)] == [6]


def test_the_reference_is_the_base(model: Any) -> None:
    forest = build(mixed_rows())
    found = score_with_reference(model, forest)
    base = tiny_t5()
    adopt(base)
    torch.testing.assert_close(found.reference, score(base, forest).logp, rtol=1e-5, atol=1e-5)
    assert float((found.logp - found.reference).detach().abs().max()) > 0.1


def test_path_scores_are_in_the_order_of_the_paths(model: Any) -> None:
    rows = mixed_rows()
    with torch.no_grad():
        expected = [-float(plain_loss(model, [row])) for row in rows]
    assert score_paths(model, rows, node_budget=20).tolist() == pytest.approx(expected, abs=1e-4)


def test_rows_without_an_answer_are_refused(model: Any) -> None:
    text = Path(np.array([5, 3, 8], dtype=np.int32), np.array([0, 1, 1], dtype=np.float32), 0, 0)
    with pytest.raises(DataError, match="has no answer"):
        hidden_states(model, build([text]))
    inside = pair([5, 3, 8], [7, 4])
    inside.weights[1] = 1.0
    with pytest.raises(DataError, match="has no answer"):
        hidden_states(model, build([inside]))
    with pytest.raises(DataError, match="more than once"):
        hidden_states(model, build([pair([5, 3], [7, ANSWER_START, 4, 1])]))


def test_a_model_that_does_more_behind_its_decoder_is_refused() -> None:
    changed = copy.deepcopy(tiny_t5())
    changed.config.scale_decoder_outputs = False
    adopt(copy.deepcopy(changed))  # as T5 1.1: consistent in itself
    forward = changed.lm_head.forward
    changed.get_output_embeddings = lambda: lambda hidden: 3.0 * forward(hidden)
    with pytest.raises(ModelError, match="its own results on a forest"):
        adopt(changed)


def test_it_is_told_from_a_decoder(model: Any) -> None:
    assert is_encoder_decoder(model)
    assert not is_encoder_decoder(adapted(tiny_model()))


def test_it_is_chosen_for_them_and_no_backend_can_be_named() -> None:
    model = tiny_t5()
    choice = adopt(model)
    assert (choice.backend, choice.reason) == ("seq2seq", "it is an encoder-decoder")
    assert adopt(model, "seq2seq") is choice  # as a resumed run names it
    with pytest.raises(ModelError, match=r"train\.backend: The backend 'unshared' does not fit T5ForConditional"):
        adopt(model, "unshared")
