"""Sentences as vectors: the embedded text encoder, computed as sentence-transformers defines it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import ModelError
from tunewright.base.quiet import quiet
from tunewright.models.base import load_tokenizer
from tunewright.models.files import BaseFiles
from tunewright.models.resolve import find_here


def find_encoder(name: str, cache: Path) -> BaseFiles:
    """A text encoder that is on this machine; none is ever downloaded here.

    Args:
        name: A catalogue name or hub id that has been pulled, or a folder (`/…`, `./…`, `~/…`).
        cache: The workspace's cache.
    Raises:
        ModelError: If it is not there, or is no text encoder; says how to get it.
    """
    files = find_here(name, cache)
    if files.kind != "text-encoder":
        raise ModelError("This model is no text encoder", where=name, hint="Use all-minilm-l6-v2.")
    return files


class Encoder:
    """A text encoder in memory. Make one with `Encoder.load(files)`."""

    def __init__(self, model: Any, tokenizer: Any, max_tokens: int) -> None:
        self._model, self._tokenizer, self._max_tokens = model, tokenizer, max_tokens

    @classmethod
    def load(cls, files: BaseFiles) -> Encoder:
        """Loads the encoder, in float32.

        Raises:
            ModelError: If the model is no text encoder or cannot be loaded.
        """
        if files.kind != "text-encoder":
            raise ModelError("This model is no text encoder", where=files.name, hint="Use all-minilm-l6-v2.")
        tokenizer = load_tokenizer(files)
        with quiet():
            import torch
            from transformers import AutoModel

            model = AutoModel.from_pretrained(
                files.folder,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
        return cls(model.eval().requires_grad_(False), tokenizer, files.context_length)

    @property
    def width(self) -> int:
        """Numbers in one vector."""
        return int(self._model.config.hidden_size)

    @property
    def longest(self) -> int:
        """Tokens that it reads, the marks at a text's ends included."""
        return self._max_tokens

    @property
    def words(self) -> int:
        """Tokens that it knows."""
        return int(self._model.config.vocab_size)

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """One vector of unit length for each text; the dot product of two is their cosine.

        The mean of the last hidden states over a text's tokens, divided by its length. Text beyond the encoder's
        limit (256 tokens for all-minilm-l6-v2) is not read.
        Source: Reimers and Gurevych, Sentence-BERT, https://arxiv.org/abs/1908.10084

        Args:
            batch_size: Texts computed together; changes no result beyond rounding.
        Returns:
            Shape (n, width), float32.
        """
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        for chosen, hidden_BTD, mask_BT in self._read(texts, batch_size):
            vectors[chosen] = _means(hidden_BTD, mask_BT)
        return vectors

    def ids_of(self, text: str) -> list[int]:
        """The tokens of a text, with the marks at its ends; all of them, however many the encoder reads."""
        with quiet():  # it would warn of long texts
            found: list[int] = self._tokenizer(text)["input_ids"]
        return found

    def with_marks(self, tokens: Sequence[int]) -> list[int]:
        """A text's tokens with the marks at its ends."""
        inside = self._tokenizer("x", add_special_tokens=False)["input_ids"]
        whole = self.ids_of("x")
        start = whole.index(inside[0])
        return [*whole[:start], *tokens, *whole[start + len(inside) :]]

    def encode_ids(self, rows: Sequence[Sequence[int]], batch_size: int = 64) -> NDArray[np.float32]:
        """What `encode` gives for texts, of their tokens.

        Args:
            rows: Each with the marks at its ends, and not longer than `longest`.
        """
        import torch

        vectors = np.empty((len(rows), self.width), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = self._tokenizer.pad({"input_ids": [list(rows[row]) for row in chosen]}, return_tensors="pt")
            with torch.inference_mode():
                vectors[chosen] = _means(self._model(**batch).last_hidden_state, batch["attention_mask"])
        return vectors

    def encode_tokens(self, texts: Sequence[str], batch_size: int = 64) -> list[NDArray[np.float32]]:
        """One vector of unit length for each token of each text, the marks at a text's ends left out.

        Returns:
            For each text shape (tokens, width), float32; of an empty text (0, width).
        """
        import torch

        vectors = [np.empty((0, self.width), dtype=np.float32)] * len(texts)
        for chosen, hidden_BTD, mask_BT in self._read(texts, batch_size):
            unit_BTD = torch.nn.functional.normalize(hidden_BTD, dim=-1).numpy()
            for place, row in enumerate(chosen):
                vectors[row] = unit_BTD[place, 1 : int(mask_BT[place].sum()) - 1].copy()
        return vectors

    def _read(self, texts: Sequence[str], batch_size: int) -> Iterator[tuple[list[int], Any, Any]]:
        """Batches of texts: their numbers, their last hidden states (B, T, D), and which of these are tokens (B, T)."""
        import torch

        # Texts of like length together: less padding, so less work.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = self._tokenizer(
                [texts[index] for index in chosen],
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            )
            with torch.inference_mode():
                yield chosen, self._model(**batch).last_hidden_state, batch["attention_mask"]

    def beyond(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than the encoder reads: its vector says what its beginning means."""
        if not texts:
            return []
        with quiet():  # it would warn of long texts, which are what is looked for
            token_ids = self._tokenizer(list(texts))["input_ids"]
        return [len(tokens) > self._max_tokens for tokens in token_ids]


def _means(hidden_BTD: Any, mask_BT: Any) -> NDArray[np.float32]:
    """The mean state of each row's tokens, of unit length, shape (B, D)."""
    import torch

    mask_BT1 = mask_BT.unsqueeze(-1).to(hidden_BTD.dtype)
    mean_BD = (hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1).clamp(min=1e-9)
    found: NDArray[np.float32] = torch.nn.functional.normalize(mean_BD, dim=-1).numpy()
    return found
