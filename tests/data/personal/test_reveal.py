"""Originals come back into text, JSONL, JSON, CSV and Parquet, whatever has to be quoted there."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from tunewright.base.errors import DataError, WorkspaceError
from tunewright.data.personal.keys import Key, WrongKeyError, sealed_text
from tunewright.data.personal.reveal import reveal_file
from tunewright.data.personal.vault import Original, open_vault

KEY = Key(bytes(range(32)))
WHO, WHERE, NOBODY = "Person-aaaaaaaaaaaa", "Address-bbbbbbbbbbbb", "Person-cccccccccccc"
PLACE = '12 "Elm" Street,\nLeeds'


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    path = tmp_path / "redact.vault"
    with open_vault(path, KEY, create=True) as opened:
        opened.add({WHO: Original("anna", "Anna Kowalska"), WHERE: Original("elm", PLACE)})
    return path


def test_text(tmp_path: Path, vault: Path) -> None:
    file, output = tmp_path / "in.txt", tmp_path / "out.txt"
    file.write_text(
        f"Dear {WHO},\r\n{NOBODY} and x{WHO} stay.\n{sealed_text('before', KEY)}\n", encoding="utf-8", newline=""
    )
    revealed = reveal_file(file, output, KEY, vault)
    assert output.read_bytes().decode() == f"Dear Anna Kowalska,\r\n{NOBODY} and x{WHO} stay.\nbefore\n"
    assert revealed.as_json() == {"pseudonyms": 1, "sealed": 1, "unknown": [NOBODY]}
    assert NOBODY in revealed.summary()


def test_json_lines_and_json(tmp_path: Path, vault: Path) -> None:
    rows = [{"text": f"at {WHERE}", "turns": [{WHO: 1, "n": [2, None, f"{WHO}!"]}]}, {"text": "é"}]
    expected = [
        {"text": f"at {PLACE}", "turns": [{"Anna Kowalska": 1, "n": [2, None, "Anna Kowalska!"]}]},
        {"text": "é"},
    ]
    lines, whole = tmp_path / "in.jsonl", tmp_path / "in.json"
    lines.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    whole.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    reveal_file(lines, tmp_path / "out.jsonl", KEY, vault)
    reveal_file(whole, tmp_path / "out.json", KEY, vault)
    written = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in written.splitlines() if line] == expected
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == expected


def test_csv_and_parquet(tmp_path: Path, vault: Path) -> None:
    frame = pl.DataFrame({"who": [WHO, None], "n": [1, 2], "where": [WHERE, "x,y"]})
    frame.write_csv(tmp_path / "in.csv")
    frame.write_parquet(tmp_path / "in.parquet")
    reveal_file(tmp_path / "in.csv", tmp_path / "out.csv", KEY, vault)
    reveal_file(tmp_path / "in.parquet", tmp_path / "out.parquet", KEY, vault)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1:] == [["Anna Kowalska", "1", PLACE], ["", "2", "x,y"]]
    assert pl.read_parquet(tmp_path / "out.parquet").rows() == [("Anna Kowalska", 1, PLACE), (None, 2, "x,y")]


def test_to_standard_output(tmp_path: Path, vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.txt").write_text(f"{WHO}\n", encoding="utf-8")
    reveal_file(tmp_path / "in.txt", None, KEY, vault)
    assert capsys.readouterr().out == "Anna Kowalska\n"


def test_refused(tmp_path: Path, vault: Path) -> None:
    output = tmp_path / "out"
    file = tmp_path / "in.txt"
    file.write_text(f"{WHO}\n", encoding="utf-8")
    with pytest.raises(DataError, match="no vault was found"):
        reveal_file(file, output, KEY, None)
    with pytest.raises(WorkspaceError, match="no vault here"):
        reveal_file(file, output, KEY, tmp_path / "absent.vault")
    with pytest.raises(WrongKeyError, match="another key"):
        reveal_file(file, output, Key(bytes(range(1, 33))), vault)
    with pytest.raises(DataError, match="not there"):
        reveal_file(tmp_path / "absent.txt", output, KEY, vault)
    (tmp_path / "bad.jsonl").write_text('{"a": 1}\n{"a": \n', encoding="utf-8")
    with pytest.raises(DataError, match=r"bad.jsonl:2.*no JSON"):
        reveal_file(tmp_path / "bad.jsonl", output, KEY, vault)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="no text in UTF-8"):
        reveal_file(tmp_path / "bad.txt", output, KEY, vault)
    pl.DataFrame({"a": ["b"]}).write_parquet(tmp_path / "in.parquet")
    with pytest.raises(DataError, match="--output"):
        reveal_file(tmp_path / "in.parquet", None, KEY, vault)
    assert not output.exists()
