"""A pytest plugin for the client's own suite: objects are put back before each test, and each test's result is written.

It is loaded into the suite's process, whose own package is called `tests`: so it stands on the path by itself, and
imports nothing of this folder by that name.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import _base_client
from putting_back import PutBack

_SENT = pytest.StashKey[bool]()
_OUTCOME = pytest.StashKey[str]()
_REASON = pytest.StashKey[str]()
_under_way: list[pytest.Item] = []


def pytest_configure(config: pytest.Config) -> None:
    """Notes every request that a client makes, whatever carries it."""
    for client in (_base_client.SyncAPIClient, _base_client.AsyncAPIClient):
        _note(client)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Opens the server's workspace."""
    with warnings.catch_warnings():  # the suite turns warnings into errors; those of our imports are not its business
        warnings.simplefilter("ignore")
        session.config.stash[_PUT_BACK] = PutBack(Path(os.environ["CONFORMANCE_SNAPSHOT"]))


_PUT_BACK = pytest.StashKey[PutBack]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Puts the objects back that the test before has deleted or changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        item.config.stash[_PUT_BACK].before(item.name)
    item.stash[_SENT], item.stash[_OUTCOME], item.stash[_REASON] = False, "passed", ""
    _under_way.append(item)
    try:
        return (yield)
    finally:
        _under_way.pop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Writes a test's result when it is over; a failure in any of its phases is its failure."""
    report = yield
    if report.outcome != "passed" and item.stash[_OUTCOME] != "failed":
        item.stash[_OUTCOME], item.stash[_REASON] = report.outcome, _reason(report.longreprtext)
    if call.when == "teardown":
        found = {
            "name": item.nodeid,
            # Where a mock stands in for the server nothing reaches it.
            "sent": item.stash[_SENT] and "respx2_mock" not in getattr(item, "fixturenames", ()),
            "outcome": item.stash[_OUTCOME],
            "reason": item.stash[_REASON],
        }
        with Path(os.environ["CONFORMANCE_RESULTS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
    return report


def _reason(text: str) -> str:
    """The first line of what pytest says went wrong."""
    lines = text.strip().splitlines()
    return next((line[1:].strip() for line in lines if line.startswith("E ")), lines[-1] if lines else "")


def _note(client: Any) -> None:
    """Wraps a client's one method through which all requests go."""
    request = client.request

    def noted(self: Any, *arguments: Any, **named: Any) -> Any:
        for item in _under_way:
            item.stash[_SENT] = True
        return request(self, *arguments, **named)

    client.request = noted
