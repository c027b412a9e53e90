"""Makes a workspace in which a base and eight random adapters of it are served: WORKSPACE BASE WRITTEN."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tunewright.lifecycle.serving.names import add_model
from tunewright.models import adapters
from tunewright.models.base import Base, load_base, pick_dtype
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
    place, name, written = sys.argv[1:]
    workspace = Workspace.open(Path(place))
    base = load_base(resolve(name, workspace.cache), dtype=pick_dtype(), device="cpu")
    config = lora.Config(rank=RANK)
    model = lora.attach(base.model, config, 0)
    names = [_serve(workspace, base, name, model, config, number) for number in range(ADAPTERS)]
    Path(written).write_text(json.dumps({"adapters": names, "base_folder": str(base.files.folder)}))


def _serve(workspace: Workspace, base: Base, base_name: str, model: Any, config: lora.Config, number: int) -> str:
    """Keeps an adapter with weights of its own, and serves it; its name."""
    import torch

    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(0.0, _SPREAD, generator=generator)

    def fill(folder: Path) -> None:
        fingerprint = base.chat.fingerprint
        adapters.save_adapter(model, folder, method=config, base=base.files, chat_fingerprint=fingerprint)

    dtype = pick_dtype()
    stored = workspace.put("adapter", fill, manifest={"base": base_name, "dtype": dtype})
    template = {
        "format": "messages",
        "classes": [],
        "template": None,
        "system": "",
        "tools": [],
        "documents": False,
        "chat_template": base.chat.template,
        "chat_fingerprint": base.chat.fingerprint,
        "max_new_tokens": 256,
        "dtype": dtype,
    }
    settings = {"name": "bench", "goal": "Measure speed.", "base": base_name, "data": {"train": "rows.jsonl"}}
    served = add_model(
        workspace,
        f"ft:{base_name}:bench::{number}",
        base=base_name,
        base_hash=base.files.weights_hash,
        adapter=stored.hash,
        template=template,
        recipe=recipe_from_mapping(settings, where="bench").model_dump(mode="json"),
        parent=base_name,
        owner="bench",
    )
    return served.name


if __name__ == "__main__":
    main()
