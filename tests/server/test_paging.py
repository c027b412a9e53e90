"""Pages: what the query asks for, and how a list is answered."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from tunewright.server.errors import add_handlers
from tunewright.server.paging import Paging, Wanted, listing, paging
from tunewright.store import Page, Record


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    add_handlers(app)

    def pages(page: Paging) -> dict[str, Any]:
        return {"after": page.after, "limit": page.limit, "order": page.order}

    def files(page: Annotated[Wanted, Depends(paging(default=500, most=1000, order="asc"))]) -> dict[str, Any]:
        return {"after": page.after, "limit": page.limit, "order": page.order}

    app.get("/pages")(pages)
    # The annotation of a route made here cannot be found by its name.
    files.__annotations__["page"] = Annotated[Wanted, Depends(paging(default=500, most=1000, order="asc"))]
    app.get("/files")(files)
    return TestClient(app)


def test_the_query_says_which_page(client: TestClient) -> None:
    assert client.get("/pages").json() == {"after": None, "limit": 20, "order": "desc"}
    asked = {"after": "job-1", "limit": 100, "order": "asc"}
    assert client.get("/pages", params=asked).json() == asked
    assert client.get("/pages", params={"limit": 0}).json()["limit"] == 0
    assert client.get("/files").json() == {"after": None, "limit": 500, "order": "asc"}
    assert client.get("/files", params={"limit": 1000}).status_code == 200


@pytest.mark.parametrize(("name", "value"), [("limit", "101"), ("limit", "-1"), ("limit", "many"), ("order", "up")])
def test_a_wrong_page_is_refused(client: TestClient, name: str, value: str) -> None:
    answer = client.get("/pages", params={name: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name


def test_a_list_says_its_ends_and_whether_more_follow() -> None:
    records = [Record("job", id, "", "default", 1, {"n": n}, n) for n, id in enumerate(["job-1", "job-2"])]
    assert listing(Page(records, True), lambda record: record.body, extra=7) == {
        "object": "list",
        "data": [{"n": 0}, {"n": 1}],
        "first_id": "job-1",
        "last_id": "job-2",
        "has_more": True,
        "extra": 7,
    }
    empty = listing(Page([], False), lambda record: record.body)
    assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
