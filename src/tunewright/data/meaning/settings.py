"""What all steps by meaning share: the encoder, the columns they read, and where the encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, PrivateAttr

from tunewright.base.errors import ModelError
from tunewright.base.events import Event, Listener, ignore
from tunewright.data.frame import ColumnsConfig
from tunewright.data.meaning.embedding import ENCODER, Embedder


class MeaningConfig(ColumnsConfig):
    """Settings of a step that reads what texts mean."""

    # A test set stays what its makers published.
    held_out: ClassVar[bool] = False

    columns: tuple[str, ...] = Field((), description="Columns read; empty: those that make up the prompt.")
    answer: tuple[str, ...] = Field((), description="Columns that answer them; empty: those that make up the answer.")
    encoder: str = Field(
        ENCODER,
        description="The text encoder: a catalogue name or hub id that has been pulled (`tunewright models pull`), or "
        "a folder.",
    )
    _cache: Path | None = PrivateAttr(None)
    _listener: Listener | None = PrivateAttr(None)  # a function as default would become a method

    def bind(self, prompt: Sequence[str], answer: Sequence[str]) -> Self:
        columns, answers = self.columns or tuple(prompt), self.answer or tuple(answer)
        return self.model_copy(update={"columns": columns, "answer": answers})

    def needed(self) -> tuple[str, ...]:
        return (*self.columns, *self.answer)

    def at(self, cache: Path | None, listener: Listener = ignore) -> Self:
        placed = self.model_copy()
        placed._cache, placed._listener = cache, listener
        return placed

    def tell(self, event: Event) -> None:
        """Tells whoever listens."""
        if self._listener is not None:
            self._listener(event)

    def embedder(self) -> Embedder:
        """The encoder, with its cache.

        Raises:
            ModelError: If the encoder is not on this machine, or nobody said where the cache is.
        """
        if self._cache is None:
            raise ModelError(
                "This step needs a text encoder and was not told where models are kept",
                where=f"step {self.plugin}",
                hint="Call config.at(workspace.cache) first.",
            )
        return Embedder.open(self.encoder, self._cache, self.tell)
