"""What every verb has in common: --debug, and errors turned into one message and an exit code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

from tunewright.cli.arguments import fill_in_resume
from tunewright.cli.faults import reported
from tunewright.cli.options import Debug, JsonOutput, WorkspacePath

Function = TypeVar("Function", bound=Callable[..., Any])

_SHARED: dict[str, tuple[Any, Any]] = {
    "workspace": (None, WorkspacePath),
    "json_output": (False, JsonOutput),
    "debug": (False, Debug),
}


class _Command(TyperCommand):
    """A command whose `--resume` may stand alone; typer has no option with an optional value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, fill_in_resume(args))


def verb(app: typer.Typer, name: str, *, example: str) -> Callable[[Function], Function]:
    """Registers a function as a verb: all verbs take --workspace, --json and --debug, also those that ignore one.

    Args:
        app: The group it belongs to.
        name: What the user types.
        example: A command that works, shown at the end of `--help`.
    """

    def register(function: Function) -> Function:
        own = inspect.signature(function, eval_str=True).parameters
        shared = {
            option: inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for option, (default, annotation) in _SHARED.items()
            if option not in own
        }
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.values()] + list(shared.values())

        def guarded(**given: Any) -> None:
            with reported(
                json_output=given.get("json_output", False), debug=given["debug"], workspace=given["workspace"]
            ):
                function(**{option: value for option, value in given.items() if option in own})

        guarded.__doc__ = function.__doc__
        guarded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        guarded.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, cls=_Command, epilog=f"Example: {example}")(guarded)
        return function

    return register
