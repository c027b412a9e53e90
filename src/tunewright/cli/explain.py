"""`eval explain`: which words drove an answer, and which training rows taught it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from rich.text import Text

    from tunewright.evaluate.explaining import Explanation, Taught


def register(group: typer.Typer) -> None:
    """Adds this verb to the group `eval`."""
    example = 'tunewright eval explain support-desk --message "My lamp is broken." --output why.html'
    verb(group, "explain", example=example)(explain)


def explain(
    release: Annotated[str, typer.Argument(metavar="NAME", help="A release.", show_default=False)],
    message: Annotated[str, typer.Option("--message", help="What to ask. Default: some held-out rows.")] = "",
    rows: Annotated[int, typer.Option("--rows", min=1, max=50, help="Held-out rows to explain.")] = 2,
    training_rows: Annotated[
        int, typer.Option("--training-rows", min=1, help="Training rows to look at, drawn where there are more.")
    ] = 1000,
    shown: Annotated[int, typer.Option("--shown", min=1, max=50, help="Training rows to name on either side.")] = 5,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Draw it as an HTML page.")] = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Show which words of the prompt drove an answer, and which training rows taught it.

    Words by integrated gradients, checked to add up; rows by how alike their gradients over the adapter are.
    """
    from tunewright.cli.live import live
    from tunewright.lifecycle.explaining import explain_release

    with live(json_output) as (listener, _):
        found = explain_release(
            release,
            message=message,
            rows=rows,
            training_rows=training_rows,
            shown=shown,
            workspace=workspace,
            listener=listener,
        )
    if output is not None:
        from tunewright.base.files import write_text
        from tunewright.lifecycle.report.explanation import render_explanations

        write_text(output, render_explanations(release, found))
    if json_output:
        print_json({"release": release, "explanations": [each.as_json() for each in found]})
        return
    for each in found:
        _show(each)
    if output is not None:
        typer.echo(f"\nDrawn: {output}")


def _show(found: Explanation) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    attribution = found.attribution
    console.print(Text(f"\nAnswer: {found.answer}", style="bold"))
    console.print(_shaded(found))
    console.print(
        Text(
            f"Green words made it more likely, red ones less; together {sum(attribution.shares):+.2f} nats, "
            f"{attribution.gap:.1%} from exact in {attribution.steps} steps.",
            style="dim",
        )
    )
    for title, side in (("Training rows that taught it:", found.toward), ("that taught otherwise:", found.against)):
        if side:
            console.print(Text(title))
        for row in side:
            console.print(Text(_row(row)), no_wrap=True, overflow="ellipsis")


def _shaded(found: Explanation) -> Text:
    """The prompt; the stronger a word, the more it stands out."""
    from rich.text import Text

    most = max((abs(word.weight) for word in found.words), default=0.0) or 1.0
    shown = Text()
    for word in found.words:
        strength = abs(word.weight) / most
        colour = "green" if word.weight > 0 else "red"
        style = f"bold {colour}" if strength > 0.5 else colour if strength > 0.15 else "dim"
        shown.append(word.text, style=style)
    return shown


def _row(row: Taught) -> str:
    question, answer = (" ".join(text.split()) for text in (row.question, row.answer))
    return f"  {row.similarity:+.2f}  {row.place}  {question} → {answer}"
