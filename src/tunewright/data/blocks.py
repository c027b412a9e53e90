"""Documents in tokens, cut into blocks: streamed in, kept on disk, read through memory maps."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from tunewright.base import events
from tunewright.base.files import atomic_directory, hash_value, write_json
from tunewright.data.documents import Section
from tunewright.data.tokens import TokenTable, Writer, open_table
from tunewright.models.chat import ChatFormat, Rendered
from tunewright.models.plain_text import PlainText

_REPORT_EVERY = 500
_DOCUMENTS = "documents.npy"


@dataclass(frozen=True)
class BlockNames(Sequence[str]):
    """What blocks are called: by the first document in each, counted from 1, which no list has to hold.

    Args:
        first: For each block the number of that document, shape (n,).
    """

    first: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> BlockNames: ...
    def __getitem__(self, index: int | slice) -> str | BlockNames:
        if isinstance(index, slice):
            return BlockNames(self.first[index])
        return f"block {range(len(self))[index] + 1} (from document {self.first[index]})"


def cut(tokens: Iterable[Sequence[int]], limit: int) -> Iterator[list[int]]:
    """Cuts a document's tokens, which come in portions, into pieces of at most `limit`.

    Each piece but the first begins with the last token of the one before: every token but the document's first is
    predicted in one piece, and none in two. No piece but a document's only one has fewer than two tokens.
    """
    held: list[int] = []
    for portion in tokens:
        held.extend(portion)
        start = 0
        while len(held) - start > limit:
            yield held[start : start + limit]
            start += limit - 1
        held = held[start:]
    yield held


def tokenize_documents(
    sections: Iterable[Section],
    chat: ChatFormat,
    *,
    key: str,
    cache: Path,
    max_length: int,
    packed: bool,
    listener: events.Listener = events.ignore,
) -> TokenTable:
    """Tokenises documents into blocks, or finds them in the cache.

    A document ends with the model's end-of-document token, and begins with its begin token where it has one. All its
    tokens have weight 1 but the first of each piece, which nothing stands before: weight 0 marks where a piece begins.
    Memory does not grow with the number of documents. Progress is a stage "tokenise", counted in documents.

    Args:
        sections: Of documents, one after another.
        chat: Of the model; its `plain` reads the texts.
        key: What names the documents, such as the dataset's hash and the split.
        cache: The workspace's cache.
        max_length: Longest block, in tokens.
        packed: Fill a block with pieces of several documents while they fit whole.
        listener: Hears the progress.
    """
    folder = cache / "tokens" / hash_value([key, chat.fingerprint, max_length, "blocks", packed])[:32]
    if not (folder / "table.json").exists():
        with atomic_directory(folder) as temporary:
            _write(sections, chat.plain, temporary, max_length, packed=packed, listener=listener)
    return dataclasses.replace(open_table(folder), ids=BlockNames(np.load(folder / _DOCUMENTS, mmap_mode="r")))


def _write(
    sections: Iterable[Section], plain: PlainText, folder: Path, limit: int, *, packed: bool, listener: events.Listener
) -> None:
    first = array("q")
    block = Rendered([], [])
    with Writer(folder) as writer:
        for number, (_, parts) in enumerate(groupby(sections, key=lambda section: section.document), 1):
            tokens = chain([plain.begin], (plain.tokens(part.text) for part in parts), [[plain.end]])
            for piece in cut(tokens, limit):
                if block.tokens and not (packed and len(block.tokens) + len(piece) <= limit):
                    writer.append(block)
                    block = Rendered([], [])
                if not block.tokens:
                    first.append(number)
                block.tokens.extend(piece)
                block.learned.extend([0.0, *[1.0] * (len(piece) - 1)])
            if number % _REPORT_EVERY == 0:
                listener(events.Stage("tokenise", "progress", number, 0, "documents"))
        if block.tokens:
            writer.append(block)
    np.save(folder / _DOCUMENTS, np.array(first, dtype=np.int64))
    write_json(folder / "table.json", {"ids": [], "too_long": {}, "fitting": {}})
