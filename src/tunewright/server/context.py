"""What every route is handed: the server's state, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import Depends, Request

from tunewright.store import Workspace

Scope = Literal["read", "infer", "train", "admin"]


@dataclass(frozen=True)
class Settings:
    """What whoever starts the server decides.

    Args:
        host: The address that is listened on.
        port: The port.
        organization: Under which jobs and model names are filed.
        max_upload_bytes: Largest file that is taken.
        max_body_bytes: Largest body of any other request.
        python_graders: Whether graders may run code.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    organization: str = "tunewright"
    max_upload_bytes: int = 512 << 20
    max_body_bytes: int = 32 << 20
    python_graders: bool = False


@dataclass
class Server:
    """A running server's parts.

    Args:
        workspace: Where everything is kept.
        fleet: Models in memory, which answer.
        settings: What its operator has decided.
    """

    workspace: Workspace
    fleet: Any
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Caller:
    """Who is asking.

    Args:
        key: The key's id; empty where the server asks for none.
        project: Whose objects are seen and made.
        scopes: What the key may do.
    """

    key: str = ""
    project: str = "default"
    scopes: frozenset[Scope] = frozenset({"read", "infer", "train", "admin"})


def server_of(request: Request) -> Server:
    """The server that a request came to."""
    server: Server = request.app.state.server
    return server


def require(scope: Scope) -> Callable[[Request], Caller]:
    """A dependency: the caller, whose key must have a scope."""

    def caller(request: Request) -> Caller:
        found: Caller = request.state.caller
        if scope not in found.scopes and "admin" not in found.scopes:
            from tunewright.server.errors import ApiError

            raise ApiError(
                403,
                f"This key may not do that: it lacks the scope '{scope}'.",
                code="insufficient_scope",
            )
        return found

    return caller


Here = Annotated[Server, Depends(server_of)]
Reader = Annotated[Caller, Depends(require("read"))]
Inferrer = Annotated[Caller, Depends(require("infer"))]
Trainer = Annotated[Caller, Depends(require("train"))]
Admin = Annotated[Caller, Depends(require("admin"))]
