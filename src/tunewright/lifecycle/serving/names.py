"""What is served under which name: bases that are here, releases, fine-tuned models, and names an operator has given.

A name is looked up in this order: an alias, a fine-tuned model, a release (`name` is its newest version, `name@2` that
one), a base of the catalogue or of the hub that is in the cache. Nothing is fetched for a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tunewright.base.errors import InputError, ModelError, NoSuchRecordError, UnknownNameError
from tunewright.base.files import read_json
from tunewright.lifecycle.jobs.jobs import PERMISSION
from tunewright.models import catalog
from tunewright.models.catalog import ENCODER
from tunewright.models.files import BaseFiles
from tunewright.models.resolve import MANIFEST, cached_folder, find_here
from tunewright.store import Release, Workspace
from tunewright.store.records import Record

ServedKind = Literal["chat", "embedding"]
Origin = Literal["base", "release", "model", "alias"]

MODEL, ALIAS = "model", "alias"
_HUB = re.compile(r"^[\w.-]+/[\w.-]+$")
_HUB_FOLDERS = "hub--*"
# Whoever made what is in the catalogue, as OpenAI's API says it of its own models.
_SYSTEM, _OURS = "system", "tunewright"


class UnknownModelError(UnknownNameError):
    """No model is served under this name."""

    code = "model_not_found"

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__("model", name, known, where="model")


@dataclass(frozen=True)
class Served:
    """A model that answers under a name.

    Args:
        name: As it is asked for.
        kind: `chat` writes answers, `embedding` gives vectors.
        origin: What the name is.
        base: The base model, as `models.resolve.find_here` takes it.
        base_hash: Of its weights.
        adapter: The adapter artifact's hash; empty for a base.
        template: How requests are rendered, as `lifecycle.release.prompt_template` gives it; empty for a base.
        recipe: By which it was made, JSON-ready; empty for a base.
        created: When, in seconds since 1970.
        owned_by: Whose it is.
        parent: Name of the model it was made from, or that an alias stands for; empty for a base.
        job: Of a fine-tuned model, the id of its job.
    """

    name: str
    kind: ServedKind
    origin: Origin
    base: str
    base_hash: str
    adapter: str = ""
    template: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    created: int = 0
    owned_by: str = _SYSTEM
    parent: str = ""
    job: str = ""

    def as_model(self) -> dict[str, Any]:
        """The model as OpenAI's API shows it."""
        shown = {"id": self.name, "object": "model", "created": self.created, "owned_by": self.owned_by}
        return {**shown, **({"parent": self.parent} if self.parent else {})}


def find_served(workspace: Workspace, name: str, *, project: str | None = None) -> Served:
    """What a name stands for.

    Args:
        workspace: Where releases, fine-tuned models and aliases are.
        name: As a request says it; may hold "/" and ":".
        project: Whose fine-tuned models are seen; None: everybody's.

    Raises:
        UnknownModelError: If nothing is served under it.
        ModelError: If what an alias or a release stands for is no longer on this machine.
    """
    alias = _record(workspace, ALIAS, name)
    if alias is None:
        return _find(workspace, name, project)
    target = str(alias.body["target"])
    found = _of_target(workspace, target, project)
    return replace(found, name=name, origin="alias", created=alias.created_at, parent=target)


def all_served(workspace: Workspace, *, project: str | None = None) -> list[Served]:
    """All that is served: aliases, fine-tuned models, releases (each version, and the newest by name alone), bases."""
    found: dict[str, Served] = {}
    for alias in workspace.each_record(ALIAS, order="desc"):
        try:
            found[alias.id] = find_served(workspace, alias.id, project=project)
        except (UnknownNameError, ModelError):
            continue  # what it stood for is gone: who asks for it is told so
    for record in workspace.each_record(MODEL, project=project, order="desc"):
        found.setdefault(record.id, _of_record(record))
    for release in workspace.releases():
        for name in (release.name, release.label):
            found.setdefault(name, _of_release(release, name))
    for served in _bases_here(workspace.cache):
        found.setdefault(served.name, served)
    return list(found.values())


