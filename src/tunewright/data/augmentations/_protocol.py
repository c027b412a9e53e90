"""What augmentations share: their settings, and what they may use."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, ignore
from tunewright.base.plugins import PluginConfig

if TYPE_CHECKING:
    from tunewright.data.thesaurus import Thesaurus


class AugmentationConfig(PluginConfig):
    """Settings of an augmentation."""

    def unfit(self) -> str:
        """Why it cannot work as it is set; empty where it can."""
        return ""


class WordsConfig(AugmentationConfig):
    """Settings of an augmentation that changes single words."""

    share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of a text's words that it changes, at least one (alpha in Wei and Zou 2019).",
    )


@dataclass(frozen=True)
class Kit:
    """What augmentations may use.

    Args:
        seed: The recipe's.
        cache: The workspace's cache, where models lie and answers of endpoints are kept; None: there is none.
        listener: Hears of slow work.
    """

    seed: int
    cache: Path | None = None
    listener: Listener = field(default=ignore)

    @cached_property
    def thesaurus(self) -> Thesaurus:
        """Words of like meaning.

        Raises:
            ModelError: If the text encoder that knows them is not on this machine.
        """
        from tunewright.data.meaning.embedding import ENCODER
        from tunewright.data.thesaurus import Thesaurus
        from tunewright.models.encoder import find_encoder

        return Thesaurus.load(find_encoder(ENCODER, self.place))

    @property
    def place(self) -> Path:
        """The cache.

        Raises:
            DataError: If there is none.
        """
        if self.cache is None:
            raise DataError("This augmentation needs a workspace, and there is none here", where="data.augment.by")
        return self.cache


def changes(words: int, share: float) -> int:
    """How many words to change of so many."""
    return max(1, math.floor(share * words))
