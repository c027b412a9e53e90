"""Token classification against transformers' own."""

from __future__ import annotations

import pytest
import torch
from transformers import BertForTokenClassification

from tests.objectives.encoders import encoded, gradients, mean_loss, padded, same_models
from tunewright.objectives import tag

# Words of one and of several tokens: the further ones have no class.
ROWS = [
    encoded([2, 7, 9, 30, 3], {1: 0, 2: 2}),
    encoded([2, 7, 9, 31, 32, 3], {1: 1, 2: 0, 4: 2}),
    encoded([2, 50, 3], {1: 1}),
]
LABELS = torch.tensor([[-100, 0, 2, -100, -100, -100], [-100, 1, 0, -100, 2, -100], [-100, 1, -100, -100, -100, -100]])


def test_loss_and_gradient_equal_transformers() -> None:
    theirs, ours = same_models(BertForTokenClassification, "tag")
    ids, mask = padded(ROWS)
    expected = theirs(input_ids=ids, attention_mask=mask, labels=LABELS).loss
    found = mean_loss(tag.build(tag.Config()), ours, ROWS)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    plain, own = gradients(theirs, expected), gradients(ours, found)
    pairs = [(g, own.pop(name.replace("classifier.", "class_heads.tag."))) for name, g in plain.items()]
    assert not own
    difference = sum(float((a - b).square().sum()) for a, b in pairs) ** 0.5
    assert difference <= 1e-5 * sum(float(a.square().sum()) for a, _ in pairs) ** 0.5


def test_class_weights_are_torchs() -> None:
    theirs, ours = same_models(BertForTokenClassification, "tag")
    ids, mask = padded(ROWS)
    logits = theirs(input_ids=ids, attention_mask=mask).logits.detach()
    objective = tag.build(tag.Config(class_weights={"a": 0.25}))
    expected = torch.nn.functional.cross_entropy(
        logits.view(-1, 3), LABELS.view(-1), weight=torch.tensor([0.25, 1.0, 1.0])
    )
    assert float(mean_loss(objective, ours, ROWS)) == pytest.approx(float(expected), rel=1e-5)


def test_accuracy_counts_words() -> None:
    _, ours = same_models(BertForTokenClassification, "tag")
    from tunewright.forest import build
    from tunewright.forest.score import score

    objective = tag.build(tag.Config())
    forest = build([path for number, row in enumerate(ROWS) for path in objective.paths(row, number, number)])
    scores = score(ours, forest)
    found = objective.loss(scores, forest)
    assert found.weight == 6.0
    assert found.reported == {"accuracy": float(scores.hit.sum())}
