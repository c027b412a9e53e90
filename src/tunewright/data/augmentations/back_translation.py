"""Back-translation: into another language and back, by a model (Sennrich et al. 2016, arXiv:1511.06709)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tunewright.data.augmentations._endpoint import EndpointConfig, client_of, wordings
from tunewright.data.augmentations._protocol import Kit
from tunewright.data.words import Words


class Config(EndpointConfig):
    """Settings of back-translation."""

    name: Literal["back_translation"] = "back_translation"
    via: str = Field("German", min_length=1, description="The language in between, by its English name.")
    language: str = Field("English", min_length=1, description="The texts' own language, likewise.")


def vary(texts: Sequence[Words], seeds: Sequence[int], variant: int, config: Config, kit: Kit) -> list[str | None]:
    """Each text as it comes back; None where a translation failed.

    Raises:
        EndpointError: If the endpoint fails for good; what was answered is kept.
    """
    from tunewright.data.synthesis.rephrasing import back_translate

    with client_of(config, kit) as client:
        found = back_translate(
            [text.text for text in texts],
            client,
            config.via,
            language=config.language,
            seed=kit.seed,
            variant=variant,
            listener=kit.listener,
        )
        return wordings(found)
