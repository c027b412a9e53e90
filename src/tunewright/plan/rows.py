"""The tokens of a recipe's rows: taken from the workspace where they are there, made where that is quick."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import WorkspaceError
from tunewright.base.events import Event, Listener, Message, ignore
from tunewright.base.files import hash_folder
from tunewright.base.quiet import quiet
from tunewright.plan.bases import base_at_hand
from tunewright.recipe import Recipe
from tunewright.recipe.augment import Augment

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.data.tokens import TokenTable
    from tunewright.models.chat import ChatFormat
    from tunewright.models.files import BaseFiles
    from tunewright.store import Stored, Workspace

# Sources up to this size are read, cleaned and tokenised for a plan: some seconds.
QUICK_BYTES = 16 << 20
_START_BYTES = 1 << 20
_LINES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Found:
    """A recipe's rows.

    Args:
        tables: Their tokens by part; empty where they are not known.
        note: How they were found, or why they were not, in a sentence.
        rows: About how many there are to learn from, where only that is known; 0: not even that.
        dataset: The prepared rows that the tokens are of.
        chat: What rendered them.
    """

    note: str
    tables: dict[str, TokenTable] = field(default_factory=dict)
    rows: int = 0
    dataset: Dataset | None = None
    chat: ChatFormat | None = None


@contextlib.contextmanager
def find_rows(
    recipe: Recipe,
    workspace: Workspace | None,
    cache: Path | None,
    listener: Listener = ignore,
    *,
    dataset: Dataset | None = None,
) -> Iterator[Found]:
    """Yields the tokens of a recipe's rows, or why they are not known. Leaves no artifact behind.

    Args:
        recipe: Its `data`, `base` and `seed` are read.
        workspace: Where prepared rows may lie; None where there is none.
        cache: Where base models and tokens may lie; None where there is no such place.
        listener: Hears how far reading and tokenising are.
        dataset: The prepared rows, where they are known already.
    Raises:
        DataError: If the rows are wrong.
    """
    from tunewright.data.readers import find_files

    files = base_at_hand(recipe.base, cache)
    sources = [*recipe.data.train, *recipe.data.validation, *recipe.data.test]
    elsewhere = any(source.is_elsewhere for source in (*sources, *recipe.forgetting.data))
    stored = [file for source in sources if not source.is_elsewhere for file in find_files(source)]
    if files is None:
        yield Found("the base model is not on this machine, and so the rows' tokens are not known", rows=_count(recipe))
        return
    with TemporaryDirectory(prefix="tunewright-plan-") as folder, quiet():
        if dataset is None and workspace:
            dataset = _prepared(recipe, workspace)
        note = "the rows as they were prepared before"
        if dataset is None:
            if elsewhere:
                yield Found("the rows lie elsewhere, and are not collected yet (tunewright data prepare)")
                return
            size = sum(file.stat().st_size for file in stored)
            if size > QUICK_BYTES:
                told = f"the rows are not prepared yet, and {size / 1e6:,.0f} MB are too many to do so for a plan"
                yield Found(f"{told} (tunewright data prepare)", rows=_count(recipe))
                return
            dataset, note = _prepare(recipe, Path(folder), workspace, cache, listener), "the rows, read for this plan"
            if recipe.data.augment.by:
                note += ", without those that augmenting would add"
        chat = _chat(recipe, dataset, files)
        tables = _tokens(recipe, dataset, chat, cache or Path(folder), listener)
        yield Found(note, tables=tables, dataset=dataset, chat=chat)


def _chat(recipe: Recipe, dataset: Dataset, files: BaseFiles) -> ChatFormat:
    from tunewright.models.base import chat_format
    from tunewright.models.class_format import with_classes
    from tunewright.models.families import check_family, head_of

    objective = recipe.train.objective
    check_family(files.kind, objective, recipe.method)
    return with_classes(chat_format(files), head_of(objective), dataset.labels)


def _tokens(
    recipe: Recipe, dataset: Dataset, chat: ChatFormat, cache: Path, listener: Listener
) -> dict[str, TokenTable]:
    from tunewright.data.tokens import tokenize_parts

    tables = tokenize_parts(dataset, recipe, chat, cache=cache, listener=listener)
    return {part: table for part, table in tables.items() if len(table) or part == "train"}


def _prepared(recipe: Recipe, workspace: Workspace) -> Dataset | None:
    """The dataset that the newest run with the same data and seed prepared; None where there is none."""
    from tunewright.data.dataset import Dataset

    asked = recipe.model_dump(mode="json")
    for run in workspace.runs(name=recipe.name):
        done = run.manifest.get("stages", {}).get("prepare")
        if done and all(run.recipe.get(key) == asked[key] for key in ("data", "seed", "forgetting")):
            with contextlib.suppress(WorkspaceError):  # taken away since, or damaged: made anew
                return Dataset.open(workspace.artifact(done["dataset"], "dataset"))
    return None


@dataclass(frozen=True, slots=True)
class _Payload:
    """A dataset outside any workspace."""

    hash: str
    path: Path
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Folder:
    """Takes a dataset as a workspace does, and under the same hash, into a folder of its own."""

    path: Path
    workspace: Workspace | None

    def put(
        self,
        kind: str,
        fill: Callable[[Path], object],
        *,
        manifest: Mapping[str, Any],
        parents: Sequence[str] = (),
        producer: str = "",
    ) -> _Payload:
        folder = self.path / kind
        folder.mkdir()
        fill(folder)
        return _Payload(hash_folder(folder), folder, dict(manifest))

    def artifact(self, hash_or_prefix: str, kind: str | None = None) -> Stored:
        if self.workspace is None:
            raise WorkspaceError(
                f"There is no workspace that holds the dataset {hash_or_prefix}", where="data.parts_of"
            )
        return self.workspace.artifact(hash_or_prefix, kind)

    def artifacts(self, kind: str | None = None) -> list[Stored]:
        return [] if self.workspace is None else self.workspace.artifacts(kind)


def _prepare(
    recipe: Recipe, folder: Path, workspace: Workspace | None, cache: Path | None, listener: Listener
) -> Dataset:
    from tunewright.data.prepare import prepare

    def hear(event: Event) -> None:
        if not isinstance(event, Message):  # what is wrong with single rows is for `data prepare` to tell
            listener(event)

    # Augmenting may ask an endpoint, and a plan asks nobody.
    data = recipe.data.model_copy(update={"augment": Augment()})
    return prepare(recipe.model_copy(update={"data": data}), _Folder(folder, workspace), listener=hear, cache=cache)


def _count(recipe: Recipe) -> int:
    """About how many rows there are to learn from, by the lines of the files; 0 where that says nothing."""
    rows = 0
    for file in (file for source in recipe.data.train for file in source.files()):
        if file.suffix == ".parquet":
            import polars as pl

            rows += int(pl.scan_parquet(file).select(pl.len()).collect().item())
        elif file.suffix in _LINES:
            with file.open("rb") as stream:
                start = stream.read(_START_BYTES)
            rows += round(file.stat().st_size * start.count(b"\n") / max(1, len(start)))
        else:
            return 0
    split = recipe.data.split
    given = {"validation": recipe.data.validation, "test": recipe.data.test}
    held: list[float] = [getattr(split, part) for part, sources in given.items() if not sources]
    taken = sum(int(share) if share >= 1 else round(share * rows) for share in held)
    return max(0, rows - taken)
