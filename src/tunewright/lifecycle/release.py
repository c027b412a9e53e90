"""The release: adapter, answers, card and prompt template under a name and a version, with their lineage."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import WorkspaceError
from tunewright.base.events import Message
from tunewright.base.files import write_json, write_text
from tunewright.lifecycle.card import model_card
from tunewright.lifecycle.gating import missed
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.measuring import evaluate
from tunewright.lifecycle.preparing import prepare
from tunewright.lifecycle.report.gate import told
from tunewright.lifecycle.training import train
from tunewright.models.families import head_of
from tunewright.store import Release, Workspace

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.store import Stored


@dataclass(frozen=True)
class Released:
    """A release and the artifact that carries its card.

    Args:
        release: The workspace's entry; None where the gate was missed, and nobody has released it all the same.
        stored: Folder with `README.md` (the card), `recipe.yaml`, `template.json` and `evaluation.json`.
        despite: Why a person has released it although the gate was missed; empty where it was not.
    """

    release: Release | None
    stored: Stored | None
    despite: str = ""

    @property
    def label(self) -> str:
        """The release's name and version; empty where there is none."""
        return self.release.label if self.release else ""


def release(job: Job, despite: str = "") -> Released:
    """Names what was trained and measured; the next version of the recipe's name.

    A missed condition of success is stored with it. Where the gate is missed, there is no release.

    Args:
        job: The run.
        despite: A person's reason to release it although the gate is missed; stands on its card and in its lineage.
    """

    def work() -> tuple[Released, dict[str, Any]]:
        measured, adapter, dataset = evaluate(job), train(job), prepare(job)
        if not measured.released and not despite:
            job.tell(Message(f"Not released: {told(missed(measured.gate))}", "warning"))
            return Released(None, None), {"release": "", "card": "", "despite": ""}
        recipe, files = job.recipe, job.base_files()
        template = prompt_template(job, dataset)
        card = model_card(job, dataset, measured, adapter, despite=despite)

        def fill(folder: Path) -> None:
            write_text(folder / "README.md", card)
            write_text(folder / "recipe.yaml", recipe_yaml(job))
            write_json(folder / "template.json", template)
            write_json(folder / "evaluation.json", measured.evaluation)

        stored = job.put(
            "release",
            fill,
            manifest={
                "name": recipe.name,
                "goal": recipe.goal,
                "base": files.name,
                "passed": measured.passed,
                **({"despite": despite} if despite else {}),
            },
            parents=[adapter.stored.hash, measured.answers.hash],
        )
        entry = job.workspace.add_release(
            recipe.name,
            adapter=adapter.stored.hash,
            dataset=dataset.hash,
            run=job.run.id,
            base=recipe.base,
            base_hash=files.weights_hash,
            template=template,
            evaluation=measured.evaluation,
            recipe=recipe.model_dump(mode="json"),
        )
        made = {"release": entry.label, "card": stored.hash, "despite": despite}
        return Released(entry, stored, despite), made

    def load(record: Mapping[str, Any]) -> Released:
        if not record["release"]:
            return Released(None, None)
        stored = job.workspace.artifact(record["card"], "release")
        return Released(job.workspace.find_release(record["release"]), stored, record.get("despite", ""))

    return job.stage("release", work, load)


def prompt_template(job: Job, dataset: Dataset) -> dict[str, Any]:
    """All that is needed to render a request as training rendered its examples, JSON-ready.

    `template` is the recipe's; without one, `system` is the system message that all training rows share, if they do.
    `tools` are the tools that all of them share; `documents` says that the model goes on with a text, as it learned to.
    `format` is the rows' own, and `classes` are those of its head, where it has one. `chat_template` and
    `chat_fingerprint` are the base's own; the fingerprint is checked when the release is loaded.
    """
    chat, recipe = job.chat(), job.recipe
    rows = [] if recipe.learns_documents else dataset.examples("train")
    systems = {next((m.content for m in row.messages if m.role in ("system", "developer")), "") for row in rows}
    tools = {json.dumps(row.tools) for row in rows}
    return {
        "format": dataset.manifest["format"],
        "classes": list(dataset.labels) if head_of(recipe.train.objective) else [],
        "template": recipe.data.template.model_dump(mode="json") if recipe.data.template else None,
        "system": systems.pop() if len(systems) == 1 else "",
        "tools": json.loads(tools.pop()) if len(tools) == 1 else [],
        "documents": recipe.learns_documents,
        "chat_template": chat.template,
        "chat_fingerprint": chat.fingerprint,
        "max_new_tokens": recipe.evaluate.max_new_tokens,
        "dtype": job.environment()["dtype"],
    }


