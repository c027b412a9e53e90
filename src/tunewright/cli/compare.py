"""`compare`: models, or answers that are there already, on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.base.errors import InputError
from tunewright.cli.faults import print_json
from tunewright.cli.measuring import AnswerColumn, BaseName, Candidates, Limit, MetricNames, TextColumn, names
from tunewright.cli.options import JsonOutput, Overrides, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.lifecycle.comparing import Compared

Compare = Annotated[
    list[str],
    typer.Argument(
        metavar="A B…",
        help="Releases, base models, adapters' folders, recipes; or answers that are there: a file, or an artifact's "
        "hash, a run or a release with :SYSTEM behind it.",
        show_default=False,
    ),
]
DataFile = Annotated[
    str | None,
    typer.Option("--data", metavar="FILE", help="The rows that models are asked. Without it nobody is asked."),
]
SliceNames = Annotated[
    str | None,
    typer.Option("--slices", metavar="NAMES", help="What rows are looked at apart by: class, language, a column, …"),
]
Seed = Annotated[int, typer.Option("--seed", metavar="NUMBER", help="Of resamples, swaps and drawn rows.")]


def register(app: typer.Typer) -> None:
    """Adds this verb to the command line."""
    verb(app, "compare", example="tunewright compare smollm2-135m-instruct support-desk@2 --data held-out.csv")(compare)


def compare(
    systems: Compare,
    data: DataFile = None,
    candidates: Candidates = "",
    metrics: MetricNames = None,
    slices: SliceNames = None,
    limit: Limit = None,
    text: TextColumn = "",
    answer: AnswerColumn = "",
    base: BaseName = "",
    seed: Seed = 17,
    overrides: Overrides = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Compare systems on the same rows: each with the first, by paired tests, slice by slice.

    Without --data answers are compared that are there already; one release or run alone stands for all the systems
    that it measured. Exits 0 whoever is better.
    """
    from tunewright.cli.progress import progress
    from tunewright.lifecycle.comparing import compare as compare_words
    from tunewright.lifecycle.held_data import Asked

    asked = None
    if data is not None:
        asked = Asked(data, text, answer, limit, candidates=candidates, overrides=tuple(overrides or ()))
    elif candidates or limit or text or answer or base or overrides:
        raise InputError("Nobody is asked, so there is nothing to set", hint="Name the rows to ask with --data.")
    with progress() as screen:
        found = compare_words(
            systems,
            asked,
            base=base,
            slices=names(slices),
            metrics=names(metrics),
            seed=seed,
            workspace=workspace,
            listener=screen,
        )
    if json_output:
        print_json(found.as_json())
    else:
        _show(found)


def _show(found: Compared) -> None:
    from rich.console import Console
    from rich.text import Text

    from tunewright.cli.measured_tables import show_measured, tests_table
    from tunewright.lifecycle.report import comparison, slices

    whole = found.as_json()
    lines = [*comparison.notes(whole), *slices.lines(whole["evaluation"])]
    title = f"{len(found.sides)} systems on {whole['evaluation']['n']:,} rows"
    show_measured(whole["evaluation"], {name: name for name in found.sides}, title=title)
    console = Console(highlight=False)
    console.print(tests_table(whole["differences"]))
    for sentence in found.verdict:
        console.print(Text(sentence, style="bold"))
    for line in lines:
        console.print(Text(line))
    console.print(Text(f"Page: {found.page}"), soft_wrap=True)
