"""Rephrasing: a model says the text in other words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.data.augmentations._endpoint import EndpointConfig, client_of, wordings
from tunewright.data.augmentations._protocol import Kit
from tunewright.data.words import Words


class Config(EndpointConfig):
    """Settings of rephrasing."""

    name: Literal["rephrase"] = "rephrase"


def vary(texts: Sequence[Words], seeds: Sequence[int], variant: int, config: Config, kit: Kit) -> list[str | None]:
    """Each text in other words; None where the model gave none.

    Raises:
        EndpointError: If the endpoint fails for good; what was answered is kept.
    """
    from tunewright.data.synthesis.rephrasing import rephrase

    with client_of(config, kit) as client:
        asked = [text.text for text in texts]
        return wordings(rephrase(asked, client, seed=kit.seed, variant=variant, listener=kit.listener))
