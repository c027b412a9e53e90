"""Adapters on disk: PEFT's own format, and beside it which base they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tunewright.base.errors import ModelError
from tunewright.base.files import read_json, write_json
from tunewright.base.quiet import quiet

if TYPE_CHECKING:
    from tunewright.models.base import Base

MANIFEST = "tunewright.json"


class Identity(Protocol):
    """What names a base model; `models.files.BaseFiles` does."""

    @property
    def name(self) -> str: ...
    @property
    def weights_hash(self) -> str: ...


def save_adapter(model: Any, folder: Path, *, base: Identity, chat_fingerprint: str) -> None:
    """Writes an adapter: the same weights give the same bytes.

    PEFT's model card is left out (the release writes its own), its sets are sorted (their order follows the hash
    seed otherwise), and the base is named and not located, since a path of this machine means nothing elsewhere.
    """
    with quiet():
        model.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)
    settings = read_json(folder / "adapter_config.json")
    settings["base_model_name_or_path"] = base.name
    for key in ("target_modules", "modules_to_save", "exclude_modules"):
        if isinstance(settings.get(key), list):
            settings[key] = sorted(settings[key])
    write_json(folder / "adapter_config.json", settings)
    write_json(
        folder / MANIFEST,
        {"base": base.name, "base_weights_hash": base.weights_hash, "chat_fingerprint": chat_fingerprint},
    )


def load_adapter(base: Base, folder: Path) -> Any:
    """Puts a saved adapter on its base, for inference.

    Raises:
        ModelError: If the folder holds no adapter, or one that was trained on other weights.
    """
    from peft import PeftConfig, PeftModel

    from tunewright.models.methods.lora import fused

    if not (folder / "adapter_config.json").exists():
        raise ModelError("There is no adapter in this folder", where=str(folder))
    if (folder / MANIFEST).exists():
        manifest = read_json(folder / MANIFEST)
        known, at_hand = manifest["base_weights_hash"], base.files.weights_hash
        if known != at_hand:
            raise ModelError(
                f"This adapter was trained on {manifest['base']} with weights {known[:12]}, "
                f"and the base at hand is {base.files.name} with weights {at_hand[:12]}",
                where=str(folder),
                hint="Load it on the base it was trained on; the same name from another source may hold other weights.",
            )
    with quiet():
        settings = PeftConfig.from_pretrained(str(folder))
        if settings.peft_type == "LORA":
            settings = fused(settings)
        return PeftModel.from_pretrained(base.model, str(folder), is_trainable=False, config=settings).eval()
