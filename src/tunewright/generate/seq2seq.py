"""Decoding by encoder-decoders: each distinct source is read once, and its keys and values are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
    rows = [(draft, one) for one in asked for draft in one.drafts]
    for _, one in rows:
        if one.prompt[-1] != ANSWER_START:
            raise DataError("A prompt does not end where its answer begins", where=f"prompt {one.row}")
    drafts = [draft for draft, _ in rows]
    head, reader = layouts.head(model), SourceReader(model, [one.prompt for _, one in rows])
    while drafts:
        chances = [draft.chance() for draft in drafts]
        tokens, logps = choose(reader.hidden_BD, head, rules.sampling, chances)
        goes_on = [draft.take(token, logp) for draft, token, logp in zip(drafts, tokens, logps, strict=True)]
        alive = [place for place, on in enumerate(goes_on) if on]
        if len(alive) < len(drafts):
            drafts = [drafts[place] for place in alive]
            reader.keep(alive)
        if drafts:
            reader.read([tokens[place] for place in alive])


class SourceReader:
    """Answers to sources, read side by side and on and on.

    Args:
        model: An encoder-decoder, perhaps with an adapter, in evaluation mode.
        prompts: A row's source and `ANSWER_START` each; equal sources are read once.

    `hidden_BD` are the states of the rows' last tokens, ready for the head.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        from transformers import DynamicCache, EncoderDecoderCache

        base = layouts.unwrap(model)
        self._decoder, self._scale = base.get_decoder(), state_scale(base)
        self._read = _read(base, [tuple(prompt[:-1]) for prompt in prompts])
        config = self._decoder.config
        self._cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
        self.read([start_token(base)] * len(prompts))

    def read(self, tokens: Sequence[int]) -> None:
        """Reads a token more of each answer."""
        hidden_B1D = self._decoder(
            input_ids=torch.tensor(tokens, device=self._read.state_BSD.device)[:, None],
            encoder_hidden_states=self._read.state_BSD,
            encoder_attention_mask=self._read.mask_BS,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        self.hidden_BD: Tensor = hidden_B1D[:, 0] * self._scale

    def keep(self, places: Sequence[int]) -> None:
        """Goes on with some of the rows alone, before they are read on."""
        kept = torch.tensor(places, dtype=torch.long, device=self._read.state_BSD.device)
        self._read = self._read.choose(kept)
        self._cache.batch_select_indices(kept)


def _read(base: Any, sources: Sequence[tuple[int, ...]]) -> ReadSources:
    """The rows' sources as the encoder reads them, equal ones once, a row for each."""
    distinct = {source: place for place, source in enumerate(dict.fromkeys(sources))}
    read = read_sources(base, [np.array(source, dtype=np.int64) for source in distinct])
    return read.choose(torch.tensor([distinct[source] for source in sources], device=read.state_BSD.device))
