"""The web application: every route of the API, with what all of them have in common."""

from __future__ import annotations

import pkgutil
import secrets
from collections.abc import Awaitable, Callable
from importlib import import_module

from fastapi import FastAPI, Request, Response

from tunewright import __version__
from tunewright.server import routes
from tunewright.server.context import Caller, Server
from tunewright.server.errors import add_handlers


def build_app(server: Server) -> FastAPI:
    """The application of a server."""
    app = FastAPI(title="tunewright", version=__version__, description=__doc__)
    app.state.server = server
    add_handlers(app)
    _number_requests(app)
    for module in pkgutil.iter_modules(routes.__path__):
        app.include_router(import_module(f"{routes.__name__}.{module.name}").router)
    return app


def _number_requests(app: FastAPI) -> None:
    @app.middleware("http")
    async def numbered(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        request.state.request_id = f"req_{secrets.token_hex(16)}"
        request.state.caller = Caller()
        response = await answer(request)
        response.headers["x-request-id"] = request.state.request_id
        return response
