"""The server as OpenAI's own client sees it, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from fastapi.testclient import TestClient
from openai import OpenAI
from pydantic import BaseModel

from tests.workspaces import fresh_workspace
from tunewright.server.app import build_app
from tunewright.server.context import Server, Settings
from tunewright.store import Workspace

AnyModel = TypeVar("AnyModel", bound=BaseModel)


def open_client(root: Path, **settings: Any) -> tuple[OpenAI, TestClient, Workspace]:
    """The client, a plain one for what it cannot say, and the workspace behind them. No model answers here."""
    workspace = fresh_workspace(root)
    nobody: Any = None
    app = build_app(Server(workspace, nobody, Settings(**settings)))
    plain = TestClient(app, raise_server_exceptions=False)
    return OpenAI(api_key="none", base_url="http://testserver/v1", http_client=plain, max_retries=0), plain, workspace


def checked(told: AnyModel) -> AnyModel:
    """What the client was told, after its types were checked strictly: the client itself takes whatever comes."""
    type(told).model_validate_json(told.model_dump_json(by_alias=True, exclude_unset=True), strict=True)
    return told
