"""Texts as unit vectors, each computed once: a text encoder and the cache of what it computed before."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tunewright.base.events import Listener, Message, Stage, ignore
from tunewright.base.files import disk_guard
from tunewright.data.meaning.vectors import STORED, Stored, VectorFile, Vectors, unit
from tunewright.models.encoder import Encoder, find_encoder
from tunewright.models.files import BaseFiles, read_config

ENCODER = "all-minilm-l6-v2"
STAGE = "embed"

# Texts that are computed, and then kept, together: what a killed process loses at most.
_TEXTS_AT_ONCE = 1024
# Fewer new texts than this take less than about a second.
_WORTH_TELLING = 256
_KEY_BYTES = 16


class Embedder:
    """A text encoder and its cache. Open one with `Embedder.open(name, cache)`.

    Vectors are rounded to float16 when they are computed, so that a text has the same vector the first time and
    every later time. The encoder itself is loaded only when a text is new.

    Attributes:
        name: The encoder's.
    """

    def __init__(self, files: BaseFiles, cache: Path, listener: Listener = ignore) -> None:
        self._files, self._listener = files, listener
        self.name = files.name
        self._file = VectorFile(cache / "vectors" / f"{files.weights_hash[:16]}-{files.context_length}.sqlite")
        self._folder = cache / "vectors"
        self._width = int(read_config(files.folder)["hidden_size"])

    @classmethod
    def open(cls, name: str, cache: Path, listener: Listener = ignore) -> Embedder:
        """An embedder by its encoder's name.

        Args:
            name: As `find_encoder` takes it.
            cache: The workspace's cache: the encoder is looked for there, and vectors are kept there.
            listener: Hears how far it is, and of texts that are longer than the encoder reads.
        Raises:
            ModelError: If the encoder is not on this machine.
        """
        return cls(find_encoder(name, cache), cache, listener)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of unit length for each text; the dot product of two is their cosine.

        Returns:
            Shape (n, width), float32, in memory: 1.5 KB a text. `spill` is for more texts than that allows.
        """
        pace = _Pace(self._listener, len(texts))
        stored = np.empty((len(texts), self._width), dtype=STORED)
        beyond = self._fill(texts, stored, pace)
        pace.finish()
        self._tell_beyond(beyond, len(texts))
        return unit(stored)

    def spill(self, pieces: Iterable[Sequence[str]]) -> Stored:
        """The vectors of more texts than fit into memory, one piece of them after another.

        Returns:
            Shape (n, width), float16, mapped from a file that goes when the array goes; unit length but for rounding.
        """
        rows = beyond = 0
        pace = _Pace(self._listener)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Not the system's temporary folder: that may itself be memory.
        with tempfile.TemporaryFile(dir=self._folder) as file:
            for texts in pieces:
                stored = np.empty((len(texts), self._width), dtype=STORED)
                beyond += self._fill(texts, stored, pace)
                with disk_guard(self._folder):
                    file.write(stored.tobytes())
                    file.flush()
                rows += len(texts)
            pace.finish()
            self._tell_beyond(beyond, rows)
            if not rows:
                return np.empty((0, self._width), dtype=STORED)
            return np.memmap(file, dtype=STORED, mode="r", shape=(rows, self._width))

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder.load(self._files)

    def _fill(self, texts: Sequence[str], stored: Stored, pace: _Pace) -> int:
        """Fills in each text's vector; gives how many texts were too long."""
        keys = [_key(text) for text in texts]
        known = self._file.find(keys)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        pace.add(len(texts) - len(new))
        # Texts of like length together: less padding, so less work; the longest come last.
        order = sorted(new, key=lambda key: len(new[key]))
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            chosen = order[start : start + _TEXTS_AT_ONCE]
            batch = [new[key] for key in chosen]
            vectors = self._encoder.encode(batch).astype(STORED)
            computed = dict(zip(chosen, zip(vectors, self._encoder.beyond(batch), strict=True), strict=True))
            self._file.add(computed)
            known |= computed
            pace.add(len(chosen), shown=len(new) >= _WORTH_TELLING)
        for row, key in enumerate(keys):
            stored[row] = known[key][0]
        return sum(known[key][1] for key in keys)

    def _tell_beyond(self, beyond: int, total: int) -> None:
        if beyond:
            self._listener(
                Message(
                    f"{beyond:,} of {total:,} texts are longer than {self.name} reads ({self._files.context_length} "
                    "tokens): their vectors say what their beginnings mean.",
                    level="warning",
                )
            )


@dataclass
class _Pace:
    """How far the texts of one call are; heard of only where it takes a while. `total` 0 means unknown."""

    listener: Listener
    total: int = 0
    done: int = 0
    shown: bool = False

    def add(self, texts: int, *, shown: bool = False) -> None:
        self.done += texts
        if shown:
            self.shown = True
            self.listener(Stage(STAGE, "progress", done=self.done, total=self.total, unit="texts"))

    def finish(self) -> None:
        if self.shown:
            self.listener(Stage(STAGE, "finished", done=self.done, total=self.done, unit="texts"))


def _key(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).hexdigest()
