"""Sources that are hostile or cannot be had: one clear message, exit code 2, and no dataset left behind."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.command import tunewright
from tests.data.readers.made import write_pdf, write_xlsx
from tunewright.data import limits


def bomb(folder: Path) -> str:
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "a", "completion": "b"}\n' * 100_000))
    return "rows.jsonl.gz"


def scan(folder: Path) -> str:
    write_pdf(folder / "scan.pdf", [None, None])
    return "scan.pdf"


def formulas(folder: Path) -> str:
    write_xlsx(folder / "rows.xlsx", [["prompt", "completion"], ["a", '=HYPERLINK("http://x", "y")']])
    return "rows.xlsx"


SOURCES = [
    (bomb, "looks like a zip bomb"),
    (scan, "scan.pdf:1: none of this PDF's 2 pages holds text"),
    (formulas, "cell B2 holds the formula =HYPERLINK"),
    ("http://169.254.169.254/rows.csv", "169.254.169.254 is no public address"),
    ("hf://datasets/owner/name/rows.parquet", "The store cannot be read"),
    ("{path: 'sqlite:///none.db', query: 'SELECT 1'}", "This database does not exist"),
    ("{path: 'postgresql://u:hunter2@h/d', query: 'SELECT 1'}", "path holds a password"),
]


@pytest.mark.parametrize(("source", "told"), SOURCES)
def test_sources_that_cannot_be_used(
    source: object, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RATIO_FROM_BYTES", 1 << 20)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    path = source(tmp_path) if callable(source) else source
    template = '{user: "{text}", assistant: "{title}"}' if path == "scan.pdf" else "null"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: x\ngoal: y\ndata:\n  train: {path}\n  template: {template}\n")
    workspace = tmp_path / "workspace"
    done = tunewright("data", "export", recipe, "-o", tmp_path / "out", "--workspace", workspace, "--json")
    assert done.code == 2
    message = json.dumps(done.document["error"], ensure_ascii=False).replace('\\"', '"')
    assert told in message
    assert "hunter2" not in done.out + done.err
    assert not list(workspace.glob("artifacts/dataset/*"))
    assert not (tmp_path / "out").exists()
