"""Which objectives and methods fit which family of models."""

from __future__ import annotations

from tunewright.base.errors import RecipeError
from tunewright.base.plugins import PluginConfig
from tunewright.models.catalog import ENCODER, ENCODER_DECODER, Kind
from tunewright.models.class_format import TAG
from tunewright.models.treatment import VIRTUAL

_HEAD_ALONE = "feature"  # the method that trains nothing below a head of classes


def check_family(kind: Kind, objective: PluginConfig, method: PluginConfig) -> None:
    """Refuses what cannot be trained, before anything is loaded.

    Args:
        kind: The base's.
        objective: `train.objective`; one that teaches a head of classes has `head`.
        method: The method.
    Raises:
        RecipeError: Says what does not fit, and what does.
    """
    head = head_of(objective)
    if kind == ENCODER and not head:
        raise RecipeError(
            f"The base is an encoder, which turns text into numbers; it cannot learn to write answers, as "
            f"'{objective.plugin}' asks",
            where="train.objective",
            hint="Set train.objective to classify (a label a row) or tag (a tag a word), or name a causal language "
            "model as the base.",
        )
    if kind not in (ENCODER, "causal-lm") and head:
        raise RecipeError(
            f"The base is an encoder-decoder, and '{objective.plugin}' puts a head on an encoder or a causal model",
            where="train.objective",
            hint="Set train.objective to sft, or name another base.",
        )
    if kind == ENCODER_DECODER and getattr(objective, "documents", False):
        raise RecipeError(
            f"The base is an encoder-decoder, and '{objective.plugin}' goes on with texts as causal models do",
            where="train.objective",
            hint="Set train.objective to sft, or name a causal language model as the base.",
        )
    if kind != ENCODER and head == TAG:
        raise RecipeError(
            "Words are tagged by a model that reads both ways, and the base reads from left to right",
            where="train.objective",
            hint="Name an encoder as the base, such as all-minilm-l6-v2.",
        )
    if kind in (ENCODER, ENCODER_DECODER) and method.plugin in VIRTUAL:
        raise RecipeError(
            f"'{method.plugin}' puts virtual tokens in front of a row, and what an encoder reads has no room for such",
            where="method",
            hint=f"Use lora, bottleneck, layers{', full or feature' if kind == ENCODER else ' or full'}.",
        )
    if kind == ENCODER_DECODER and getattr(method, "balance_weight", None):
        raise RecipeError(
            "Experts are balanced over a forest's nodes, and an encoder-decoder's rows are padded ones",
            where="method.balance",
            hint="Set it to 0, or leave method.top_k out.",
        )
    if method.plugin == _HEAD_ALONE and not head:
        raise RecipeError(
            f"The method '{_HEAD_ALONE}' trains a head of classes alone, and '{objective.plugin}' has none",
            where="method",
            hint="Set train.objective to classify or tag, or use another method, such as lora.",
        )


def head_of(objective: PluginConfig) -> str:
    """The head of classes that an objective teaches; empty for one that learns tokens."""
    return str(getattr(objective, "head", ""))
