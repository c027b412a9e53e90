"""The options that several verbs share, so that they read and behave alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe: one YAML file.", show_default=False)]
ReleaseName = Annotated[
    str, typer.Argument(metavar="NAME", help="A release: its name, or name@version.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the recipe; as often as needed."),
]
WorkspacePath = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        metavar="FOLDER",
        help="Where everything is kept. Default: $TUNEWRIGHT_HOME, or the nearest .tunewright upward.",
    ),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, for machines.")]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="[RUN]",
        help="Go on with an unfinished run: the latest of this recipe's name, or the one named.",
    ),
]
FromCheckpoint = Annotated[
    str | None,
    typer.Option(
        "--from-checkpoint",
        metavar="RUN",
        help="Begin a new run at another's last good checkpoint; rate and schedule may differ.",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes", metavar="NUMBER", min=1, help="Train in so many processes on this machine (train.processes)."
    ),
]
PythonGraders = Annotated[
    bool, typer.Option("--python-graders", help="Let the recipe's grader run its own program on this machine.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", envvar="TUNEWRIGHT_DEBUG")]
ServerUrl = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Ask this server instead of this machine's workspace. Its key: $TUNEWRIGHT_API_KEY, or $OPENAI_API_KEY.",
    ),
]
