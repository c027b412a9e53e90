"""Loading a base model: safetensors only, no code from the model's folder, and without a word on the terminal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tunewright.base.errors import ModelError
from tunewright.base.quiet import quiet
from tunewright.models.catalog import ENCODER, ENCODER_DECODER
from tunewright.models.chat import ChatFormat
from tunewright.models.device import Device, WantedDevice, pick_device, place
from tunewright.models.encoder_format import EncoderFormat
from tunewright.models.files import BaseFiles
from tunewright.models.text_format import TextFormat
from tunewright.models.vocabulary import check_vocabulary

Dtype = Literal["float32", "bfloat16"]
# What loads a model of each kind, in transformers' words, and how it reads conversations.
_LOADERS = {"causal-lm": "AutoModelForCausalLM", ENCODER_DECODER: "AutoModelForSeq2SeqLM", ENCODER: "AutoModel"}
_FORMATS = {"causal-lm": ChatFormat, ENCODER_DECODER: TextFormat, ENCODER: EncoderFormat}
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last one is ARM's


@dataclass(frozen=True, slots=True)
class Base:
    """A base model in memory.

    Args:
        model: A transformers causal language model, encoder-decoder or encoder, in evaluation mode, its weights frozen.
        tokenizer: Its tokenizer.
        chat: How it reads conversations.
        files: Where it came from.
        pooler: Of an encoder that was trained with one: the dense layer behind its first state, which the model itself
            no longer has (`models.heads` takes it up).
    """

    model: Any
    tokenizer: Any
    chat: ChatFormat
    files: BaseFiles
    pooler: Any = None


def load_base(
    files: BaseFiles,
    dtype: Literal["auto", "float32", "bfloat16"] = "float32",
    attention: str | None = None,
    device: Device = "cpu",
) -> Base:
    """Loads a base model and its tokenizer.

    Args:
        files: From `resolve`.
        dtype: Of its weights; `auto` as `pick_dtype` has it.
        attention: transformers' name of an attention implementation; none: the model's best, as transformers has it.
        device: Where it is to compute.
    Raises:
        ModelError: If it cannot be loaded, or if there is no such device.
    """
    chat = chat_format(files)
    with quiet():
        import torch
        import transformers

        common = {"trust_remote_code": False, "local_files_only": True}
        try:
            config = transformers.AutoConfig.from_pretrained(files.folder, **common)
            if files.kind == ENCODER:
                _without_attention_dropout(config)
            model, found = getattr(transformers, _LOADERS[files.kind]).from_pretrained(
                files.folder,
                config=config,
                dtype=getattr(torch, pick_dtype(dtype, device)),
                attn_implementation=attention,
                use_safetensors=True,
                output_loading_info=True,
                **common,
            )
        except (ValueError, KeyError, RuntimeError, OSError, ImportError) as error:
            raise _cannot_load(files, error) from error
    check_vocabulary(chat.tokenizer, model, f"{files.name} at {files.folder}")
    pooler = _take_pooler(model, sorted(found["missing_keys"]), files) if files.kind == ENCODER else None
    return Base(place(model.eval().requires_grad_(False), device), chat.tokenizer, chat, files, pooler)


def chat_format(files: BaseFiles) -> ChatFormat:
    """How a base model reads conversations; its weights are not loaded for that.

    Raises:
        ModelError: If its tokenizer cannot be loaded.
    """
    tokenizer = load_tokenizer(files)
    return _FORMATS[files.kind](tokenizer)


def _without_attention_dropout(config: Any) -> None:
    """Sets an encoder's dropout of attention weights to 0, whatever its kind calls it: forests do not compute it."""
    for name in ("attention_probs_dropout_prob", "attention_dropout"):
        if hasattr(config, name):
            setattr(config, name, 0.0)


def _take_pooler(model: Any, missing: list[str], files: BaseFiles) -> Any:
    """Takes the pooler off an encoder and gives it; None where its files hold none.

    Raises:
        ModelError: If its files lack other weights, which would be drawn anew each time it is loaded.
    """
    lacking = [name for name in missing if "pooler" not in name]
    if lacking:
        raise ModelError(
            f"The files lack {len(lacking)} of the encoder's weights, such as {lacking[0]}",
            where=f"{files.name} at {files.folder}",
            hint="Copy or download the model again, and check the architecture that its config.json states.",
        )
    pooler = getattr(model, "pooler", None)
    if pooler is None:
        return None
    model.pooler = None
    return None if missing else getattr(pooler, "dense", pooler)


def load_tokenizer(files: BaseFiles) -> Any:
    """A base model's tokenizer alone.

    Raises:
        ModelError: If it cannot be loaded.
    """
    with quiet():
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(files.folder, trust_remote_code=False, local_files_only=True)
        except (ValueError, KeyError, OSError, ImportError) as error:
            raise _cannot_load(files, error) from error


def pick_dtype(wanted: Literal["auto", "float32", "bfloat16"] = "auto", device: WantedDevice = "auto") -> Dtype:
    """The dtype to compute in; `auto` is bfloat16 only where the device itself computes in it.

    Elsewhere bfloat16 is converted to float32 and back around each operation, and is slower than float32.
    """
    if wanted != "auto":
        return wanted
    import torch

    if pick_device(device) == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if _BF16_FLAGS & processor_flags() else "float32"


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, in Linux's words; empty where the system does not say."""
    if not cpuinfo.exists():
        return frozenset()
    stated = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo.read_text(), flags=re.MULTILINE)
    return frozenset(stated.group(1).split()) if stated else frozenset()


def _cannot_load(files: BaseFiles, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return ModelError(
        f"The model cannot be loaded ({reason[0].rstrip('.')})",
        where=f"{files.name} at {files.folder}",
        hint="tunewright loads what transformers has built in; code from a model's folder is never run.",
    )
