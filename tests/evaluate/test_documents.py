"""Documents scored as lm-evaluation-harness does: worked with the stock model, window by window."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.tiny import tiny_model
from tests.train.made import made_base
from tunewright.base.errors import InputError
from tunewright.data.documents import Section
from tunewright.evaluate import evaluate, score_documents
from tunewright.forest import layout

SECTIONS = [Section("a", "x", 1, "Grüße, "), Section("a/2", "x", 1, "and more of it"), Section("b", "x", 2, "z")]


def plain_nats(tokens: list[int]) -> float:
    """Of all tokens but the first, from the stock model."""
    logits = tiny_model()(input_ids=torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    return -float(sum(logits[at, token] for at, token in enumerate(tokens[1:])))


def test_every_byte_is_paid_for_once(tmp_path: Path) -> None:
    base = made_base(tmp_path / "base")
    layout.adopt(base.model)
    found = score_documents(base.model, base, SECTIONS, max_length=10, node_budget=64)
    tokens = base.chat.plain.tokens("Grüße, and more of it")
    assert len(tokens) == 23  # one a byte
    first, last = [0, *tokens[:9]], tokens[8:18]  # 0 ends a document, and stands in front of one
    expected = plain_nats(first) + plain_nats(last) + plain_nats(tokens[17:])
    long, short = found.answers
    assert (long.id, long.tokens, long.bytes) == ("a", 23, 23)
    assert long.nats == pytest.approx(expected, rel=1e-5)
    assert (short.tokens, short.bytes) == (1, 1)
    assert short.nats == pytest.approx(plain_nats([0, base.chat.plain.tokens("z")[0]]), rel=1e-5)


def test_bits_per_byte_and_perplexity_with_intervals(tmp_path: Path) -> None:
    base = made_base(tmp_path / "base")
    layout.adopt(base.model)
    found = score_documents(base.model, base, SECTIONS, max_length=10, node_budget=64)
    measured = evaluate({"base": found, "tuned": found}, answer_kind="document", seed=1, samples=100)
    nats = sum(answer.nats or 0 for answer in found.answers)
    scores = measured.systems["tuned"].metrics
    assert scores["bits_per_byte"].value == pytest.approx(nats / math.log(2) / 24)
    assert scores["perplexity"].value == pytest.approx(math.exp(nats / 24))
    assert scores["bits_per_byte"].low <= scores["bits_per_byte"].value <= scores["bits_per_byte"].high
    assert measured.comparisons == []


def test_no_documents_are_an_error(tmp_path: Path) -> None:
    base = made_base(tmp_path / "base")
    layout.adopt(base.model)
    with pytest.raises(InputError, match="no documents"):
        score_documents(base.model, base, [], max_length=10, node_budget=64)
