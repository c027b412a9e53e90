"""`eval judge`: a judge looks at answers that are stored already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.judge_options import (
    Attempts,
    How,
    JudgeEndpoint,
    JudgeModel,
    JudgeRelease,
    KeyVariable,
    LocalModel,
    Timeout,
)
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

Rubrics = Annotated[
    list[str] | None,
    typer.Option("--rubric", metavar="NAME|FILE", help="A built-in rubric, or a YAML file; as often as needed."),
]
People = Annotated[
    Path | None, typer.Option("--people", metavar="FILE", help="People's ratings: id, rater, rating or choice.")
]


def register(group: typer.Typer) -> None:
    """Adds this verb to the group `eval`."""
    example = "tunewright eval judge support-desk --rubric clarity --endpoint http://127.0.0.1:8000/v1 --model my-model"
    verb(group, "judge", example=example)(judge)


def judge(
    target: Annotated[
        str,
        typer.Argument(
            metavar="NAME|ANSWERS",
            help="A release, a run, stored answers (hash or folder), or a file of outputs.",
            show_default=False,
        ),
    ],
    rubric: Rubrics = None,
    pairwise: Annotated[
        bool, typer.Option("--pairwise", help="Compare with --against side by side, in both orders.")
    ] = False,
    principle: Annotated[
        list[str] | None,
        typer.Option("--principle", metavar="TEXT", help="Hold every answer against this; as often as needed."),
    ] = None,
    system: Annotated[str, typer.Option("--system", help="Whose answers. Default: tuned.")] = "",
    against: Annotated[str, typer.Option("--against", help="A system to hold them against, such as base.")] = "",
    people: People = None,
    endpoint: JudgeEndpoint = "",
    model: JudgeModel = "",
    key_variable: KeyVariable = "",
    timeout_s: Timeout = 120,
    attempts: Attempts = 5,
    local: LocalModel = "",
    release: JudgeRelease = "",
    how: How = "words",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Judge so many rows, drawn with the seed. Default: all.")
    ] = None,
    max_not_judged: Annotated[
        float, typer.Option("--max-not-judged", min=0, max=0.99, help="Most that may get no verdict, as a share.")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", help="Decides which rows, and the intervals.")] = 17,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Let a judge grade stored answers by rubrics, compare them in pairs, or hold them against principles.

    What the judge leaves unjudged is counted, and never a score. Verdicts are kept: nothing is asked twice.
    """
    from tunewright.cli.progress import progress
    from tunewright.lifecycle.judging import asked_for, judge_answers
    from tunewright.store import Workspace

    configs = asked_for(
        rubric or (),
        principle or (),
        pairwise=pairwise,
        against=against,
        people="" if people is None else str(people.absolute()),
        endpoint={"url": endpoint, "model": model, "key_variable": key_variable},
        patience={"timeout_s": timeout_s, "attempts": attempts},
        judge={"how": how, "local": local, "release": release, "limit": limit, "max_not_judged": max_not_judged},
    )
    place = Workspace.open(workspace, create=Path(target).exists())
    with progress() as listener:
        asked: dict[str, Any] = {"system": system, "against": against, "seed": seed, "workspace": place}
        findings = [
            finding for config in configs for finding in judge_answers(target, config, **asked, listener=listener)
        ]
    if json_output:
        print_json({"target": target, "findings": {finding.name: finding.as_json() for finding in findings}})
        return
    _show({"findings": {finding.name: finding.as_json() for finding in findings}})


def _show(evaluation: Mapping[str, Any]) -> None:
    """Each finding with its interval, and below it what it stands on."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tunewright.lifecycle.report.findings import lines

    console = Console(highlight=False)
    for line in lines(evaluation):
        interval = f" ({line['interval']})" if line["interval"] else ""
        base = f"; against {line['base']}" if line["base"] else ""
        console.print(Text(f"\n{line['title']}: {line['value']}{interval}{base}", style="bold"))
        console.print(Text(f"{line['n']} cases, {line['better']}. {line['meaning']}"))
        for part in line["parts"]:
            if not part["heads"]:
                console.print(Text(f"  {part['title']}: {part['text']}"))
                continue
            table = Table(title=part["title"], title_justify="left", title_style="dim", box=box.SIMPLE_HEAD)
            for head in part["heads"]:
                table.add_column(str(head))
            for row in part["rows"]:
                table.add_row(*(Text(str(cell)) for cell in row))
            console.print(table)
