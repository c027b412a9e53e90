"""Loading a base model: safetensors only, no code from the model's folder, and without a word on the terminal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tunewright.base.errors import ModelError
from tunewright.base.quiet import quiet
from tunewright.models.chat import ChatFormat
from tunewright.models.files import BaseFiles

Dtype = Literal["float32", "bfloat16"]
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last one is ARM's


@dataclass(frozen=True, slots=True)
class Base:
    """A base model in memory.

    Args:
        model: A transformers causal language model, in evaluation mode, its weights frozen.
        tokenizer: Its tokenizer.
        chat: How it reads conversations.
        files: Where it came from.
    """

    model: Any
    tokenizer: Any
    chat: ChatFormat
    files: BaseFiles


def load_base(
    files: BaseFiles, dtype: Literal["auto", "float32", "bfloat16"] = "float32", attention: str = "sdpa"
) -> Base:
    """Loads a base model and its tokenizer.

    Args:
        files: From `resolve`.
        dtype: Of its weights; `auto` as `pick_dtype` has it.
        attention: transformers' name of an attention implementation.
    Raises:
        ModelError: If it is no causal language model, cannot be loaded, or has no chat template.
    """
    if files.kind != "causal-lm":
        raise ModelError(
            "This model turns text into numbers; it cannot write answers",
            where=files.name,
            hint="Name a causal language model as the base: see tunewright models list.",
        )
    tokenizer = load_tokenizer(files)
    chat = ChatFormat(tokenizer)
    with quiet():
        import torch
        from transformers import AutoModelForCausalLM

        try:
            model = AutoModelForCausalLM.from_pretrained(
                files.folder,
                dtype=getattr(torch, pick_dtype(dtype)),
                attn_implementation=attention,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
        except (ValueError, KeyError, RuntimeError, OSError, ImportError) as error:
            raise _cannot_load(files, error) from error
    return Base(model.eval().requires_grad_(False), tokenizer, chat, files)


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


def pick_dtype(wanted: Literal["auto", "float32", "bfloat16"] = "auto") -> Dtype:
    """The dtype to compute in; `auto` is bfloat16 only where the processor itself computes in it.

    Elsewhere bfloat16 is converted to float32 and back around each operation, and is slower than float32.
    """
    if wanted != "auto":
        return wanted
    import torch

    if torch.cuda.is_available():
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