def recipe_yaml(job: Job) -> str:
    """The recipe as it ran: `--set` values and defaults filled in, paths absolute."""
    import yaml

    text: str = yaml.safe_dump(job.recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    return text


def describe(workspace: Workspace, label: str) -> dict[str, Any]:
    """A release as `models show --json` prints it.

    Raises:
        UnknownNameError: If there is no such release.
    """
    found = workspace.find_release(label)
    run = workspace.find_run(found.run)
    stages = run.manifest.get("stages", {})
    adapter = workspace.artifact(found.adapter, "adapter")
    return {
        "name": found.name,
        "version": found.version,
        "label": found.label,
        "goal": found.recipe["goal"],
        "created_at": found.created_at.isoformat(),
        "run": found.run,
        "base": {"name": found.base, "hash": found.base_hash},
        "adapter": {"hash": adapter.hash, "path": str(adapter.path), "bytes": adapter.bytes},
        "dataset": {"hash": found.dataset},
        "evaluation": found.evaluation,
        "success": stages.get("evaluate", {}).get("verdicts", []),
        "gate": stages.get("evaluate", {}).get("gate", []),
        "despite": stages.get("release", {}).get("despite", ""),
        "report": _path_of(workspace, stages.get("report", {}).get("report"), "report", "report.html"),
        "card": _path_of(workspace, stages.get("release", {}).get("card"), "release", "README.md"),
        "template": found.template,
        "recipe": found.recipe,
    }


def lineage_of(workspace: Workspace, label: str) -> dict[str, Any]:
    """Where a release came from, back to the files its rows were read from, JSON-ready.

    Returns:
        `release`, `despite` (why a person released it although its gate was missed; empty where it was not), `base`,
        `run`, `continued_from` (run and step of the checkpoint where that began, or null),
        `artifacts` (the tree of `Lineage.as_json`, each dataset with its `sources`: path, SHA-256, rows) and `sources`,
        those of the release's own dataset. Each row's line in its source stands in the dataset's tables.

    Raises:
        UnknownNameError: If there is no such release.
    """
    found = workspace.find_release(label)
    manifest = workspace.find_run(found.run).manifest
    card = manifest.get("stages", {}).get("release", {}).get("card")
    # A run killed between its release and the mark of it has no card on record; the adapter's tree is there.
    tree = workspace.lineage(card, "release") if card else workspace.lineage(found.adapter, "adapter")
    dataset = workspace.artifact(found.dataset, "dataset")
    return {
        "release": found.label,
        "despite": manifest.get("stages", {}).get("release", {}).get("despite", ""),
        "base": {"name": found.base, "hash": found.base_hash},
        "run": found.run,
        "continued_from": manifest.get("continued_from"),
        "artifacts": _with_sources(workspace, tree.as_json()),
        "dataset": {"hash": dataset.hash, "path": str(dataset.path)},
        "sources": dataset.manifest["sources"],
    }


def _with_sources(workspace: Workspace, node: dict[str, Any]) -> dict[str, Any]:
    """The tree, in which each dataset that is still here says what it was read from."""
    found = {**node, "parents": [_with_sources(workspace, parent) for parent in node["parents"]]}
    if node["kind"] == "dataset" and not node["repeated"]:
        with contextlib.suppress(WorkspaceError):
            found["sources"] = workspace.artifact(node["hash"], "dataset").manifest["sources"]
    return found


def _path_of(workspace: Workspace, artifact: str | None, kind: str, file: str) -> str | None:
    """Where an artifact's file lies; None where it was not made or is gone."""
    if artifact is None:
        return None
    try:
        path = workspace.artifact(artifact, kind).path / file
    except WorkspaceError:
        return None
    return str(path) if path.exists() else None
