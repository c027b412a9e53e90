"""Makes a workspace in which a base and eight random adapters of it are served: WORKSPACE BASE WRITTEN."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tunewright.lifecycle.serving.names import add_model
from tunewright.models import adapters
from tunewright.models.base import load_base, pick_dtype
from tunewright.models.methods import lora
from tunewright.models.resolve import resolve
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace

ADAPTERS = 8
RANK = 16
# As large as training makes it: with B at zero nothing would be computed that a clever server could not leave out.
_SPREAD = 0.02


def main() -> None:
    """Makes it; tells where the base lies, and what the adapters are called."""
    place, base, written = sys.argv[1:]
    workspace = Workspace.open(Path(place))
    files = resolve(base, workspace.cache)
    names = [_make(workspace, files, base, number) for number in range(ADAPTERS)]
    Path(written).write_text(json.dumps({"adapters": names, "base_folder": str(files.folder)}))


def _make(workspace: Workspace, files: Any, base: str, number: int) -> str:
    import torch

    dtype = pick_dtype()
    loaded = load_base(files, dtype=dtype, device="cpu")
    config = lora.Config(rank=RANK)
    model = lora.attach(loaded.model, config, number)
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0.0, _SPREAD, generator=generator)

    def fill(folder: Path) -> None:
        adapters.save_adapter(model, folder, method=config, base=files, chat_fingerprint=loaded.chat.fingerprint)

    stored = workspace.put("adapter", fill)
    settings = {"name": "bench", "goal": "Measure speed.", "base": base, "data": {"train": "rows.jsonl"}}
    name = f"ft:{base}:bench::{number}"
    add_model(
        workspace,
        name,
        base=base,
        base_hash=files.weights_hash,
        adapter=stored.hash,
        template={
            "format": "messages",
            "classes": [],
            "template": None,
            "system": "",
            "tools": [],
            "documents": False,
            "chat_template": loaded.chat.template,
            "chat_fingerprint": loaded.chat.fingerprint,
            "max_new_tokens": 256,
            "dtype": dtype,
        },
        recipe=recipe_from_mapping(settings, where="bench").model_dump(mode="json"),
        parent=base,
        owner="bench",
    )
    return name


if __name__ == "__main__":
    main()
