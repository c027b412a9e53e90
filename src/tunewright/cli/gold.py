"""`eval gold`: a folder of gold tests, run against a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.judge_options import Attempts, KeyVariable, Timeout
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb


def register(group: typer.Typer) -> None:
    """Adds this verb to the group `eval`."""
    verb(group, "gold", example="tunewright eval gold examples/support-desk/gold support-desk")(gold)


def gold(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the cases are: YAML files.", show_default=False)
    ],
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A release: name, or name@version.", show_default=False)
    ],
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Only cases with this tag; as often as needed.")
    ] = None,
    retries: Annotated[
        int, typer.Option("--retries", min=0, max=20, help="Tries more for a model that draws its answers.")
    ] = 0,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, help="Draw answers at it. Default: as the recipe has it.")
    ] = None,
    endpoint: Annotated[
        str, typer.Option("--judge", metavar="URL", help="An OpenAI-compatible endpoint that judges, where cases ask.")
    ] = "",
    judge_model: Annotated[str, typer.Option("--judge-model", metavar="NAME", help="The judge's name there.")] = "",
    local: Annotated[str, typer.Option("--judge-local", metavar="MODEL", help="Or a model here that judges.")] = "",
    key_variable: KeyVariable = "",
    timeout_s: Timeout = 120,
    attempts: Attempts = 5,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Run gold tests against a release: what it must get right, case by case.

    Exits 1 where a case fails, or passes that was said to fail. The same cases run under pytest with
    `pytest --tunewright-gold FOLDER MODEL`.
    """
    from tunewright.cli.progress import progress
    from tunewright.evaluate.gold.cases import read_folder
    from tunewright.lifecycle.gold import open_gold, summary
    from tunewright.lifecycle.judging import judge_settings

    cases = [each for each in read_folder(folder) if not tag or set(tag) & set(each.case.tags)]
    if not cases:
        from tunewright.base.errors import InputError

        raise InputError(f"No case has the tag {' or '.join(tag or ())}", where=str(folder))
    judge = judge_settings(
        endpoint={"url": endpoint, "model": judge_model, "key_variable": key_variable},
        patience={"timeout_s": timeout_s, "attempts": attempts},
        local=local,
    )
    with progress() as listener:
        tests = open_gold(
            model, judge=judge, retries=retries, temperature=temperature, workspace=workspace, listener=listener
        )
        outcomes = tests.run(cases)
    counts = summary(outcomes)
    if json_output:
        print_json({"model": tests.model, **counts, "outcomes": [outcome.as_json() for outcome in outcomes]})
    else:
        for outcome in outcomes:
            mark = "✓" if outcome.ok else "✗"
            typer.echo(f"{mark} {outcome.placed.id}" + (" (flaky)" if outcome.flaky else ""))
            if not outcome.ok:
                said = (
                    outcome.explain()
                    if outcome.misses
                    else f"passes, and was said to fail: {outcome.placed.case.xfail}"
                )
                typer.echo("    " + said.replace("\n", "\n    "))
        typer.echo(f"\n{tests.model}: {sum(each.ok for each in outcomes)} of {len(outcomes)} cases as they should be.")
    if not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(1)