def add_model(
    workspace: Workspace,
    name: str,
    *,
    base: str,
    base_hash: str,
    adapter: str,
    template: Mapping[str, Any],
    recipe: Mapping[str, Any],
    parent: str,
    owner: str,
    job: str = "",
    project: str = "default",
) -> Served:
    """Serves an adapter under a name of its own: a job's result, or one of its checkpoints.

    Args:
        name: Such as `ft:smollm2-135m-instruct:acme:desk:abc123`.
        base: As the recipe names it.
        base_hash: Of the base's weights.
        adapter: The adapter artifact's hash.
        template: From `lifecycle.release.prompt_template`.
        recipe: The run's.
        parent: The name of the model that was fine-tuned, as the job named it.
        owner: The organisation.
        job: The job's id.
        project: Who may ask for it.
    """
    body = {
        "base": base,
        "base_hash": base_hash,
        "adapter": adapter,
        "template": dict(template),
        "recipe": dict(recipe),
        "parent": parent,
        "owner": owner,
        "job": job,
    }
    return _of_record(workspace.add_record(MODEL, body, id=name, parent=job, project=project))


def delete_model(workspace: Workspace, name: str, *, project: str | None = None) -> None:
    """Takes a fine-tuned model's name away; its adapter stays, since its job's record tells of it.

    Raises:
        UnknownModelError: If there is no such model.
        InputError: If the name is a base's, a release's or an alias.
    """
    found = find_served(workspace, name, project=project)
    if found.origin != "model":
        what = {"base": "a base model", "release": "a release", "alias": "an alias that the operator has set"}
        raise ProtectedModelError(f"'{name}' is {what[found.origin]}, and only fine-tuned models can be deleted")
    if _record(workspace, MODEL, name, project) is None:  # one that another project lets this one ask
        raise ProtectedModelError(f"'{name}' is another project's, and only that can delete it")
    workspace.remove_record(MODEL, name)


class ProtectedModelError(InputError):
    """A model that may not be deleted over the API."""


def set_alias(workspace: Workspace, name: str, target: str) -> Served:
    """Lets a name stand for a model.

    Args:
        name: As requests will say it, such as `gpt-4o-mini`.
        target: A release (`support-desk` follows its newest version), a fine-tuned model, a base that is in the cache,
            a folder with a base, or a `.gguf` file.

    Raises:
        InputError: If the name cannot be one, is taken by a model, or the target is an alias itself.
        UnknownModelError: If the target is no model.
        ModelError: If it is not on this machine.
    """
    if not name.strip() or name != name.strip() or any(not letter.isprintable() for letter in name):
        raise InputError(f"{name!r} cannot be a model's name", hint="Use letters, digits and - . _ : / @.")
    if _record(workspace, ALIAS, target) is not None:
        raise InputError(f"'{target}' is an alias itself", hint="Name what it stands for.")
    place = _as_place(target)
    _of_target(workspace, place, None)
    try:
        taken = _find(workspace, name, None)
    except UnknownModelError:
        pass
    else:
        raise InputError(f"A model is called '{name}' already ({taken.origin})", hint="Choose another name.")
    if _record(workspace, ALIAS, name) is None:
        workspace.add_record(ALIAS, {"target": place}, id=name)
    else:
        workspace.change_record(ALIAS, name, lambda body: {**body, "target": place})
    return find_served(workspace, name)


def remove_alias(workspace: Workspace, name: str) -> None:
    """Takes an alias away.

    Raises:
        UnknownNameError: If there is none of this name.
    """
    if _record(workspace, ALIAS, name) is None:
        raise UnknownNameError("alias", name, [record.id for record in workspace.each_record(ALIAS, order="desc")])
    workspace.remove_record(ALIAS, name)


def aliases(workspace: Workspace) -> dict[str, str]:
    """What each alias stands for, by its name."""
    return {record.id: str(record.body["target"]) for record in workspace.each_record(ALIAS, order="desc")}


