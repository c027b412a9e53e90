"""How a forest reaches a model's attention layers.

transformers lets a model's attention be replaced by name. Ours hands every call to the layout that travels with the
forward pass as the keyword argument `layout`; nothing is global, so recomputing a layer (activation checkpointing)
meets the same layout again. The stock attentions never see a forest: they would read its falling positions as packed
rows and cut branches from their prefix.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.base.errors import ModelError, TunewrightError
from tunewright.base.plugins import BACKENDS
from tunewright.forest.forest import Forest, Ints, Path, build
from tunewright.forest.virtual import inputs
from tunewright.models import heads

IMPLEMENTATION = "tunewright"

# What stock attention functions are also told and we have no use for, beside what would change the result.
_CHANGES_RESULT = ("softcap", "s_aux", "head_mask", "position_bias")


class Layout(Protocol):
    """Which keys each query sees, and how that is computed."""

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        """Attention of N queries.

        Args:
            layer: Index of the calling layer.
            q_HND: Queries, shape (batch, H, N, D).
            k_GND: Keys, shape (batch, G, N, D); H is a multiple of G.
            v_GND: Values, shape (batch, G, N, D).
            scaling: Factor on the products of queries and keys.
            window: A key farther than this behind its query is not seen; 0 for no such limit.
        Returns:
            Shape (batch, N, H, D).
        """


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls under the name `tunewright`."""
    if layout is None:
        raise TunewrightError("A model prepared for forests was called without a layout")
    for name in _CHANGES_RESULT:
        if others.get(name) is not None:
            raise ModelError(f"This model's attention uses '{name}', which forests do not compute")
    if dropout:
        raise ModelError("This model drops attention weights at random, which forests do not compute")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = others.get("sliding_window") or 0
    layer = int(getattr(module, "layer_idx", 0) or 0)
    return layout.attend(layer, query, key, value, scale, window), None


def adopt(model: nn.Module) -> None:
    """Makes a transformers model compute attention through layouts from now on.

    A small branching forest is computed both ways first: layers whose states depend on more than a token's own
    ancestors (recurrent ones, positions taken from indices) differ there, and are refused.

    An encoder-decoder keeps its own attention (`seq2seq`), and is tried likewise.

    Raises:
        ModelError: If the model's attention cannot be replaced by name, or if a forest changes its results.
    """
    from transformers import AttentionInterface

    base = unwrap(model)
    if base.config.is_encoder_decoder:
        from tunewright.forest import seq2seq  # which builds on this file

        seq2seq.check(base)
        return
    if base.config._attn_implementation == IMPLEMENTATION:
        return
    expected = _plain_probe(base)
    base.reads_both_ways = _reads_both_ways(expected)
    AttentionInterface.register(IMPLEMENTATION, attention)
    base.set_attn_implementation(IMPLEMENTATION)
    if base.config._attn_implementation != IMPLEMENTATION:
        raise ModelError(
            f"The attention of {type(base).__name__} cannot be replaced",
            hint="Use a model whose transformers code follows the attention interface, such as Llama, Qwen or BERT.",
        )
    found = _forest_probe(base)
    difference = float((found - expected).norm() / expected.norm())
    if not difference <= _bound(expected):
        raise ModelError(
            f"The layers of {type(base).__name__} do not give the same states on "
            f"{'rows side by side' if base.reads_both_ways else 'a shared prefix'} "
            f"(they differ by {difference:.1e} of their length)",
            hint="Use a model with plain attention, such as Llama, Qwen or Mistral, BERT or RoBERTa.",
        )


# Two rows with three tokens in common; small ids, which every vocabulary has.
_PROBE = ([5, 3, 8, 4, 9, 6, 2], [5, 3, 8, 7, 4, 9, 2])
_SHARED = 3


@torch.no_grad()
def _plain_probe(base: Any) -> Tensor:
    """States of both rows, one at a time, through the stock model: shape (12, D), last tokens left out."""
    with _evaluation(base):
        device = next(base.parameters()).device
        rows = [backbone(base)(input_ids=torch.tensor([row[:-1]], device=device), use_cache=False) for row in _PROBE]
        return torch.cat([row.last_hidden_state[0] for row in rows])


