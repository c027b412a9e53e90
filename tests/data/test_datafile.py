"""Compressed files: read as they are unpacked, within bounds, and refused where they are bombs, broken or several."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow
import pytest

from tests.data.readers.made import rows_and_faults, write_pdf, write_zip
from tunewright.base.errors import DataError
from tunewright.data import limits
from tunewright.data.readers import columns_of, read_rows, sniff
from tunewright.data.rows import Row
from tunewright.recipe.schema import Source

CSV = "text,label\none,a\ntwo,b\n"


def pack(folder: Path, packing: str, content: bytes, name: str = "rows.csv") -> Path:
    path = folder / f"{name}.{packing}"
    if packing == "gz":
        path.write_bytes(gzip.compress(content))
    elif packing == "zst":
        with pyarrow.output_stream(str(path), compression="zstd") as stream:
            stream.write(content)
    else:
        write_zip(path, {f"folder/{name}": content, "__MACOSX/x": b""})
    return path


@pytest.mark.parametrize("packing", ["gz", "zst", "zip"])
def test_rows_are_read_through_compression(tmp_path: Path, packing: str) -> None:
    path = pack(tmp_path, packing, CSV.encode())
    assert sniff(path) == "csv"
    assert columns_of(path) == ["text", "label"]
    expected = [Row({"text": "one", "label": "a"}, path.name, 2), Row({"text": "two", "label": "b"}, path.name, 3)]
    assert list(read_rows(Source(path=str(path)))) == expected
    # By content: the suffix of the compression may be missing.
    assert rows_and_faults(path.rename(tmp_path / "rows"))[0][0].values == {"text": "one", "label": "a"}


@pytest.mark.parametrize("packing", ["gz", "zst", "zip"])
def test_bombs_are_refused_before_they_go_off(tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATIO_FROM_BYTES", 1 << 18)
    line = json.dumps({"a": "x" * 1000}).encode() + b"\n"
    path = pack(tmp_path, packing, line * 3_000, "rows.jsonl")
    assert path.stat().st_size * limits.MOST_UNPACKED_RATIO < 3_000 * len(line)
    with pytest.raises(DataError, match=r"unpacks to more than .* times its size.*zip bomb"):
        rows_and_faults(path)
    monkeypatch.setattr(limits, "MOST_UNPACKED_RATIO", 10**6)
    assert len(rows_and_faults(path)[0]) == 3_000
    monkeypatch.setattr(limits, "MOST_UNPACKED_BYTES", 1 << 19)
    with pytest.raises(DataError, match="unpacks to more than"):
        rows_and_faults(path)


@pytest.mark.parametrize("packing", ["gz", "zst", "zip"])
def test_a_file_that_breaks_off_is_refused(tmp_path: Path, packing: str) -> None:
    lines = b"".join(b'{"a": "%d %d"}\n' % (n, hash((n, "x")) % 10**12) for n in range(40_000))
    path = pack(tmp_path, packing, lines, "rows.jsonl")
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(DataError, match=r"breaks off, or is damaged|archive is damaged"):
        rows_and_faults(path)


def test_archives_of_several_files_and_documents_in_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds 2 files, and not one.*name the folder"):
        sniff(write_zip(tmp_path / "a.zip", {"a.csv": CSV, "b.csv": CSV}))
    pdf = write_pdf(tmp_path / "a.pdf", ["Text"]).read_bytes()
    with pytest.raises(DataError, match="PDF inside a gzip file cannot be read"):
        rows_and_faults(pack(tmp_path, "gz", pdf, "a.pdf"))
    with pytest.raises(DataError, match="not recognised"):
        sniff(write_zip(tmp_path / "b.odt", {"mimetype": "application/vnd.oasis.opendocument.text"}))
