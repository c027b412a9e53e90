"""Which tokens of a prompt drove an answer: integrated gradients, with their completeness checked.

A token's share is the integral of the answer's log-probability's gradient along the straight line from neutral
embeddings to the prompt's own (Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", 2017, equation 1;
computed by Captum). The shares add up to what the prompt's words change about the log-probability (completeness,
proposition 1) as far as the line is cut finely enough; it is cut finer until they do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base.errors import ModelError
from tunewright.forest import Path, build
from tunewright.forest import layout as layouts
from tunewright.forest.score import score
from tunewright.forest.seq2seq import is_encoder_decoder

FEWEST_STEPS = 32
MOST_STEPS = 512
TOLERANCE = 0.05
_NODES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each token of a prompt did for an answer.

    Args:
        shares: Nats that each adds to the answer's log-probability, shape (P,); 0 where it was kept.
        logp: Log-probability of the answer behind the prompt.
        neutral: The same behind the prompt with neutral tokens in place of all that were not kept.
        steps: Pieces that the line was cut into.
    """

    shares: tuple[float, ...]
    logp: float
    neutral: float
    steps: int

    @property
    def gap(self) -> float:
        """How far the shares are from adding up, as a share of what they should add up to."""
        change = self.logp - self.neutral
        return abs(sum(self.shares) - change) / max(abs(change), 1e-6)

    @property
    def complete(self) -> bool:
        """Whether the shares add up within the tolerance."""
        return self.gap <= TOLERANCE


def attribute(
    model: Any, prompt: Sequence[int], answer: Sequence[int], *, neutral: int, kept: Collection[int] = ()
) -> Attribution:
    """Integrated gradients of an answer's log-probability with respect to the prompt's embeddings.

    Args:
        model: An adopted model (`forest.layout.adopt`) that shares prefixes, in evaluation mode.
        prompt: Token ids, shape (P,).
        answer: Token ids behind it; at least one.
        neutral: The token whose embedding stands for "nothing said here".
        kept: Tokens that stay as they are and get no share: marks of the chat template.

    Raises:
        ModelError: If the model computes its rows in a way of its own, or the packages for this are missing.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ModelError("Explanations need Captum", hint="Install it: pip install 'tunewright[explain]'.") from error
    if is_encoder_decoder(model) or not layouts.shares(model):
        raise ModelError("Explanations need a model with plain causal attention, and this one computes in its own way")
    logp = _logp_of(model, prompt, answer)
    embedding = layouts.unwrap(model).get_input_embeddings()
    device = next(model.parameters()).device
    with torch.no_grad():
        own_1PD = embedding(torch.tensor([list(prompt)], device=device)).detach()
        nothing_D = embedding(torch.tensor([neutral], device=device))[0].detach()
    is_kept = torch.tensor([token in set(kept) for token in prompt], device=device)
    neutral_1PD = torch.where(is_kept[None, :, None], own_1PD, nothing_D)
    with torch.enable_grad():
        gradients = IntegratedGradients(logp)
        steps = FEWEST_STEPS
        while True:
            shares_1PD = gradients.attribute(
                own_1PD,
                neutral_1PD,
                n_steps=steps,
                internal_batch_size=max(1, _NODES_AT_ONCE // (len(prompt) + len(answer))),
            )
            with torch.no_grad():
                reached, begun = (float(logp(x)[0]) for x in (own_1PD, neutral_1PD))
            found = Attribution(tuple(shares_1PD[0].sum(-1).tolist()), reached, begun, steps)
            if found.complete or steps >= MOST_STEPS:
                return found
            steps *= 2


def _logp_of(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """The answer's log-probability, shape (S,), as a function of the prompt's embeddings, shape (S, P, D)."""
    weights = np.concatenate([np.zeros(len(prompt)), np.ones(len(answer))]).astype(np.float32)
    path = Path(np.array([*prompt, *answer], dtype=np.int32), weights, group=0, row=0)
    embedding = layouts.unwrap(model).get_input_embeddings()

    def logp(embedded_SPD: Tensor) -> Tensor:
        rows, length, width = embedded_SPD.shape
        # Side by side: rows of equal tokens, and of embeddings that differ.
        forest = build([replace(path, row=row, group=row) for row in range(rows)], shared=False)

        def put_in(module: Any, given: Any, looked_up: Tensor) -> Tensor:
            rest = looked_up.reshape(rows, -1, width)[:, length:]
            return torch.cat([embedded_SPD.to(looked_up.dtype), rest], dim=1).reshape(looked_up.shape)

        hook = embedding.register_forward_hook(put_in)
        try:
            scores = score(model, forest)
        finally:
            hook.remove()
        device = scores.logp.device
        entries = scores.logp[torch.tensor(forest.path_edge, device=device)]
        row_of_path = torch.tensor([path.row for path in forest.paths], device=device)
        place = row_of_path[torch.tensor(forest.path_of_entry(), device=device)]
        return torch.zeros(rows, device=device, dtype=entries.dtype).index_add(0, place, entries)

    return logp
