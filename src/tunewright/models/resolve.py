"""From a name to a base model on this machine: found in the cache, or fetched from the first source that works."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tunewright.base.errors import ModelError, UnknownNameError, WorkspaceError
from tunewright.base.events import Listener, Message, Stage, ignore
from tunewright.base.files import atomic_directory
from tunewright.base.plugins import PluginConfig
from tunewright.models import catalog
from tunewright.models.catalog import Kind
from tunewright.models.delivery import SOURCES, Delivery
from tunewright.models.files import BaseFiles, Facts, examine, seal, unseal

MANIFEST = "tunewright.json"
_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")
_PATH = re.compile(r"^(\.{1,2}(/|$)|/|~)")


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be fetched: a place in the cache, sources to try in turn, and what the catalogue knows."""

    name: str
    slug: str
    sources: tuple[PluginConfig, ...]
    licence: str = ""
    context_length: int = 0
    kind: Kind | None = None


def resolve(name: str, cache: Path, listener: Listener = ignore) -> BaseFiles:
    """A base model's files, fetched if they are not here yet.

    What is in the cache is used at once, without network. What is not is fetched by one process at a time; others
    wait for it and use what it brought.

    Args:
        name: A catalogue name, a hub id (`organisation/name`), a folder (`/…`, `./…`, `~/…`) or a `.gguf` file.
        cache: Models are kept below `cache/models`.
        listener: Hears about downloads.
    Raises:
        UnknownNameError: If the catalogue has no such name.
        ModelError: If no source has it; says what was tried.
    """
    if _PATH.match(name) and not name.endswith(".gguf"):
        return _in_place(name, cache, listener)
    order = _order(name)
    folder = _folder(cache, order.slug)
    with contextlib.suppress(ModelError):  # absent or damaged: looked at again, and reported, under the lock
        return unseal(folder, folder / MANIFEST, name)
    with _lock(cache, order, listener):
        _sweep(folder)
        if folder.exists():
            try:
                return unseal(folder, folder / MANIFEST, name)
            except ModelError as error:
                listener(Message(f"{name} in the cache is damaged and is fetched again. {error}", level="warning"))
                _discard(folder)
        _fetch(order, folder, cache, listener)
    return unseal(folder, folder / MANIFEST, name)


def find_here(name: str, cache: Path) -> BaseFiles:
    """A model's files where they are on this machine; nothing is ever downloaded here.

    Args:
        name: As `resolve` takes it.
        cache: As `resolve` takes it.

    Raises:
        ModelError: If it is not here, or is damaged; says how to get it.
    """
    if _PATH.match(name) or name.endswith(".gguf"):
        return resolve(name, cache)
    folder = cached_folder(name, cache)
    if not folder.is_dir():
        raise ModelError(
            f"The model '{name}' is not on this machine", hint=f"Fetch it once with: tunewright models pull {name}."
        )
    return unseal(folder, folder / MANIFEST, name)


def cached_folder(name: str, cache: Path) -> Path:
    """Where a model that is fetched by a hub id or a catalogue name lies, whether or not it has been.

    Args:
        name: `organisation/name`, or a name as the catalogue may have it.
        cache: As `resolve` takes it.
    """
    return _folder(cache, _hub_slug(name) if _HUB_ID.match(name) else name.lower())


def pull(names: Sequence[str], cache: Path, listener: Listener = ignore) -> list[BaseFiles]:
    """Brings several models into the cache; `embedded` stands for those that tunewright itself needs.

    Raises:
        UnknownNameError: Before anything is fetched, if a name is unknown.
        ModelError: If one cannot be fetched; those before it stay.
    """
    wanted: list[str] = []
    for name in names:
        wanted += catalog.embedded_names() if name == catalog.EMBEDDED else [name]
    for name in wanted:
        if not _PATH.match(name):
            _order(name)
    pulled: list[BaseFiles] = []
    for name in dict.fromkeys(wanted):
        listener(Stage(f"pull {name}", "started"))
        files = resolve(name, cache, listener)
        listener(Stage(f"pull {name}", "finished", note=files.source))
        pulled.append(files)
    return pulled


def _order(name: str) -> _Order:
    if name.endswith(".gguf"):
        return _gguf_order(name)
    if _HUB_ID.match(name):
        config = SOURCES.config("hub").model_validate({"name": "hub", "id": name})
        return _Order(name, _hub_slug(name), (config,))
    try:
        entry = catalog.find(name)
    except UnknownNameError as error:
        error_text = f"{error.hint} A hub id (organisation/name), a folder (./name) or a .gguf file will do as well."
        raise ModelError(error.what, hint=error_text) from error
    return _Order(entry.name, entry.name, entry.sources, entry.licence, entry.context_length, entry.kind)


