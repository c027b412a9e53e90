"""Sequence classification against transformers' own, and against torch's cross-entropy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from tests.objectives.encoders import CLASSES, encoded, gradients, mean_loss, padded, same_models
from tests.objectives.making import row
from tunewright.base.errors import DataError, RecipeError
from tunewright.data.balance import Balance, balanced_weights
from tunewright.objectives import classify

ROWS = [
    encoded([2, 7, 9, 30, 3], {0: 0}),
    encoded([2, 7, 9, 31, 32, 3], {0: 2}),
    encoded([2, 50, 3], {0: 1}),
    encoded([2, 7, 9, 30, 3], {0: 1}),
]
LABELS = torch.tensor([0, 2, 1, 1])


def test_loss_and_gradient_equal_transformers() -> None:
    theirs, ours = same_models(BertForSequenceClassification, "label")
    ids, mask = padded(ROWS)
    expected = theirs(input_ids=ids, attention_mask=mask, labels=LABELS).loss
    found = mean_loss(classify.build(classify.Config()), ours, ROWS)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    plain, own = gradients(theirs, expected), gradients(ours, found)
    renamed = {"classifier": "class_heads.label", "pooler.dense": "class_heads.label.pooler"}
    pairs = []
    for name, gradient in plain.items():
        for theirs_name, ours_name in renamed.items():
            name = name.replace(f"{theirs_name}.", f"{ours_name}.")
        pairs.append((gradient, own.pop(name)))
    assert not own
    difference = sum(float((a - b).square().sum()) for a, b in pairs) ** 0.5
    assert difference <= 1e-5 * sum(float(a.square().sum()) for a, _ in pairs) ** 0.5


def test_class_weights_and_smoothing_are_torchs() -> None:
    theirs, ours = same_models(BertForSequenceClassification, "label")
    ids, mask = padded(ROWS)
    logits = theirs(input_ids=ids, attention_mask=mask).logits.detach()
    weighed = classify.build(classify.Config(class_weights={"b": 3.0, "c": 0.5}))
    expected = torch.nn.functional.cross_entropy(logits, LABELS, weight=torch.tensor([1.0, 3.0, 0.5]))
    assert float(mean_loss(weighed, ours, ROWS)) == pytest.approx(float(expected), rel=1e-5)
    plain = classify.build(classify.Config())
    expected = torch.nn.functional.cross_entropy(logits, LABELS, label_smoothing=0.2)
    assert float(mean_loss(plain, ours, ROWS, smoothing=0.2)) == pytest.approx(float(expected), rel=1e-5)


def test_balanced_rows_are_torchs_weighed_classes() -> None:
    theirs, ours = same_models(BertForSequenceClassification, "label")
    ids, mask = padded(ROWS)
    logits = theirs(input_ids=ids, attention_mask=mask).logits.detach()
    # Of four rows two are of class 1: 4 / (3 * 1) for the others, 4 / (3 * 2) for these.
    of_class = balanced_weights(Counter(str(label) for label in LABELS.tolist()))
    assert of_class == pytest.approx({"0": 4 / 3, "1": 2 / 3, "2": 4 / 3})
    weights = np.array([of_class[str(label)] for label in LABELS.tolist()], np.float32)
    balance = Balance(None, weights, None, (), "key")
    rows = [replace(each, weights=balance.weigh(each.weights, at, each.targets)) for at, each in enumerate(ROWS)]
    found = mean_loss(classify.build(classify.Config()), ours, rows)
    expected = torch.nn.functional.cross_entropy(logits, LABELS, weight=torch.tensor([of_class[c] for c in "012"]))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_a_fresh_objective_knows_its_head() -> None:
    assert classify.Config().head == "label"
    assert "head" not in classify.Config().model_dump()


def test_a_class_that_there_is_none_of_cannot_be_weighed() -> None:
    objective = classify.build(classify.Config(class_weights={"aa": 2.0}))
    with pytest.raises(RecipeError, match="'aa' is none of the classes"):
        objective.paths(ROWS[0], 0, 0)
    with pytest.raises(RecipeError, match="above 0"):
        classify.build(classify.Config(class_weights={CLASSES[0]: 0.0})).paths(ROWS[0], 0, 0)


def test_a_row_without_a_label_is_refused() -> None:
    with pytest.raises(DataError, match="has no classes"):
        classify.build(classify.Config()).paths(row([5], [6]), 0, 0)
