"""Lists in pages, as OpenAI's API turns them over: `after` an id, up to `limit`, in an `order`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query

from tunewright.store import Page, Record
from tunewright.store.records import Order

DEFAULT, MOST = 20, 100


@dataclass(frozen=True)
class Wanted:
    """The page that is asked for.

    Args:
        after: The id of the object that it follows; None: the first page.
        limit: How many objects it may hold.
        order: By time of making; newest first is "desc".
    """

    after: str | None
    limit: int
    order: Order


def paging(*, default: int = DEFAULT, most: int = MOST, order: Order = "desc") -> Callable[..., Wanted]:
    """A dependency: which page the query asks for.

    Args:
        default: Objects in a page where the query does not say.
        most: Objects that it may ask for.
        order: The order where the query does not say.
    """
    after_field: Any = Query(None, description="The id of the object that the page follows.")
    limit_field: Any = Query(default, ge=0, le=most, description="How many objects the page may hold.")
    order_field: Any = Query(order, description="By time of making: asc, or desc for the newest first.")

    def wanted(after: str | None = after_field, limit: int = limit_field, order: Order = order_field) -> Wanted:
        return Wanted(after, limit, order)

    return wanted


Paging = Annotated[Wanted, Depends(paging())]


def listing(page: Page, render: Callable[[Record], dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A page as the API answers it; `more` are further fields of the list."""
    records = page.records
    return {
        "object": "list",
        "data": [render(record) for record in records],
        "first_id": records[0].id if records else None,
        "last_id": records[-1].id if records else None,
        "has_more": page.has_more,
        **more,
    }
