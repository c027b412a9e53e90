"""`data inspect`: the quality of some data, measure by measure, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, Overrides, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from rich.table import Table

    from tunewright.data.quality.inspection import Inspection
    from tunewright.data.quality.report import Report

_STYLES = {"act": "bold red", "look": "yellow", "good": "green"}
_MARKS = {"act": "✗ act", "look": "! look", "good": "✓ good"}


def register(group: typer.Typer) -> None:
    """Adds this verb to the group `data`."""
    verb(group, "inspect", example="tunewright data inspect tickets.csv --against held-out.csv --html quality.html")(
        inspect
    )


def inspect(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="A data file, a recipe, or a prepared dataset (folder or hash).", show_default=False
        ),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="FILE", help="Held-out rows that must not stand in the data; repeatable."),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option("--benchmark", metavar="NAME=FILE", help="Rows of a benchmark, likewise; repeatable."),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="RECIPE", help="For a file: its layout, goal and model, from this recipe."),
    ] = None,
    overrides: Overrides = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Only this inspection; repeatable.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", metavar="NAME.FIELD=VALUE", help="Of one inspection: leakage.n=5; repeatable."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a page with charts and the worst rows.")
    ] = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Measure the quality of data: copies, contradictions, leaks, balance and more, each with what to do.

    Changes nothing. The rows are looked at as they stand in the files, before a recipe's cleaning steps.
    """
    from tunewright.cli.live import live
    from tunewright.cli.workspaces import existing
    from tunewright.lifecycle.inspecting import inspect as look
    from tunewright.lifecycle.inspecting import write_page

    with live(json_output) as (listener, _):
        report = look(
            path,
            against=against or (),
            benchmarks=benchmark or (),
            recipe=recipe,
            overrides=overrides or (),
            only=only or (),
            settings=setting or (),
            workspace=existing(workspace),
            listener=listener,
        )
    if html is not None:
        write_page(report, html)
    if json_output:
        print_json({**report.as_json(), **({"html": str(html)} if html else {})})
        return
    show_report(report, html)


def show_report(report: Report, html: Path | None) -> None:
    """The verdicts as a table, the worst first; below it what to do, and what was not measured."""
    from rich.console import Console
    from rich.text import Text

    from tunewright.data.quality.inspection import counted

    console = Console(highlight=False)
    view = report.view
    facts = [counted(view.data.total, "row"), counted(len(view.data.columns), "column"), f"format {view.format}"]
    facts += [f"held out: {rows.name}, {rows.total:,} rows" for rows in view.held_out]
    facts += [f"benchmark {rows.name}: {rows.total:,} rows" for rows in view.benchmarks]
    console.print()
    console.print(Text(f"{report.path}", style="bold"), Text(f"({'; '.join(facts)})", style="dim"))
    if view.data.drawn:
        console.print(Text(f"{len(view.data):,} rows were drawn; counts below are of these.", style="yellow"))
    console.print(_table(report))
    for found in report.inspections.values():
        if found.advice and found.verdict != "good":
            console.print(Text.assemble((f"{found.title}: ", "bold"), found.advice))
    for lacks, names in report.lacking:
        told = f"Not measured: {', '.join(names)}. {lacks.reason}. {lacks.advice}"
        console.print(Text(told.strip(), style="dim"))
    _next(report, html)


def _table(report: Report) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("Verdict", no_wrap=True)
    table.add_column("What", no_wrap=True)
    table.add_column("Number", justify="right", max_width=11)
    table.add_column("Found")
    for found in report.inspections.values():
        mark = Text(_MARKS[found.verdict], style=_STYLES[found.verdict])
        table.add_row(mark, Text(found.title), Text(found.figure), Text(_said(found)))
    return table


def _said(found: Inspection) -> str:
    return f"{found.found} ({found.sampled}.)" if found.sampled else found.found


def _next(report: Report, html: Path | None) -> None:
    from tunewright.cli.next_steps import command, show_next

    is_recipe = report.view.recipe is not None and Path(report.path).suffix in (".yaml", ".yml")
    path: str | Path = Path(report.path) if Path(report.path).exists() else report.path
    steps = [] if html else [("the worst rows and charts", command("data", "inspect", path, "--html", "quality.html"))]
    if html:
        from rich.console import Console

        Console(highlight=False).print(f"\nPage: {html}", soft_wrap=True)
    if is_recipe:
        steps.append(("clean and split", command("data", "prepare", path)))
    elif Path(report.path).is_file():
        steps.append(("a first recipe for it", command("init", "--from", path)))
    show_next(steps)
