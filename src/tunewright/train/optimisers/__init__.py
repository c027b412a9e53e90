"""How gradients move weights, one file each.

`build(model, config, *, weight_decay) -> list[torch.optim.Optimizer]` gives one of torch's optimisers, or several that
share the work, over the weights of `model` that have `requires_grad`, each exactly once. Their learning rate is set
before each step; their state is made of tensors, so that checkpoints hold it.
"""
