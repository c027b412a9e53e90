"""Who may ask: keys, the projects they belong to, and, where no key is asked for, this machine alone."""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import urlsplit

from starlette import types
from starlette.datastructures import Headers

from tunewright.server.context import Caller, Scope, Server, Settings
from tunewright.server.errors import ApiError
from tunewright.store.keys import find_key

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_KEY = 256
# Shorter words would be given away by their ends.
_SHOWN_FROM = 16


def identify(server: Server, headers: Headers) -> Caller:
    """Whoever sends these headers. Asks the database.

    Raises:
        ApiError: 401 without a key that is known, or where the headers name another organisation or project than the
            key's; 400 for a project that cannot be one.
    """
    organization, project = headers.get("openai-organization", ""), headers.get("openai-project", "")
    if not server.settings.keys:
        if project and not _PROJECT.fullmatch(project):
            raise ApiError(400, "OpenAI-Project may have letters, digits, dots, hyphens and underscores, 64 at most.")
        return Caller(project=project or "default", organization=server.settings.organization)
    secret = _bearer(headers)
    key = find_key(server.workspace, secret) if len(secret) <= _LONGEST_KEY else None
    if key is None:
        raise _unknown(secret)
    own = key.organization or server.settings.organization
    if organization and organization != own:
        raise _refused("OpenAI-Organization header should match organization for API key", "mismatched_organization")
    if project and project != key.project:
        raise _refused("OpenAI-Project header should match project for API key", "mismatched_project")
    scopes = cast(frozenset[Scope], key.scopes)  # the store knows no others
    return Caller(key=key.id, project=key.project, scopes=scopes, organization=own)


def check_origin(settings: Settings, scope: types.Scope, headers: Headers) -> None:
    """Keeps pages of other sites away from a server that asks for no key.

    A page in a browser reaches this machine's ports, under the machine's name or, by DNS rebinding, under its own. So
    the name must be one of ours, and what a browser says to come from a page must come from one of this server.

    Raises:
        ApiError: 403.
    """
    if settings.hosts is None:
        return
    host = headers.get("host", "")
    if _name(host) not in settings.hosts:
        raise ApiError(
            403,
            f"Without keys this server answers to {', '.join(sorted(settings.hosts))} only. To reach it by another"
            " name, start it with --keys.",
            code="host_not_allowed",
        )
    origin = headers.get("origin")
    is_foreign = origin is not None and origin != f"{scope['scheme']}://{host}"
    if is_foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ApiError(
            403,
            "Without keys this server answers no page of another site. Start it with --keys, and send a key.",
            code="origin_not_allowed",
        )


def shown(secret: str) -> str:
    """A key as messages may show it: its first and last letters, and of a short word nothing."""
    return f"{secret[:3]}***{secret[-4:]}" if _SHOWN_FROM <= len(secret) <= _LONGEST_KEY else "***"


def _bearer(headers: Headers) -> str:
    kind, _, secret = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise _refused(
            "You didn't provide an API key. Send one in an Authorization header: 'Authorization: Bearer YOUR_KEY'. Keys"
            " are made with: tunewright keys create NAME",
            None,
        )
    return secret.strip()


def _unknown(secret: str) -> ApiError:
    said = shown(secret) if secret.isascii() and secret.isprintable() else "***"
    return _refused(
        f"Incorrect API key provided: {said}. Keys are made with: tunewright keys create NAME", "invalid_api_key"
    )


def _refused(message: str, code: str | None) -> ApiError:
    return ApiError(401, message, code=code, headers={"WWW-Authenticate": "Bearer"})


def _name(host: str) -> str:
    """The name in a Host header, without its port; empty where it has none."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
    return f"[{name}]" if ":" in name else name
