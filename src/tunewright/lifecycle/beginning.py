"""The adapter that a run begins from, where its recipe names one: it learns on, by its own method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import ModelError, RecipeError, UnknownNameError, WorkspaceError, collect
from tunewright.base.files import read_json
from tunewright.base.plugins import METHODS
from tunewright.lifecycle.serving.names import find_served
from tunewright.models.adapters import MANIFEST, other_base
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.models.files import BaseFiles
    from tunewright.store import Run, Stored, Workspace

_RECORD = "adapter"
_AUTO = "auto"


def find_beginning(workspace: Workspace, recipe: Recipe) -> dict[str, Any]:
    """What the manifest of a new run keeps of the adapter that its recipe names: which it is by now, and its method.

    Raises:
        RecipeError: If nothing of that name has an adapter, or the recipe asks for another method than the adapter's.
    """
    if not recipe.adapter:
        return {}
    stored = find_adapter(workspace, recipe.adapter)
    settings = stored.manifest["method"]
    asked = recipe.method.model_dump(mode="json", exclude_unset=True) | {"name": recipe.method.plugin}
    if "method" in recipe.model_fields_set and recipe.method.plugin != _AUTO:
        differing = [
            f"method.{field}: the adapter's is {settings.get(field)!r}, the recipe's {value!r}"
            for field, value in asked.items()
            if settings.get(field) != value
        ]
        if differing:
            raise RecipeError(
                f"The adapter {recipe.adapter} learns on as it is, and the recipe asks for another kind\n"
                f"{collect(differing)}\n",
                where="method",
                hint="Take `method` out of the recipe, or begin with a fresh adapter: take `adapter` out.",
            )
    return {
        _RECORD: {"name": recipe.adapter, "hash": stored.hash},
        "method": {"settings": settings, "reason": f"it is that of the adapter {recipe.adapter}"},
    }


def find_adapter(workspace: Workspace, name: str) -> Stored:
    """The adapter of a release or of a fine-tuned model, or the one with this hash.

    Raises:
        RecipeError: If there is none.
    """
    try:
        served = find_served(workspace, name)
    except (UnknownNameError, ModelError) as error:
        try:
            return workspace.artifact(name, "adapter")
        except WorkspaceError:
            raise RecipeError(
                f"No release, fine-tuned model or adapter is called '{name}'", where="adapter", hint=error.hint
            ) from error
    if not served.adapter:
        raise RecipeError(
            f"'{name}' is a base model, and has no adapter that could learn on",
            where="adapter",
            hint=f"Take `adapter` out, and set base: {served.base}.",
        )
    return workspace.artifact(served.adapter, "adapter")


def adapter_of(run: Run, workspace: Workspace) -> Stored | None:
    """The adapter that a run begins from; None where it begins with a fresh one."""
    kept = run.manifest.get(_RECORD)
    return None if kept is None else workspace.artifact(kept["hash"], "adapter")


def told(run: Run) -> str:
    """What a run begins from, for people; empty where that is a fresh adapter."""
    kept = run.manifest.get(_RECORD)
    if kept is None:
        return ""
    whose = "" if kept["hash"].startswith(kept["name"]) else f" of {kept['name']}"
    return f"the adapter {kept['hash'][:12]}{whose}"


def parents(run: Run, dataset: str) -> list[str]:
    """Hashes of what a run's adapter comes from: its dataset, and the adapter that it began from."""
    kept = run.manifest.get(_RECORD)
    return [dataset, *([kept["hash"]] if kept else [])]


def settled(run: Run, recipe: Recipe) -> Recipe:
    """The recipe with the method that a run's manifest keeps, and with the hash of its adapter in place of the name."""
    return _settled(run.manifest, recipe)


def as_it_trains(recipe: Recipe, workspace: Workspace | None) -> Recipe:
    """The recipe as a run that begins now would have it settled.

    Raises:
        RecipeError: As `find_beginning`; also if it names an adapter, and there is no workspace to have it.
    """
    if recipe.adapter and workspace is None:
        raise RecipeError(
            f"There is no workspace here that could have the adapter '{recipe.adapter}'",
            where="adapter",
            hint="Name the one that has it with --workspace.",
        )
    return recipe if workspace is None else _settled(find_beginning(workspace, recipe), recipe)


def _settled(manifest: Mapping[str, Any], recipe: Recipe) -> Recipe:
    kept = manifest.get("method")
    if kept is None:
        return recipe
    method = METHODS.config(kept["settings"]["name"]).model_validate(kept["settings"])
    begun = manifest.get(_RECORD)
    return recipe.model_copy(update={"method": method, **({"adapter": begun["hash"]} if begun else {})})


def check_base(adapter: Stored, files: BaseFiles) -> None:
    """Refuses an adapter that was trained on another base than a run's.

    Raises:
        RecipeError: Says on which.
    """
    manifest = read_json(adapter.path / MANIFEST)
    if fault := other_base(files, manifest):
        raise RecipeError(
            fault, where="adapter", hint=f"Set base: {manifest['base']}, or take `adapter` out of the recipe."
        )
