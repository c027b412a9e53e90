"""The model type of lm-evaluation-harness; what needs the harness is skipped without it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tiny import tiny_folder, tiny_model
from tunewright.base.errors import InputError, MissingExtraError
from tunewright.lifecycle import harness


def test_without_the_harness_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.delitem(sys.modules, "tunewright.lifecycle.harness_model", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'tunewright\[harness\]'"):
        harness.register()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip("lm_eval")
    return harness.register()(base=str(folder), workspace=str(tmp_path_factory.mktemp("ws")), max_length=48)


@pytest.fixture(scope="module")
def peer(folder: Path) -> Any:
    pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    return HFLM(
        pretrained=tiny_model(),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        device="cpu",
        max_length=48,
        batch_size=4,
    )


def requests(*arguments: tuple[Any, ...]) -> list[Any]:
    return [SimpleNamespace(args=each) for each in arguments]


def test_the_harness_finds_it_by_name(model: Any) -> None:
    from lm_eval.api.registry import get_model

    assert get_model("tunewright") is type(model)


def test_likelihoods_are_those_of_the_harness_own_type(model: Any, peer: Any) -> None:
    asked = requests(
        ("Q: where? A:", " here"),
        ("Q: where? A:", " there"),
        ("Q: ends in space ", "yes"),
        ("", "no context"),
        ("x" * 60, " cut"),
    )
    ours, theirs = model.loglikelihood(asked), peer.loglikelihood(asked)
    assert [logp for logp, _ in ours] == pytest.approx([logp for logp, _ in theirs], rel=1e-4)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def test_whole_texts_are_those_of_the_harness_own_type(model: Any, peer: Any) -> None:
    asked = requests(("short",), ("a text that is longer than the forty-eight tokens that the model reads at once",))
    assert model.loglikelihood_rolling(asked) == pytest.approx(peer.loglikelihood_rolling(asked), rel=1e-4)


def test_answers_are_those_of_the_harness_own_type(model: Any, peer: Any) -> None:
    asked = requests(
        ("Q: where?", {"until": ["a", "\n"], "max_gen_toks": 12}), ("Q: who?", {"until": [], "max_gen_toks": 5})
    )
    theirs = peer.generate_until([SimpleNamespace(args=each.args) for each in asked])
    assert model.generate_until(asked) == theirs


def test_arguments_are_checked(model: Any, folder: Path) -> None:
    kind = type(model)
    with pytest.raises(InputError, match="One of release and base"):
        kind()
    with pytest.raises(InputError, match="takes no 'colour'"):
        kind(base=str(folder), colour="red")
    with pytest.raises(InputError, match="'penalty'"):
        model.generate_until(requests(("x", {"max_gen_toks": 2, "penalty": 3})))
    with pytest.raises(InputError, match="48"):
        model.generate_until(requests(("x", {"max_gen_toks": 48})))


def test_weights_are_those_of_the_base(model: Any) -> None:
    (logp, _), *_ = model.loglikelihood(requests(("ab", "c")))
    tokens = torch.tensor([model.tok_encode("abc")])
    with torch.no_grad():
        expected = tiny_model()(input_ids=tokens).logits[0, -2].log_softmax(-1)[tokens[0, -1]]
    assert logp == pytest.approx(float(expected), rel=1e-4)
