"""A base model's size, without downloading it: from its files where they are here, else from what is known of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tunewright.base.errors import InputError, ModelError
from tunewright.models import catalog
from tunewright.models.files import BaseFiles, examine
from tunewright.models.memory import ModelSize, Shapes, model_size, size_of
from tunewright.models.resolve import cached_folder, resolve

if TYPE_CHECKING:
    from tunewright.store import Workspace

BASES = Path(__file__).with_name("bases.yaml")


def base_size(name: str, cache: Path | None) -> ModelSize:
    """The size of a base model as a recipe names it.

    Args:
        name: A catalogue name, a hub id, or the path of a folder or a GGUF file.
        cache: Where fetched models lie; None where there is no workspace yet.
    Raises:
        InputError: If it is not here, and nothing is known of it.
        ModelError: If its files are damaged.
    """
    files = base_at_hand(name, cache)
    if files is not None:
        return model_size(files.folder)
    known = known_bases()
    if name.lower() in known:
        return known[name.lower()]
    raise InputError(
        "This base model is not on this machine, and its size is not known",
        where=f"base: {name}",
        hint=f"Fetch it first: tunewright models pull {name}.",
    )


def models_cache(workspace: Workspace | None) -> Path | None:
    """Where fetched models lie: a workspace's cache, or the one that the environment names for all of them."""
    named = os.environ.get("TUNEWRIGHT_CACHE")
    if workspace is not None:
        return workspace.cache
    return Path(named).expanduser().absolute() if named else None


def base_at_hand(name: str, cache: Path | None) -> BaseFiles | None:
    """A base model's files if they are on this machine; nothing is fetched, hashed or written.

    Raises:
        ModelError: If it is the user's own file or folder, and that is missing or damaged.
    """
    if name.endswith(".gguf"):
        return resolve(name, cache) if cache is not None else None  # read as training does, and kept for it
    is_own = Path(name).is_absolute()
    folder = Path(name) if is_own else cached_folder(name, cache or Path())
    if not is_own and (cache is None or not folder.is_dir()):
        return None
    if not folder.is_dir():
        raise ModelError("There is no such folder", where=str(folder), hint="Check the path.")
    facts = examine(folder, name, f"folder {folder}")
    return BaseFiles(
        name=name,
        folder=folder,
        weights_hash="",
        source=facts.source,
        licence=facts.licence,
        context_length=facts.context_length,
        kind=facts.kind,
    )


@functools.cache
def known_bases() -> dict[str, ModelSize]:
    """Sizes of well-known bases by all their names, in lower case."""
    found: dict[str, ModelSize] = {}
    entries: list[dict[str, Any]] = yaml.safe_load(BASES.read_text(encoding="utf-8"))
    for entry in entries:
        size = size_of(entry["config"], llama_tensors(entry["config"]))
        if size.parameters != entry["parameters"]:
            raise ModelError(f"Its shape gives {size.parameters:,} weights", where=f"{BASES.name}: {entry['names'][0]}")
        found |= {name.lower(): size for name in entry["names"]}
    return found


def llama_tensors(config: Mapping[str, Any]) -> Shapes:
    """Names and shapes of the weights of a Llama-like model (Mistral, Qwen2 too), from its configuration alone."""
    hidden, inner, vocabulary = (int(config[key]) for key in ("hidden_size", "intermediate_size", "vocab_size"))
    heads = int(config["num_attention_heads"])
    width = int(config.get("head_dim") or hidden // heads)
    queries, keys = heads * width, int(config.get("num_key_value_heads") or heads) * width
    projections = {"q_proj": (queries, hidden), "k_proj": (keys, hidden), "v_proj": (keys, hidden)}
    has_bias = bool(config.get("attention_bias")) or config.get("model_type") == "qwen2"
    shapes: list[tuple[str, tuple[int, ...]]] = [("model.embed_tokens.weight", (vocabulary, hidden))]
    for layer in range(int(config["num_hidden_layers"])):
        at = f"model.layers.{layer}"
        for name, shape in projections.items():
            shapes.append((f"{at}.self_attn.{name}.weight", shape))
            shapes += [(f"{at}.self_attn.{name}.bias", shape[:1])] if has_bias else []
        shapes += [
            (f"{at}.self_attn.o_proj.weight", (hidden, queries)),
            (f"{at}.mlp.gate_proj.weight", (inner, hidden)),
            (f"{at}.mlp.up_proj.weight", (inner, hidden)),
            (f"{at}.mlp.down_proj.weight", (hidden, inner)),
            (f"{at}.input_layernorm.weight", (hidden,)),
            (f"{at}.post_attention_layernorm.weight", (hidden,)),
        ]
    shapes.append(("model.norm.weight", (hidden,)))
    return (*shapes, *([] if config.get("tie_word_embeddings") else [("lm_head.weight", (vocabulary, hidden))]))


def smaller_bases(size: ModelSize) -> list[str]:
    """Catalogue names of causal models with fewer weights, the largest first."""
    entries = sorted(catalog.entries().values(), key=lambda entry: -entry.parameters)
    return [entry.name for entry in entries if entry.kind == "causal-lm" and entry.parameters < size.parameters]
