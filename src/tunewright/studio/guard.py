"""What every page is guarded by: this machine alone, no foreign forms, small bodies, nothing from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from fastapi import FastAPI, HTTPException, Request, Response

LARGEST_BODY_BYTES = 64 * 1024
_MOST_FIELDS = 50
_HOSTS = ("127.0.0.1", "localhost")

# Everything that a page needs comes from this server; nothing is run that stands in a page itself.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that, browsers say `Origin: null` on the page's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def guard(app: FastAPI) -> None:
    """Puts the checks before, and the headers behind, all that an app answers.

    A request must name this machine as its host, so that no other name that points here (DNS rebinding) reaches it; one
    that changes something must come from a page of this server.
    """

    @app.middleware("http")
    async def guarded(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        refusal = refused(request)
        response = Response(refusal, 403, media_type="text/plain") if refusal else await answer(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def refused(request: Request) -> str:
    """Why a request is not answered; empty where it is."""
    host = request.headers.get("host", "")
    if host.rpartition(":")[0] not in _HOSTS and host not in _HOSTS:
        return "This server answers to 127.0.0.1 and localhost only."
    if request.method in ("GET", "HEAD"):
        return ""
    if request.headers.get("origin") != f"http://{host}":
        return "This form was not sent from a page of this server."
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return "This form was not sent from a page of this server."
    return ""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a small form; of a field that comes twice the last.

    Raises:
        HTTPException: 413 for a body that is too large, however it is sent; 415 and 400 for what is no form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "This is no form.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY_BYTES:
            raise HTTPException(413, "This form is too large.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise HTTPException(400, "This form cannot be read.") from error
    return dict(pairs)
