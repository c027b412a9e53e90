"""Lists and details of what a workspace holds: releases, base models, runs, lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from tunewright.cli.tables import show_scores
from tunewright.lifecycle.report import words

if TYPE_CHECKING:
    from tunewright.models.catalog import Entry
    from tunewright.store import Release, Run

_STATUS_STYLE = {"succeeded": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


def show_releases(releases: Sequence[Release]) -> None:
    """The releases of a workspace, newest first."""
    if not releases:
        _print("No release yet. `tunewright demo` makes one; so does `tunewright run RECIPE`.")
        return
    table = _table("Releases", "Name", "Base", "Made", "Main score")
    for release in releases:
        table.add_row(release.label, release.base, _when(release.created_at), _main_score(release.evaluation))
    _print(table)


def show_bases(entries: Sequence[Entry]) -> None:
    """The base models that have a name of their own."""
    table = _table("Base models", "Name", "Size", "Licence", "Good for")
    for entry in entries:
        table.add_row(entry.name, _parameters(entry.parameters), entry.licence, entry.strengths)
    _print(table)


def show_release(found: Mapping[str, Any]) -> None:
    """One release, as `lifecycle.release.describe` gives it."""
    _print(Text(f"{found['label']}: {found['goal']}", style="bold"))
    show_scores(found["evaluation"], found["success"], found["gate"])
    if found["despite"]:
        _print(Text(f"Released although its gate was missed: {found['despite']}", style="yellow"))
    for name, value in (
        ("base", f"{found['base']['name']} ({found['base']['hash'][:12]})"),
        ("adapter", found["adapter"]["path"]),
        ("dataset", found["dataset"]["hash"][:12]),
        ("run", found["run"]),
        ("made", found["created_at"]),
        ("card", found["card"]),
        ("report", found["report"]),
    ):
        if value:
            _print(Text.assemble((f"{name:<9}", "dim"), str(value)), whole=True)


def show_lineage(found: Mapping[str, Any]) -> None:
    """Where a release came from, as `lifecycle.release.lineage_of` gives it."""
    tree = Tree(Text(found["release"], style="bold green"))
    if found["despite"]:
        tree.add(Text(f"released although its gate was missed: {found['despite']}", style="yellow"))
    node = tree.add(f"run {found['run']}")
    if origin := found["continued_from"]:
        node.add(f"began at step {origin['step']} of run {origin['run']}")
    node.add(f"base model {found['base']['name']} {found['base']['hash'][:12]}")
    _add(node, found["artifacts"])
    _print(tree)
    _print(Text(f"Each row's file and line: {found['dataset']['path']}"), whole=True)


def show_runs(runs: Sequence[Run]) -> None:
    """Runs, newest first."""
    if not runs:
        _print("No run yet.")
        return
    table = _table("Runs", "Run", "Name", "Kind", "Status", "Started")
    for run in runs:
        status = run.status
        table.add_row(
            run.id, run.name, run.kind, Text(status, style=_STATUS_STYLE.get(status, "")), _when(run.created_at)
        )
    _print(table)


def show_run(run: Run) -> None:
    """One run: its stages, and its error if it has one."""
    status = run.status
    _print(Text.assemble((run.id, "bold"), f" {run.name}: ", (status, _STATUS_STYLE.get(status, ""))))
    table = _table("Stages", "Stage", "Time", "Peak memory")
    for name, record in run.manifest.get("stages", {}).items():
        if "seconds" in record:
            table.add_row(name, words.duration(record["seconds"]), words.size(record["peak_memory_bytes"]))
    if table.row_count:
        _print(table)
    if run.error:
        _print(Text(f"{run.error['type']}: {run.error['what']}", style="red"))
        _print(Text(run.error["hint"]))
    _print(Text(f"Folder: {run.folder}"), whole=True)


def _add(tree: Tree, artifact: Mapping[str, Any]) -> None:
    node = tree.add(Text.assemble(artifact["kind"], (f" {artifact['hash'][:12]}", "dim")))
    if artifact["repeated"]:
        node.label = Text.assemble(artifact["kind"], (f" {artifact['hash'][:12]} (see above)", "dim"))
    for parent in artifact["parents"]:
        _add(node, parent)
    for source in artifact.get("sources", ()):
        node.add(f"{source['path']} {source['sha256'][:12]}, {words.rows(source['rows'])}")


def _main_score(evaluation: Mapping[str, Any]) -> str:
    name = next(iter(evaluation["tuned"]))
    score = evaluation["tuned"][name]
    return f"{words.metric_name(name)}: {words.score(score['value'], share=words.is_share(name))}"


def _parameters(count: int) -> str:
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"


def _when(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(what: Any, *, whole: bool = False) -> None:
    Console(highlight=False).print(what, soft_wrap=whole)
