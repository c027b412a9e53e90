"""What can be measured, by the one word that a user types: a recipe, a release, a base model, or an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunewright.base.errors import ModelError, RecipeError, UnknownNameError, WorkspaceError, collect, did_you_mean
from tunewright.base.files import read_json
from tunewright.lifecycle.continuing import changes
from tunewright.recipe import Recipe, load_recipe
from tunewright.store import Release, Run, Workspace

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset

Kind = Literal["recipe", "release", "base", "adapter"]

MAY_CHANGE = ("evaluate", "success", "gate")
_ADAPTER_FILES = ("adapter_config.json", "tunewright.json")
_IN_FOLDERS = "adapter_config.json"


@dataclass(frozen=True)
class Target:
    """A model, and how it reads rows.

    Args:
        kind: What the word named.
        label: What reports call it: `support-desk@2`, a base's name, an adapter's folder.
        base: The base's name, as `models.resolve` takes it.
        adapter: The adapter's folder; None for a base.
        recipe: What rows are cleaned and laid out by; None: that is guessed from the rows.
        format: What a row looks like to the recipe; empty where there is none.
        dataset: Hash of the dataset that was learned from; empty where it is not known.
        parents: Hashes of the artifacts that an evaluation comes from.
        fingerprint: Of the chat format it was trained with; empty where it is not known.
    """

    kind: Kind
    label: str
    base: str
    adapter: Path | None = None
    recipe: Recipe | None = None
    format: str = ""
    dataset: str = ""
    parents: tuple[str, ...] = ()
    fingerprint: str = ""

    def learned(self, workspace: Workspace) -> Dataset | None:
        """The dataset that was learned from; None where it is not known."""
        from tunewright.data.dataset import Dataset

        return Dataset.open(workspace.artifact(self.dataset, "dataset")) if self.dataset else None

    def as_json(self) -> dict[str, Any]:
        """The target as evaluations carry it."""
        return {"kind": self.kind, "label": self.label, "base": self.base, "artifacts": list(self.parents)}


def find_target(word: str, workspace: Workspace, *, overrides: Sequence[str] = (), base: str = "") -> Target:
    """What a word names.

    In this order: a recipe's file; a folder with an adapter; a folder or a GGUF file with a base; a release, or the
    adapter of one by its hash; a base of the catalogue or of the hub.

    Args:
        word: As it was typed.
        workspace: Where releases and artifacts are.
        overrides: `a.b=value` each: of a recipe or a release fields of `evaluate` and `success`; else they are for the
            recipe that is guessed, and not looked at here.
        base: The base of an adapter's folder that does not name one.

    Raises:
        UnknownNameError: If nothing is called so.
        WorkspaceError: If a recipe has no trained run here.
        RecipeError: If more is to be changed than may be.
    """
    path = Path(word).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return _of_recipe(path, workspace, overrides)
    if path.is_dir():
        full = str(path.absolute())
        if (path / _IN_FOLDERS).exists() or _is_adapter(path):
            return _of_folder(path.absolute(), workspace, overrides, base)
        return Target("base", path.absolute().name, full)
    if path.suffix == ".gguf" or _is_base(word, workspace):
        return Target("base", path.stem if path.suffix == ".gguf" else word, word)
    if release := _release_of(word, workspace):
        return of_release(release, workspace, overrides)
    raise _unknown(word, workspace)


def of_release(release: Release, workspace: Workspace, overrides: Sequence[str] = ()) -> Target:
    """A release."""
    adapter = workspace.artifact(release.adapter, "adapter")
    return Target(
        "release",
        release.label,
        release.base,
        adapter.path,
        release_recipe(release, workspace, overrides),
        format=release.template["format"],
        dataset=release.dataset,
        parents=(adapter.hash,),
        fingerprint=release.template["chat_fingerprint"],
    )


def release_recipe(release: Release, workspace: Workspace, overrides: Sequence[str]) -> Recipe:
    """The recipe of a release, with other questions.

    Raises:
        RecipeError: If its training is to be changed.
    """
    done = workspace.find_run(release.run).manifest["stages"]
    card = workspace.artifact(done["release"]["card"], "release")
    recipe = load_recipe(card.path / "recipe.yaml", overrides)
    _check_changes(release.recipe, recipe, release.label)
    return recipe


def trained_run(workspace: Workspace, name: str, target: str | Path) -> Run:
    """The latest run of a recipe's name.

    Raises:
        WorkspaceError: If it has no adapter yet.
    """
    runs = [run for run in workspace.runs(name=name) if run.kind in ("run", "train")]
    if not runs or "train" not in runs[0].manifest.get("stages", {}):
        raise WorkspaceError(
            f"'{name}' has no trained run in this workspace",
            where=str(workspace.root),
            hint=f"Train it first: tunewright train {target}.",
        )
    return runs[0]


def _check_changes(then: Mapping[str, Any], recipe: Recipe, label: str) -> None:
    found = changes(then, recipe.model_dump(mode="json"))
    if changed := [line for field, line in found.items() if field.partition(".")[0] not in MAY_CHANGE]:
        raise RecipeError(
            f"Only fields of {', '.join(MAY_CHANGE)} can be set for a release\n{collect(changed)}\n",
            where=label,
            hint="To train otherwise, run its recipe with --set.",
        )


def _of_recipe(path: Path, workspace: Workspace, overrides: Sequence[str]) -> Target:
    recipe = load_recipe(path, overrides)
    run = trained_run(workspace, recipe.name, path)
    _check_changes(run.recipe, recipe, str(path))
    done = run.manifest["stages"]
    adapter = workspace.artifact(done["train"]["adapter"], "adapter")
    dataset = workspace.artifact(done["prepare"]["dataset"], "dataset")
    return Target(
        "recipe",
        recipe.name,
        recipe.base,
        adapter.path,
        recipe,
        format=_format_of(dataset.path),
        dataset=dataset.hash,
        parents=(adapter.hash,),
        fingerprint=read_json(adapter.path / "tunewright.json")["chat_fingerprint"],
    )


def _format_of(dataset: Path) -> str:
    from tunewright.data.dataset import MANIFEST

    return str(read_json(dataset / MANIFEST)["format"])


def _of_folder(folder: Path, workspace: Workspace, overrides: Sequence[str], base: str) -> Target:
    """An adapter's folder: that of a release here is read as the release; another one has no template of its own."""
    for release in workspace.releases():
        if folder == workspace.root / "artifacts" / "adapter" / release.adapter:
            return of_release(release, workspace, overrides)
    named = [read_json(folder / name) for name in _ADAPTER_FILES if (folder / name).exists()]
    found = next(
        (name for each in named for name in (each.get("base"), each.get("base_model_name_or_path")) if name), ""
    )
    if not (base or found):
        raise ModelError("This adapter does not name its base", where=str(folder), hint="Name it with --base.")
    return Target("adapter", folder.name, base or str(found), folder)


