"""Between our requests and vLLM's API for completions: tokens there, tokens and log-probabilities back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.files import read_json
from tunewright.generate.drawing import Chosen
from tunewright.generate.serving.request import Request
from tunewright.models.adapters import MANIFEST, check_base

if TYPE_CHECKING:
    from tunewright.models.base import Base

# The name that vLLM serves the base itself under.
BASE = "base"
_ID = "token_id:"


def asked_body(request: Request, *, streams: bool) -> dict[str, Any]:
    """A request as vLLM takes it."""
    choosing = request.choosing
    body: dict[str, Any] = {
        "model": request.adapter or BASE,
        "prompt": list(request.prompt),
        "max_tokens": max(1, request.limit),
        "n": request.samples,
        "stream": streams,
        "temperature": choosing.temperature,
        "top_p": choosing.top_p,
        "top_k": -1 if choosing.top_k is None else choosing.top_k,
        "min_p": choosing.min_p,
        "frequency_penalty": choosing.frequency_penalty,
        "presence_penalty": choosing.presence_penalty,
        "repetition_penalty": choosing.repetition_penalty,
        "stop": list(request.stop_texts),
        "stop_token_ids": sorted(request.stop_ids),
        # What ends an answer is said by `stop_token_ids`, and by nothing that vLLM reads off the tokenizer.
        "ignore_eos": True,
        "add_special_tokens": False,
        "logprobs": request.top_logprobs or 0,
        "return_tokens_as_token_ids": True,
    }
    if choosing.seed is not None:
        body["seed"] = choosing.seed
    if choosing.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in choosing.logit_bias.items()}
    if request.prompt_logprobs is not None:
        body["prompt_logprobs"] = request.prompt_logprobs
    if request.constraint is not None:
        body["structured_outputs"] = {"grammar": lark_of(request.constraint.text)}
    return body


def lark_of(grammar: str) -> str:
    """A grammar in Lark's syntax, which vLLM's llguidance takes, of one as llguidance keeps it."""
    if not grammar.startswith("{"):
        return grammar
    (only,) = json.loads(grammar)["grammars"]
    lark: str = only["lark_grammar"]
    return lark


def read_choice(choice: dict[str, Any], top: int) -> tuple[list[Chosen], str]:
    """The new tokens of a choice, and why it has ended; empty while it has not."""
    logprobs = choice.get("logprobs") or {}
    ids = [_id(token) for token in logprobs.get("tokens") or ()]
    values = logprobs.get("token_logprobs") or ()
    likeliest = logprobs.get("top_logprobs") or [None] * len(ids)
    tokens = [
        Chosen(token, float(value), _top({_id(name): float(each) for name, each in (beside or {}).items()}, top))
        for token, value, beside in zip(ids, values, likeliest, strict=True)
    ]
    return tokens, choice.get("finish_reason") or ""


def prompt_scores(request: Request, given: Sequence[dict[str, dict[str, Any]] | None]) -> list[Chosen]:
    """Log-probabilities of a prompt's tokens, all but the first."""
    scores = []
    for token, beside in zip(request.prompt[1:], given[1:], strict=True):
        values = {int(name): float(each["logprob"]) for name, each in (beside or {}).items()}
        scores.append(Chosen(token, values[token], _top(values, request.prompt_logprobs or 0)))
    return scores


def why_no_adapter(base: Base, folder: Path, most_rank: int) -> str:
    """Why vLLM cannot put an adapter on its base; empty if it can.

    Raises:
        ModelError: If there is no adapter in the folder, or one of another base.
    """
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
    check_base(base, folder, manifest)
    settings = read_json(folder / "adapter_config.json") if (folder / "adapter_config.json").exists() else {}
    if settings.get("peft_type") != "LORA":
        return f"its kind is {settings.get('peft_type')}, not LORA"
    if settings.get("use_dora"):
        return "it is DoRA"
    if manifest.get("heads") or settings.get("modules_to_save") or settings.get("trainable_token_indices"):
        return "it has weights besides its low-rank updates"
    if manifest.get("method", {}).get("bits") is not None:
        return "it was trained on a quantised base"
    if settings.get("bias", "none") != "none":
        return "it changes biases"
    rank = max([settings.get("r", 0), *(settings.get("rank_pattern") or {}).values()])
    if settings.get("rank_pattern") or settings.get("alpha_pattern"):
        return "its layers differ in rank or scale"
    return f"its rank {rank} is above {most_rank}" if rank > most_rank else ""


def _id(token: str) -> int:
    """5 of "token_id:5"."""
    return int(token.removeprefix(_ID))


def _top(values: dict[int, float], count: int) -> tuple[tuple[int, float], ...]:
    return tuple(sorted(values.items(), key=lambda each: -each[1])[:count])
