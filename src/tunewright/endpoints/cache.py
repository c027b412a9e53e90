"""Replies that are known already, by what was asked of whom: one small file each, so that any number of processes
may read and write them."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from pathlib import Path

from tunewright.base.files import hash_value, read_json, write_json
from tunewright.endpoints.wire import Reply, Request


def reply_key(request: Request, url: str, model: str) -> str:
    """The hash of all that a reply depends on."""
    return hash_value({"url": url, **request.body(model)})


def find_reply(folder: Path, key: str) -> Reply | None:
    """The reply to a request that was answered before; None where it was not."""
    # A file that someone has damaged is as good as none: the endpoint is asked again, and the file replaced.
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        return replace(Reply(**read_json(_place(folder, key))), cached=True)
    return None


def keep_reply(folder: Path, key: str, reply: Reply) -> None:
    """Keeps a reply; a file is whole or absent, whatever happens meanwhile."""
    write_json(_place(folder, key), asdict(reply))


def _place(folder: Path, key: str) -> Path:
    return folder / key[:2] / f"{key}.json"
