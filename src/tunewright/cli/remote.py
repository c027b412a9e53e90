"""What verbs do with `--server URL`: talk to its models, list them, and ask for its jobs.

What can be asked of a server can be asked of this machine's workspace in the same way: the server's application then
answers in this process, and nothing listens.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.typed import typed_messages

if TYPE_CHECKING:
    import httpx

    from tunewright.endpoints.service import Ending, Service


def at(server: str | None, workspace: Path | None) -> Service:
    """A server, or the one that a workspace would be."""
    from tunewright.endpoints.service import Service

    if server is not None:
        return Service(server)
    return Service("http://127.0.0.1/v1", environment={}, transport=_in_this_process(workspace))


def _in_this_process(workspace: Path | None) -> httpx.BaseTransport:
    """Answers requests by the server's application, without a network."""
    import httpx

    from tunewright.lifecycle.serving.fleet import Fleet
    from tunewright.server.app import build_app
    from tunewright.server.context import Server
    from tunewright.store import Workspace

    class Inside(httpx.BaseTransport):
        def __init__(self, app: Any) -> None:
            self._app = httpx.ASGITransport(app)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            async def answered() -> httpx.Response:
                response = await self._app.handle_async_request(request)
                return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

            return asyncio.run(answered())

    place = Workspace.open(workspace, create=False)
    return Inside(build_app(Server(place, Fleet(place))))


def chat_there(server: str, name: str, message: str | None, json_output: bool) -> None:
    """`chat --server`: one message, or one after the other, each standing alone as in the local verb."""
    from tunewright.endpoints.service import Service

    with Service(server) as service:
        if message is None and not json_output and sys.stdin.isatty():
            _converse(service, name)
            return
        asked = message if message is not None else sys.stdin.read().strip()
        if json_output:
            *pieces, ending = _ask(service, name, asked)
            assert not isinstance(ending, str)
            print_json(
                {
                    "server": service.url,
                    "model": name,
                    "message": asked,
                    "answer": "".join(map(str, pieces)),
                    "stopped": ending.finish != "length",
                    "tokens": ending.completion_tokens,
                }
            )
            return
        _show(_ask(service, name, asked))


def list_models_there(server: str, json_output: bool) -> None:
    """`models list --server`: what the server answers under which name."""
    from tunewright.endpoints.service import Service

    with Service(server) as service:
        models = list(service.pages("models"))
    if json_output:
        print_json({"server": service.url, "models": models})
        return
    from tunewright.cli.served import show_models

    show_models(models)


def _converse(service: Service, name: str) -> None:
    from tunewright.base.errors import RequestRefusedError

    service.get("models", name)  # a wrong name or a dead server is said before anything is typed
    typer.secho(f"{name} at {service.url}", dim=True, err=True)
    for message in typed_messages():
        try:
            _show(_ask(service, name, message))
        except RequestRefusedError as error:  # this message cannot be asked; the next one may
            typer.secho(str(error), fg="red", err=True)


def _ask(service: Service, name: str, message: str) -> Iterator[str | Ending]:
    return service.chat(name, [{"role": "user", "content": message}])


def _show(pieces: Iterator[str | Ending]) -> None:
    """Prints an answer as it comes."""
    for piece in pieces:
        if isinstance(piece, str):
            typer.echo(piece, nl=False)
            sys.stdout.flush()
            continue
        typer.echo("")
        if piece.finish == "length":
            typer.secho("(cut at the length limit)", fg="yellow", err=True)
