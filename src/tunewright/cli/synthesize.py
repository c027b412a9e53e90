"""`data synthesize`: question-answer pairs from documents, or rows like given ones, through an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.lifecycle.synthesizing import Synthesis


def register(group: typer.Typer) -> None:
    """Adds this verb to the group `data`."""
    example = (
        "tunewright data synthesize handbook.md --kind qa --rows 200 --output pairs.jsonl "
        "--endpoint http://127.0.0.1:8000/v1 --model my-model"
    )
    verb(group, "synthesize", example=example)(synthesize)


def synthesize(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE|PATH", help="A recipe's training rows, or a file as it stands.", show_default=False
        ),
    ],
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="Base URL of an OpenAI-compatible endpoint.")
    ],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="The model's name there.")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="A new JSONL file.")],
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=1, help="How many rows to make.")],
    kind: Annotated[
        Literal["qa", "rows"],
        typer.Option("--kind", help="Question-answer pairs from documents, or rows in the style of given ones."),
    ] = "qa",
    column: Annotated[
        str, typer.Option("--column", metavar="NAME", help="Where rows hold a document. Default: text.")
    ] = "",
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", metavar="FILE", help="Rows that no new one may be near to, such as a test set."),
    ] = None,
    grounding: Annotated[
        float, typer.Option("--grounding", min=0, max=1, help="Share of an answer's words its passage must hold.")
    ] = 0.8,
    near: Annotated[float, typer.Option("--near", min=0.1, max=1, help="Jaccard similarity of near copies.")] = 0.8,
    judge: Annotated[bool, typer.Option("--judge", help="Ask the model about each row, too.")] = False,
    key_variable: Annotated[
        str,
        typer.Option("--key-variable", metavar="NAME", help="The environment variable that holds the key."),
    ] = "",
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Requests at one time.")] = 4,
    token_budget: Annotated[int | None, typer.Option("--token-budget", min=1, help="Most tokens to spend.")] = None,
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, help="Longest wait for an answer, in seconds.")] = 120,
    seed: Annotated[int, typer.Option("--seed", help="Decides what is asked.")] = 17,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Let a model write rows, and take those that pass: no near copies, answers grounded in their passage.

    A recipe's rows are cleaned and redacted before they are shown; a file's are sent as they stand. Replies are kept:
    the same command goes on where it was. Exits 1 where fewer rows passed than were asked for.
    """
    from tunewright.cli.progress import progress
    from tunewright.endpoints import Endpoint
    from tunewright.lifecycle.synthesizing import Wanted
    from tunewright.lifecycle.synthesizing import synthesize as make

    asked = Endpoint.of(
        url=endpoint,
        model=model,
        key_variable=key_variable,
        concurrency=concurrency,
        token_budget=token_budget,
        timeout_s=timeout_s,
    )
    wanted = Wanted(kind, rows, column, tuple(against or ()), grounding, near, judge, seed)
    with progress() as listener:
        done = make(target, wanted, asked, output=output, workspace=workspace, listener=listener)
    if json_output:
        print_json(done.as_json())
    else:
        _show(done)
    if done.made.rows < rows:
        raise typer.Exit(1)


def _show(done: Synthesis) -> None:
    made, usage = done.made, done.usage
    typer.echo(f"\n{made.rows:,} of {made.wanted:,} rows, in {made.output}")
    for reason, count in made.rejected.items():
        typer.echo(f"  {count:>7,}  not taken: {reason.replace('_', ' ')}")
    typer.echo(f"Requests: {usage.requests:,}; tokens: {usage.tokens:,}; replies known before: {usage.cached:,}.")
