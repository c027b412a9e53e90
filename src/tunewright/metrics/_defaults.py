"""The metrics that fit a kind of answer."""

from __future__ import annotations

from tunewright.base.errors import UnknownNameError
from tunewright.base.plugins import METRICS, PluginConfig

_BY_ANSWER = {
    "json": ("record_exact_match", "json_valid", "field_accuracy", "perplexity"),
    "tags": ("entity_f1", "perplexity"),
    "label": ("accuracy", "macro_f1", "perplexity"),
    "text": ("exact_match", "perplexity"),
    "tool_call": ("tool_call", "perplexity"),
    "document": ("bits_per_byte", "perplexity"),
    "prompt": ("reward",),
}


def default_metrics(answer_kind: str) -> list[PluginConfig]:
    """The metrics for answers of a kind, the main one first, with their default settings.

    Args:
        answer_kind: `json`, `label`, `tags`, `text`, `tool_call`, `document` or `prompt`.

    Raises:
        UnknownNameError: If there is no such kind.
    """
    if answer_kind not in _BY_ANSWER:
        raise UnknownNameError("kind of answer", answer_kind, _BY_ANSWER)
    return [METRICS.config(name)() for name in _BY_ANSWER[answer_kind]]
