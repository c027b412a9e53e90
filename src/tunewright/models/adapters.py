"""Adapters on disk: PEFT's own format where PEFT has the method, and beside it which base they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tunewright.base.errors import ModelError
from tunewright.base.files import read_json, write_json
from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.base.quiet import quiet
from tunewright.models import heads

if TYPE_CHECKING:
    from tunewright.models.base import Base

MANIFEST = "tunewright.json"
_LEARNED = "learned_names"  # what a loaded model notes of its adapter


class Identity(Protocol):
    """What names a base model; `models.files.BaseFiles` does."""

    @property
    def name(self) -> str: ...
    @property
    def weights_hash(self) -> str: ...


def save_adapter(model: Any, folder: Path, *, method: PluginConfig, base: Identity, chat_fingerprint: str) -> None:
    """Writes an adapter: the same weights give the same bytes.

    Args:
        model: What the method's `attach` gave, trained, perhaps with heads of classes.
        folder: Where to; it exists.
        method: The method's settings.
        base: The base it was trained on.
        chat_fingerprint: How prompts were rendered.
    """
    if hasattr(model, "peft_config"):
        _save_peft(model, folder, base)
    else:
        METHODS.call(method.plugin, "save", model, folder)
    identity = {"base": base.name, "base_weights_hash": base.weights_hash, "chat_fingerprint": chat_fingerprint}
    found = heads.save(model, folder)
    classes = {"heads": found} if found else {}
    write_json(folder / MANIFEST, {**identity, "method": method.model_dump(mode="json"), **classes})


def _save_peft(model: Any, folder: Path, base: Identity) -> None:
    """PEFT's files, without what is not the same each time.

    PEFT's model card is left out (the release writes its own), its sets are sorted (their order follows the hash
    seed otherwise), and the base is named and not located, since a path of this machine means nothing elsewhere.
    """
    with quiet():
        model.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)
    settings = read_json(folder / "adapter_config.json")
    settings["base_model_name_or_path"] = base.name
    for key in ("target_modules", "feedforward_modules", "modules_to_save", "exclude_modules"):
        if isinstance(settings.get(key), list):
            settings[key] = sorted(settings[key])
    write_json(folder / "adapter_config.json", settings)


def load_adapter(base: Base, folder: Path) -> Any:
    """Puts a saved adapter and its heads on its base, for inference; the base's model is changed in place.

    A folder without our manifest is one that PEFT wrote elsewhere.

    Raises:
        ModelError: If the folder holds no adapter, or one that was trained on other weights.
    """
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
    check_base(base, folder, manifest)
    method = _method_of(manifest)
    if method and hasattr(METHODS.module(method.plugin), "prepare"):
        METHODS.call(method.plugin, "prepare", base.model, method)
    own = {id(weight) for weight in base.model.parameters()}  # of a base that may be another now: quantised, say
    if method and not (folder / "adapter_config.json").exists():
        model = METHODS.call(method.plugin, "load", base.model, method, folder).eval()
    else:
        model = _load_peft(base, folder)
    heads.load(model, folder, manifest.get("heads", {}))
    added = tuple(name for name, weight in model.named_parameters() if id(weight) not in own)
    setattr(model, _LEARNED, added or _own_weights_of(folder))
    return model


def adapted(base: Base, method: PluginConfig, *, seed: int, start: Path | None = None) -> Any:
    """Puts an adapter on a base, to learn; the base's model is changed in place.

    Args:
        base: A freshly loaded base model.
        method: What kind of adapter.
        seed: Of a fresh one's random part.
        start: Folder of a saved adapter of this method, which learns on with its heads; None: a fresh one.
    Raises:
        ModelError: If the folder holds no adapter, or one that was trained on other weights.
    """
    if start is None:
        return METHODS.call(method.plugin, "attach", base.model, method, seed)
    model = load_adapter(base, start)
    for weight in learned_weights(model).values():
        weight.requires_grad_(True)
    return model


def learned_weights(model: Any) -> dict[str, Any]:
    """The weights of a loaded adapter by name: what was added to the base, or those of its own that were trained.

    Raises:
        ModelError: If the model came from no adapter.
    """
    names = getattr(model, _LEARNED, ())
    if not names:
        raise ModelError("This model has no adapter, so nothing of it was learned here")
    weights = dict(model.named_parameters())
    return {name: weights[name] for name in names}


def _own_weights_of(folder: Path) -> tuple[str, ...]:
    """The names of the base's own weights that a folder holds."""
    from safetensors import safe_open

    from tunewright.models.methods._own_weights import FILE

    with safe_open(folder / FILE, framework="pt") as saved:
        return tuple(saved.keys())


def classes_of(folder: Path) -> dict[str, list[str]]:
    """The classes of a saved adapter's heads, by the head's name; empty where it has none."""
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
    found: dict[str, list[str]] = manifest.get("heads", {})
    return found


def check_base(base: Base, folder: Path, manifest: dict[str, Any]) -> None:
    """Refuses a folder without an adapter, and one whose adapter was trained on other weights.

    Args:
        manifest: What our own file in the folder says; empty for an adapter that PEFT wrote elsewhere.
    Raises:
        ModelError: If it is one of these.
    """
    if not (folder / "adapter_config.json").exists() and "method" not in manifest:
        raise ModelError("There is no adapter in this folder", where=str(folder))
    if manifest and (fault := other_base(base.files, manifest)):
        raise ModelError(
            fault,
            where=str(folder),
            hint="Load it on the base it was trained on; the same name from another source may hold other weights.",
        )


def other_base(files: Identity, manifest: dict[str, Any]) -> str:
    """How a base differs from the one that an adapter was trained on, by its manifest; empty if it does not."""
    known, at_hand = manifest["base_weights_hash"], files.weights_hash
    if known == at_hand:
        return ""
    trained_on = f"This adapter was trained on {manifest['base']} with weights {known[:12]}"
    return f"{trained_on}, and the base at hand is {files.name} with weights {at_hand[:12]}"


def _method_of(manifest: dict[str, Any]) -> PluginConfig | None:
    """The settings of the method that made an adapter; None for one that PEFT wrote elsewhere."""
    if "method" not in manifest:
        return None
    return METHODS.config(manifest["method"]["name"]).model_validate(manifest["method"])


def _load_peft(base: Base, folder: Path) -> Any:
    from peft import PeftConfig, PeftModel
    from safetensors import SafetensorError

    from tunewright.models.methods._peft import fused, is_quantised

    with quiet():
        settings = PeftConfig.from_pretrained(str(folder))
        if settings.peft_type == "LORA" and not is_quantised(base.model):
            settings = fused(settings)
        try:
            model = PeftModel.from_pretrained(base.model, str(folder), is_trainable=False, config=settings)
        except (RuntimeError, ValueError, KeyError, OSError, SafetensorError) as error:
            raise _does_not_fit(base, folder, error) from error
        return model.eval().requires_grad_(False)  # PEFT leaves virtual tokens trainable


def _does_not_fit(base: Base, folder: Path, error: Exception) -> ModelError:
    # torch's account of mismatched sizes has a heading, and then a line for each weight.
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    first = next((line for line in lines if "size mismatch" in line), lines[0]).rstrip(".")
    return ModelError(
        f"This adapter does not fit the base {base.files.name} ({first})",
        where=str(folder),
        hint="Load it on the base that it was trained on: a vocabulary or layers of other sizes are another model's.",
    )
