"""`eval outputs`: measures what any system has answered, without running a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.measuring import MetricNames, names
from tunewright.cli.options import JsonOutput, WorkspacePath

Outputs = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="Answers: JSONL, JSON, CSV, TSV or Parquet; or stored ones: an artifact's hash, a run, a release.",
        show_default=False,
    ),
]
References = Annotated[
    str,
    typer.Option(
        "--references", metavar="FILE", help="The right answers, told by their ids or in order.", show_default=False
    ),
]
Kind = Annotated[
    str, typer.Option("--kind", metavar="KIND", help="What an answer is: label, tags, json, text or tool_call.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="NUMBER", help="Of the intervals. Default: the stored run's, or 17.")
]


def _column(name: str, what: str) -> object:
    return typer.Option(f"--{name}", metavar="COLUMN", help=f"The column of {what}.", show_default=False)


Prediction = Annotated[str, _column("prediction", "the answers given")]
Reference = Annotated[str, _column("reference", "the right answers")]
Id = Annotated[str, _column("id", "the rows' ids")]
Question = Annotated[str, _column("question", "what was asked")]
System = Annotated[str, _column("system", "who answered")]


def outputs(
    where: Outputs,
    references: References = "",
    metrics: MetricNames = None,
    prediction: Prediction = "",
    reference: Reference = "",
    id: Id = "",
    question: Question = "",
    system: System = "",
    kind: Kind = "auto",
    seed: Seed = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Measure answers that are there already: of any system, or stored by an evaluation.

    `tunewright eval --outputs FILE` is the same. Columns go by their usual names (id, prediction, reference, …) unless
    they are named; what is empty, cut, or no known label is counted and shown.
    """
    from tunewright.cli.measured_tables import show_measured
    from tunewright.cli.progress import progress
    from tunewright.lifecycle.outputs_measuring import OutputsAsked, measure_outputs

    given = {"prediction": prediction, "reference": reference, "id": id, "question": question, "system": system}
    asked = OutputsAsked(
        where,
        references,
        {name: column for name, column in given.items() if column},
        tuple(names(metrics)),
        kind,
        seed,
    )
    with progress() as screen:
        found = measure_outputs(asked, workspace=workspace, processes=os.cpu_count() or 1, listener=screen)
    if json_output:
        print_json(found.as_json())
        return
    systems = {name: name for name in found.oddities}
    title = f"{found.evaluation['n']:,} answers of {Path(where).name}"
    show_measured(found.evaluation, systems, title=title, lines=found.notes)
