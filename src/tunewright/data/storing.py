"""The end of every preparation: a dataset is stored, and people hear of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.base.events import Artifact, Listener, Message, Stage
from tunewright.base.files import write_text
from tunewright.base.memory import LITTLE, give_back
from tunewright.data.dataset import MANIFEST, Dataset, Shelf
from tunewright.data.findings import summary
from tunewright.recipe.schema import Recipe


def store_dataset(
    workspace: Shelf,
    recipe: Recipe,
    content: Mapping[str, Any],
    write: Callable[[Path], None],
    *,
    unit: str,
    listener: Listener,
    producer: str,
    parents: Sequence[str] = (),
) -> Dataset:
    """Stores a dataset under the hash of what it holds.

    Args:
        workspace: Where it goes.
        recipe: What it was made for; its name and goal stand in the artifact's manifest.
        content: What was read, cleaned, refused, split and found, as JSON.
        write: Writes the rows into a folder.
        unit: What the rows are called.
        listener: Hears what was found, and of the artifact.
        producer: The run that makes it.
        parents: Hashes of the datasets that it continues.
    """

    def fill(folder: Path) -> None:
        give_back(beyond=LITTLE)
        write(folder)
        # Without the recipe's name, which changes nothing in the data; keys in their order, which means something.
        write_text(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    manifest = {"recipe": recipe.name, "goal": recipe.goal, **content}
    dataset = Dataset.open(workspace.put("dataset", fill, manifest=manifest, parents=parents, producer=producer))
    for text, level in summary(manifest):
        listener(Message(text, level))
    total = sum(manifest["splits"].values())
    listener(Stage("data", "finished", done=total, total=total, unit=unit))
    listener(Artifact("dataset", dataset.hash, str(dataset.path)))
    return dataset
