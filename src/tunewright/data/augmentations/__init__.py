"""Augmentations: one file each, whose name is what a recipe's `data.augment.by` calls it.

An augmentation has a class `Config`, derived from `_protocol.AugmentationConfig`, and a function

    vary(texts: Sequence[Words], seeds: Sequence[int], variant: int, config: Config, kit: Kit) -> list[str | None]

which gives for each text a variant, or None where it can make none. What is not free in a text must stay. The same
text, seed and number of the variant always give the same, whatever stands beside it.
"""
