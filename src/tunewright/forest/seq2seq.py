"""Encoder-decoders, such as T5, on a forest.

A path of theirs is the source's tokens, `ANSWER_START`, and the answer. The encoder sees a whole source at once, so
sources are shared whole or not at all (`forest.build`); each distinct one is read once. Behind it the answers form a
trie. The decoder takes its positions from places in a row (T5's relative bias does), so it is given plain rows, one
for each leaf of that trie, padded behind their ends, and each node takes its state from the first row through it.
Equal answers to one source are thus one row. Noise that the model draws by itself (dropout) differs by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.base.errors import DataError, ModelError
from tunewright.forest.forest import Forest, Ints, Path, build
from tunewright.forest.layout import head, ordinary, unwrap
from tunewright.models.text_format import ANSWER_START

# Sources are read side by side as long as padding adds no more than this share of their tokens.
_PADDING_SHARE = 0.25
# These scale the decoder's states before the head, and have no setting that says so.
_ALWAYS_SCALED = ("umt5",)


@dataclass(frozen=True)
class Source:
    """A distinct source and all that is written behind it.

    Args:
        tokens: Its tokens, shape (S,).
        start: The node of `ANSWER_START`.
        leaves: The last node of each row that the decoder reads, shape (R,).
        rows: That row's tokens, `ANSWER_START` first; R of them, shapes (T,).
    """

    tokens: Ints
    start: int
    leaves: Ints
    rows: tuple[Ints, ...]


def is_encoder_decoder(model: Any) -> bool:
    """Whether a model, or the one inside an adapter's wrapper, reads with an encoder and writes with a decoder."""
    return bool(getattr(unwrap(model).config, "is_encoder_decoder", False))


def hidden_states(model: nn.Module, forest: Forest) -> Tensor:
    """Final hidden states as the head reads them, shape (N, D); zero at the source's nodes, which predict nothing.

    Raises:
        DataError: If a path does not say where its source ends, or is to learn the source itself.
    """
    base: Any = unwrap(model)
    found = sources(forest)
    device = next(base.parameters()).device
    places: list[Ints] = []
    states: list[Tensor] = []
    for members in _batches(found):
        read = read_sources(base, [source.tokens for source in members])
        rows = [row for source in members for row in source.rows]
        which = np.repeat(np.arange(len(members)), [len(source.rows) for source in members])
        written = _write(base, read.choose(torch.tensor(which, device=device)), rows)
        nodes, at = _places(forest, members, width=written.shape[1])
        places.append(nodes)
        states.append(written.flatten(0, 1).index_select(0, torch.tensor(at, device=device)))
    joined = torch.cat(states)
    node_N = torch.tensor(np.concatenate(places), device=device)
    return joined.new_zeros(forest.nodes, joined.shape[1]).index_copy(0, node_N, joined)


def sources(forest: Forest) -> list[Source]:
    """The distinct sources of a forest, in its order; raises as `hidden_states` does."""
    starts = np.flatnonzero(forest.token == ANSWER_START)
    leaves = np.flatnonzero(forest.end == np.arange(forest.nodes) + 1)
    if len(covered := _below(forest, starts)) != len(np.unique(covered)):
        raise DataError("A row says more than once where its source ends", hint="Render it as base.chat does.")
    outside = np.setdiff1d(np.concatenate([leaves, forest.source]), covered)
    if len(outside):
        line = forest.token[forest.ancestors(int(outside[0]))]
        raise DataError(
            f"An encoder-decoder learns answers to sources, and a row of {len(line)} tokens or more has no answer",
            hint="Bring rows with a prompt and an answer, or use a causal language model as the base.",
        )
    found = []
    for start in starts.tolist():
        own = leaves[(leaves >= start) & (leaves < forest.end[start])]
        lines = [forest.ancestors(leaf) for leaf in own.tolist()]
        length = int(forest.depth[start])
        tokens = forest.token[lines[0][:length]]
        found.append(Source(tokens, start, own, tuple(forest.token[line[length:]] for line in lines)))
    return found


@dataclass(frozen=True)
class ReadSources:
    """What the encoder made of some sources.

    Args:
        state_BSD: Their states, padded behind their ends.
        mask_BS: 1 where a source has a token, 0 where it is padded.
    """

    state_BSD: Tensor
    mask_BS: Tensor

    def choose(self, place_R: Tensor) -> ReadSources:
        """Some of them, in this order; one may come more than once."""
        return ReadSources(self.state_BSD.index_select(0, place_R), self.mask_BS.index_select(0, place_R))


def read_sources(base: Any, rows: Sequence[Ints]) -> ReadSources:
    """Lets the encoder read sources; an empty one is read as a single token of padding, which is masked for others."""
    device = next(base.parameters()).device
    token_BS, mask_BS = _padded(rows, _padding(base), device)
    state_BSD: Tensor = base.get_encoder()(input_ids=token_BS, attention_mask=mask_BS).last_hidden_state
    return ReadSources(state_BSD, mask_BS)


def start_token(base: Any) -> int:
    """The token that the decoder reads first.

    Raises:
        ModelError: If the model names none.
    """
    for settings in (base.config, getattr(base, "generation_config", None)):
        token = getattr(settings, "decoder_start_token_id", None)
        if token is not None:
            return int(token)
    raise ModelError(
        "This encoder-decoder does not say with which token its decoder starts",
        hint="Set decoder_start_token_id in its config.json.",
    )


