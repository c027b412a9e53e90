from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tiny import tiny_model
from tunewright.evaluate.attribution import TOLERANCE, attribute
from tunewright.forest import layout

pytest.importorskip("captum")


def plain_logp(model: torch.nn.Module, embedded: torch.Tensor, answer: list[int]) -> torch.Tensor:
    logits = model(inputs_embeds=embedded[None]).logits[0].log_softmax(-1)
    first = len(embedded) - len(answer)
    return sum(logits[first + place - 1, token] for place, token in enumerate(answer))  # type: ignore[return-value]


def test_shares_equal_a_riemann_sum_over_the_plain_model() -> None:
    """The integral as equation 1 has it, by the midpoint rule, through transformers' own forward pass."""
    plain, ours = tiny_model(seed=3, initializer_range=0.1), tiny_model(seed=3, initializer_range=0.1)
    layout.adopt(ours)
    prompt, answer, neutral = [5, 9, 77, 12], [40, 41], 100
    table = plain.get_input_embeddings().weight.detach()
    own, nothing, behind = table[prompt], table[[5, neutral, neutral, 12]], table[answer]
    total = torch.zeros_like(own)
    steps = 60
    for step in range(steps):
        point = (nothing + (step + 0.5) / steps * (own - nothing)).requires_grad_()
        value = plain_logp(plain, torch.cat([point, behind]), answer)
        total += torch.autograd.grad(value, point)[0]
    wanted = ((own - nothing) * total / steps).sum(-1)
    found = attribute(ours, prompt, answer, neutral=neutral, kept=[5, 12])
    assert found.shares == pytest.approx(wanted.tolist(), abs=2e-3 * float(wanted.abs().max()) + 1e-4)
    assert found.shares[0] == found.shares[3] == 0.0
    with torch.no_grad():
        ends = [float(plain_logp(plain, torch.cat([x, behind]), answer)) for x in (own, nothing)]
    assert (found.logp, found.neutral) == pytest.approx(tuple(ends), abs=1e-4)
    assert found.complete
    assert found.gap <= TOLERANCE


def test_the_line_is_cut_finer_until_the_shares_add_up() -> None:
    model = tiny_model(seed=1, initializer_range=0.4)  # a steep one: a few steps are not enough
    layout.adopt(model)
    found = attribute(model, list(range(3, 9)), [50], neutral=2)
    assert found.complete == (found.gap <= TOLERANCE)
    assert found.complete or found.steps == 512
    assert np.isfinite(found.shares).all()


def test_nothing_of_the_model_is_left_changed() -> None:
    model = tiny_model()
    layout.adopt(model)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    attribute(model, [4, 5], [6], neutral=2)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert not model.get_input_embeddings()._forward_hooks
