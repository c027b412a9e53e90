"""What augmentations share that ask a model for another wording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from tunewright.base.errors import DataError
from tunewright.data.augmentations._protocol import AugmentationConfig, Kit
from tunewright.endpoints.settings import Endpoint

if TYPE_CHECKING:
    from tunewright.data.synthesis.rephrasing import Rewritten
    from tunewright.endpoints import Client


class EndpointConfig(AugmentationConfig):
    """Settings of an augmentation that asks a model."""

    endpoint: Endpoint | None = Field(
        None, description="Who is asked, through OpenAI's API: `url` and `model`, one's own server included."
    )

    def unfit(self) -> str:
        return "" if self.endpoint else f"'{self.plugin}' asks a model: give it an `endpoint` with `url` and `model`"


@contextmanager
def client_of(config: EndpointConfig, kit: Kit) -> Iterator[Client]:
    """The client of an augmentation's endpoint; what was answered once is kept."""
    from tunewright.endpoints import Client

    if config.endpoint is None:
        raise DataError(config.unfit(), where="data.augment.by")
    with Client(config.endpoint, kit.place / "endpoints") as client:
        yield client


def wordings(found: Sequence[Rewritten]) -> list[str | None]:
    """The new texts; None where there is none."""
    return [None if each.fault else each.text for each in found]
