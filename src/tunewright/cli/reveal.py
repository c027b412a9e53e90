"""`data reveal`: originals in the place of pseudonyms, for whoever holds the key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput
from tunewright.cli.verb import verb


def register(group: typer.Typer) -> None:
    """Adds the verb to the group `data`."""
    verb(group, "reveal", example="tunewright data reveal answers.jsonl --key-file redact.key -o plain.jsonl")(reveal)


def reveal(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Text, JSONL, JSON, CSV, TSV or Parquet.", show_default=False)
    ],
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="FILE", help="The key. Default: $TUNEWRIGHT_KEY.")
    ] = None,
    vault: Annotated[
        Path | None,
        typer.Option("--vault", metavar="FILE", help="The recipe's vault. Default: redact.vault beside FILE or here."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write. Default: standard output.")
    ] = None,
    json_output: JsonOutput = False,
) -> None:
    """Put originals back in place of pseudonyms, and open what is sealed in a log of edits."""
    from tunewright.base.errors import InputError
    from tunewright.cli.progress import progress
    from tunewright.data.personal.keys import read_key
    from tunewright.data.personal.reveal import find_vault, reveal_file

    if json_output and output is None:
        raise InputError("With --json the text itself needs a file", where="data reveal", hint="Add --output FILE.")
    key = read_key(key_file, "TUNEWRIGHT_KEY", where="data reveal")
    place = vault or find_vault(file)
    with progress() as listener:
        revealed = reveal_file(file, output, key, place, listener=listener)
    if json_output:
        print_json({"file": str(file), "output": str(output), **revealed.as_json()})
        return
    typer.echo(revealed.summary(), err=True)
