"""Messages that somebody types in the terminal, one after another."""

from __future__ import annotations

from collections.abc import Iterator

import typer


def typed_messages() -> Iterator[str]:
    """Each message as it is typed, until an empty line or Ctrl-D."""
    typer.secho("Type a message; an empty line or Ctrl-D ends.", dim=True, err=True)
    while True:
        try:
            message = input("> ")
        except EOFError:
            typer.echo("", err=True)
            return
        if not message.strip():
            return
        yield message
