"""Each process holds a share of the base's layers (FSDP2: `torch.distributed.fsdp.fully_shard`).

A layer's weights are gathered from all processes when a pass reaches it, and dropped behind it. What trains beside
frozen layers, an adapter, stays whole in every process; where the layers themselves train, so do their gradients and
what the optimiser keeps of them stay in shares. Embeddings, the last norm and the head are not shared out: the head is
called alone, in chunks, and where it is tied to the embeddings they are one weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from tunewright.base.errors import ModelError, RecipeError
from tunewright.forest.layout import backbone
from tunewright.train.ranks.group import Ranks

if TYPE_CHECKING:
    from tunewright.objectives._protocol import Objective
    from tunewright.recipe import Recipe

# Whose frozen layers may be shared out, and those that train the layers themselves.
_ADAPTERS, _OWN = ("lora", "rslora"), ("full",)
# Each number of a weight for itself; others look at a whole matrix.
_ELEMENTWISE = ("adamw", "sgd")


def share_out(model: Any, recipe: Recipe, objective: Objective, ranks: Ranks) -> bool:
    """Leaves this process its share of each layer's weights where the recipe asks for it; gives whether it does.

    Args:
        model: As the method's `attach` gave it.
        recipe: `train.sharding` says it.
        objective: What is learned.
        ranks: Who the layers are shared with; a process alone keeps all of them.
    Raises:
        RecipeError: If the recipe asks for it together with what does not go with it.
    """
    if not is_sharded(recipe, ranks):
        return False
    _shard(model, objective)
    return True


def is_sharded(recipe: Recipe, ranks: Ranks) -> bool:
    """Whether layers are to be shared out; a process alone holds all of them, whatever the recipe says.

    Raises:
        RecipeError: If the recipe asks for it together with what does not go with it.
    """
    if recipe.train.sharding == "none":
        return False
    method, optimiser, forgetting = recipe.method.plugin, recipe.train.optimiser.plugin, recipe.forgetting
    if method not in (*_ADAPTERS, *_OWN):
        raise _refused(f"the method '{method}'", f"Use {', '.join((*_ADAPTERS, *_OWN))}")
    if recipe.train.keep_epochs:
        raise _refused("train.keep_epochs, for which layers would be brought together between steps", "Set it to 0")
    if recipe.train.draws:
        raise _refused("an objective that draws answers, for which each process needs whole layers", "Set it to none")
    if recipe.train.best_score:
        raise _refused(f"train.best: {recipe.train.best}, which one process measures", "Set train.best to loss")
    if recipe.train.offload != "none":
        raise _refused(f"train.offload: {recipe.train.offload}", "Set it to none")
    if forgetting.ewc or (forgetting.l2 and method in _OWN):
        raise _refused("an anchor on shared weights (forgetting.ewc, forgetting.l2)", "Take it out")
    if method in _OWN and optimiser not in _ELEMENTWISE:
        raise _refused(f"the optimiser '{optimiser}'", f"Use {' or '.join(_ELEMENTWISE)}")
    return ranks.world > 1


def _shard(model: Any, objective: Objective) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    blocks = _blocks(model)
    inside = [weight for block in blocks for weight in block.parameters()]
    trained = {weight for weight in inside if weight.requires_grad}
    own = len(trained) == len(inside)
    if own and objective.needs_reference:
        raise _refused("an objective that compares with the base, where the base itself trains", "Use method: lora")
    mesh = init_device_mesh(inside[0].device.type, (torch.distributed.get_world_size(),))
    for block in blocks:
        sharded = fully_shard(block, mesh=mesh, reshard_after_forward=True, ignored_params=None if own else trained)
        # Sums, which the loop divides once; gloo has no other way to add either.
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)


def split_groups(parts: Sequence[Optimizer]) -> Sequence[Optimizer]:
    """The optimisers, with shared and whole weights in groups of their own: torch's kernels take no mixture."""
    for part in parts:
        part.param_groups[:] = [
            {**group, "params": chosen}
            for group in part.param_groups
            for kind in (True, False)
            if (chosen := [weight for weight in group["params"] if isinstance(weight, DTensor) is kind])
        ]
    return parts


def total_norm(gradients: Iterable[Tensor]) -> float:
    """The length of all gradients together, of their whole where this process holds a share."""
    found = list(gradients)
    shares = [each for each in found if isinstance(each, DTensor)]
    whole = float(torch.nn.utils.get_total_norm([each for each in found if not isinstance(each, DTensor)]))
    if not shares:
        return whole
    return float((whole_of(torch.nn.utils.get_total_norm(shares)) ** 2 + whole**2) ** 0.5)


def whole_of(tensor: Tensor) -> Tensor:
    """A tensor as it is in all processes together; each of them must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(values: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """This process's share of whole values, by the name of the weight that each belongs to (`weight|entry`, too)."""
    found = dict(values)
    for name, value in values.items():
        weight = weights[name.partition("|")[0]]
        if isinstance(weight, DTensor) and value.shape == weight.shape:
            found[name] = distribute_tensor(value, weight.device_mesh, weight.placements, src_data_rank=None)
    return found


@torch.no_grad()
def gather(model: nn.Module, *, keep: bool) -> None:
    """Brings the layers that train together again, to be saved; the model computes nothing after it.

    Args:
        keep: Whether this process keeps them; the others only give what they have.
    """
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if isinstance(weight, DTensor) and weight.requires_grad:
                whole = weight.full_tensor()
                if keep:
                    setattr(module, name, nn.Parameter(whole))


def _blocks(model: Any) -> list[nn.Module]:
    """The model's layers."""
    inner = backbone(model)
    lists = [module for module in inner.children() if isinstance(module, nn.ModuleList) and len(module)]
    if not lists:
        raise ModelError(
            f"{type(inner).__name__} has no list of layers that could be shared out",
            where="train.sharding",
            hint="Set it to none.",
        )
    return [block for module in lists for block in module]


def _refused(what: str, hint: str) -> RecipeError:
    return RecipeError(
        f"Sharded layers do not go with {what}", where="train.sharding", hint=f"{hint}, or set train.sharding to none."
    )
