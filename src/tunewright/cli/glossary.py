"""`data glossary`: the terms of a domain, mined for a person to confirm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.data.terms import Mined

_SHOWN = 20


def register(group: typer.Typer) -> None:
    """Adds this verb to `data`."""
    verb(group, "glossary", example="tunewright data glossary tickets.csv --output glossary.yaml")(glossary)


def glossary(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A data file, or a recipe.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The glossary to write.")] = Path(
        "glossary.yaml"
    ),
    least: Annotated[int, typer.Option("--least", min=1, help="How often a term must be found.")] = 5,
    most: Annotated[int, typer.Option("--most", min=1, help="How many terms to write, the most telling.")] = 200,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Find a domain's own terms and their spellings, and write them down for you to confirm."""
    from tunewright.cli.progress import progress
    from tunewright.data.terms import write_glossary

    with progress() as listener:
        mined = write_glossary(path, output, least=least, most=most, workspace=workspace, listener=listener)
    if json_output:
        print_json(
            {
                "glossary": str(output),
                "rows": mined.rows,
                "unreadable": mined.unreadable,
                "pruned": mined.pruned,
                "terms": [candidate.as_json() for candidate in mined.candidates],
            }
        )
        return
    _show(mined, output)


def _show(mined: Mined, output: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("Term", overflow="fold")
    table.add_column("Found", justify="right")
    table.add_column("Also written", overflow="fold")
    for candidate in mined.candidates[:_SHOWN]:
        also = ", ".join(f"{form} ({count:,})" for form, count in candidate.variants.items())
        table.add_row(Text(candidate.form), f"{candidate.count:,}", Text(also))
    if mined.candidates:
        console.print(table)
    more = len(mined.candidates) - _SHOWN
    if more > 0:
        console.print(Text(f"… and {more:,} more in the file."))
    if mined.unreadable:
        console.print(Text(f"{mined.unreadable:,} of {mined.rows:,} rows could not be read.", style="yellow"))
    if mined.pruned:
        console.print(Text("There were so many different words that some seen once were let go.", style="yellow"))
    console.print(Text(f"Wrote {len(mined.candidates):,} candidate terms to {output}."), soft_wrap=True)
    console.print(
        Text("Read it, set confirmed: true where a term is one, and name it in the steps glossary and spelling.")
    )
