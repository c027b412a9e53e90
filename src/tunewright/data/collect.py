"""From a recipe whose rows lie elsewhere to one whose rows lie in files: databases, web pages, stores, the hub.

Everything after this reads files alone, as often as it needs to, and finds the same rows each time. What is brought
here is kept in the cache, under a name that its address decides, so that the same recipe gives the same row ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Message, Stage, ignore
from tunewright.base.files import atomic_file, hash_value
from tunewright.data.collected import write_collected
from tunewright.data.folders import look_into
from tunewright.recipe.places import PAGES, is_database, scheme_of, shown_url
from tunewright.recipe.schema import Recipe, Source

_SHOWN = 3
_NAME = re.compile(r"[^\w.-]+")


def collect(recipe: Recipe, *, cache: Path, listener: Listener = ignore) -> Recipe:
    """The recipe with every source a file or a folder on this machine.

    Args:
        recipe: Its `data` and `forgetting.data` are looked at.
        cache: Where what is brought here is kept: `collected/` and `pages/` in it.
        listener: Hears how far it is, and what of a folder is left out.

    Raises:
        DataError: If something cannot be brought here.
        MissingExtraError: If a package is missing for it.
    """

    def here(sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return tuple(_brought(source, cache, listener) for source in sources)

    parts = {part: here(getattr(recipe.data, part)) for part in ("train", "validation", "test", "challenger")}
    general = here(recipe.forgetting.data)
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update=parts),
            "forgetting": recipe.forgetting.model_copy(update={"data": general}),
        }
    )


def _brought(source: Source, cache: Path, listener: Listener) -> Source:
    if not source.is_elsewhere:
        for folder in (path for path in source.files() if path.is_dir()):
            _tell_left_out(folder, listener)
        return source
    path = source.path
    folder = cache / "collected" / hash_value([path, source.query])[:16]
    if is_database(path):
        found = _from_database(source, folder, listener)
    elif path.lower().endswith(PAGES) and not scheme_of(path):
        found = _from_pages(Path(path), folder, cache / "pages", listener)
    elif scheme_of(path) in ("http", "https"):
        found = _from_web(path, folder, listener)
    else:
        from tunewright.data.collecting.stores import fetch_files

        fetched = fetch_files(path, folder, _teller(listener, "bytes", path))
        found = fetched[0] if len(fetched) == 1 else folder
    return source.model_copy(update={"path": str(found), "query": ""})


def _tell_left_out(folder: Path, listener: Listener) -> None:
    inside = look_into(folder)
    left = [f"{inside.hidden:,} hidden"] if inside.hidden else []
    if inside.unknown:
        names = ", ".join(path.name for path in inside.unknown[:_SHOWN])
        more = ", …" if len(inside.unknown) > _SHOWN else ""
        left.append(f"{len(inside.unknown):,} of no known kind ({names}{more})")
    if left:
        text = f"{folder.name}/: {len(inside.files):,} files are read; left out: {' and '.join(left)}."
        listener(Message(text, "warning" if inside.unknown else "info"))


def _teller(listener: Listener, unit: str, what: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        listener(Stage("data", "progress", done=done, total=total, unit=unit, note=f"collecting {what}"))

    return tell


def _from_database(source: Source, folder: Path, listener: Listener) -> Path:
    from tunewright.data.collecting.sql import query_rows

    shown = shown_url(source.path)
    tell = _teller(listener, "rows", shown)
    name = _file_name(PurePosixPath(shown).name, "database")

    def rows() -> Any:
        for number, row in enumerate(query_rows(source.path, source.query, name), 1):
            if number % 2000 == 0:
                tell(number, 0)
            yield row

    if not write_collected(folder / name, rows()):
        raise DataError("The query's answer has no rows", where=shown)
    return folder / name


def _from_pages(listed: Path, folder: Path, kept: Path, listener: Listener) -> Path:
    from tunewright.data.collecting.web import Web
    from tunewright.data.collecting.web_pages import page_rows

    if not listed.exists():
        raise DataError("This file does not exist", where=str(listed))
    target = folder / f"{listed.name}.rows"  # the list's own suffix would call for collecting it again
    with closing(Web()) as web:
        write_collected(target, page_rows(listed, kept, web, _teller(listener, "pages", listed.name)))
    return target


def _from_web(url: str, folder: Path, listener: Listener) -> Path:
    from tunewright.data.collecting.sql import fill_in
    from tunewright.data.collecting.web import DOWNLOAD, PageError, Web

    tell = _teller(listener, "bytes", shown_url(url))
    filled, _ = fill_in(url)
    name = _file_name(unquote(PurePosixPath(urlsplit(url).path).name), "download")
    try:
        with closing(Web()) as web, atomic_file(folder / name) as temporary, temporary.open("wb") as file:
            for answer in web.get(filled, DOWNLOAD, robots=False):
                done = 0
                for chunk in answer.chunks:
                    file.write(chunk)
                    done += len(chunk)
                    tell(done, 0)
    except PageError as error:
        raise DataError(error.what[0].upper() + error.what[1:], where=shown_url(url)) from None
    return folder / name


def _file_name(name: str, otherwise: str) -> str:
    """A name that is safe on every system, and hidden on none."""
    return _NAME.sub("-", name).strip(".-")[-100:] or otherwise
