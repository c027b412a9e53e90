"""`eval task`: a task file of lm-evaluation-harness, on any model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.measuring import BaseName
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.evaluate.task_scores import TaskScores

Target = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="A release, a recipe, a base model, or an adapter.", show_default=False),
]
TaskPath = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="The task: one YAML file whose data_files lie on this machine. It runs no code.",
        show_default=False,
    ),
]
FirstRows = Annotated[int | None, typer.Option("--limit", metavar="NUMBER", min=1, help="Only the first rows.")]


def task(
    target: Target,
    file: TaskPath,
    limit: FirstRows = None,
    base: BaseName = "",
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Measure a model on a task file of lm-evaluation-harness, by the harness's rules."""
    from tunewright.cli.live import live
    from tunewright.lifecycle.tasks import measure_task

    with live(json_output) as (listener, _):
        measured, scores = measure_task(target, file, limit=limit, base=base, workspace=workspace, listener=listener)
    if json_output:
        print_json({"target": measured.label, **scores.as_json()})
    else:
        _show(measured.label, scores)


def _show(label: str, scores: TaskScores) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name, justify in (("metric", "left"), ("value", "right"), ("95 % interval", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, each in scores.metrics.items():
        table.add_row(name, f"{each.value:.3f}", f"{each.low:.3f} to {each.high:.3f}")
    console = Console(highlight=False)
    console.print(f"{scores.task}: {label}, {scores.n:,} rows")
    console.print(table)


def register(group: typer.Typer) -> None:
    """Adds `task` to `eval`."""
    verb(group, "task", example="tunewright eval task support-desk@1 tasks/faq.yaml --limit 100")(task)
