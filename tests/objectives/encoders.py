"""What the tests of classes share: transformers' own BERT under a head, and ours with the same weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.tiny_encoder import tiny_encoder
from tunewright.data.tokens import TokenRow
from tunewright.forest import build
from tunewright.forest.layout import adopt
from tunewright.forest.score import score
from tunewright.models import heads
from tunewright.objectives._protocol import Objective

CLASSES = ("a", "b", "c")


def same_models(reference: type[Any], head: str) -> tuple[Any, Any]:
    """transformers' classifier, and our encoder with a head of the same weights; both in evaluation mode."""
    encoder = tiny_encoder("bert")
    config = copy.deepcopy(encoder.config)
    config.num_labels = len(CLASSES)
    torch.manual_seed(3)
    theirs = reference(config).eval()
    theirs.bert.load_state_dict(encoder.state_dict(), strict=head == "label")
    pooler = encoder.pooler.dense
    encoder.pooler = None
    adopt(encoder)
    ours = heads.attach(encoder, head, CLASSES, seed=5, pooler=pooler)
    ours.load_state_dict(theirs.classifier.state_dict(), strict=head == "tag")
    return theirs, encoder


def encoded(tokens: Sequence[int], classes: dict[int, int]) -> TokenRow:
    """A row for an encoder, and the class of some of its tokens."""
    weights, targets = np.zeros(len(tokens), np.float32), np.zeros(len(tokens), np.int32)
    for place, target in classes.items():
        weights[place], targets[place] = 1.0, target
    return TokenRow(np.array(tokens, np.int32), weights, targets=targets, classes=CLASSES, both_ways=True)


def mean_loss(objective: Objective, model: Any, rows: Sequence[TokenRow], smoothing: float = 0.0) -> torch.Tensor:
    """What the training loop minimises."""
    forest = build([path for number, row in enumerate(rows) for path in objective.paths(row, number, number)])
    found = objective.loss(score(model, forest, smoothing=smoothing), forest)
    return found.total / found.weight


def padded(rows: Sequence[TokenRow]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as transformers takes them: ids and attention mask, padded on the right."""
    longest = max(len(row.tokens) for row in rows)
    ids: NDArray[np.int64] = np.zeros((len(rows), longest), np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row.tokens)] = row.tokens
    mask = np.arange(longest) < np.array([len(row.tokens) for row in rows])[:, None]
    return torch.tensor(ids), torch.tensor(mask.astype(np.int64))


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """By the weight's name inside the encoder, or inside the head."""
    model.zero_grad()
    loss.backward()
    return {name.removeprefix("bert."): w.grad for name, w in model.named_parameters() if w.grad is not None}
