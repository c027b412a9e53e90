"""Examples in tokens: rendered once, kept on disk, read through memory maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.base import events
from tunewright.base.errors import DataError, collect
from tunewright.base.files import atomic_directory, hash_value, read_json, write_json
from tunewright.data.example import Example
from tunewright.models.chat import ChatFormat, Rendered
from tunewright.models.class_format import ClassFormat

_REPORT_EVERY = 500
_REJECTED = "rejected_"  # in front of the names of the rejected answers' files


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One example in tokens.

    Args:
        tokens: Token ids, shape (T,).
        weights: Weight of learning each of them, shape (T,).
        rejected: The same prompt with an answer that was found worse; None where the example has none.
        targets: Where classes are learned: the class of each token, shape (T,); the weights are then theirs.
        types: Which text of a pair each token belongs to, shape (T,), where the model is told so.
        classes: What is told apart; empty where tokens are learned.
        both_ways: Whether the model reads the row as a whole.
    """

    tokens: NDArray[np.int32]
    weights: NDArray[np.float32]
    rejected: TokenRow | None = None
    targets: NDArray[np.int32] | None = None
    types: NDArray[np.int32] | None = None
    classes: tuple[str, ...] = ()
    both_ways: bool = False

    @property
    def sequences(self) -> tuple[TokenRow, ...]:
        """The row itself and, where there is one, its rejected counterpart."""
        return (self,) if self.rejected is None else (self, self.rejected)


@dataclass(frozen=True, slots=True)
class Sequences:
    """Token sequences of any lengths, one after another.

    Args:
        starts: Where each begins, shape (n + 1,).
        tokens: All token ids.
        weights: Their weights.
    """

    starts: NDArray[np.int64]
    tokens: NDArray[np.int32]
    weights: NDArray[np.float32]

    def row(self, index: int) -> TokenRow:
        """One of them."""
        inside = slice(self.starts[index], self.starts[index + 1])
        return TokenRow(self.tokens[inside], self.weights[inside])


@dataclass(frozen=True, slots=True)
class Classes:
    """What rows of tokens are to be told apart by.

    Args:
        names: The classes.
        both_ways: Whether the model reads a row as a whole.
        targets: The class of each token of all rows, one after another; any where the token's weight is 0.
        types: Which text of a pair each belongs to.
    """

    names: tuple[str, ...]
    both_ways: bool
    targets: NDArray[np.int32]
    types: NDArray[np.int32]


