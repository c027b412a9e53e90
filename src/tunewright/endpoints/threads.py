"""Several calls at one time, their results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # calls begun or waiting, for each thread


def in_order(function: Callable[[Item], Result], items: Iterable[Item], *, threads: int) -> Iterator[Result]:
    """Calls a function on each item, several at one time, and gives the results in the items' order.

    Items are taken as they are needed. The first exception, by the items' order, ends it; calls that have not begun by
    then are not made. The threads are daemons: an answer that is long in coming does not hold up Ctrl-C.
    """
    tasks: SimpleQueue[tuple[Item, Future[Result]] | None] = SimpleQueue()

    def work() -> None:
        while (task := tasks.get()) is not None:
            item, future = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function(item))
            except BaseException as error:
                future.set_exception(error)  # raised where the result is asked for

    for _ in range(threads):
        threading.Thread(target=work, daemon=True, name="endpoint").start()
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            future: Future[Result] = Future()
            waiting.append(future)
            tasks.put((item, future))
            if len(waiting) >= _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for _ in range(threads):
            tasks.put(None)
