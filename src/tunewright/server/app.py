"""The web application: every route of the API, with what all of them have in common."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from fastapi import FastAPI

from tunewright import __version__
from tunewright.server import routes
from tunewright.server.context import Server
from tunewright.server.errors import add_handlers
from tunewright.server.gateway import Gateway

ABOUT = "OpenAI's fine-tuning and inference API, answered by this machine."


def build_app(server: Server) -> FastAPI:
    """The application of a server."""
    # FastAPI's own pages load their scripts from a foreign server; ours is in routes/description.py.
    app = FastAPI(title="tunewright", version=__version__, description=ABOUT, docs_url=None, redoc_url=None)
    app.state.server = server
    add_handlers(app)
    app.add_middleware(Gateway, server=server)
    for module in pkgutil.iter_modules(routes.__path__):
        app.include_router(import_module(f"{routes.__name__}.{module.name}").router)
    return app