@dataclass(frozen=True)
class TokenTable:
    """The tokens of many examples, one after another.

    Args:
        folder: Where the arrays lie.
        ids: The examples' ids, in order.
        starts: Where each example begins, shape (n + 1,).
        too_long: Ids of the examples left out because they are longer than the limit, with their lengths.
        rejected: The rejected answers with their prompts, an empty sequence for an example without one; None if no
            example has one.
        learned_classes: Where the rows have classes to be learned; None where tokens are.
    """

    folder: Path
    ids: tuple[str, ...]
    starts: NDArray[np.int64]
    too_long: dict[str, int]
    _tokens: NDArray[np.int32]
    _weights: NDArray[np.float32]
    rejected: Sequences | None = None
    learned_classes: Classes | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, index: int) -> TokenRow:
        """One example, with its rejected answer where it has one, and its classes where it has such."""
        if (found := self.learned_classes) is not None:
            inside = slice(self.starts[index], self.starts[index + 1])
            return TokenRow(
                self.tokens(index),
                self.weights(index),
                targets=found.targets[inside],
                types=found.types[inside] if found.types[inside].any() else None,
                classes=found.names,
                both_ways=found.both_ways,
            )
        rejected = self.rejected.row(index) if self.rejected else None
        has_rejected = rejected is not None and len(rejected.tokens) > 0
        return TokenRow(self.tokens(index), self.weights(index), rejected if has_rejected else None)

    @property
    def classes(self) -> tuple[str, ...]:
        """What the rows are told apart by; empty where tokens are learned."""
        return self.learned_classes.names if self.learned_classes else ()

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, with the longer of its answers, shape (n,)."""
        own: NDArray[np.int64] = np.diff(self.starts)
        return own if self.rejected is None else np.maximum(own, np.diff(self.rejected.starts))

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
        max_length: Longest example, in tokens; where it has a rejected answer, with either.
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
    too_long: dict[str, int] = {}
    with _Writer(folder, "") as answers, _Writer(folder, _REJECTED) as rejected:
        for done, example in enumerate(examples, start=1):
            rendered = chat.render(example.messages)
            other = chat.render(example.rejected_messages) if example.rejected is not None else Rendered([], [])
            length = max(len(rendered.tokens), len(other.tokens))
            if length > max_length:
                too_long[example.id] = length
            else:
                answers.append(rendered)
                rejected.append(other)
                ids.append(example.id)
            if done % _REPORT_EVERY == 0:
                listener(events.Stage("tokenise", "progress", done, 0, "rows"))
    if not rejected.total:
        for file in folder.glob(f"{_REJECTED}*"):
            file.unlink()
    told = {"classes": chat.classes, "both_ways": chat.both_ways} if isinstance(chat, ClassFormat) else {}
    write_json(folder / "table.json", {"ids": ids, "too_long": too_long, **told})


class _Writer:
    """Appends sequences to a folder's arrays."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._starts, self._place = [0], folder / f"{prefix}starts.npy"
        self._tokens = (folder / f"{prefix}tokens.bin").open("wb")
        self._weights = (folder / f"{prefix}weights.bin").open("wb")
        self._of_classes = [(folder / f"{prefix}{name}.bin").open("wb") for name in ("targets", "types")]

    def __enter__(self) -> Self:
        return self

    @property
    def total(self) -> int:
        """Tokens of all sequences so far."""
        return self._starts[-1]

    def append(self, rendered: Rendered) -> None:
        self._tokens.write(np.array(rendered.tokens, dtype=np.int32).tobytes())
        self._weights.write(np.array(rendered.learned, dtype=np.float32).tobytes())
        if rendered.targets:
            types = rendered.types or [0] * len(rendered.tokens)
            for file, numbers in zip(self._of_classes, (rendered.targets, types), strict=True):
                file.write(np.array(numbers, dtype=np.int32).tobytes())
        self._starts.append(self.total + len(rendered.tokens))

    def __exit__(self, *error: object) -> None:
        for file in (self._tokens, self._weights, *self._of_classes):
            file.close()
        for file in self._of_classes:
            if not Path(file.name).stat().st_size:
                Path(file.name).unlink()
        np.save(self._place, np.array(self._starts, dtype=np.int64))


def _open(folder: Path) -> TokenTable:
    table = read_json(folder / "table.json")
    answers = _sequences(folder, "")
    total = int(answers.starts[-1])
    classes = None
    if "classes" in table:
        targets, types = (_mapped(folder / f"{name}.bin", np.int32, total) for name in ("targets", "types"))
        classes = Classes(tuple(table["classes"]), bool(table["both_ways"]), targets, types)
    has_rejected = (folder / f"{_REJECTED}starts.npy").exists()
    return TokenTable(
        folder,
        tuple(table["ids"]),
        answers.starts,
        table["too_long"],
        answers.tokens,
        answers.weights,
        _sequences(folder, _REJECTED) if has_rejected else None,
        classes,
    )


def _sequences(folder: Path, prefix: str) -> Sequences:
    starts = np.load(folder / f"{prefix}starts.npy")
    total = int(starts[-1])
    tokens = _mapped(folder / f"{prefix}tokens.bin", np.int32, total)
    return Sequences(starts, tokens, _mapped(folder / f"{prefix}weights.bin", np.float32, total))


def _mapped(file: Path, dtype: type[Any], total: int) -> NDArray[Any]:
    """A file's numbers; an empty file cannot be mapped."""
    return np.memmap(file, dtype, "r") if total else np.empty(0, dtype)
