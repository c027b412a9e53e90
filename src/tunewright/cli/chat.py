"""`chat`: talk to a release in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, ReleaseName, ServerUrl, WorkspacePath
from tunewright.cli.typed import typed_messages
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.lifecycle.talk import Specialist


def register(app: typer.Typer) -> None:
    """Adds this verb to the command line."""
    verb(app, "chat", example='tunewright chat support-desk --message "My Lumo lamp arrived broken."')(chat)


def chat(
    name: ReleaseName,
    message: Annotated[
        str | None, typer.Option("--message", metavar="TEXT", help="Ask this one thing, print the answer, and end.")
    ] = None,
    server: ServerUrl = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Talk to a release. Each message stands alone, as the training rows did; Ctrl-D ends.

    Without a terminal, the whole of stdin is one message. With --server, NAME is any model that the server answers as.
    """
    if server is not None:
        from tunewright.cli.remote import chat_there

        chat_there(server, name, message, json_output)
        return
    from tunewright.cli.progress import progress
    from tunewright.lifecycle.talk import load_release

    one_shot = message is not None or json_output or not sys.stdin.isatty()
    asked = message if message is not None else sys.stdin.read().strip() if one_shot else ""
    with progress() as listener:
        specialist = load_release(name, workspace=workspace, listener=listener)
    if not one_shot:
        _converse(specialist)
        return
    reply = specialist.answer(asked)
    if json_output:
        print_json(
            {
                "release": specialist.release.label,
                "message": asked,
                "answer": reply.text,
                "stopped": reply.stopped,
                "tokens": reply.tokens,
                "prompt": reply.prompt,
                "probability": reply.probability,
            }
        )
    else:
        typer.echo(reply.text)
        _warn_if_cut(reply.stopped)


def _converse(specialist: Specialist) -> None:
    from tunewright.base.errors import InputError

    typer.secho(f"{specialist.release.label}: {specialist.recipe.goal}", dim=True, err=True)
    for message in typed_messages():
        try:
            reply = specialist.answer(message)
        except InputError as error:  # this message cannot be asked; the next one may
            typer.secho(str(error), fg="red", err=True)
            continue
        typer.echo(reply.text)
        _warn_if_cut(reply.stopped)


def _warn_if_cut(stopped: bool) -> None:
    if not stopped:
        typer.secho("(cut at the length limit, evaluate.max_new_tokens)", fg="yellow", err=True)
