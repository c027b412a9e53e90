"""Examples in tokens: rendered once, kept on disk, read through memory maps."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.base import events
from tunewright.base.errors import DataError, collect
from tunewright.base.files import atomic_directory, hash_value, read_json, write_json
from tunewright.data.attempts import Attempt
from tunewright.data.balance import Balance, balance_of
from tunewright.data.dataset import GENERAL, Dataset, Part
from tunewright.data.example import Example
from tunewright.data.fitting import TooLong, fit
from tunewright.data.rendering import rendered
from tunewright.models.chat import ChatFormat, Rendered
from tunewright.models.class_format import ClassFormat
from tunewright.models.text_format import TextFormat
from tunewright.recipe.schema import Recipe

LEARNED: tuple[Part, ...] = ("train", "validation")
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
        attempts: Answers that a model drew behind its `prompt`, for objectives that learn from such.
    """

    tokens: NDArray[np.int32]
    weights: NDArray[np.float32]
    rejected: TokenRow | None = None
    targets: NDArray[np.int32] | None = None
    types: NDArray[np.int32] | None = None
    classes: tuple[str, ...] = ()
    both_ways: bool = False
    attempts: tuple[Attempt, ...] = ()

    @property
    def prompt(self) -> NDArray[np.int32]:
        """The tokens in front of its last answer that is learned: what a model reads before it answers."""
        learned = self.weights != 0
        starts = np.flatnonzero(learned & ~np.concatenate([[False], learned[:-1]]))
        return self.tokens[: starts[-1]] if len(starts) else self.tokens

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


@dataclass(frozen=True, slots=True)
class Fitting:
    """What was done to rows longer than the limit, but for those left out.

    Args:
        truncated: Rows that were cut, with their lengths before.
        split: Rows that became several, with the number of rows they became.
        lost: Cut rows that lost tokens which should have been learned, with the number of those.
    """

    truncated: dict[str, int] = field(default_factory=dict)
    split: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenTable:
    """The tokens of many examples, one after another.

    Args:
        folder: Where the arrays lie.
        ids: The examples' ids, in order; a piece of a split one has `#2`, `#3`, … behind it.
        starts: Where each example begins, shape (n + 1,).
        too_long: Ids of the examples left out because they are longer than the limit, with their lengths.
        rejected: The rejected answers with their prompts, an empty sequence for an example without one; None if no
            example has one.
        learned_classes: Where the rows have classes to be learned; None where tokens are.
        fitting: What was done to other examples over the limit.
        balance: How often an epoch sees each, and how much it weighs, where that differs.
    """

    folder: Path
    ids: Sequence[str]
    starts: NDArray[np.int64]
    too_long: dict[str, int]
    _tokens: NDArray[np.int32]
    _weights: NDArray[np.float32]
    rejected: Sequences | None = None
    learned_classes: Classes | None = None
    fitting: Fitting = field(default_factory=Fitting)
    balance: Balance | None = None

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

    @property
    def sequences(self) -> tuple[Sequences, ...]:
        """The rows' own tokens and, where there are such, those with rejected answers."""
        own = Sequences(self.starts, self._tokens, self._weights)
        return (own,) if self.rejected is None else (own, self.rejected)

    def let_go(self) -> None:
        """What was read of the files is no longer held in memory, and is read again when it is needed."""
        held: list[NDArray[Any]] = [numbers for each in self.sequences for numbers in (each.tokens, each.weights)]
        if self.learned_classes is not None:
            held += [self.learned_classes.targets, self.learned_classes.types]
        for numbers in held:
            mapped = getattr(numbers, "_mmap", None)
            if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)

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
    too_long: TooLong = "drop",
    listener: events.Listener = events.ignore,
) -> TokenTable:
    """Renders and tokenises examples, or finds them in the cache.

    Memory does not grow with the number of examples. Progress is a stage "tokenise", counted in rows.

    Args:
        key: What names the examples' content, such as the dataset's hash and the split.
        cache: The workspace's cache; `tokens/` below it is safe to delete.
        max_length: Longest example, in tokens; where it has a rejected answer, with either.
        too_long: What to do with longer ones (`data/fitting.py`): leave them out and list them, cut or split them, or
            refuse.

    Raises:
        DataError: If a longer example is refused, or the model's chat template refuses one.
    """
    # What is left out is the same whether that is an error or not.
    policy: TooLong = "drop" if too_long == "error" else too_long
    if policy != "drop" and isinstance(chat, ClassFormat):
        raise DataError(
            "Rows of which a class is learned are not cut: the class may depend on what would go",
            where="data.too_long",
            hint="Set it to drop or error, raise data.max_length, or shorten the rows.",
        )
    if policy == "split" and isinstance(chat, TextFormat):
        raise DataError(
            "A row of source and answer cannot be split: the pieces behind the first would have no source",
            where="data.too_long",
            hint="Set it to drop, truncate_left (cuts the source) or truncate_right (cuts the answer).",
        )
    folder = cache / "tokens" / hash_value([key, chat.fingerprint, max_length, policy])[:32]
    if not (folder / "table.json").exists():
        with atomic_directory(folder) as temporary:
            _write(examples, chat, temporary, max_length, policy, listener)
    table = open_table(folder)
    if table.too_long and too_long == "error":
        faults = [f"row {row}: {length:,} tokens" for row, length in table.too_long.items()]
        raise DataError(
            f"{len(faults):,} rows are longer than {max_length} tokens\n{collect(faults)}\n",
            where="data.max_length",
            hint="Raise data.max_length, shorten the rows, or set data.too_long: drop, truncate_left, truncate_right "
            "or split.",
        )
    return table