def state_scale(base: Any) -> float:
    """What the decoder's states are multiplied by before the head reads them: d_model ** -0.5 in T5, 1 in most others.

    Source: Raffel et al. 2020 (arXiv:1910.10683), whose head is tied to the embeddings; T5 1.1 has one of its own.
    """
    config = base.config
    is_scaled = config.model_type in _ALWAYS_SCALED or getattr(config, "scale_decoder_outputs", False)
    return float(config.d_model**-0.5) if is_scaled else 1.0


# Two answers to one source, which begin alike, and one to a longer source; small ids, which every vocabulary has.
_PROBE = (([5, 3, 8], [7, 4, 6]), ([5, 3, 8], [7, 9, 4]), ([5, 3, 8, 4, 9], [6, 2, 3]))


@torch.no_grad()
def check(model: nn.Module) -> None:
    """Holds a few answers' log-probabilities on a forest against the model's own forward pass, row by row.

    Raises:
        ModelError: If they differ: then the model does more between its decoder and its logits than is known here.
    """
    base: Any = unwrap(model)
    device = next(base.parameters()).device
    training = base.training
    base.eval()
    try:
        start, paths, expected = start_token(base), [], []
        for number, (source, answer) in enumerate((ordinary(base, x), ordinary(base, y)) for x, y in _PROBE):
            tokens, read = torch.tensor([source], device=device), torch.tensor([[start, *answer]], device=device)
            expected.append(base(input_ids=tokens, decoder_input_ids=read, use_cache=False).logits[0, -1])
            row = np.array([*source, ANSWER_START, *answer, 2], dtype=np.int32)
            weights = np.array([0.0] * (len(row) - 1) + [1.0], dtype=np.float32)
            paths.append(Path(row, weights, number, number))
        forest = build(paths)
        # The probe's rows end in different nodes, so each has one edge; edges are in the order of the paths.
        found = head(base)(hidden_states(base, forest).index_select(0, torch.tensor(forest.source, device=device)))
    finally:
        base.train(training)
    wanted = torch.stack([expected[path.row] for path in forest.paths])
    difference = float((found - wanted).norm() / wanted.norm())
    if not difference <= (1e-3 if wanted.dtype == torch.float32 else 5e-2):
        raise ModelError(
            f"{type(base).__name__} does not give its own results on a forest "
            f"(they differ by {difference:.1e} of their length)",
            hint="Use an encoder-decoder built like T5 or BART, or a causal language model.",
        )


def _write(base: Any, read: ReadSources, rows: Sequence[Ints]) -> Tensor:
    """The decoder's states of rows behind their sources, shape (R, T, D), scaled for the head."""
    token_RT, _ = _padded([np.r_[start_token(base), row[1:]] for row in rows], _padding(base), read.mask_BS.device)
    # What pads a row stands behind it, where no token of the row looks.
    hidden_RTD: Tensor = base.get_decoder()(
        input_ids=token_RT,
        encoder_hidden_states=read.state_BSD,
        encoder_attention_mask=read.mask_BS,
        use_cache=False,
    ).last_hidden_state
    return hidden_RTD * state_scale(base)


def _places(forest: Forest, members: Sequence[Source], width: int) -> tuple[Ints, Ints]:
    """The nodes behind some sources, and for each its place in their rows, laid out one after another."""
    nodes, at, before = [], [], 0
    for source in members:
        own = np.arange(source.start, forest.end[source.start])
        # In preorder the first leaf that is not before a node is below it.
        row = np.searchsorted(source.leaves, own)
        nodes.append(own)
        at.append((before + row) * width + forest.depth[own] - forest.depth[source.start])
        before += len(source.rows)
    return np.concatenate(nodes), np.concatenate(at)


def _batches(found: Sequence[Source]) -> Iterator[list[Source]]:
    """Sources of like length, which are read side by side."""
    batch: list[Source] = []
    tokens = 0
    for source in sorted(found, key=lambda source: -len(source.tokens)):
        padded = (len(batch) + 1) * max(1, len(batch[0].tokens if batch else source.tokens))
        if batch and padded > (1 + _PADDING_SHARE) * (tokens + len(source.tokens)):
            yield batch
            batch, tokens = [], 0
        batch.append(source)
        tokens += len(source.tokens)
    if batch:
        yield batch


def _below(forest: Forest, starts: Ints) -> Ints:
    """All nodes at and below some, one after another."""
    return np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(start, forest.end[start]) for start in starts)])


def _padded(rows: Sequence[Ints], padding: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows of tokens padded behind their ends, and 1 where a token is a row's own; shapes (R, T)."""
    token_RT = np.full((len(rows), max(1, *map(len, rows))), padding, dtype=np.int64)
    mask_RT = np.zeros_like(token_RT)
    for number, row in enumerate(rows):
        token_RT[number, : len(row)] = row
        mask_RT[number, : max(1, len(row))] = 1  # attention over nothing at all is not defined
    return torch.tensor(token_RT, device=device), torch.tensor(mask_RT, device=device)


def _padding(base: Any) -> int:
    token = getattr(base.config, "pad_token_id", None)
    return 0 if token is None else int(token)
