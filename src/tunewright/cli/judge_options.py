"""The options that say who judges, for every verb that lets a judge look."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

_PANEL = "The judge"

JudgeEndpoint = Annotated[
    str,
    typer.Option(
        "--endpoint", metavar="URL", help="An OpenAI-compatible endpoint that judges.", rich_help_panel=_PANEL
    ),
]
JudgeModel = Annotated[
    str, typer.Option("--model", metavar="NAME", help="The model's name there.", rich_help_panel=_PANEL)
]
KeyVariable = Annotated[
    str,
    typer.Option(
        "--key-variable", metavar="NAME", help="The environment variable with its key.", rich_help_panel=_PANEL
    ),
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, help="Longest wait for a verdict, in seconds.", rich_help_panel=_PANEL)
]
Attempts = Annotated[
    int, typer.Option("--attempts", min=1, max=20, help="Tries for each verdict.", rich_help_panel=_PANEL)
]
LocalModel = Annotated[
    str, typer.Option("--local", metavar="MODEL", help="Or a model on this machine.", rich_help_panel=_PANEL)
]
JudgeRelease = Annotated[
    str, typer.Option("--release", metavar="NAME", help="Or a release of this workspace.", rich_help_panel=_PANEL)
]
How = Annotated[
    Literal["words", "likelihood"],
    typer.Option("--how", help="In JSON, or by likelihood (not of an endpoint).", rich_help_panel=_PANEL),
]
