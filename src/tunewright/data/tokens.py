"""Examples in tokens: rendered once, kept on disk, read through memory maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from tunewright.base import events
from tunewright.base.errors import DataError, collect
from tunewright.base.files import atomic_directory, hash_value, read_json, write_json
from tunewright.data.example import Example
from tunewright.models.chat import ChatFormat

_REPORT_EVERY = 500


@dataclass(frozen=True)
class TokenTable:
    """The tokens of many examples, one after another.

    Args:
        folder: Where the arrays lie.
        ids: The examples' ids, in order.
        starts: Where each example begins, shape (n + 1,).
        too_long: Ids of the examples left out because they are longer than the limit, with their lengths.
    """

    folder: Path
    ids: tuple[str, ...]
    starts: NDArray[np.int64]
    too_long: dict[str, int]
    _tokens: NDArray[np.int32]
    _weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, shape (n,)."""
        return np.diff(self.starts)

    def tokens(self, index: int) -> NDArray[np.int32]:
        """Token ids of one example, shape (T,)."""
        return self._tokens[self.starts[index] : self.starts[index + 1]]

    def weights(self, index: int) -> NDArray[np.float32]:
        """Weight of learning each of its tokens, shape (T,)."""
        return self._weights[self.starts[index] : self.starts[index + 1]]


def tokenize(
    examples: Iterable[Example],
    chat: ChatFormat,
    *,
    key: str,
    cache: Path,
    max_length: int,
    too_long: Literal["drop", "error"] = "drop",
    listener: events.Listener = events.ignore,
) -> TokenTable:
    """Renders and tokenises examples, or finds them in the cache.

    Memory does not grow with the number of examples. Progress is a stage "tokenise", counted in rows.

    Args:
        key: What names the examples' content, such as the dataset's hash and the split.
        cache: The workspace's cache; `tokens/` below it is safe to delete.
        max_length: Longest example, in tokens.
        too_long: Leave longer ones out, and list them; or refuse.

    Raises:
        DataError: If a longer example is refused.
    """
    folder = cache / "tokens" / hash_value([key, chat.fingerprint, max_length])[:32]
    if not (folder / "table.json").exists():
        with atomic_directory(folder) as temporary:
            _write(examples, chat, temporary, max_length, listener)
    table = _open(folder)
    if table.too_long and too_long == "error":
        faults = [f"row {row}: {length:,} tokens" for row, length in table.too_long.items()]
        raise DataError(
            f"{len(faults):,} rows are longer than {max_length} tokens\n{collect(faults)}\n",
            where="data.max_length",
            hint="Raise data.max_length, shorten the rows, or leave them out with data.too_long: drop.",
        )
    return table


def _write(
    examples: Iterable[Example], chat: ChatFormat, folder: Path, max_length: int, listener: events.Listener
) -> None:
    ids: list[str] = []
    starts = [0]
    too_long: dict[str, int] = {}
    with (folder / "tokens.bin").open("wb") as tokens, (folder / "weights.bin").open("wb") as weights:
        for done, example in enumerate(examples, start=1):
            rendered = chat.render(example.messages)
            length = len(rendered.tokens)
            if length > max_length:
                too_long[example.id] = length
            else:
                _append(tokens, np.array(rendered.tokens, dtype=np.int32))
                _append(weights, np.array(rendered.learned, dtype=np.float32))
                ids.append(example.id)
                starts.append(starts[-1] + length)
            if done % _REPORT_EVERY == 0:
                listener(events.Stage("tokenise", "progress", done, 0, "rows"))
    np.save(folder / "starts.npy", np.array(starts, dtype=np.int64))
    write_json(folder / "table.json", {"ids": ids, "too_long": too_long})


def _append(file: BinaryIO, array: NDArray[np.int32] | NDArray[np.float32]) -> None:
    file.write(array.tobytes())


def _open(folder: Path) -> TokenTable:
    table = read_json(folder / "table.json")
    starts = np.load(folder / "starts.npy")
    total = int(starts[-1])
    # An empty file cannot be mapped.
    tokens = np.memmap(folder / "tokens.bin", np.int32, "r") if total else np.empty(0, np.int32)
    weights = np.memmap(folder / "weights.bin", np.float32, "r") if total else np.empty(0, np.float32)
    return TokenTable(folder, tuple(table["ids"]), starts, table["too_long"], tokens, weights)
