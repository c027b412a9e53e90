"""Weights as files hold them: found in shards and behind prefixes, and only where the model holds them rounded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tunewright.base.files import write_json
from tunewright.models.files import INDEX
from tunewright.models.stored import StoredWeights

FULL = torch.tensor([[0.1, 0.2], [0.3, -0.4]])


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """One weight in float32 in each of two files, and one in bfloat16."""
    files = {
        "model-00001-of-00002.safetensors": {"a.weight": FULL},
        "model-00002-of-00002.safetensors": {"bert.b.weight": 2 * FULL, "c.weight": FULL.bfloat16()},
    }
    for file, weights in files.items():
        save_file(weights, tmp_path / file)
    write_json(tmp_path / INDEX, {"weight_map": {name: file for file, weights in files.items() for name in weights}})
    return tmp_path


def test_what_was_rounded_is_found_in_full(sharded: Path) -> None:
    stored = StoredWeights(sharded, "bert")
    for name, value in (("a.weight", FULL), ("b.weight", 2 * FULL)):
        found = stored.wider(name, value.bfloat16())
        assert found is not None
        assert found.dtype == torch.float32
        assert torch.equal(found, value)


def test_nothing_is_made_up(sharded: Path) -> None:
    stored = StoredWeights(sharded)
    assert stored.wider("c.weight", FULL.bfloat16()) is None  # the file holds no more
    assert stored.wider("b.weight", (2 * FULL).bfloat16()) is None  # not by this name
    assert stored.wider("a.weight", FULL.bfloat16() + 1) is None  # it has learned since
    assert stored.wider("a.weight", FULL.flatten().bfloat16()) is None