def tokenize_parts(
    dataset: Dataset, recipe: Recipe, chat: ChatFormat, *, cache: Path, listener: events.Listener = events.ignore
) -> dict[str, TokenTable]:
    """The tokens of what training uses: `train`, `validation` and, where the recipe names general rows, `general`.

    Args:
        dataset: The prepared rows.
        recipe: Its `data` is read.
        chat: What renders them.
        cache: Where tables are kept; see `tokenize`.
        listener: Hears a stage "tokenise PART" for each.

    Raises:
        DataError: As `tokenize`.
    """
    if dataset.answer_kind == "document":
        return _blocks(dataset, recipe, chat, cache, listener)
    parts: dict[str, Iterable[Example]] = {part: dataset.each(part) for part in LEARNED}
    if general := dataset.general():
        parts[GENERAL] = general
    tables = {
        part: tokenize(
            examples,
            chat,
            key=f"{dataset.hash}/{part}",
            cache=cache,
            max_length=recipe.data.max_length,
            too_long=recipe.data.too_long,
            listener=events.renamed(listener, {"tokenise": f"tokenise {part}"}),
        )
        for part, examples in parts.items()
    }
    own = tables["train"]
    return tables | {"train": replace(own, balance=balance_of(dataset, recipe.data, own.ids, own.classes))}


def _blocks(
    dataset: Dataset, recipe: Recipe, chat: ChatFormat, cache: Path, listener: events.Listener
) -> dict[str, TokenTable]:
    from tunewright.data.blocks import tokenize_documents

    return {
        part: tokenize_documents(
            dataset.sections(part),
            chat,
            key=f"{dataset.hash}/{part}",
            cache=cache,
            max_length=recipe.data.max_length,
            packed=bool(recipe.train.objective.packed),
            listener=events.renamed(listener, {"tokenise": f"tokenise {part}"}),
        )
        for part in LEARNED
    }


def _write(
    examples: Iterable[Example],
    chat: ChatFormat,
    folder: Path,
    max_length: int,
    too_long: TooLong,
    listener: events.Listener,
) -> None:
    ids: list[str] = []
    left_out: dict[str, int] = {}
    fitting = Fitting()
    with Writer(folder) as answers, Writer(folder, _REJECTED) as rejected:
        for done, (example, own, other) in enumerate(rendered(examples, chat), start=1):
            fitted = fit(example, chat, max_length, too_long, (own, other))
            if fitted.change == "dropped":
                left_out[example.id] = fitted.length
            elif fitted.change == "truncated":
                fitting.truncated[example.id] = fitted.length
            elif fitted.change == "split":
                fitting.split[example.id] = len(fitted.rows)
            if fitted.lost:
                fitting.lost[example.id] = fitted.lost
            for row_id, *kept in fitted.rows:
                ids.append(row_id)
                answers.append(kept[0])
                rejected.append(kept[1])
            if done % _REPORT_EVERY == 0:
                listener(events.Stage("tokenise", "progress", done, 0, "rows"))
    if not rejected.total:
        for file in folder.glob(f"{_REJECTED}*"):
            file.unlink()
    told = {"classes": chat.classes, "both_ways": chat.both_ways} if isinstance(chat, ClassFormat) else {}
    write_json(folder / "table.json", {"ids": ids, "too_long": left_out, "fitting": asdict(fitting), **told})


class Writer:
    """Appends sequences to a folder's arrays.

    Args:
        folder: Where they go.
        prefix: In front of the arrays' names.
    """

    def __init__(self, folder: Path, prefix: str = "") -> None:
        # Eight bytes a sequence, where a list would take five times as much.
        self._starts, self._place = array("q", [0]), folder / f"{prefix}starts.npy"
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
        """Adds one sequence."""
        # Lists become arrays of Python's own: numpy takes several times as long over short ones.
        self._tokens.write(array("i", rendered.tokens))
        self._weights.write(array("f", rendered.learned))
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


def open_table(folder: Path) -> TokenTable:
    """The table that was written into a folder."""
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
        Fitting(**table["fitting"]),
    )


def _sequences(folder: Path, prefix: str) -> Sequences:
    starts = np.load(folder / f"{prefix}starts.npy")
    total = int(starts[-1])
    tokens = _mapped(folder / f"{prefix}tokens.bin", np.int32, total)
    return Sequences(starts, tokens, _mapped(folder / f"{prefix}weights.bin", np.float32, total))


def _mapped(file: Path, dtype: type[Any], total: int) -> NDArray[Any]:
    """A file's numbers; an empty file cannot be mapped."""
    return np.memmap(file, dtype, "r") if total else np.empty(0, dtype)
