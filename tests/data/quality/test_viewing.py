from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.base.errors import DataError
from tunewright.data.inspections import conflicts
from tunewright.data.quality.viewing import named_sources, view_of_files


def test_names_before_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "a=b.csv"
    odd.write_text("text,label\n")
    found = named_sources(["GSM8K=b.csv", "a=b.csv", "c.csv"], option="--benchmark")
    assert {name: sources[0].path for name, sources in found.items()} == {
        "GSM8K": str(tmp_path / "b.csv"),
        "a=b.csv": str(odd),
        "c.csv": str(tmp_path / "c.csv"),
    }
    with pytest.raises(DataError, match="named twice"):
        named_sources(["a=b.csv", "a=b.csv"], option="--benchmark")


def test_a_database_needs_a_recipe() -> None:
    with pytest.raises(DataError, match=r"query is missing.*data inspect RECIPE"):
        named_sources(["sqlite:///rows.db"], option="PATH")


def test_files_with_held_out_files_and_benchmarks(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    rows = "".join(f"how is thing {n},{'ab'[n % 2]}\n" for n in range(6))
    for name in ("rows.csv", "test/rows.csv"):
        (tmp_path / name).write_text(f"text,label\n{rows}")
    (tmp_path / "bench.jsonl").write_text('{"prompt": "who?", "completion": "me"}\n')
    view = view_of_files(
        named_sources([str(tmp_path / "rows.csv")], option="PATH")[str(tmp_path / "rows.csv")],
        held_out=named_sources([str(tmp_path / "test/rows.csv")], option="--against"),
        benchmarks=named_sources([f"bench={tmp_path}/bench.jsonl"], option="--benchmark"),
    )
    assert (view.format, view.kind, len(view.data)) == ("labelled", "label", 6)
    assert [rows.name for rows in view.held_out] == ["test/rows.csv"]  # told apart from the data's own file
    assert [rows.name for rows in view.benchmarks] == ["bench"]
    assert view.benchmarks[0].prompts == ["who?"]


def test_a_system_prompt_is_left_out_on_every_side(tmp_path: Path) -> None:
    def conversation(*texts: str) -> str:
        roles = ("system", "user", "assistant", "user", "assistant")
        return json.dumps({"messages": [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]})

    data = [conversation("Be kind.", f"question {n}", "yes", "and then?", f"answer {n}") for n in range(3)]
    (tmp_path / "data.jsonl").write_text("\n".join([*data, conversation("Be kind.", "short", "no")]))
    (tmp_path / "test.jsonl").write_text(conversation("Be kind.", "question 1", "yes", "and then?", "answer 1"))
    view = view_of_files(
        named_sources([str(tmp_path / "data.jsonl")], option="PATH")[str(tmp_path / "data.jsonl")],
        held_out=named_sources([str(tmp_path / "test.jsonl")], option="--against"),
        benchmarks={},
    )
    assert view.format == "chat"
    assert view.data.prompts[0] == "question 0\nyes\nand then?"
    assert view.data.prompts[3] == "short"
    assert view.data.answers == ["answer 0", "answer 1", "answer 2", "no"]
    assert view.held_out[0].prompts == [view.data.prompts[1]]


def test_pairs_of_answers_contradict_nothing(tmp_path: Path) -> None:
    pair = {"prompt": "which is it?", "chosen": "this one", "rejected": "that one"}
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, (pair, pair | {"chosen": "another one"}))))
    sources = named_sources([str(tmp_path / "a.jsonl")], option="PATH")
    view = view_of_files(sources[str(tmp_path / "a.jsonl")], held_out={}, benchmarks={})
    assert view.pairs
    assert view.contradictions == []
    assert view.texts.copies.tolist() == [False, True]
    assert view.records.copies.tolist() == [False, False]
    assert conflicts.inspect(view, conflicts.Config()) is None


def test_plain_documents_have_no_answers(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"The document {name}.\nIt has two lines.\n")
    sources = named_sources([str(tmp_path / "*.txt")], option="PATH")
    view = view_of_files(sources[str(tmp_path / "*.txt")], held_out={}, benchmarks={})
    assert (view.format, view.kind, len(view.data)) == ("text", "document", 2)
    assert view.data.places == ["a.txt:1", "b.txt:1"]
    assert view.data.answers == ["", ""]
