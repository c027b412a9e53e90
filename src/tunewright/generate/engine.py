"""Decoding: answers to prompts, greedy or drawn, several at a time, in one of three ways that fit the model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch

from tunewright.base import events
from tunewright.base.errors import DataError
from tunewright.forest import layout as layouts
from tunewright.forest.seq2seq import is_encoder_decoder
from tunewright.generate.draft import Asked, OnToken, Rules, results
from tunewright.generate.family import Family, families
from tunewright.generate.generation import Generation
from tunewright.generate.references import reference_logprobs
from tunewright.generate.rows import decode_rows
from tunewright.generate.seq2seq import decode_sources
from tunewright.generate.writing import Decode
from tunewright.models.folding import folded
from tunewright.models.packing import packed
from tunewright.recipe.sampling import Sampling

# Tokens of prompts from which it pays to add an adapter into its base's weights for the call, and to pack these.
_MANY_TOKENS, _VERY_MANY_TOKENS = 512, 2048


@torch.no_grad()
def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
    references: Sequence[Sequence[int]] | None = None,
    batch_size: int = 64,
    sampling: Sampling | None = None,
    samples: int = 1,
    stop_texts: Sequence[str] = (),
    decode: Decode | None = None,
    listener: events.Listener = events.ignore,
    on_token: OnToken | None = None,
) -> list[Generation]:
    """A next token, again and again, for each prompt.

    Args:
        model: An adopted model (`forest.layout.adopt`), in evaluation mode.
        prompts: Token ids of each prompt, at least one token each.
        max_new_tokens: Longest answer; a longer one is cut, and says so.
        stop_ids: Tokens that end an answer.
        references: Answers to be scored behind the same prompts, in the pass that reads them; one token each at least.
        batch_size: Answers decoded side by side.
        sampling: How tokens are drawn; None: the most probable one is taken. What a prompt draws follows from the seed
            and its tokens, whatever stands beside it; equal prompts draw the same.
        samples: Answers to each prompt, the further ones in `Generation.further`. The prompt is read once for all of
            them, by a model that shares prefixes or has an encoder.
        stop_texts: Texts that end an answer, wherever its tokens are cut; needs `decode`.
        decode: The text of an answer's tokens, such as `ChatFormat.decode`.
        listener: Hears of progress as a stage "generate", counted in answered prompts.
        on_token: Called with the row and the token as soon as one is chosen; of several answers with the first's.

    Raises:
        DataError: If a prompt or a reference is empty, if there are more of one than of the other, or if stop texts
            come without `decode`.
        InputError: If several answers are asked for, and nothing is drawn.
    """
    rules = Rules(max_new_tokens, frozenset(stop_ids), tuple(stop_texts), decode, sampling or Sampling(), samples)
    _check(prompts, references, rules)
    rules.sampling.check_samples(samples)
    asked = [
        Asked(row, prompt, references[row] if references is not None else None, rules.start(row, prompt, on_token))
        for row, prompt in enumerate(prompts)
    ]
    found: dict[int, Generation] = {}
    tokens = sum(map(len, prompts))
    with (
        folded(model) if tokens >= _MANY_TOKENS else nullcontext(),
        packed(model) if tokens >= _VERY_MANY_TOKENS else nullcontext(),
    ):
        for one, logprobs in _answered(model, asked, rules, batch_size):
            found[one.row] = results(one.drafts, logprobs)
            listener(events.Stage("generate", "progress", len(found), len(prompts), "answers"))
    return [found[row] for row in range(len(prompts))]


def _answered(
    model: Any, asked: list[Asked], rules: Rules, batch_size: int
) -> Iterator[tuple[Asked, list[float] | None]]:
    """Each prompt as it is answered, its drafts written, and its reference's log-probabilities."""
    if layouts.shares(model) and not is_encoder_decoder(model):
        for members in families(asked):
            yield from Family(model, members, rules, batch_size).run()
        return
    way = decode_sources if is_encoder_decoder(model) else decode_rows
    order = sorted(asked, key=lambda one: (len(one.prompt), list(one.prompt)))
    side_by_side = max(1, batch_size // rules.samples)
    for start in range(0, len(order), side_by_side):
        members = order[start : start + side_by_side]
        for one in members:
            one.begin()
        way(model, members, rules)
        given = members[0].reference is not None
        yield from zip(members, reference_logprobs(model, members) if given else [None] * len(members), strict=True)


def _check(prompts: Sequence[Sequence[int]], references: Sequence[Sequence[int]] | None, rules: Rules) -> None:
    for kind, rows in (("prompt", prompts), ("reference", references or ())):
        for row, tokens in enumerate(rows):
            if not len(tokens):
                raise DataError(f"A {kind} holds no token", where=f"{kind} {row}")
    if references is not None and len(references) != len(prompts):
        raise DataError(f"There are {len(prompts)} prompts and {len(references)} references")
    if rules.limit < 1:
        raise DataError(f"Answers of at most {rules.limit} tokens are asked for", hint="Ask for one or more.")
    if any(not stop for stop in rules.stop_texts) or (rules.stop_texts and rules.decode is None):
        raise DataError("Stop texts need some letters each, and a way to decode tokens (`decode`)")
