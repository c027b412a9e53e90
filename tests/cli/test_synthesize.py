"""`data synthesize`, against an endpoint on this machine."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Outcome, tunewright
from tests.endpoints.server import Server, serving

HANDBOOK = "\n\n".join(
    f"Chapter {number}. The {animal} is fed {number} times a day. Its keeper writes the weight into the book each time."
    for number, animal in enumerate(["otter", "badger", "heron", "lynx", "marten", "stork"], 1)
)


def _ask_about(body: dict[str, Any]) -> str:
    found = re.findall(r"The (\w+) is fed (\d+) times", body["messages"][-1]["content"])
    pairs = [
        {"question": f"How often is the {animal} fed?", "answer": f"The {animal} is fed {times} times a day."}
        for animal, times in found
    ]
    return json.dumps(pairs)


def _invent(body: dict[str, Any]) -> str:
    """Five rows like those shown, each with words of its own."""
    shown = [json.loads(line) for line in body["messages"][-1]["content"].splitlines()]
    rows = []
    for place, row in enumerate(shown[:5]):
        word = f"{body['seed'] % 10_007:b}{place:03b}".translate(str.maketrans("01", "qz"))
        rows.append(
            {name: value if name in ("label", "assistant") else f"{word} {word[::-1]}" for name, value in row.items()}
        )
    return json.dumps(rows)


def _synthesize(server: Server, target: Path, folder: Path, *more: str) -> Outcome:
    given = ["--endpoint", server.url, "--model", "m", "--output", folder / "new.jsonl", "--workspace", folder / "ws"]
    return tunewright("data", "synthesize", target, *given, *more)


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "new.jsonl").read_text(encoding="utf-8").splitlines()]


def test_pairs_from_a_document(tmp_path: Path) -> None:
    (tmp_path / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    with serving(_ask_about) as server:
        outcome = _synthesize(server, tmp_path / "handbook.md", tmp_path, "--rows", "4", "--json")
        assert outcome.code == 0, outcome.err
        assert (outcome.document["rows"], outcome.document["rejected"]) == (4, {})
        usage = outcome.document["usage"]
        assert usage["tokens"] == 15 * usage["requests"] > 0
        for row in _rows(tmp_path):
            assert HANDBOOK[row["start"] :].startswith(row["passage"])
            assert row["completion"] in row["passage"] or row["completion"].removesuffix(".") in row["passage"]
        again = _synthesize(server, tmp_path / "handbook.md", tmp_path, "--rows", "4")
        assert again.code == 2
        assert "there already" in again.err
        (tmp_path / "new.jsonl").unlink()
        again = _synthesize(server, tmp_path / "handbook.md", tmp_path, "--rows", "4")
        assert again.code == 0
        assert re.search(r"replies known before: [1-9]", again.out)


def test_fewer_rows_than_asked_for_exit_one(tmp_path: Path) -> None:
    (tmp_path / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    against = tmp_path / "test.csv"
    against.write_text("q,a\nhow often is the OTTER fed,x\n", encoding="utf-8")
    with serving(_ask_about) as server:
        outcome = _synthesize(server, tmp_path / "handbook.md", tmp_path, "--rows", "50", "--against", str(against))
    assert outcome.code == 1
    assert "5 of 50 rows" in outcome.out
    assert "not taken: near copy" in outcome.out
    assert "otter" not in {word for row in _rows(tmp_path) for word in row["prompt"].split()}
    assert max(len(line) for line in outcome.out.splitlines() if "new.jsonl" not in line) <= 80


def test_rows_like_those_of_a_table(tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *([f"message {n} here", "ab"[n % 2]] for n in range(30))])
    with serving(_invent) as server:
        outcome = _synthesize(server, tmp_path / "rows.csv", tmp_path, "--rows", "12", "--kind", "rows", "--json")
    assert outcome.code == 0, outcome.err
    rows = _rows(tmp_path)
    assert len({row["text"] for row in rows}) == 12
    assert {row["label"] for row in rows} == {"a", "b"}
    assert all(row["source"] == "synthesized by m" and row["in_the_style_of"] for row in rows)


def test_a_recipes_rows_are_cleaned_and_what_it_holds_out_is_never_shown(tmp_path: Path) -> None:
    texts = [f"write to person{n}@mail.example.com about parcel  {n} " for n in range(60)]
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *([text, "ab"[n % 2]] for n, text in enumerate(texts))])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: r\ngoal: g\ndata:\n  train: rows.csv\n"
        "  template: {system: Sort., user: '{text}', assistant: '{label}'}\n"
        "  steps: [whitespace, {name: redact, kinds: [email]}]\n  split: {test: 20, minimum_test_rows: 1}\n",
        encoding="utf-8",
    )
    with serving(_invent) as server:
        outcome = _synthesize(server, recipe, tmp_path, "--rows", "8", "--kind", "rows", "--json")
        assert outcome.code == 0, outcome.err
        shown = {int(n) for user in server.users for n in re.findall(r"parcel (\d+)", user)}
        assert shown
        assert not any("@" in user for user in server.users)
    from tunewright.data.dataset import Dataset
    from tunewright.store import Workspace

    (stored,) = Workspace.open(tmp_path / "ws").artifacts("dataset")
    held = {
        int(example.prompt[-1].content.split()[-1])
        for part in ("test", "validation")
        for example in Dataset.open(stored).examples(part)  # type: ignore[arg-type]
    }
    assert len(held) >= 20
    assert not shown & held
    for row in _rows(tmp_path):
        assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
        assert row["messages"][0]["content"] == "Sort."


def test_pairs_about_a_recipes_documents(tmp_path: Path) -> None:
    for number in range(12):
        text = HANDBOOK.replace("Chapter", f"Volume {number}, chapter").replace(" is fed", f" of house {number} is fed")
        (tmp_path / f"{number}.md").write_text(text, encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: r\ngoal: g\ntrain: {objective: cpt}\ndata:\n  train: '*.md'\n  split: {test: 3, minimum_test_rows: 1}\n",
        encoding="utf-8",
    )

    def ask(body: dict[str, Any]) -> str:
        animal, house, times = re.findall(r"The (\w+) of house (\d+) is fed (\d+)", body["messages"][-1]["content"])[0]
        answer = f"The {animal} of house {house} is fed {times} times a day."
        return json.dumps([{"question": f"In house {house}, how often is the {animal} fed?", "answer": answer}])

    with serving(ask) as server:
        outcome = _synthesize(server, recipe, tmp_path, "--rows", "3", "--near", "1", "--json")
        assert outcome.code == 0, outcome.err
        wrong = _synthesize(server, recipe, tmp_path / "other", "--rows", "3", "--kind", "rows")
    assert len({row["source"] for row in _rows(tmp_path)}) >= 2
    assert wrong.code == 2
    assert "documents: --kind qa asks about them" in " ".join(wrong.err.split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--endpoint", "nonsense"], "no http or https URL"),
        (["--key-variable", "NO_SUCH_KEY"], "NO_SUCH_KEY should hold"),
        (["--kind", "qa", "--column", "absent"], "absent"),
    ],
)
def test_wrong_input_exits_two(tmp_path: Path, given: list[str], said: str) -> None:
    (tmp_path / "rows.csv").write_text("text,label\na,b\n", encoding="utf-8")
    with serving(_invent) as server:
        outcome = _synthesize(server, tmp_path / "rows.csv", tmp_path, "--rows", "3", *given)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_a_dead_endpoint_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.endpoints.client._FIRST_WAIT_S", 0.01)
    (tmp_path / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    dead = Server("http://127.0.0.1:9/v1")
    outcome = _synthesize(dead, tmp_path / "handbook.md", tmp_path, "--rows", "3", "--json")
    assert outcome.code == 2
    error = outcome.document["error"]
    assert (error["type"], error["where"]) == ("EndpointError", "http://127.0.0.1:9/v1")
    assert "The 0 rows made so far are in" in error["hint"]
