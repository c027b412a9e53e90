"""What every route is handed: the server's state, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from fastapi import Depends, Request

from tunewright.server.errors import ApiError
from tunewright.server.limits import Limits
from tunewright.server.watching import Watch
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.lifecycle.serving.fleet import Fleet

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
        keys: Whether every request must bring a key.
        hosts: Which names a request may call this machine by, and whose pages it may come from; None: any. Without
            keys this is what keeps a page in a browser from using the server through a name of its own.
        requests_per_minute: Of one key; None: as many as come.
        tokens_per_minute: Likewise, read and written.
        max_requests: How many requests are answered at a time; what comes beyond is told to come again.
        body_timeout_s: How long a body may make no progress; and how long it may take beyond `min_body_rate`.
        min_body_rate: Bytes a second that a body must at least come with.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    organization: str = "tunewright"
    max_upload_bytes: int = 512 << 20
    max_body_bytes: int = 32 << 20
    python_graders: bool = False
    keys: bool = False
    hosts: frozenset[str] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_requests: int = 256
    body_timeout_s: float = 30.0
    min_body_rate: int = 4096


class Worker(Protocol):
    """A process beside the server."""

    def state(self) -> str:
        """`running`, or why it is not."""
        ...


@dataclass
class Server:
    """A running server's parts.

    Args:
        workspace: Where everything is kept.
        fleet: Models in memory, which answer.
        settings: What its operator has decided.
        watch: Measures answers: `here.watch.begin("chat", name)`.
        worker: The process that works on jobs; None where it runs elsewhere.
        is_ending: Whether it has been asked to end, and takes no new work.
    """

    workspace: Workspace
    fleet: Fleet
    settings: Settings = field(default_factory=Settings)
    watch: Watch = field(default_factory=Watch)
    worker: Worker | None = None
    is_ending: bool = False
    limits: Limits = field(init=False)

    def __post_init__(self) -> None:
        self.limits = Limits(self.settings.requests_per_minute, self.settings.tokens_per_minute)
        self.watch.listeners.append(lambda each: self.limits.charge(each.key, each.input_tokens + each.output_tokens))


@dataclass(frozen=True)
class Caller:
    """Who is asking.

    Args:
        key: The key's id; empty where the server asks for none.
        project: Whose objects are seen and made.
        scopes: What the key may do.
        organization: Whose the key is; the server's own where none is asked for.
    """

    key: str = ""
    project: str = "default"
    scopes: frozenset[Scope] = frozenset({"read", "infer", "train", "admin"})
    organization: str = "tunewright"


def server_of(request: Request) -> Server:
    """The server that a request came to."""
    server: Server = request.app.state.server
    return server


def require(scope: Scope) -> Callable[[Request], Caller]:
    """A dependency: the caller, whose key must have a scope; to infer, it must have tokens left too."""

    def caller(request: Request) -> Caller:
        found: Caller = request.state.caller
        if scope not in found.scopes and "admin" not in found.scopes:
            raise ApiError(
                403,
                f"This key may not do that: it lacks the scope '{scope}'. A key that may is made with: tunewright keys"
                f" create NAME --scope {scope}",
                code="insufficient_scope",
            )
        if scope == "infer":
            server_of(request).limits.check_tokens(found.key)
        return found

    return caller


Here = Annotated[Server, Depends(server_of)]
Reader = Annotated[Caller, Depends(require("read"))]
Inferrer = Annotated[Caller, Depends(require("infer"))]
Trainer = Annotated[Caller, Depends(require("train"))]
Admin = Annotated[Caller, Depends(require("admin"))]
