"""Inspecting what a user names: a data file, a recipe, or a prepared dataset. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError, WorkspaceError
from tunewright.base.events import Event, Listener, Message, ignore
from tunewright.base.files import hash_folder, write_text
from tunewright.base.quiet import quiet
from tunewright.recipe import Recipe, load_recipe
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.data.preflight import Preflight
    from tunewright.data.quality.report import Report
    from tunewright.data.quality.view import View
    from tunewright.recipe.schema import Source

_RECIPES = (".yaml", ".yml")
_WHERE = "data inspect"


def inspect(
    target: str,
    *,
    against: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
    workspace: Workspace | None = None,
    listener: Listener = ignore,
) -> Report:
    """Asks all inspections about some data.

    Args:
        target: A data file or a glob; a recipe, whose files are looked at as they stand, its validation and test files
            as held-out ones; or a prepared dataset, by its folder or its hash.
        against: Files with held-out rows; `NAME=PATH` gives one a name.
        benchmarks: Files with rows of benchmarks, `NAME=PATH`.
        recipe: For a file or a dataset: the recipe that says how rows are laid out, and which model reads them.
        overrides: `a.b=value` each, for the recipe.
        only: The inspections wanted; none: all.
        settings: `NAME.FIELD=VALUE` each: of single inspections.
        workspace: Where prepared datasets and models lie; None where there is no workspace.
        listener: Hears how far it is.

    Raises:
        InputError: If a file, column, recipe, dataset or inspection is not there or cannot be used.
    """
    from tunewright.data.quality.report import inspect as ask
    from tunewright.data.quality.report import read_settings

    chosen = read_settings(settings)
    with quiet():
        view = _view(target, against, benchmarks, recipe, overrides, workspace, listener)
        return ask(view, path=target, only=only, settings=chosen)


def write_page(report: Report, path: Path) -> None:
    """Writes a report as one HTML page that needs no other file."""
    from tunewright.lifecycle.report.inspection import render_inspection

    write_text(path, render_inspection(report))


def _view(
    target: str,
    against: Sequence[str],
    benchmarks: Sequence[str],
    recipe: Path | None,
    overrides: Sequence[str],
    workspace: Workspace | None,
    listener: Listener,
) -> View:
    from tunewright.data.collect import collect
    from tunewright.data.quality.viewing import named_sources, view_of_dataset, view_of_files
    from tunewright.plan.bases import models_cache

    is_recipe = Path(target).suffix.lower() in _RECIPES
    if is_recipe and recipe is not None:
        raise InputError("Two recipes are named", where=_WHERE, hint="Leave --recipe out, or name a data file.")
    if overrides and not is_recipe and recipe is None:
        raise InputError("--set changes a recipe, and none is named", where=_WHERE, hint="Name one with --recipe.")
    named = Path(target) if is_recipe else recipe
    loaded = load_recipe(named, overrides) if named else None
    if loaded and workspace:
        loaded = collect(loaded, cache=workspace.cache, listener=listener)
    held = named_sources(against, option="--against")
    told: dict[str, Any] = {
        "benchmarks": named_sources(benchmarks, option="--benchmark"),
        "cache": models_cache(workspace),
        "listener": listener,
    }
    dataset = None if is_recipe else find_dataset(target, workspace)
    if dataset is not None:
        look = _looker(loaded, dataset, workspace, listener) if loaded else None
        return view_of_dataset(dataset, held_out=held, recipe=loaded, preflight=look, **told)
    sources: Sequence[Source] = (
        loaded.data.train if loaded and is_recipe else _only(named_sources([target], option="PATH"))
    )
    if loaded:
        data = loaded.data.model_copy(update={"train": tuple(sources)})
        loaded = loaded.model_copy(update={"data": data})
        own = {name: list(given) for name, given in (("validation", data.validation), ("test", data.test)) if given}
        held = {**own, **held}
    look = _looker(loaded, None, workspace, listener) if loaded else None
    return view_of_files(sources, held_out=held, recipe=loaded, preflight=look, **told)


def _only(sources: Mapping[str, list[Source]]) -> list[Source]:
    return next(iter(sources.values()))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A dataset that lies in a folder of its own, outside of any workspace."""

    hash: str
    path: Path
    manifest: dict[str, Any]


def find_dataset(target: str, workspace: Workspace | None) -> Dataset | None:
    """The prepared dataset that a folder or a hash names; None where the target is a file, a glob or another folder.

    Raises:
        WorkspaceError: If it looks like a hash, is no file, and no dataset begins like it.
    """
    from tunewright.data.dataset import MANIFEST, Dataset

    path = Path(target)
    if (path / MANIFEST).is_file():
        return Dataset.open(_Folder(hash_folder(path), path, {}))
    is_hash = len(target) >= 4 and all(letter in "0123456789abcdef" for letter in target)
    if path.exists() or not is_hash:
        return None
    if workspace is None:
        raise WorkspaceError(
            "This is no file, and there is no workspace that could hold a dataset of this hash",
            where=target,
            hint="Check the path, or name the workspace with --workspace.",
        )
    return Dataset.open(workspace.artifact(target, "dataset"))


def _looker(
    recipe: Recipe, dataset: Dataset | None, workspace: Workspace | None, listener: Listener
) -> Callable[[], Preflight]:
    """What gives the look before training when an inspection asks for it."""

    def look() -> Preflight:
        from tunewright.data.preflight import preflight
        from tunewright.plan.bases import models_cache
        from tunewright.plan.rows import find_rows

        def hear(event: Event) -> None:
            if not isinstance(event, Message):
                listener(event)

        # A leak is for another inspection to tell; it must not keep this one from looking.
        told = {"leakage": "report", "challenger": ()} if recipe.data.leakage != "drop" else {}
        data = recipe.data.model_copy(update=told)
        asked = recipe.model_copy(update={"data": data})
        with find_rows(asked, workspace, models_cache(workspace), hear, dataset=dataset) as found:
            if found.dataset is None or found.chat is None:
                raise InputError(
                    found.note[:1].upper() + found.note[1:],
                    where=f"base: {recipe.base}",
                    hint=f"Fetch it with: tunewright models pull {recipe.base}.",
                )
            return preflight(found.dataset, found.tables, found.chat, asked)

    return look
