"""The client's own test-suite: fetched once, checked by its hash, and run against a server."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = "3.52.0"
SHA256 = "258a4fec3e40b412c58672526ed33f20738c2e4ea27601792e73843af62466af"
# What its tests need and this project's own development environment does not have.
NEEDED = (
    "pytest-asyncio==1.4.0",
    *("aiohttp==3.14.5", "aiohappyeyeballs==2.7.1", "aiosignal==1.4.0", "frozenlist==1.8.0"),
    *("multidict==7.2.1", "propcache==0.5.4", "yarl==1.25.1"),
)
AREAS: Mapping[str, tuple[str, ...]] = {
    "fine_tuning": ("fine_tuning",),
    "files": ("test_files.py",),
    "models": ("test_models.py",),
    "chat": ("chat",),
    "completions": ("test_completions.py",),
    "embeddings": ("test_embeddings.py",),
    "batches": ("test_batches.py",),
    "evals": ("test_evals.py", "evals"),
}
_HERE = Path(__file__).resolve().parent
_TESTS = "tests/api_resources"
_SHOWN_LINES = 30
_LONGEST_S = 3600.0


class SuiteFailed(Exception):  # noqa: N818 (what happened, not whose fault it was)
    """The suite could not be fetched, or did not run to its end."""


@dataclass(frozen=True)
class Suite:
    """The unpacked source distribution, and the packages that its tests need beside."""

    folder: Path
    packages: Path


@dataclass(frozen=True)
class Result:
    """What became of one test.

    Args:
        name: pytest's name of it, without the folder that all share.
        area: Which area of the API it tests.
        sent: Whether it sent a request to the server.
        outcome: `passed`, `failed` or `skipped`.
        reason: What went wrong, on a line.
    """

    name: str
    area: str
    sent: bool
    outcome: str
    reason: str


@contextlib.contextmanager
def cache_folder() -> Iterator[Path]:
    """$TUNEWRIGHT_CONFORMANCE_CACHE, where what is fetched stays; else a folder that is thrown away."""
    if given := os.environ.get("TUNEWRIGHT_CONFORMANCE_CACHE"):
        folder = Path(given).expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="tunewright-conformance-") as temporary:
        yield Path(temporary)


def fetch(cache: Path) -> Suite:
    """The suite in a cache folder; fetched from the package index where it is not there yet.

    Raises:
        SuiteFailed: If it cannot be fetched, or is not the one that is pinned.
    """
    archive, folder = cache / f"openai-{VERSION}.tar.gz", cache / f"openai-{VERSION}"
    packages = cache / f"packages-{hashlib.sha256(' '.join(NEEDED).encode()).hexdigest()[:12]}"
    if not archive.exists():
        wanted = cache / "suite.txt"
        wanted.write_text(f"openai=={VERSION} --hash=sha256:{SHA256}\n")
        _pip("download", "--no-binary", ":all:", "--no-deps", "--require-hashes", "-r", str(wanted), "-d", str(cache))
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise SuiteFailed(f"{archive} has the SHA-256 {found}, and not the pinned {SHA256}; remove it")
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=cache) as temporary, tarfile.open(archive) as packed:
            packed.extractall(temporary, filter="data")
            Path(temporary, folder.name).rename(folder)
    if not packages.exists():
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            _pip("install", "--no-deps", "--target", str(Path(temporary, "packages")), *NEEDED)
            Path(temporary, "packages").rename(packages)
    return Suite(folder, packages)


def run_suite(suite: Suite, url: str, areas: Collection[str], snapshot: Path, folder: Path) -> list[Result]:
    """Runs the tests of these areas, one after the other.

    Args:
        url: The server's base URL, which ends in /v1.
        snapshot: What is put back before each test; see `putting_back.py`.
        folder: For the suite's log and results.

    Raises:
        SuiteFailed: If pytest itself fails.
    """
    results = folder / "results.jsonl"
    paths = [f"{_TESTS}/{path}" for area in areas for path in AREAS[area]]
    plugins = [word for name in ("pytest_asyncio.plugin", "xdist", "watching") for word in ("-p", name)]
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "--tb=short", "--durations=5", "-p", "no:cacheprovider"]
    environment = {
        **os.environ,
        "TEST_API_BASE_URL": url,
        "CONFORMANCE_SNAPSHOT": str(snapshot),
        "CONFORMANCE_RESULTS": str(results),
        # Its own sources and these modules; ours are installed, or on the path already.
        "PYTHONPATH": os.pathsep.join(
            [str(suite.folder / "src"), str(_HERE), str(suite.packages), os.environ.get("PYTHONPATH", "")]
        ),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "DEFER_PYDANTIC_BUILD": "false",  # as the suite's own script has it
    }
    log = folder / "suite.log"
    with log.open("wb") as said:
        ended = subprocess.run(
            [*command, *plugins, *paths],
            cwd=suite.folder,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            timeout=_LONGEST_S,
        )
    if ended.returncode not in (0, 1):  # 1: some tests failed
        raise SuiteFailed(f"pytest ended with {ended.returncode}; its log is {log}:\n{_end_of(log)}")
    return [_result(json.loads(line)) for line in results.read_text(encoding="utf-8").splitlines()]


def _result(found: dict[str, Any]) -> Result:
    name = found["name"].removeprefix(f"{_TESTS}/")
    area = next(area for area, paths in AREAS.items() if name.startswith(paths))
    return Result(name, area, found["sent"], found["outcome"], found["reason"])


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SuiteFailed(f"{' '.join(command[1:])} failed:\n{done.stderr.strip()[-2000:]}")


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:])