def fine_tuned(workspace: Workspace) -> list[Served]:
    """The models that jobs have made, newest first."""
    return [_of_record(record) for record in workspace.each_record(MODEL, order="desc")]


def _find(workspace: Workspace, name: str, project: str | None) -> Served:
    if not name.isprintable():  # nothing is called so, and not every database can be asked for it
        raise UnknownModelError(name, _known_names(workspace, project))
    record = _record(workspace, MODEL, name, project) or _shared(workspace, name, project)
    if record is not None:
        return _of_record(record)
    if releases := workspace.releases(name.partition("@")[0]):
        for release in releases:
            if name in (release.name, release.label):
                return _of_release(release, name)
    known = name.lower() if name.lower() in catalog.entries() else name
    if _has_base(known, workspace.cache):
        return _of_base(known, find_here(known, workspace.cache))
    raise UnknownModelError(name, _known_names(workspace, project))


def _known_names(workspace: Workspace, project: str | None) -> list[str]:
    """What a wrong name may have meant; older versions of releases are left out."""
    records = [
        *workspace.each_record(ALIAS, order="desc"),
        *workspace.each_record(MODEL, project=project, order="desc"),
    ]
    releases = {release.name for release in workspace.releases()}
    return [*(record.id for record in records), *releases, *(base.name for base in _bases_here(workspace.cache))]


def _of_target(workspace: Workspace, target: str, project: str | None) -> Served:
    """What an alias stands for; an operator may name a folder or a file, where a request may not."""
    if _is_place(target):
        return _of_base(target, find_here(target, workspace.cache))
    return _find(workspace, target, project)


def _is_place(target: str) -> bool:
    return target.startswith(("/", ".", "~")) or target.endswith(".gguf")


def _as_place(target: str) -> str:
    """A folder or file by its whole path, since a server may be started elsewhere; other names as they are."""
    return str(Path(target).expanduser().absolute()) if _is_place(target) else target


def _has_base(name: str, cache: Path) -> bool:
    is_known = name in catalog.entries() or _HUB.match(name) is not None
    return is_known and (cached_folder(name, cache) / MANIFEST).is_file()


def _bases_here(cache: Path) -> Iterator[Served]:
    names = [name for name in catalog.entries() if _has_base(name, cache)]
    for manifest in sorted((cache / "models").glob(f"{_HUB_FOLDERS}/{MANIFEST}")):
        name = str(read_json(manifest)["name"])
        if _has_base(name, cache):
            names.append(name)
    for name in names:
        try:
            yield _of_base(name, find_here(name, cache))
        except ModelError:
            continue  # damaged: it is fetched again by `models pull`, and is not served


def _of_base(name: str, files: BaseFiles) -> Served:
    kind: ServedKind = "embedding" if files.kind == ENCODER else "chat"
    created = int((files.folder / "config.json").stat().st_mtime)
    return Served(name, kind, "base", name, files.weights_hash, created=created)


def _of_release(release: Release, name: str) -> Served:
    return Served(
        name,
        "chat",
        "release",
        release.base,
        release.base_hash,
        release.adapter,
        release.template,
        release.recipe,
        created=int(release.created_at.timestamp()),
        owned_by=_OURS,
        parent=release.base,
    )


def _of_record(record: Record) -> Served:
    body = record.body
    return Served(
        record.id,
        "chat",
        "model",
        body["base"],
        body["base_hash"],
        body["adapter"],
        body["template"],
        body["recipe"],
        created=record.created_at,
        owned_by=body["owner"],
        parent=body["parent"],
        job=body["job"],
    )


def _shared(workspace: Workspace, name: str, project: str | None) -> Record | None:
    """A fine-tuned model of another project, which has permitted this one to ask it."""
    asked = {"project_id": project} if project else {}
    permitted = asked and workspace.records(PERMISSION, parent=name, where=asked, limit=1).records
    return _record(workspace, MODEL, name) if permitted else None


def _record(workspace: Workspace, kind: str, name: str, project: str | None = None) -> Record | None:
    try:
        return workspace.record(kind, name, project=project)
    except NoSuchRecordError:
        return None
