"""What the methods with virtual tokens share: putting them on a base, and the real tokens that they begin as."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tunewright.base.errors import ModelError
from tunewright.base.quiet import quiet
from tunewright.models.methods._peft import wrap


def attach(model: Any, settings: Any, seed: int) -> Any:
    """Wraps a frozen base with PEFT's module for virtual tokens, its weights random by the seed.

    Raises:
        ModelError: If the base is not a causal decoder, or PEFT cannot put them on it.
    """
    if model.config.is_encoder_decoder or not model.can_generate():
        raise ModelError(
            f"Virtual tokens stand before what a causal decoder reads, and {type(model).__name__} is none",
            where="method",
            hint="Use method: lora, or a causal decoder as the base.",
        )
    return wrap(model, settings, seed)


def beginning(model: Any, count: int, text: str, seed: int) -> Tensor:
    """Ids of the real tokens that virtual tokens begin as, shape (count,).

    Args:
        model: The base, as transformers loaded it from a folder with its tokenizer.
        count: Number of virtual tokens.
        text: Its tokens, again and again until there are enough; empty: tokens drawn from the vocabulary.
        seed: For the draw.
    Raises:
        ModelError: If the text has more tokens than there are virtual ones, or none, or if it cannot be tokenised.
    """
    device = model.device
    if not text:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(model.get_input_embeddings().num_embeddings, (count,), generator=generator).to(device)
    tokens = _tokens(str(model.name_or_path), text)
    if not 0 < len(tokens) <= count:
        raise ModelError(
            f"The text has {len(tokens)} tokens, and there are {count} virtual tokens to begin as it",
            where="method.init",
            hint=f"Set method.tokens to {len(tokens)} or more." if tokens else "Write a word, or leave it empty.",
        )
    return torch.tensor((tokens * count)[:count], device=device)


def _tokens(folder: str, text: str) -> list[int]:
    """A text's tokens, by the tokenizer beside a model's weights."""
    try:
        with quiet():
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (ValueError, KeyError, OSError, ImportError) as error:
        raise ModelError(
            "The text cannot be tokenised: there is no tokenizer beside the base model's weights",
            where="method.init",
            hint="Leave method.init empty to begin with tokens drawn from the vocabulary.",
        ) from error
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found
