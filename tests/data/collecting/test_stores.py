"""Files from stores: brought here once, again when they change, and never guessed at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tunewright.base.errors import DataError, MissingExtraError
from tunewright.data.collecting import stores
from tunewright.data.collecting.stores import fetch_files


@pytest.fixture
def bucket() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    for name, content in {"a.jsonl": b'{"a": 1}\n', "sub/b.jsonl": b'{"a": 2}\n', "README.md": b"# Card"}.items():
        system.pipe_file(f"/bucket/{name}", content)
    yield system
    system.rm("/bucket", recursive=True)


def names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_glob_brings_files_under_their_names(bucket: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found = fetch_files("memory://bucket/**/*.jsonl", tmp_path, lambda *done: told.append(done))
    assert names(found, tmp_path) == ["a.jsonl", "sub/b.jsonl"]
    assert found[1].read_bytes() == b'{"a": 2}\n'
    assert told[-1] == (18, 18)


def test_what_has_not_changed_is_not_read_again(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "memory://bucket/**/*.jsonl"
    fetch_files(url, tmp_path, lambda *done: None)
    read: list[str] = []
    real = type(bucket).open
    monkeypatch.setattr(
        type(bucket), "open", lambda self, path, *a, **k: read.append(path) or real(self, path, *a, **k)
    )
    fetch_files(url, tmp_path, lambda *done: None)
    assert read == []
    bucket.pipe_file("/bucket/a.jsonl", b'{"a": 3}\n')
    bucket.rm("/bucket/sub/b.jsonl")
    read.clear()
    found = fetch_files(url, tmp_path, lambda *done: None)
    assert [Path(path).name for path in read] == ["a.jsonl"]
    assert names(found, tmp_path) == ["a.jsonl"]
    assert (tmp_path / "a.jsonl").read_bytes() == b'{"a": 3}\n'
    assert not (tmp_path / "sub" / "b.jsonl").exists()


def test_of_a_folder_the_only_file_is_meant(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There are 2 files.*a\.jsonl, sub/b\.jsonl"):
        fetch_files("memory://bucket", tmp_path, lambda *done: None)
    assert names(fetch_files("memory://bucket/sub", tmp_path, lambda *done: None), tmp_path) == ["b.jsonl"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("memory://bucket/none.jsonl", "There is no such file"),
        ("memory://bucket/*.csv", "No file there has such a name"),
        ("file:///etc/passwd", "'file' is no store"),
        ("simplecache::memory://bucket/a.jsonl", "is no store"),
        ("nonsense://bucket/a.jsonl", "'nonsense' is unknown"),
    ],
)
def test_wrong_addresses(bucket: Any, tmp_path: Path, url: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        fetch_files(url, tmp_path, lambda *done: None)


def test_a_store_whose_package_is_missing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'tunewright\[s3\]'"):
        fetch_files("s3://bucket/a.jsonl", tmp_path, lambda *done: None)
    with pytest.raises(DataError, match="'gs' needs a package"):
        fetch_files("gs://bucket/a.jsonl", tmp_path, lambda *done: None)


def test_a_store_that_fails_or_keeps_silent_is_told(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, path: str) -> None:
        raise RuntimeError("403 forbidden\nwith much more")

    monkeypatch.setattr(type(bucket), "info", broken)
    with pytest.raises(DataError, match="cannot be read: 403 forbidden"):
        fetch_files("memory://bucket/a.jsonl", tmp_path, lambda *done: None)
    import time

    monkeypatch.setattr(type(bucket), "info", lambda self, path: time.sleep(1))
    monkeypatch.setattr(stores, "ANSWER_TIMEOUT_S", 0.1)
    with pytest.raises(DataError, match=r"did not answer within 0\.1 seconds"):
        fetch_files("memory://bucket/a.jsonl", tmp_path, lambda *done: None)


def test_the_hub_is_a_store_and_says_when_it_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("train.parquet", "data/train-*.parquet"):
        with pytest.raises(DataError, match=r"The store cannot be read: .*offline"):
            fetch_files(f"hf://datasets/owner/name/{name}", tmp_path, lambda *done: None)
