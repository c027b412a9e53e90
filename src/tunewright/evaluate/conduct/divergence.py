"""How far the tuned model's next-token distributions are from its base's, over what the base itself would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base import events
from tunewright.base.errors import ModelError
from tunewright.data.example import Message
from tunewright.evaluate.speaker import LocalSpeaker, Said

if TYPE_CHECKING:
    import torch

    from tunewright.forest import Forest, Path
    from tunewright.metrics._measure import Floats

# Log-probabilities of one model that are held while the other is computed: 64 MB in float32.
_HELD = 1 << 24
_LEAST_NODES = 32
_CHUNK = 128


@dataclass(frozen=True, slots=True)
class Divergence:
    """Of each conversation.

    Args:
        nats: Kullback-Leibler divergences of the tuned model's distributions from the base's, summed, shape (n,).
        tokens: At how many tokens, shape (n,).
    """

    nats: Floats
    tokens: Floats


def divergence(
    base: LocalSpeaker,
    tuned: LocalSpeaker,
    prompts: Sequence[str],
    said: Sequence[Said],
    listener: events.Listener = events.ignore,
) -> Divergence:
    """KL(base, tuned) at each token of the base's answers, its end token included, over the whole vocabulary.

    Reports progress as a stage "compare", counted in answers.

    Raises:
        ModelError: If the two do not read conversations alike, or have other vocabularies.
    """
    import torch

    from tunewright.forest import build, cut
    from tunewright.forest.layout import shares, unwrap

    if base.base.chat.fingerprint != tuned.base.chat.fingerprint:
        raise ModelError(
            f"'{tuned.name}' and '{base.name}' do not read conversations alike, and their words cannot be compared",
            where="evaluate.probes.forgetting",
            hint="Hold a tuned model against its own base.",
        )
    paths = [_path(base, prompt, each, row) for row, (prompt, each) in enumerate(zip(prompts, said, strict=True))]
    with base.model() as model:
        shared = shares(model)
        vocabulary = int(unwrap(model).config.get_text_config().vocab_size)
    with tuned.model() as model:
        shared = shared and shares(model)
    nats, tokens = np.zeros(len(paths)), np.zeros(len(paths))
    done = 0
    for piece in cut(build(paths, shared=shared), max(_LEAST_NODES, _HELD // vocabulary)):
        with base.model() as model:
            own_SV = torch.cat(list(_logp(model, piece)))
        with tuned.model() as model:
            nats_S = _kl(own_SV, _logp(model, piece))
        _, place = np.unique(piece.source, return_inverse=True)
        each = nats_S[place][piece.path_edge]
        of = piece.path_of_entry()
        rows = np.array([path.row for path in piece.paths])
        nats[rows] += np.bincount(of, weights=each, minlength=len(rows))
        tokens[rows] += np.bincount(of, minlength=len(rows))
        done += len(rows)
        listener(events.Stage("compare", "progress", done, len(paths), "answers"))
    return Divergence(nats, tokens)


def _path(base: LocalSpeaker, prompt: str, said: Said, row: int) -> Path:
    """The conversation, with weight on the answer's tokens; an answer that was cut has not chosen to end."""
    from tunewright.forest import Path

    rendered = base.base.chat.render([Message("user", prompt), Message("assistant", said.text)])
    tokens = np.array(rendered.tokens, dtype=np.int32)
    weights = np.array(rendered.learned, dtype=np.float32)
    ends = np.isin(tokens, list(base.base.chat.stop_ids))
    # Of an answer that shows nothing at all its end is what is left.
    if not said.stopped and weights[~ends].any():
        weights[ends] = 0.0
    return Path(tokens, (weights > 0).astype(np.float32), group=row, row=row)


def _logp(model: Any, forest: Forest) -> Any:
    """Log-probabilities behind each node that predicts, in chunks of shape (up to 128, V), float32."""
    import torch

    from tunewright.forest.layout import head
    from tunewright.forest.score import run

    hidden_ND = run(model, forest)
    source_S = torch.tensor(np.unique(forest.source), device=hidden_ND.device)
    layer = head(model)
    for start in range(0, len(source_S), _CHUNK):
        yield layer(hidden_ND.index_select(0, source_S[start : start + _CHUNK])).float().log_softmax(-1)


def _kl(own_SV: torch.Tensor, theirs: Any) -> Floats:
    """Kullback-Leibler divergence of each row, in nats; never below 0 but for rounding, which is taken off."""
    import torch

    found, start = [], 0
    for chunk in theirs:
        own = own_SV[start : start + len(chunk)]
        if own.shape != chunk.shape:
            raise ModelError(
                f"The vocabularies differ: {own.shape[-1]:,} tokens and {chunk.shape[-1]:,}",
                where="evaluate.probes.forgetting",
                hint="Hold a tuned model against its own base.",
            )
        # What has no probability at all adds nothing: 0 log 0 is 0.
        each = torch.where(own.isneginf(), 0.0, own.exp() * (own - chunk))
        found.append(each.sum(-1).double().clamp(min=0.0).cpu().numpy())
        start += len(chunk)
    return np.concatenate(found)
