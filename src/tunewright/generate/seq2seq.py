"""Greedy decoding by encoder-decoders: each distinct source is read once, and its keys and values are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base.errors import DataError
from tunewright.forest import Path, build
from tunewright.forest import layout as layouts
from tunewright.forest.score import path_logp, score
from tunewright.forest.seq2seq import ReadSources, read_sources, start_token, state_scale
from tunewright.models.text_format import ANSWER_START

# Notes a token for each of some rows; gives the rows that go on.
Take = Callable[[Sequence[int], Sequence[int], Sequence[float]], list[int]]


def decode(model: Any, prompts: Sequence[Sequence[int]], take: Take) -> None:
    """The most probable next token for each prompt, again and again, until `take` lets no row go on.

    Args:
        model: An encoder-decoder, perhaps with an adapter, in evaluation mode.
        prompts: Each a source and `ANSWER_START`.
        take: Called with rows, tokens and their log-probabilities in nats.

    Raises:
        DataError: If a prompt does not end in `ANSWER_START`.
    """
    from transformers import DynamicCache, EncoderDecoderCache

    base = layouts.unwrap(model)
    head, decoder, scale = layouts.head(model), base.get_decoder(), state_scale(base)
    read = _read(base, prompts)
    cache = EncoderDecoderCache(DynamicCache(config=decoder.config), DynamicCache(config=decoder.config))
    rows = list(range(len(prompts)))
    token_B = torch.full((len(rows),), start_token(base), device=read.state_BSD.device)
    while rows:
        hidden_B1D: Tensor = decoder(
            input_ids=token_B[:, None],
            encoder_hidden_states=read.state_BSD,
            encoder_attention_mask=read.mask_BS,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        logit_BV = head(hidden_B1D[:, 0] * scale).float()
        token_B = logit_BV.argmax(-1)
        logp_B = logit_BV.gather(1, token_B[:, None])[:, 0] - logit_BV.logsumexp(-1)
        alive = set(take(rows, token_B.tolist(), logp_B.tolist()))
        if len(alive) < len(rows):
            kept = torch.tensor([place for place, row in enumerate(rows) if row in alive], dtype=torch.long)
            kept = kept.to(token_B.device)
            rows = [row for row in rows if row in alive]
            token_B, read = token_B[kept], read.choose(kept)
            cache.batch_select_indices(kept)


def reference_logps(model: Any, prompts: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> list[float]:
    """Log-probability of each reference behind its prompt, in nats."""
    paths = []
    for row, (prompt, reference) in enumerate(zip(prompts, references, strict=True)):
        weights = np.r_[np.zeros(len(prompt)), np.ones(len(reference))].astype(np.float32)
        paths.append(Path(np.array([*prompt, *reference], dtype=np.int32), weights, group=row, row=row))
    forest = build(paths)
    found = np.zeros(len(paths))
    found[[path.row for path in forest.paths]] = path_logp(score(model, forest), forest)
    return [float(logp) for logp in found]


def _read(base: Any, prompts: Sequence[Sequence[int]]) -> ReadSources:
    """The prompts' sources as the encoder reads them, equal ones once, a row for each prompt."""
    for row, prompt in enumerate(prompts):
        if prompt[-1] != ANSWER_START:
            raise DataError("A prompt does not end where its answer begins", where=f"prompt {row}")
    own = [tuple(prompt[:-1]) for prompt in prompts]
    distinct = {source: place for place, source in enumerate(dict.fromkeys(own))}
    read = read_sources(base, [np.array(source, dtype=np.int64) for source in distinct])
    return read.choose(torch.tensor([distinct[source] for source in own], device=read.state_BSD.device))
