"""Loading what was fine-tuned, with the checks that keep what is served what was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import ModelError
from tunewright.base.quiet import quiet
from tunewright.models.class_format import with_classes

if TYPE_CHECKING:
    from tunewright.models.base import Base
    from tunewright.models.chat import ChatFormat
    from tunewright.models.files import BaseFiles


@dataclass(frozen=True)
class Loaded:
    """A fine-tuned model in memory.

    Args:
        base: Its base, whose model the adapter has changed.
        model: The base with the adapter.
        chat: How it reads rows: the base's chat format, or that of its classes.
    """

    base: Base
    model: Any
    chat: ChatFormat


def load_tuned(
    files: BaseFiles, adapter: Path, template: Mapping[str, Any], *, longest: int, label: str, device: str = ""
) -> Loaded:
    """Puts an adapter on a freshly loaded base.

    Args:
        files: The base.
        adapter: The adapter's folder.
        template: As its release carries it: the dtype to compute in, and the fingerprint of its chat format.
        longest: Tokens of its run's longest row, to which position scalings are held.
        label: What errors call it.
        device: Where it is to compute; empty: on a card where there is one.

    Raises:
        ModelError: If base, adapter and chat template are not those that belong together.
    """
    with quiet():
        from tunewright.forest import layout
        from tunewright.models.adapters import load_adapter
        from tunewright.models.base import load_base
        from tunewright.models.device import pick_device

        base = load_base(files, dtype=template["dtype"], device=device or pick_device())  # type: ignore[arg-type]
        chat = tuned_chat(base.chat, adapter, template, f"{label} on {files.name}")
        layout.adopt(base.model, longest=longest)
        return Loaded(base, load_adapter(base, adapter), chat)


def tuned_chat(chat: ChatFormat, adapter: Path, template: Mapping[str, Any], where: str) -> ChatFormat:
    """How a fine-tuned model reads rows.

    Raises:
        ModelError: If the base's template or tokenizer is not the one that it was trained with.
    """
    from tunewright.models.adapters import classes_of

    # A release has one head of classes, or none.
    head, classes = next(iter(classes_of(adapter).items()), ("", []))
    found = with_classes(chat, head, classes)
    if found.fingerprint != template["chat_fingerprint"]:
        raise ModelError(
            "The base's chat template or tokenizer is not the one that this release was trained with",
            where=where,
            hint="Put the base model back as it was, or train again.",
        )
    return found