def _reads_both_ways(states: Tensor) -> bool:
    """Whether the tokens that the probe's rows begin with have other states where others follow them."""
    first, second = states[:_SHARED], states[len(states) // 2 :][:_SHARED]
    # Through causal layers they are the same but for rounding; through others they differ by about their own length.
    return bool((first - second).norm() > _bound(states) * first.norm())


def _bound(states: Tensor) -> float:
    """How far equal states may differ by rounding, as a share of their length."""
    return 1e-3 if states.dtype == torch.float32 else 5e-2


@torch.no_grad()
def _forest_probe(base: Any) -> Tensor:
    """The same of both rows merged into a forest."""
    forest = build([_probe_path(row, n, both_ways=base.reads_both_ways) for n, row in enumerate(_PROBE)])
    with _evaluation(base):
        device = next(base.parameters()).device
        layout: Layout = BACKENDS.call("dense", "build", forest, device)
        token_N, depth_N = (to_tensor(array, device) for array in (forest.token, forest.depth))
        hidden_ND = hidden_states(base, token_N, depth_N, layout)
    # In the forest the second row (its fourth token is 7) stands behind the first (4): preorder by token. Its sources
    # are the last tokens that are fed.
    lines = [forest.ancestors(int(node)) for node in forest.source]
    return torch.cat([hidden_ND[torch.tensor(line, device=device)] for line in lines])


def _probe_path(row: list[int], number: int, *, both_ways: bool) -> Path:
    """A row of which all tokens but the last are fed, and the last of those predicts something."""
    if not both_ways:
        weights = np.array([0.0] * 6 + [1.0], dtype=np.float32)
        return Path(np.array(row, dtype=np.int32), weights, number, number)
    tokens, weights = np.array(row[:-1], dtype=np.int32), np.array([0.0] * 5 + [1.0], dtype=np.float32)
    return Path(tokens, weights, number, number, head="probe", targets=np.zeros(6, np.int32), both_ways=True)


@contextlib.contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Dropout off while open."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def unwrap(model: Any) -> Any:
    """The transformers model inside an adapter's wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def backbone(model: nn.Module) -> Any:
    """The part that maps tokens to hidden states."""
    base = unwrap(model)
    return getattr(base, str(base.base_model_prefix), base)  # an encoder has nothing around it


def head(model: nn.Module, name: str = "") -> Any:
    """The module that maps hidden states to logits; always called as a module, since it may carry an adapter.

    Args:
        name: Of a head of classes (`models.heads`); empty: the model's own, for tokens.
    """
    return heads.find(model, name) if name else unwrap(model).get_output_embeddings()


def check_direction(model: nn.Module, forest: Forest) -> None:
    """Raises a `ModelError` if a forest's rows are not to be read in the direction in which the model reads."""
    both_ways = bool(getattr(unwrap(model), "reads_both_ways", False))
    if forest.paths and forest.both_ways != both_ways:
        raise ModelError(
            f"{type(unwrap(model)).__name__} reads {'both ways' if both_ways else 'from left to right'}, and its rows "
            f"were prepared for a model that reads {'from left to right' if both_ways else 'both ways'}",
            where="base",
            hint="Check the architecture in the model's config.json: an encoder's does not end in ForCausalLM.",
        )


def hidden_states(
    model: nn.Module, token_N: Tensor, depth_N: Tensor, layout: Layout, types: Ints | None = None
) -> Tensor:
    """Final hidden states of tokens at given depths, shape (N, D).

    Where the model has virtual tokens, `layout` is that of the forest planted behind them, and their own states are
    left out.

    Args:
        types: Which text of its row each token belongs to, for models that are told so.
    """
    told = inputs(model, token_N, depth_N + _first_position(model), layout)
    if types is not None:
        told["token_type_ids"] = to_tensor(types, token_N.device)[None]
    hidden: Tensor = backbone(model)(**told, attention_mask=None, use_cache=False).last_hidden_state[0]
    return hidden[len(hidden) - len(token_N) :]


def _first_position(model: nn.Module) -> int:
    """The position of a row's first token: RoBERTa and its like keep the first ones for padding."""
    padding = getattr(getattr(backbone(model), "embeddings", None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def to_tensor(array: Any, device: torch.device) -> Tensor:
    """A numpy array as a tensor of its own on a device."""
    return torch.tensor(array, device=device)
