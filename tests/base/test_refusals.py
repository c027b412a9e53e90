"""Errors as the API says them, whoever says them."""

from __future__ import annotations

import pytest

from tunewright.base.errors import (
    BusyError,
    DatabaseAwayError,
    DiskFullError,
    InputError,
    NoSuchRecordError,
    OutOfMemoryError,
    TooLargeError,
    TunewrightError,
    UnknownNameError,
    WorkspaceError,
)
from tunewright.base.refusals import body, refusal_of


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InputError("x"), 400, "invalid_request_error"),
        (UnknownNameError("model", "x", ["y"]), 404, "not_found_error"),
        (NoSuchRecordError("file", "x"), 404, "not_found_error"),
        (TooLargeError("x"), 413, "invalid_request_error"),
        (BusyError("x", retry_after_s=3), 429, "rate_limit_error"),
        (OutOfMemoryError("x"), 503, "server_error"),
        (DatabaseAwayError("x"), 503, "server_error"),
        (DiskFullError("x"), 507, "server_error"),
        (WorkspaceError("x"), 500, "server_error"),
        (TunewrightError("x"), 500, "server_error"),
    ],
)
def test_each_error_has_its_status_and_all_four_keys(error: TunewrightError, status: int, kind: str) -> None:
    told = refusal_of(error)
    assert told.status == status
    said = told.body()["error"]
    assert said.keys() == {"message", "type", "param", "code"}
    assert said["type"] == kind


def test_places_of_requests_are_told_and_places_of_the_machine_are_not() -> None:
    wrong = refusal_of(InputError("It is empty", where="messages[0].content", hint="Fill it in."))
    assert (wrong.param, wrong.message) == ("messages[0].content", "messages[0].content: It is empty. Fill it in.")
    broken = refusal_of(WorkspaceError("It is broken", where="/home/me/.tunewright", hint="Mend it."))
    assert (broken.param, broken.message) == (None, "It is broken. Mend it.")
    assert "swordfish" not in refusal_of(DatabaseAwayError("password swordfish")).message


def test_when_to_come_again_is_told() -> None:
    assert refusal_of(BusyError("x", retry_after_s=3.5)).retry_after_s == 3.5
    assert refusal_of(OutOfMemoryError("x")).retry_after_s == 1.0
    assert refusal_of(InputError("x")).retry_after_s is None


def test_a_body_of_its_own() -> None:
    assert body(401, "No key.", code="invalid_api_key")["error"] == {
        "message": "No key.",
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }
