"""Real data whose facts are known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunewright.data.prepare import prepare
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace

DATA = Path(os.environ.get("TUNEWRIGHT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "banking77"


@pytest.mark.skipif(not DATA.is_dir(), reason="Banking77 is neither in ../shared/data nor in $TUNEWRIGHT_DATA")
def test_known_repeats_conflicts_and_leaks(tmp_path: Path) -> None:
    recipe = recipe_from_mapping(
        {
            "name": "banking77",
            "goal": "Name the intent.",
            "data": {
                "train": str(DATA / "train.csv"),
                "test": str(DATA / "test.csv"),
                "template": {"user": "{text}", "assistant": "{category}"},
                "steps": ["exact_duplicates"],
                "leakage": "report",
            },
        }
    )
    dataset = prepare(recipe, Workspace.open(tmp_path))
    assert dataset.manifest["counts"]["read"] == 10_003 + 3_080
    assert dataset.manifest["steps"][0]["findings"] == {
        "duplicates": 4,
        "conflicting_texts": 0,
        "conflicting_rows": 0,
    }
    assert dataset.manifest["splits"] == {"train": 9_499, "validation": 500, "test": 3_080}
    assert (dataset.answer_kind, len(dataset.labels)) == ("label", 77)
    assert len(dataset.leaked) == 7
