"""Files in object stores and on the Hugging Face hub, through fsspec: s3://, gs://, hf://datasets/… and others."""

from __future__ import annotations

import glob
import json
import posixpath
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from tunewright.base.errors import DataError, MissingExtraError
from tunewright.base.files import atomic_file, hash_value, read_json, write_json
from tunewright.base.plugins import READERS
from tunewright.models.delivery import in_background
from tunewright.recipe.places import scheme_of

ANSWER_TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 20
_SEEN = ".seen.json"  # hidden, so that no reader takes it for data
_SHOWN = 10
# Of this machine, or reached otherwise; and those that wrap another, by which anything could be named.
_REFUSED = ("file", "local", "http", "https", "dir", "simplecache", "filecache", "blockcache", "cached", "reference")

Result = TypeVar("Result")


def fetch_files(url: str, folder: Path, tell: Callable[[int, int], None]) -> list[Path]:
    """Brings the files behind an address into a folder; those that are there already and have not changed stay.

    Args:
        url: A file, or a glob of files; of a folder the only file that can be read.
        folder: Where they go, under the names and folders they have there.
        tell: Hears how many bytes of how many are there.

    Raises:
        DataError: If the store cannot be reached, or it is not clear which files are meant.
        MissingExtraError: If the store needs a package that is not installed.
    """
    system, place = _open(url)
    paths = sorted(_within(url, lambda: _find(system, place, url)))
    infos = {path: _within(url, lambda path=path: system.info(path)) for path in paths}  # type: ignore[misc]
    sizes = {path: int(info.get("size") or 0) for path, info in infos.items()}
    base = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    folder.mkdir(parents=True, exist_ok=True)
    seen: dict[str, str] = read_json(folder / _SEEN) if (folder / _SEEN).exists() else {}
    targets: dict[str, Path] = {}
    done, total = 0, sum(sizes.values())
    for path in paths:
        relative = posixpath.relpath(path, base) if base else path
        target = targets[path] = folder / _safe(relative, url)
        mark = hash_value(json.loads(json.dumps(infos[path], default=str)))
        if not (target.exists() and seen.get(relative) == mark):
            for count in _download(system, path, target, url):
                tell(done + count, total)
            seen[relative] = mark
            write_json(folder / _SEEN, seen)
        done += sizes[path]
        tell(done, total)
    for old in set(folder.rglob("*")) - set(targets.values()) - {folder / _SEEN}:
        if old.is_file():  # no longer there
            old.unlink()
    return list(targets.values())


def _open(url: str) -> tuple[Any, str]:
    import fsspec

    scheme = scheme_of(url)
    if scheme in _REFUSED or "::" in url:
        raise DataError(f"'{scheme}' is no store that rows are collected from", where=url)
    try:
        system, place = fsspec.core.url_to_fs(url)
    except ValueError as error:
        raise DataError(f"'{scheme}' is unknown: {error}", where=url) from error
    except ImportError as error:
        if scheme == "s3":
            raise MissingExtraError("s3fs", extra="s3", needed_for="Reading from S3") from error
        raise DataError(f"'{scheme}' needs a package that is not installed", where=url, hint=str(error)) from error
    return system, place


def _find(system: Any, place: str, url: str) -> list[str]:
    # Asked first, since `glob` and `isfile` take any failure for an answer.
    try:
        kind = system.info(_before_glob(place))["type"]
    except FileNotFoundError:
        raise DataError("There is no such file", where=url) from None
    if glob.has_magic(place):
        found = [path for path in system.glob(place) if system.isfile(path)]
        if not found:
            raise DataError("No file there has such a name", where=url)
        return found
    if kind == "file":
        return [place]
    suffixes = [suffix for name in READERS.names() for suffix in READERS.module(name).SUFFIXES]
    # A card that describes the rest is no row of it.
    inside = [path for path in sorted(system.find(place)) if PurePosixPath(path).name.lower() != "readme.md"]
    readable = [path for path in inside if PurePosixPath(path).suffix.lower() in suffixes]
    if len(readable) == 1:
        return readable
    names = [posixpath.relpath(path, place) for path in readable]
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    raise DataError(
        f"There are {len(names):,} files that can be read, and it is not said which",
        where=url,
        hint=f"Name one, or several with a glob: {', '.join(names[:_SHOWN])}{more}." if names else "",
    )


def _before_glob(place: str) -> str:
    """The folder that a glob begins in; a place without magic is itself."""
    parts = place.split("/")
    first = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return "/".join(parts[:first])


def _safe(relative: str, url: str) -> str:
    if relative.startswith("/") or ".." in PurePosixPath(relative).parts:
        raise DataError(f"The name '{relative}' leads out of the store", where=url)
    return relative


def _download(system: Any, path: str, target: Path, url: str) -> Any:
    count = 0
    with atomic_file(target) as temporary, temporary.open("wb") as file:
        source = _within(url, lambda: system.open(path, "rb"))
        with source:
            while chunk := _within(url, lambda: source.read(_CHUNK_BYTES)):
                file.write(chunk)
                count += len(chunk)
                yield count


def _within(url: str, ask: Callable[[], Result]) -> Result:
    """What a store answers, within a time: the look-up of a host's name has none of its own."""
    asked = in_background(ask)
    if not wait([asked], ANSWER_TIMEOUT_S).done:
        raise DataError(f"The store did not answer within {ANSWER_TIMEOUT_S:g} seconds", where=url)
    try:
        return asked.result()
    except DataError:
        raise
    except Exception as error:  # each store has an error tree of its own
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DataError(
            f"The store cannot be read: {text.rstrip('.')}", where=url, hint="Check the address, and the network."
        ) from error
