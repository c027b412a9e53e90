"""`eval`: a verb of its own, and the group of the verbs below it."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from tunewright.cli import gold, judge
from tunewright.cli.measuring import measure
from tunewright.cli.verb import verb

_MEASURE = "measure"
_HELP = ("--help", "-h")


class _OwnVerb(TyperGroup):
    """A group that is a verb too: what names none of its verbs is for `measure`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in _HELP)
        return super().parse_args(ctx, args if named or not args else [_MEASURE, *args])


def register(app: typer.Typer) -> None:
    """Adds `eval` to the command line."""
    group = typer.Typer(
        cls=_OwnVerb,
        help="Measure a trained model. `tunewright eval NAME` is short for `tunewright eval measure NAME`.",
        no_args_is_help=True,
    )
    verb(group, _MEASURE, example="tunewright eval support-desk@1")(measure)
    judge.register(group)
    gold.register(group)
    app.add_typer(group, name="eval")
