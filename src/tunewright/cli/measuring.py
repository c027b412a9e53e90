"""`eval measure`: a trained model on its held-out rows, or any model on any file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunewright.base.errors import InputError
from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, Overrides, WorkspacePath

if TYPE_CHECKING:
    from tunewright.lifecycle.data_measuring import OnData

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A recipe whose run is trained, or a release. With --data also a base model (name, hub id, folder, "
        "GGUF file) or an adapter's folder.",
        show_default=False,
    ),
]
DataFile = Annotated[
    str | None,
    typer.Option("--data", metavar="FILE", help="Measure on this file's rows instead of those held out."),
]
MetricNames = Annotated[
    str | None, typer.Option("--metrics", metavar="NAMES", help="Metrics, with commas between. Default: what fits.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="NUMBER", min=1, help="Only so many rows, drawn with the seed.")
]
TextColumn = Annotated[
    str, typer.Option("--text", metavar="COLUMN", help="The file's column that is asked.", show_default=False)
]
AnswerColumn = Annotated[
    str, typer.Option("--answer", metavar="COLUMN", help="The file's column that answers.", show_default=False)
]
BaseName = Annotated[
    str,
    typer.Option("--base", metavar="NAME", help="The base of an adapter that does not name one.", show_default=False),
]
Candidates = Annotated[
    str,
    typer.Option(
        "--candidates",
        metavar="labels|FILE",
        help="Let the model choose: among all labels, or among the lines of a file.",
        show_default=False,
    ),
]


def names(listed: str | None) -> list[str]:
    """`bleu, rouge` as a list."""
    return [name.strip() for name in (listed or "").split(",") if name.strip()]


def listed(candidates: str) -> str | list[str]:
    """The option's value as a recipe has it: `labels`, or the lines of the file."""
    from tunewright.lifecycle.data_measuring import LABELS, read_candidates

    return candidates if candidates == LABELS else read_candidates(candidates)


def measure(
    target: Target,
    data: DataFile = None,
    candidates: Candidates = "",
    metrics: MetricNames = None,
    limit: Limit = None,
    text: TextColumn = "",
    answer: AnswerColumn = "",
    base: BaseName = "",
    overrides: Overrides = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Measure a model: on the held-out rows, against its base, or on any file with --data.

    A recipe stands for its latest run; a release is measured anew, with `evaluate.…`, `success.…` and `gate.…` fields
    set by --set. Exits 1 where what the recipe calls success, or its gate, is missed; with --data nothing is judged.
    """
    given = list(overrides or ())
    if data is None:
        if lost := [name for name, value in (("--text", text), ("--answer", answer), ("--base", base)) if value]:
            raise InputError(f"{lost[0]} says how a file is read, and none is named", hint="Name it with --data.")
        given += [f"evaluate.limit={limit}"] if limit else []
        given += [f"evaluate.candidates={json.dumps(listed(candidates))}"] if candidates else []
        given += [f"evaluate.metrics=[{', '.join(names(metrics))}]"] if metrics else []
        _measure_held_out(target, given, workspace, json_output)
        return
    from tunewright.cli.live import live
    from tunewright.lifecycle.data_measuring import measure_on
    from tunewright.lifecycle.held_data import Asked

    with live(json_output) as (listener, stage_done):
        found = measure_on(
            target,
            Asked(
                data,
                text,
                answer,
                limit,
                candidates=candidates,
                metrics=tuple(names(metrics)),
                overrides=tuple(given),
            ),
            base=base,
            workspace=workspace,
            listener=listener,
            stage_done=stage_done,
        )
    if json_output:
        print_json(found.as_json())
    else:
        _show(found)


def _measure_held_out(target: str, overrides: list[str], workspace: Path | None, json_output: bool) -> None:
    from tunewright.cli.live import live
    from tunewright.lifecycle.remeasure import remeasure

    with live(json_output) as (listener, stage_done):
        measured = remeasure(target, overrides, workspace=workspace, listener=listener, stage_done=stage_done)
    if json_output:
        judged = {"success": measured.verdicts, "gate": measured.gate, "passed": measured.passed}
        print_json({"evaluation": measured.evaluation, **judged})
    else:
        from tunewright.cli.tables import show_scores

        show_scores(measured.evaluation, measured.verdicts, measured.gate)
    if not measured.passed:
        raise typer.Exit(1)


def _show(found: OnData) -> None:
    from tunewright.cli.measured_tables import show_measured
    from tunewright.cli.next_steps import command, show_next
    from tunewright.lifecycle.report import slices

    data: dict[str, Any] = found.data
    lines = [*found.notes, *slices.lines(found.evaluation)]
    if refused := data["refused"]["rows"]:
        lines.append(f"{refused:,} of {data['rows']:,} records could not be used, and were not asked.")
    title = f"{found.target.label} on {data['asked']:,} rows of {Path(data['path']).name}"
    show_measured(found.evaluation, {found.system: found.target.label}, title=title, lines=lines)
    again = command("eval", "--outputs", found.answers.hash[:12], "--metrics", "NAMES", workspace=found.workspace)
    show_next([("other metrics, no model", again)])