def _hub_slug(name: str) -> str:
    return f"hub--{name.replace('/', '--')}"


def _folder(cache: Path, slug: str) -> Path:
    return cache / "models" / slug


def _gguf_order(name: str) -> _Order:
    file = Path(name).expanduser().absolute()
    if not file.is_file():
        raise ModelError("There is no such file", where=str(file), hint="Check the path.")
    stat = file.stat()
    # Place, size and time of change stand for the content: hashing gigabytes at each start would be felt.
    digest = _short_hash(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}")
    config = SOURCES.config("gguf").model_validate({"name": "gguf", "path": str(file)})
    return _Order(name, f"gguf--{file.stem}--{digest}", (config,))


def _in_place(name: str, cache: Path, listener: Listener) -> BaseFiles:
    """A user's own folder, used where it lies; only its manifest goes into the cache."""
    folder = Path(os.path.realpath(Path(name).expanduser()))
    if not folder.is_dir():
        raise ModelError("There is no such folder", where=str(folder), hint="Check the path.")
    manifest = cache / "models" / "folders" / f"{folder.name}--{_short_hash(str(folder))}.json"
    if manifest.exists():
        with contextlib.suppress(ModelError):  # it has been changed since: looked at anew
            return unseal(folder, manifest, name)
    facts = examine(folder, name, f"folder {folder}")
    with _writable(cache):
        seal(folder, manifest, facts, listener)
    return unseal(folder, manifest, name)


def _fetch(order: _Order, folder: Path, cache: Path, listener: Listener) -> None:
    """Tries the order's sources in turn; the folder appears whole or not at all."""
    work = cache / "models" / ".downloads" / order.slug
    failures: list[str] = []
    for config in order.sources:
        text = SOURCES.call(config.name, "describe", config)  # type: ignore[attr-defined]
        try:
            with _writable(cache), atomic_directory(folder) as temporary:
                delivery = Delivery(order.name, temporary, work, listener)
                origin = SOURCES.call(config.name, "fetch", config, delivery)  # type: ignore[attr-defined]
                facts = _settle(order, examine(temporary, order.name, origin.text, order.licence or origin.licence))
                seal(temporary, temporary / MANIFEST, facts, listener)
        except ModelError as error:
            failures.append(str(error))
            if config is not order.sources[-1]:
                listener(Message(f"{text}: {error.what}; going on to the next source."))
            continue
        shutil.rmtree(work, ignore_errors=True)
        return
    tried = "\n".join(f"  {failure}" for failure in failures)
    nearby = f" For the folder in the working directory, write ./{order.name}." if Path(order.name).is_dir() else ""
    raise ModelError(
        f"Base model '{order.name}' could not be fetched. Tried:\n{tried}\n",
        hint=f"Check the network, or name a local folder or .gguf file instead.{nearby}",
    )


def _settle(order: _Order, facts: Facts) -> Facts:
    """What the catalogue says of a model stands above what its files say; they must agree on its kind."""
    if order.kind not in (None, facts.kind):
        raise ModelError(f"The files hold a {facts.kind} where the catalogue says {order.kind}", where=facts.source)
    return Facts(
        facts.name, facts.source, facts.licence, order.context_length or facts.context_length, order.kind or facts.kind
    )


@contextlib.contextmanager
def _lock(cache: Path, order: _Order, listener: Listener) -> Iterator[None]:
    """Holds the one lock under which this model is fetched; the system frees it when a process dies."""
    locks = cache / "models" / ".locks"
    with _writable(cache):
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{order.slug}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            listener(Message(f"Another process is fetching {order.name}; waiting for it."))
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _writable(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise WorkspaceError(
            "The cache cannot be written to",
            where=str(error.filename or cache),
            hint="Change its permissions, or choose another workspace with --workspace.",
        ) from error


def _sweep(folder: Path) -> None:
    """Removes what killed processes left half-written. Under the lock nobody else is writing here."""
    for leftover in [*folder.parent.glob(f".{folder.name}.*.part"), *folder.parent.glob(f".{folder.name}.*.old")]:
        shutil.rmtree(leftover, ignore_errors=True)


def _discard(folder: Path) -> None:
    """Takes a damaged model away in one step, so that no reader meets half of it."""
    old = tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent)
    folder.rename(Path(old) / folder.name)
    shutil.rmtree(old)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
