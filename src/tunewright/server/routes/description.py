"""The API's description for people: one page that loads nothing from elsewhere. `/openapi.json` is for programs."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
dl { display: grid; grid-template-columns: minmax(0, 11fr) minmax(0, 9fr); }
dt, dd { margin: 0; padding: .3rem .6rem .3rem 0; border-top: 1px solid #8884; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
h2 { margin-top: 2rem; text-transform: capitalize; }
@media (max-width: 40rem) { dl { display: block; } dd { border: 0; padding: 0 0 .6rem; } }
@media (prefers-color-scheme: dark) { body { background: #16181d; color: #e6e6e6; } a { color: #8ab4ff; } }
"""


@router.get("/docs")
def page(request: Request) -> HTMLResponse:
    """All routes, by area."""
    described: dict[str, Any] = request.app.openapi()
    areas: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            area = (operation.get("tags") or ["other"])[0]
            areas.setdefault(area, []).append(_row(method, path, operation))
    sections = "".join(f"<h2>{escape(area)}</h2><dl>{''.join(rows)}</dl>" for area, rows in sorted(areas.items()))
    info = described["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><p>{escape(info.get('description', ''))}"
        f' Programs read <a href="/openapi.json">/openapi.json</a>.</p>{sections}</body></html>'
    )
    return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    said = (operation.get("description") or operation.get("summary") or "").strip().partition("\n")[0]
    shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(said))
    return f"<dt><code>{escape(method.upper())} {escape(path)}</code></dt><dd>{shown}</dd>"
