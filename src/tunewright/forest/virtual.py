"""Virtual tokens: what prompt tuning, P-tuning and prefix tuning put in front of every path.

They are one super-root of P nodes in a row (`forest.plant`), visible to every other node, and the real tokens stand P
positions further on. Prompt tuning and P-tuning give what the model reads there, so these nodes are computed once with
the others. Prefix tuning gives each layer's keys and values there, so these nodes are not computed at all. PEFT's
modules hold the weights; PEFT's own forward pass is not used, since it drops or overrules positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from tunewright.base.errors import ModelError

if TYPE_CHECKING:
    from tunewright.forest.layout import Layout

_READ = ("PROMPT_TUNING", "P_TUNING")  # PEFT's names of the methods that give embeddings
_KEPT = ("PREFIX_TUNING",)  # and of those that give keys and values


def virtual_count(model: Any) -> int:
    """How many virtual tokens stand in front of every path, P; 0 for most models, and while they are switched off.

    Raises:
        ModelError: If PEFT has the adapter's method, and forests do not.
    """
    settings = getattr(model, "active_peft_config", None)
    if settings is None or not settings.is_prompt_learning or not model.has_active_enabled_adapter:
        return 0
    if settings.peft_type not in _READ + _KEPT:
        raise ModelError(
            f"Virtual tokens of the kind {settings.peft_type.value} are not known here",
            hint="Known are prompt tuning, P-tuning and prefix tuning.",
        )
    return int(settings.num_virtual_tokens)


def inputs(model: Any, token_N: Tensor, depth_N: Tensor, layout: Layout) -> dict[str, Any]:
    """What a model's backbone is told of tokens at given depths, its virtual tokens included.

    Args:
        layout: That of the forest planted behind the virtual tokens, P + N nodes.
    Returns:
        Keyword arguments. The backbone then gives N states, or P + N of which the last N are the tokens'.
    """
    count = virtual_count(model)
    if not count:
        return {"input_ids": token_N[None], "position_ids": depth_N[None], "layout": layout}
    if model.active_peft_config.peft_type in _KEPT:
        prefixed = Prefixed(layout, count, _kept(model, count))
        return {"input_ids": token_N[None], "position_ids": depth_N[None] + count, "layout": prefixed}
    real_ND = model.get_base_model().get_input_embeddings()(token_N)
    virtual_PD = model.get_prompt(batch_size=1)[0].to(real_ND.dtype)
    position = torch.cat([torch.arange(count, device=depth_N.device), depth_N + count])
    return {
        "inputs_embeds": torch.cat([virtual_PD, real_ND])[None],
        "position_ids": position[None],
        "layout": layout,
    }


def row_inputs(model: Any, real_BTD: Tensor) -> dict[str, Any]:
    """What a model's backbone is told of rows of embedded tokens where it has its own attention.

    Returns:
        Keyword arguments. The last T of each row's states are the tokens'.
    """
    if not virtual_count(model):
        return {"inputs_embeds": real_BTD}
    given = model.get_prompt(batch_size=len(real_BTD))
    if model.active_peft_config.peft_type in _KEPT:
        return {"inputs_embeds": real_BTD, "past_key_values": given}
    return {"inputs_embeds": torch.cat([given.to(real_BTD.dtype), real_BTD], dim=1)}


class Prefixed:
    """A layout whose first nodes ask nothing, and whose keys and values are given.

    Args:
        inner: The layout of all P + N nodes.
        count: The given ones, P.
        kept: Each layer's keys and values of these, shapes (1, G, P, D).
    """

    def __init__(self, inner: Layout, count: int, kept: list[tuple[Tensor, Tensor]]) -> None:
        self._inner, self._count, self._kept = inner, count, kept

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        keys, values = self._kept[layer]
        # Queries of zero, whose answers are left out: no layout needs to know of a prefix.
        q_HND = functional.pad(q_HND, (0, 0, self._count, 0))
        k_GND, v_GND = torch.cat([keys.to(k_GND), k_GND], dim=2), torch.cat([values.to(v_GND), v_GND], dim=2)
        return self._inner.attend(layer, q_HND, k_GND, v_GND, scaling, window)[:, self._count :]


def _kept(model: Any, count: int) -> list[tuple[Tensor, Tensor]]:
    """Each layer's keys and values of the virtual tokens, as PEFT shapes them."""
    layers = [(layer.keys, layer.values) for layer in model.get_prompt(batch_size=1).layers]
    whole = [layer for layer in layers if layer[0] is not None and layer[0].shape[2] == count]
    if len(whole) != model.get_base_model().config.get_text_config().num_hidden_layers:
        raise ModelError(
            f"{count} virtual tokens do not fit every layer of this model",
            where="method.tokens",
            hint="Its layers differ in shape or have short windows: use fewer tokens, or prompt tuning.",
        )
    return whole
