"""Decoding by encoder-decoders: each distinct source is read once, and its keys and values are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tunewright.base.errors import DataError
from tunewright.forest import layout as layouts
from tunewright.forest.seq2seq import ReadSources, read_sources, start_token, state_scale
from tunewright.generate.draft import Asked, Rules
from tunewright.generate.sampling import choose
from tunewright.models.text_format import ANSWER_START


def decode_sources(model: Any, asked: Sequence[Asked], rules: Rules) -> None:
    """Writes the answers to sources.

    Args:
        model: An encoder-decoder, perhaps with an adapter, in evaluation mode.
        asked: Each prompt a source and `ANSWER_START`.
        rules: How they are answered.

    Raises:
        DataError: If a prompt does not end in `ANSWER_START`.
    """
    from transformers import DynamicCache, EncoderDecoderCache

    base = layouts.unwrap(model)
    head, decoder, scale = layouts.head(model), base.get_decoder(), state_scale(base)
    rows = [(draft, one) for one in asked for draft in one.drafts]
    drafts, read = [draft for draft, _ in rows], _read(base, [one for _, one in rows])
    cache = EncoderDecoderCache(DynamicCache(config=decoder.config), DynamicCache(config=decoder.config))
    token_B = torch.full((len(drafts),), start_token(base), device=read.state_BSD.device)
    while drafts:
        hidden_B1D = decoder(
            input_ids=token_B[:, None],
            encoder_hidden_states=read.state_BSD,
            encoder_attention_mask=read.mask_BS,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        chances = [draft.chance() for draft in drafts]
        tokens, logps = choose(hidden_B1D[:, 0] * scale, head, rules.sampling, chances)
        goes_on = [draft.take(token, logp) for draft, token, logp in zip(drafts, tokens, logps, strict=True)]
        alive = [place for place, on in enumerate(goes_on) if on]
        token_B = torch.tensor([tokens[place] for place in alive], device=token_B.device)
        if len(alive) < len(drafts):
            kept = torch.tensor(alive, dtype=torch.long, device=token_B.device)
            drafts, read = [drafts[place] for place in alive], read.choose(kept)
            cache.batch_select_indices(kept)


def _read(base: Any, rows: Sequence[Asked]) -> ReadSources:
    """The rows' sources as the encoder reads them, equal ones once, a row for each."""
    for one in rows:
        if one.prompt[-1] != ANSWER_START:
            raise DataError("A prompt does not end where its answer begins", where=f"prompt {one.row}")
    own = [tuple(one.prompt[:-1]) for one in rows]
    distinct = {source: place for place, source in enumerate(dict.fromkeys(own))}
    read = read_sources(base, [np.array(source, dtype=np.int64) for source in distinct])
    return read.choose(torch.tensor([distinct[source] for source in own], device=read.state_BSD.device))
