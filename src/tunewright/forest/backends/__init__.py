"""Ways to compute a forest's states, one file each; `dense` is what the others are checked against.

A backend has `unfit(device) -> str`: why it does not run there, empty if it does. And either `build(forest, device) ->
Layout`, which computes the attention of a model whose attention goes through layouts, or `states(model, forest) ->
Tensor`, which has the states from the model's own forward pass.
"""
