"""A group that is a verb too: what names none of its verbs is for one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperGroup

_HELP = ("--help", "-h")


def own_verb(meant: Callable[[list[str]], list[str]]) -> type[TyperGroup]:
    """The class of a group whose own arguments go to one of its verbs.

    Args:
        meant: Puts the verb in front of arguments that name none.
    """

    class OwnVerb(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            named = bool(args) and (args[0] in self.commands or args[0] in _HELP)
            return super().parse_args(ctx, args if named or not args else meant(args))

    return OwnVerb
