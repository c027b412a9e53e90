"""The view of what a user names: files with held-out files and benchmarks, or a prepared dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, ignore
from tunewright.data.dataset import Dataset, Part
from tunewright.data.quality.reading import (
    choose_shape,
    kind_of,
    read_dataset,
    read_sources,
    shape_of_others,
    without_constant,
)
from tunewright.data.quality.view import Rows, View
from tunewright.data.readers import find_files, short_names
from tunewright.recipe.schema import Recipe, Source


def view_of_files(
    data: Sequence[Source],
    *,
    held_out: Mapping[str, Sequence[Source]],
    benchmarks: Mapping[str, Sequence[Source]],
    recipe: Recipe | None = None,
    listener: Listener = ignore,
    **settings: Any,
) -> View:
    """The rows of files as they stand there.

    Args:
        data: The rows to learn from.
        held_out: Rows to measure with, by what to call them.
        benchmarks: Rows of benchmarks, by name.
        recipe: Says how rows are laid out; None: found out.
        listener: Hears how many rows were read, and later how far inspections are.
        settings: Further fields of `View`.

    Raises:
        DataError: If a file is missing or unreadable, or its rows are not of the layout.
    """
    shape, seed = choose_shape(data, recipe), recipe.seed if recipe else View.seed
    names = _names([data, *held_out.values(), *benchmarks.values()])
    called = ", ".join(names[file] for source in data for file in find_files(source))
    rows = read_sources(data, shape, name=called, names=names, seed=seed, listener=listener)
    measured, compared = (
        [
            read_sources(
                sources,
                shape_of_others(sources, shape),
                name=_called(name, sources, names),
                names=names,
                seed=seed,
                listener=listener,
            )
            for name, sources in given.items()
        ]
        for given in (held_out, benchmarks)
    )
    declared = recipe.data.answer if recipe else "auto"
    told: dict[str, Any] = {"format": shape.name, "recipe": recipe, "seed": seed, "listener": listener}
    told["pairs"] = bool(getattr(shape, "pairs", False))
    return _view(rows, measured, compared, declared=declared, **told, **settings)


def view_of_dataset(
    dataset: Dataset,
    *,
    held_out: Mapping[str, Sequence[Source]],
    benchmarks: Mapping[str, Sequence[Source]],
    recipe: Recipe | None = None,
    listener: Listener = ignore,
    **settings: Any,
) -> View:
    """The rows of a prepared dataset, its validation and test rows held out; arguments as `view_of_files`."""
    seed = int(dataset.manifest.get("seed", View.seed))
    rows = read_dataset(dataset, "train", name="train", seed=seed, listener=listener)
    parts: tuple[Part, ...] = ("validation", "test")
    own = [
        read_dataset(dataset, part, name=part, seed=seed, listener=listener)
        for part in parts
        if dataset.manifest["splits"][part]
    ]
    names = _names([*held_out.values(), *benchmarks.values()])
    measured, compared = (
        [
            read_sources(
                sources,
                choose_shape(sources),
                name=_called(name, sources, names),
                names=names,
                seed=seed,
                listener=listener,
            )
            for name, sources in given.items()
        ]
        for given in (held_out, benchmarks)
    )
    format = str(dataset.manifest.get("format", "prepared"))
    told: dict[str, Any] = {"format": format, "recipe": recipe, "seed": seed, "listener": listener}
    told["pairs"] = format == "preference" or bool((dataset.manifest.get("template") or {}).get("rejected"))
    return _view(rows, [*own, *measured], compared, declared=dataset.answer_kind, **told, **settings)


def named_sources(paths: Sequence[str], *, option: str) -> dict[str, list[Source]]:
    """Sources by what to call them: `NAME=PATH`, or a path alone, which is called as it is written.

    Raises:
        DataError: If a name is given twice, or a path says too little, such as a database's.
    """
    found: dict[str, list[Source]] = {}
    for given in paths:
        name, equals, path = given.partition("=")
        if not equals or Path(given).exists():
            name, path = given, given
        if name in found:
            raise DataError(f"'{name}' is named twice", where=option, hint="Give each another name: NAME=PATH.")
        try:
            found[name] = [Source.model_validate({"path": path}, context={"folder": str(Path.cwd())})]
        except ValidationError as error:
            raise DataError(
                error.errors()[0]["msg"].removeprefix("Value error, "),
                where=name,
                hint="Say so in a recipe, and name that: tunewright data inspect RECIPE.",
            ) from error
    return found


def _called(name: str, sources: Sequence[Source], names: Mapping[Path, str]) -> str:
    """The name that was given, or, where that is the path itself, those of the files."""
    if len(sources) != 1 or Path(name).absolute() != Path(sources[0].path):
        return name
    return ", ".join(names[file] for file in find_files(sources[0]))


def _names(several: Sequence[Sequence[Source]]) -> dict[Path, str]:
    return short_names([file for sources in several for source in sources for file in find_files(source)])


def _view(data: Rows, held_out: Sequence[Rows], benchmarks: Sequence[Rows], *, declared: str, **fields: Any) -> View:
    telling = without_constant(data)
    constant = set(data.prompt_columns) - set(telling)

    def alike(rows: Rows) -> Rows:
        kept = tuple(name for name in rows.prompt_columns if name not in constant)
        return replace(rows, prompt_columns=kept or rows.prompt_columns)

    data = replace(data, prompt_columns=telling)
    kind = kind_of(data, declared) if data.answer_columns else "document"
    return View(data, tuple(map(alike, held_out)), tuple(map(alike, benchmarks)), kind=kind, **fields)
