"""The reference is the model before training: nothing that trained is left in it, and afterwards all of it is back."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.forest.test_score import adapted, long_rows
from tests.tiny import tiny_model
from tunewright.base.plugins import METHODS
from tunewright.forest import build
from tunewright.forest.layout import adopt
from tunewright.forest.reference import Start, score_with_reference
from tunewright.forest.score import score
from tunewright.models.methods import lora


@pytest.fixture
def model() -> Any:
    wrapped = adapted(tiny_model())
    adopt(wrapped)
    return wrapped


def base_logp(forest: Any) -> torch.Tensor:
    base = tiny_model()
    adopt(base)
    with torch.no_grad():
        return score(base, forest).logp


def test_reference_is_the_bases_and_the_rest_as_without_it(model: Any) -> None:
    forest = build(long_rows())
    found, alone = score_with_reference(model, forest), score(model, forest)
    assert found.reference is not None
    assert not found.reference.requires_grad
    torch.testing.assert_close(found.reference, base_logp(forest), rtol=0, atol=1e-6)
    assert torch.equal(found.logp, alone.logp)
    assert float((found.logp - found.reference).detach().abs().max()) > 0.1
    assert found.logp.requires_grad


def test_reference_has_no_noise_and_draws_none() -> None:
    noisy = lora.attach(tiny_model(), lora.Config(rank=4, dropout=0.5), seed=1)
    adopt(noisy)
    noisy.train()
    forest = build(long_rows())
    torch.manual_seed(5)
    alone = score(noisy, forest).logp
    torch.manual_seed(5)
    found = score_with_reference(noisy, forest)
    assert torch.equal(found.logp, alone)
    torch.testing.assert_close(found.reference, base_logp(forest), rtol=0, atol=1e-6)
    assert noisy.training


@pytest.mark.parametrize("name", METHODS.names())
def test_the_reference_of_every_method_is_an_untouched_second_model(name: str) -> None:
    config = METHODS.config(name)()
    if name == "qlora":
        pytest.importorskip("bitsandbytes")
    alone, base = tiny_model(), tiny_model()
    adopt(alone)
    adopt(base)
    getattr(METHODS.module(name), "prepare", lambda *_: None)(alone, config)  # quantised, for qlora
    model = METHODS.call(name, "attach", base, config, 1)
    start = Start(model)
    generator = torch.Generator().manual_seed(2)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    forest = build(long_rows(4))
    found = score_with_reference(model, forest, start=start)
    assert found.reference is not None
    with torch.no_grad():
        torch.testing.assert_close(found.reference, score(alone, forest).logp, rtol=0, atol=1e-5)
        if name != "feature":  # which trains nothing below a head of classes
            assert float((found.logp.detach() - found.reference).abs().max()) > 1e-2
        # And all of it is back.
        torch.testing.assert_close(found.logp.detach(), score(model, forest).logp, rtol=0, atol=1e-5)


def test_what_the_method_had_frozen_stays_frozen(model: Any) -> None:
    kept = next(weight for name, weight in model.named_parameters() if "lora_A" in name)
    kept.requires_grad_(False)
    before = {name: weight.requires_grad for name, weight in model.named_parameters()}
    with Start(model).back():
        pass
    assert {name: weight.requires_grad for name, weight in model.named_parameters()} == before


@pytest.mark.parametrize("tied", [True, False])
def test_the_bases_own_weights_are_put_back_and_taken_away_again(tied: bool) -> None:
    model = tiny_model(tie_word_embeddings=tied).requires_grad_(True)
    start = Start(model)
    before = model.lm_head.weight.detach().clone()
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    place = model.lm_head.weight.data_ptr()
    with start.back() as base:
        assert torch.equal(base.lm_head.weight, before)
        assert (base.lm_head.weight is base.model.embed_tokens.weight) is tied
    assert torch.equal(model.lm_head.weight, 2 * before)
    assert model.lm_head.weight.data_ptr() == place


def test_an_adapter_and_weights_of_the_base_can_train_together(model: Any) -> None:
    model.get_base_model().model.norm.weight.requires_grad_(True)
    forest = build(long_rows())
    start = Start(model)
    with torch.no_grad():
        model.get_base_model().model.norm.weight.mul_(2)
    found = score_with_reference(model, forest, start=start)
    torch.testing.assert_close(found.reference, base_logp(forest), rtol=0, atol=1e-6)


def test_no_copy_is_made_where_the_base_is_frozen(model: Any) -> None:
    assert Start(model)._kept == []


def test_an_adapter_that_learns_on_is_part_of_its_reference(model: Any) -> None:
    forest = build(long_rows())
    with torch.no_grad():
        began = score(model.eval(), forest).logp
    start = Start(model.train(), learns_on=True)
    assert {id(weight) for weight, _ in start._kept} == {id(w) for w in model.parameters() if w.requires_grad}
    with torch.no_grad():
        for weight, _ in start._kept:
            weight.mul_(2)
    found = score_with_reference(model, forest, start=start)
    assert found.reference is not None
    assert torch.equal(found.reference, began)
    assert float((found.logp - found.reference).detach().abs().max()) > 0.1
    assert model.training
    assert float((began - base_logp(forest)).abs().max()) > 0.1  # the base itself is another one
