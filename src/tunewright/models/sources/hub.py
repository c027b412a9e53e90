"""A model repository on the Hugging Face hub.

The hub is asked once and given three seconds; where it cannot be reached, it is not asked again in this process.
Only safetensors, settings and tokenizer files are downloaded: no pickles, no code.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tunewright.base.errors import ModelError
from tunewright.base.files import hash_file
from tunewright.base.plugins import PluginConfig
from tunewright.base.quiet import quiet
from tunewright.models.delivery import Delivery, Origin, bytes_below, in_background
from tunewright.models.files import is_wanted, weight_files
from tunewright.models.sources.folder import copy_model

ANSWER_TIMEOUT_S = 3.0
DEFAULT_ENDPOINT = "https://huggingface.co"
_POLL_S = 0.2
_YES = {"1", "ON", "YES", "TRUE"}

# Endpoints that could not be reached, and why; each is asked once in the life of a process.
_unreachable: dict[str, str] = {}


class Config(PluginConfig):
    """One repository."""

    name: Literal["hub"] = "hub"
    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="Organisation and name, as on the hub.")
    revision: str = Field("main", min_length=1, description="A branch, a tag or a commit.")


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    size_bytes: int
    sha256: str  # empty for small files, which the hub keeps in git


def describe(config: Config) -> str:
    """Such as `hub HuggingFaceTB/SmolLM2-135M-Instruct`."""
    return f"hub {config.id}"


def fetch(config: Config, delivery: Delivery) -> Origin:
    """Downloads the repository's model files, or copies them from the hub's own cache on this machine.

    Raises:
        ModelError: If the hub cannot be reached, refuses, or has no safetensors weights under this name.
    """
    with quiet():
        if (cached := _in_hub_cache(config)) is not None:
            copy_model(cached, delivery)
            return Origin(f"{describe(config)}@{cached.name} (the hub's cache on this machine)")
        info = _ask(config)
        files = _choose(config, info)
        # Named by commit: parts of another version are never mixed in.
        downloads = delivery.work / f"hub-{info.sha}"
        _download(config, files, downloads, delivery)
    for file in files:
        target = delivery.folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(downloads / file.path, target)
    card = info.card_data
    return Origin(f"{describe(config)}@{info.sha}", str((card and card.get("license")) or ""))


def _in_hub_cache(config: Config) -> Path | None:
    """The repository's folder in the hub library's own cache, if it is there and whole; asks no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(config.id, revision=config.revision, local_files_only=True))
        weight_files(folder)
    except (LocalEntryNotFoundError, ModelError):
        return None  # absent, or left incomplete by another program
    return folder if (folder / "config.json").exists() else None


def _ask(config: Config) -> Any:
    """The repository's description: commit, files with sizes and hashes, licence."""
    from huggingface_hub import HfApi

    endpoint = _endpoint()
    if _is_offline():
        raise ModelError("The hub is switched off by HF_HUB_OFFLINE", where=describe(config))
    if endpoint in _unreachable:
        raise ModelError(_unreachable[endpoint], where=describe(config))
    timeout_s = float(os.environ.get("HF_HUB_ETAG_TIMEOUT", ANSWER_TIMEOUT_S))
    api = HfApi(endpoint=endpoint)
    # On a thread of its own: looking up a host's name has no time limit, and is where machines without network hang.
    asked = in_background(
        lambda: api.model_info(config.id, revision=config.revision, timeout=timeout_s, files_metadata=True)
    )
    if not wait([asked], timeout_s).done:
        _unreachable[endpoint] = f"{endpoint} did not answer within {timeout_s:g} seconds"
        raise ModelError(_unreachable[endpoint], where=describe(config))
    with _reasons(config, endpoint):
        return asked.result()


def _choose(config: Config, info: Any) -> list[_File]:
    files = [
        _File(sibling.rfilename, sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else "")
        for sibling in info.siblings or []
        if is_wanted(sibling.rfilename)
    ]
    if not any(file.path.endswith(".safetensors") for file in files):
        raise ModelError(
            "The repository holds no safetensors weights",
            where=describe(config),
            hint="Pickles are never loaded. The hub's safetensors/convert space makes a safe copy.",
        )
    return files


def _download(config: Config, files: list[_File], target: Path, delivery: Delivery) -> None:
    """Downloads into `target`, going on where an earlier try stopped, and checks sizes and hashes."""
    from huggingface_hub import hf_hub_download

    commit = target.name.removeprefix("hub-")
    endpoint = _endpoint()
    total = sum(file.size_bytes for file in files)
    target.mkdir(parents=True, exist_ok=True)
    delivery.tell("download", "started", (0, total, "bytes"), describe(config))

    def download() -> None:
        for file in files:
            hf_hub_download(config.id, file.path, revision=commit, local_dir=target, endpoint=endpoint)

    running = in_background(download)
    while not wait([running], _POLL_S).done:
        delivery.tell("download", "progress", (min(bytes_below(target), total), total, "bytes"))
    with _reasons(config, endpoint):
        running.result()
    for file in files:
        _check(config, file, target / file.path)
    delivery.tell("download", "finished", (total, total, "bytes"), describe(config))


def _check(config: Config, file: _File, path: Path) -> None:
    size_bytes = path.stat().st_size
    if size_bytes == file.size_bytes and (not file.sha256 or hash_file(path) == file.sha256):
        return
    path.unlink()
    raise ModelError(
        f"The download of {file.path} is not what the hub announced; it was deleted",
        where=describe(config),
        hint="Try again.",
    )


@contextlib.contextmanager
def _reasons(config: Config, endpoint: str) -> Iterator[None]:
    """Turns what the hub's client raises into a `ModelError`, and remembers endpoints that cannot be reached."""
    from huggingface_hub import get_session
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    # The client's library is httpx in hub 1 and httpx2 in hub 2; both name their errors alike.
    client = importlib.import_module(type(get_session()).__module__.partition(".")[0])
    where = describe(config)
    try:
        yield
    except GatedRepoError as error:
        raise ModelError(
            "The repository is gated",
            where=where,
            hint=f"Accept its licence at {endpoint}/{config.id}, then set HF_TOKEN.",
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"The repository has no revision '{config.revision}'", where=where) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            "The hub knows no such repository, or it is private", where=where, hint="Check the id, or set HF_TOKEN."
        ) from error
    except HfHubHTTPError as error:
        raise ModelError(f"The hub refused: {_first_line(error)}", where=where) from error
    except (client.TransportError, ConnectionError) as error:
        _unreachable[endpoint] = f"{endpoint} cannot be reached ({_first_line(error)})"
        raise ModelError(_unreachable[endpoint], where=where) from error
    except (client.HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ModelError(f"The download broke off: {_first_line(error)}", where=where) from error


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def _is_offline() -> bool:
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in _YES for name in names)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