def _is_adapter(folder: Path) -> bool:
    manifest = folder / "tunewright.json"
    return manifest.exists() and "method" in read_json(manifest)


def _is_base(word: str, workspace: Workspace) -> bool:
    """Whether a word is a hub id or a catalogue's name, and no release is called so."""
    from tunewright.models import catalog

    if "/" in word:
        return True
    return word.lower() in catalog.entries() and not workspace.releases(word)


def _release_of(word: str, workspace: Workspace) -> Release | None:
    releases = workspace.releases()
    name, _, version = word.partition("@")
    if any(release.name == name for release in releases):
        return workspace.find_release(word)
    by_hash = [release for release in releases if len(word) >= 6 and release.adapter.startswith(word)]
    return by_hash[0] if by_hash and not version else None


def _unknown(word: str, workspace: Workspace) -> UnknownNameError:
    from tunewright.models import catalog

    releases = sorted({release.name for release in workspace.releases()})
    known = [*releases, *catalog.entries()]
    error = UnknownNameError("model", word, known)
    error.hint = (
        f"{did_you_mean(word, known)}Releases here: {', '.join(releases) or 'none'}. Bases: "
        f"{', '.join(catalog.entries())}, a hub id (organisation/name), a folder (./name) or a .gguf file."
    )
    return error
