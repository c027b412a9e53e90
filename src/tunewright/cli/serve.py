"""`serve`: OpenAI's API on this machine."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.base.errors import InputError
from tunewright.cli.faults import INTERRUPTED, print_json
from tunewright.cli.options import Debug, JsonOutput, WorkspacePath
from tunewright.cli.verb import verb
from tunewright.cli.worker import size_of

if TYPE_CHECKING:
    from tunewright.server.serving import Certificate, Ended
    from tunewright.server.start import Address
    from tunewright.store import Workspace

Host = Annotated[str, typer.Option("--host", help="The address to listen on; 0.0.0.0: all of this machine's.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0: any free one.")]
Keys = Annotated[
    bool | None, typer.Option("--keys/--no-keys", help="Whether to ask for keys. Default: if there are any.")
]
TlsCert = Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="A certificate (PEM), for HTTPS.")]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key (PEM).")]
WithWorker = Annotated[bool, typer.Option("--worker/--no-worker", help="Whether to work on jobs beside the server.")]
MaxUpload = Annotated[str, typer.Option("--max-upload", metavar="SIZE", help="The largest file to take.")]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="For models in memory. Default: most of what is free."),
]
Requests = Annotated[int | None, typer.Option("--rpm", min=1, help="Requests a minute of one key. Default: no limit.")]
Tokens = Annotated[int | None, typer.Option("--tpm", min=1, help="Tokens a minute of one key. Default: no limit.")]
Organization = Annotated[str, typer.Option("--organization", help="Under which jobs and models are filed.")]
Graders = Annotated[bool, typer.Option("--python-graders", help="Let graders run code of whoever may train.")]
Drain = Annotated[float, typer.Option("--drain", min=0, help="Seconds that running answers have at the end.")]
Otlp = Annotated[str, typer.Option("--otlp", metavar="URL", help="Send measurements to this collector (OTLP/HTTP).")]
Engine = Annotated[str, typer.Option("--engine", metavar="native|vllm", help="What computes answers.")]
VllmArgs = Annotated[str, typer.Option("--vllm-args", metavar="TEXT", help="Further options of `vllm serve`.")]
Log = Annotated[str, typer.Option("--log", metavar="text|json", help="Form of the log, on stderr.")]


def register(app: typer.Typer) -> None:
    """Adds the verb to the command line."""
    verb(app, "serve", example="tunewright serve --port 8000")(serve)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    keys: Keys = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    worker: WithWorker = True,
    max_upload: MaxUpload = "512MiB",
    memory: Memory = None,
    requests_per_minute: Requests = None,
    tokens_per_minute: Tokens = None,
    organization: Organization = "tunewright",
    python_graders: Graders = False,
    drain: Drain = 30.0,
    otlp: Otlp = "",
    engine: Engine = "native",
    vllm_args: VllmArgs = "",
    log: Log = "text",
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
    debug: Debug = False,
) -> None:
    """Serve OpenAI's API from this machine: files, fine-tuning jobs, models, chat, batches, evals.

    Point any client of it here with OPENAI_BASE_URL. Ctrl-C ends it once running answers are finished and its job has
    left a checkpoint; a second Ctrl-C ends it at once.
    """
    from tunewright.server import logs
    from tunewright.server.context import Settings
    from tunewright.server.serving import Patience
    from tunewright.server.start import Plan
    from tunewright.server.start import serve as run
    from tunewright.store import Workspace

    _check_word("--log", log, ("text", "json"))
    _check_word("--engine", engine, ("native", "vllm"))
    logs.set_up(log, debug=debug)  # type: ignore[arg-type]
    place = Workspace.open(workspace)
    settings = Settings(
        host=host,
        port=port,
        organization=organization,
        max_upload_bytes=size_of(max_upload, "--max-upload"),
        python_graders=python_graders,
        keys=_asks_for_keys(place, keys),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    plan = Plan(
        settings,
        has_worker=worker,
        memory_bytes=size_of(memory, "--memory") if memory else None,
        tls=_certificate(tls_cert, tls_key),
        otlp=otlp,
        log=log,  # type: ignore[arg-type]
        engine=engine,  # type: ignore[arg-type]
        vllm_arguments=tuple(shlex.split(vllm_args)),
        patience=Patience(drain=drain),
    )
    ended = run(place, plan, started=lambda address: _tell(address, place, settings.keys, json_output))
    _leave(ended)


def _leave(ended: Ended) -> None:
    if ended == "forced":
        # A thread that is still at work on an answer must not keep the process: the user has asked twice.
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(INTERRUPTED)
    if ended == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _check_word(option: str, given: str, known: tuple[str, str]) -> None:
    if given not in known:
        raise InputError(f"{option} is {' or '.join(known)}, and not '{given}'")


def _certificate(certificate: Path | None, key: Path | None) -> Certificate | None:
    from tunewright.server.serving import Certificate

    if (certificate is None) != (key is None):
        raise InputError("A certificate and its key go together", where="--tls-cert --tls-key", hint="Give both.")
    return Certificate(certificate, key) if certificate and key else None


def _asks_for_keys(workspace: Workspace, wanted: bool | None) -> bool:
    """Whether to ask for keys: as wanted, else if there are any.

    Raises:
        InputError: If they are to be asked for, and nobody has one.
    """
    from tunewright.store.keys import list_keys

    there_are = bool(list_keys(workspace))
    if wanted and not there_are:
        raise InputError(
            "There is no key yet, so nobody could use the server",
            where="--keys",
            hint="Make one with: tunewright keys create NAME.",
        )
    return there_are if wanted is None else wanted


def _tell(address: Address, workspace: Workspace, asks: bool, json_output: bool) -> None:
    if json_output:
        print_json({"url": address.url, "keys": asks, "workspace": str(workspace.root), "pid": os.getpid()})
        return
    access = "Every request must bring a key." if asks else "No key is asked for: it answers to this machine alone."
    typer.echo(f"tunewright serves {workspace.root}\n    OPENAI_BASE_URL={address.url}\n{access}", err=True)
    typer.echo(f"What it offers: {address.url.removesuffix('/v1')}/docs. Ctrl-C ends it.", err=True)
