"""Position scalings that follow the longest row of a batch, held fixed for a run.

Dynamic NTK and long RoPE rescale all positions once a batch holds a row beyond the length that the base was made for. A
row's states would then depend on its neighbours in the batch, and a forest has no rows at all.
"""

from __future__ import annotations

from typing import Any

import torch

_FIXED = "fixed"  # transformers updates the kinds that it knows by name, and this is none of them


def fix_positions(base: Any, longest: int) -> None:
    """Holds a model's position scalings to what transformers has for a row of so many tokens.

    Models without such scalings are left as they are, and so are scalings that are held already.

    Args:
        base: A transformers model.
        longest: Tokens of the longest row of the run, answers included; 0: no longer than the base was made for.
    """
    position = torch.tensor([[max(longest, 1) - 1]], device=base.device)
    for module in base.modules():
        kinds = getattr(module, "rope_type", None)
        if isinstance(kinds, str) and _follows(kinds):
            module(position.float(), position)
            module.rope_type = _FIXED
        elif isinstance(kinds, dict):  # one for each kind of layer
            for layers in [layers for layers, kind in kinds.items() if _follows(kind)]:
                module(position.float(), position, layers)
                module.rope_type = {**module.rope_type, layers: _FIXED}


def _follows(kind: str) -> bool:
    """Whether a kind of scaling follows the batch, as transformers' `dynamic_rope_update` asks."""
    return "dynamic" in kind or kind == "longrope"
