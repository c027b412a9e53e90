"""The command line: `tunewright VERB …`. Each verb parses, calls one function below, and renders what comes back."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from tunewright import __version__
from tunewright.base.memory import return_freed_pages
from tunewright.cli import chat, compare, data, evaluating, jobs, keys, models, plan, recipes, runs, serve, work, worker
from tunewright.cli.faults import listen_for_termination, print_json
from tunewright.train.ranks.place import place

app = typer.Typer(
    name="tunewright",
    help="From raw records to a measured, servable language model of your own.",
    epilog="Start with: tunewright demo — or: tunewright init --from YOUR.csv",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunewright {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """From raw records to a measured, servable language model of your own."""


work.register(app)
evaluating.register(app)
compare.register(app)
recipes.register(app)
data.register(app)
plan.register(app)
chat.register(app)
models.register(app)
runs.register(app)
jobs.register(app)
serve.register(app)
keys.register(app)
worker.register(app)

# What the parser raises for a wrong option; the class is public only through its children.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def main() -> None:
    """The entry point of the `tunewright` command."""
    # Read by the tokenizers library at its first use; said here, before anything can fork or load it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return_freed_pages()
    listen_for_termination()
    here = place()
    if here.world == 1:
        _run()
    from tunewright.lifecycle.processes import follow, leading

    if not here.is_first:
        sys.exit(follow())
    with leading():
        _run()


def _run() -> NoReturn:
    """Does what the command line says, and exits."""
    if "--json" not in sys.argv:
        app()
        sys.exit(0)
    try:
        code = app(standalone_mode=False)
    except _UsageError as error:
        message = error.format_message()  # type: ignore[attr-defined]
        sys.stderr.write(f"Error: {message}\n")
        fault = {"type": "UsageError", "what": message, "where": "command line", "hint": "Add --help.", "exit_code": 2}
        print_json({"error": fault})
        code = 2
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
