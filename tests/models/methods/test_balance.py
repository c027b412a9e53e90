"""The balance loss worked by hand, over nodes that stand for several tokens."""

from __future__ import annotations

import pytest
import torch

from tests.models.methods.adapting import attached, gradients
from tests.tiny_t5 import tiny_t5
from tunewright.base.errors import ModelError
from tunewright.models.methods import molora
from tunewright.models.methods._balance import Balance
from tunewright.models.methods._molora_linear import MixtureLinear

LOG3 = float(torch.tensor(3.0).log())


@pytest.fixture
def layer() -> MixtureLinear:
    """Two experts, one for each token; of (a, b) the logits are (a log 3, 0)."""
    made = MixtureLinear(torch.nn.Linear(2, 2, bias=False), experts=2, rank=1, scale=1.0, top_k=1, dropout=0.0).double()
    with torch.no_grad():
        made.router.weight.copy_(torch.tensor([[LOG3, 0.0], [0.0, 0.0]]))
    return made


# Probabilities (3/4, 1/4), (1/4, 3/4), (3/4, 1/4): the first and the last go to expert 1.
X = torch.tensor([[1.0, 2.0], [-1.0, 2.0], [1.0, -5.0]], dtype=torch.float64)
COUNT = torch.tensor([3.0, 1.0, 4.0])


def test_worked_by_hand(layer: MixtureLinear) -> None:
    balance = Balance([layer], weight=0.5)
    with balance.watch():
        layer(X)
    load = balance.statistic(COUNT)
    assert load.tolist() == [[7.0, 1.0]]
    # P is (3 * 3/4 + 1/4 + 4 * 3/4, …) / 8 = (5.5, 2.5) / 8; 2 * (7/8 * 5.5/8 + 1/8 * 2.5/8), and half of that.
    found = balance.part(COUNT, load)
    assert found.item() == pytest.approx(0.5 * 2 * (7 * 5.5 + 1 * 2.5) / 64)
    # dP_1/da = log 3 * p (1 - p) of each token, weighed by its count; f has no gradient, and P_2 = 1 - P_1.
    (gradient,) = torch.autograd.grad(found, layer.router.weight)
    slope = 3 / 16 * (3 * X[0] + 1 * X[1] + 4 * X[2]) / 8
    expected = 0.5 * 2 * (7 / 8 - 1 / 8) * slope
    torch.testing.assert_close(gradient, torch.stack([expected, -expected]))


def test_a_node_of_count_three_is_three_tokens_and_pieces_add_up(layer: MixtureLinear) -> None:
    balance = Balance([layer], weight=1.0)
    with balance.watch():
        layer(X.repeat_interleave(COUNT.long(), dim=0))
    ones = torch.ones(8)
    load = balance.statistic(ones)
    expected = balance.part(ones, load).item()
    total = 0.0
    # The first node's rows lie in both pieces, two here and one there.
    for nodes, count in (([0, 1], [2.0, 1.0]), ([0, 2], [1.0, 4.0])):
        with balance.watch():
            layer(X[nodes])
        total += balance.part(torch.tensor(count), load).item()
    assert total == pytest.approx(expected)


def test_where_all_experts_are_mixed_a_token_counts_by_its_gates(layer: MixtureLinear) -> None:
    layer.top_k = 2
    balance = Balance([layer, layer], weight=1.0)
    with balance.watch():
        layer(X)
    load = balance.statistic(COUNT)
    assert load.tolist() == [pytest.approx([5.5, 2.5])] * 2
    # Two routers, each 2 * (P_1 squared + P_2 squared).
    assert balance.part(COUNT, load).item() == pytest.approx(2 * 2 * (5.5**2 + 2.5**2) / 64)


def test_even_experts_cost_one_and_a_single_one_costs_as_many_as_there_are(layer: MixtureLinear) -> None:
    balance = Balance([layer], weight=1.0)
    with balance.watch():
        layer(torch.tensor([[500.0, 0.0], [-500.0, 0.0]], dtype=torch.float64))
    ones = torch.ones(2)
    assert balance.part(ones, balance.statistic(ones)).item() == pytest.approx(1.0)
    with balance.watch():
        layer(torch.tensor([[500.0, 0.0], [900.0, 0.0]], dtype=torch.float64))
    assert balance.part(ones, balance.statistic(ones)).item() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("settings", "weight"),
    [({}, 0.0), ({"top_k": 2}, 0.01), ({"top_k": 4}, 0.0), ({"top_k": 1, "balance": 0}, 0.0), ({"balance": 0.3}, 0.3)],
)
def test_it_is_there_where_experts_are_chosen_or_it_was_asked_for(settings: dict[str, float], weight: float) -> None:
    config = molora.Config.model_validate(settings)
    assert config.balance_weight == weight
    assert (attached(config).penalty is not None) is (weight > 0)


def test_unwatched_passes_leave_nothing() -> None:
    model = attached(molora.Config(top_k=1))
    gradients(model)
    with pytest.raises(ModelError, match=r"method\.balance: A router saw 0 tokens of 8"):
        model.penalty.statistic(torch.ones(8))
    with model.penalty.watch():
        gradients(model)
    assert model.penalty.statistic(torch.ones(16)).sum(-1).tolist() == pytest.approx([16.0] * 14)
    with pytest.raises(ModelError, match="A router saw 16 tokens of 8"):
        model.penalty.statistic(torch.ones(8))


def test_in_an_encoder_decoder_it_is_refused_beforehand() -> None:
    with pytest.raises(ModelError, match=r"method\.balance: .*padded rows"):
        attached(molora.Config(top_k=1), tiny_t5())
    assert attached(molora.Config(top_k=1, balance=0), tiny_t5()).penalty is None
    assert attached(molora.Config(), tiny_t5()).penalty is None
