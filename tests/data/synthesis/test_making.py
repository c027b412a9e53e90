"""Rows made by a model that errs, copies, invents and dies."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.server import Dies, Fails, Script, Server, serving
from tunewright.base.errors import DataError, EndpointError
from tunewright.base.events import Event, Message, Stage
from tunewright.data.documents import Section
from tunewright.data.synthesis.copies import Copies
from tunewright.data.synthesis.making import Made, make_rows
from tunewright.data.synthesis.questions import questions_about
from tunewright.endpoints import Client, Endpoint
from tunewright.endpoints import client as clients

ANIMALS = ["otter", "badger", "heron", "lynx", "marten", "stork", "viper", "weasel", "bison", "carp"]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_FIRST_WAIT_S", 0.01)


def _documents() -> Iterator[Section]:
    for number, animal in enumerate(ANIMALS):
        text = (
            f"The {animal} of the valley weighs {number + 3} kilograms. It hunts near the northern river every morning."
        )
        yield Section(animal, "animals.md", number + 1, text)


def _pair(animal: str, weight: int | str) -> dict[str, str]:
    return {"question": f"How heavy is the {animal}?", "answer": f"The {animal} weighs {weight} kilograms."}


def _animal(body: dict[str, Any]) -> str:
    return next(animal for animal in ANIMALS if animal in body["messages"][-1]["content"])


def _good(body: dict[str, Any]) -> str:
    animal = _animal(body)
    return json.dumps([_pair(animal, ANIMALS.index(animal) + 3)])


def _make(
    server: Server,
    folder: Path,
    *,
    rows: int = 5,
    copies: Copies | None = None,
    heard: list[Event] | None = None,
    **more: Any,
) -> Made:
    asked = {name: more.pop(name) for name in ("token_budget", "concurrency") if name in more}
    endpoint = Endpoint.of(url=server.url, model="m", attempts=2, **asked)
    maker = questions_about(_documents, rows=rows, model="m", seed=2)
    with Client(endpoint, folder / "cache", environment={}) as client:
        return make_rows(
            maker,
            client,
            rows=rows,
            output=folder / "out.jsonl",
            copies=copies or Copies(0.9),
            listener=(heard if heard is not None else []).append,
            **more,
        )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_pairs_are_written_with_the_passage_they_rest_on(tmp_path: Path) -> None:
    heard: list[Event] = []
    with serving(_good) as server:
        made = _make(server, tmp_path, heard=heard)
    assert made == Made(5, 5, {}, tmp_path / "out.jsonl")
    documents = {section.line: section.text for section in _documents()}
    for row in _lines(made.output):
        assert documents[row["line"]].startswith(row["passage"])
        assert row["completion"].split(" weighs ")[0] in row["passage"]
        assert (row["source"], row["start"], row["grounding"], row["made_by"]) == ("animals.md", 0, 1.0, "m")
    assert [event.done for event in heard if isinstance(event, Stage)][-1] == 5
    assert not (tmp_path / "out.jsonl.part").exists()


BAD: dict[str, Any] = {
    "otter": "I would rather not.",
    "badger": json.dumps([{"question": "How heavy?"}]),
    "heron": json.dumps([_pair("heron", 77)]),
    "lynx": json.dumps([{"question": "What colour has it?", "answer": "Its beautiful winter coat shines golden."}]),
    "marten": json.dumps([{"question": "What does the passage say?", "answer": "It hunts near the northern river."}]),
    "stork": json.dumps([_pair("stork", 8), _pair("stork", 8)]),
    "viper": Fails(400, "no snakes"),
}


def _mostly_bad(body: dict[str, Any]) -> Any:
    return BAD.get(_animal(body)) or _good(body)


def test_what_is_no_good_is_counted_by_reason(tmp_path: Path) -> None:
    copies = Copies(0.9)
    copies.add(["how heavy is the WEASEL"])
    heard: list[Event] = []
    with serving(_mostly_bad) as server:
        made = _make(server, tmp_path, rows=12, copies=copies, heard=heard)
    assert made.rows == 3  # one of stork, bison, carp each; in later rounds the same again
    assert sorted(row["prompt"] for row in _lines(made.output)) == [
        "How heavy is the bison?",
        "How heavy is the carp?",
        "How heavy is the stork?",
    ]
    assert made.rejected == {
        "near_copy": 3 + 1 + 2 * 4,  # weasel each time, stork's second, and what was taken in the first round
        "ungrounded": 6,
        "not_json": 3,
        "incomplete": 3,
        "does_not_stand_alone": 3,
        "refused_by_endpoint": 3,
    }
    assert Message("3 of 12 rows were made.", "warning") in heard


def test_a_judge_may_reject(tmp_path: Path) -> None:
    asked: list[str] = []

    def script(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        if not text.startswith("Passage:"):
            return _good(body)
        asked.append(text)
        return "No, it is not." if "otter" in text else "Yes."

    with serving(script) as server:
        made = _make(server, tmp_path, rows=12, judge=True)
    assert made.rows == 9
    assert made.rejected["judged_wrong"] >= 1
    assert "Question: How heavy is the otter?\nAnswer: The otter weighs 3 kilograms." in " ".join(asked)


def test_it_goes_on_where_the_endpoint_died_in_the_middle(tmp_path: Path) -> None:
    answered: list[tuple[str, int]] = []

    def dying(body: dict[str, Any]) -> Any:
        if len(answered) >= 4:
            return Dies()
        answered.append((_animal(body), body["seed"]))
        return _good(body)

    with serving(lambda body: dying(body) if is_dying else _good(body)) as server:
        is_dying = True
        with pytest.raises(EndpointError, match="broke off in its answer") as caught:
            _make(server, tmp_path, rows=8, concurrency=1)
        made_so_far = _lines(tmp_path / "out.jsonl.part")
        assert f"The {len(made_so_far)} rows made so far are in" in caught.value.hint
        assert len(made_so_far) == 4
        assert not (tmp_path / "out.jsonl").exists()
        is_dying = False
        server.asked.clear()
        made = _make(server, tmp_path, rows=8, concurrency=1)
        again = {(_animal(body), body["seed"]) for body in server.asked}
        assert not again & set(answered)  # those were known
    with serving(_good) as server:
        (tmp_path / "whole").mkdir()
        whole = _make(server, tmp_path / "whole", rows=8)
    assert made.output.read_bytes() == whole.output.read_bytes()
    assert _lines(made.output)[: len(made_so_far)] == made_so_far


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("mine", encoding="utf-8")
    with serving(_good) as server:
        with pytest.raises(DataError, match="there already"):
            _make(server, tmp_path)
        assert server.asked == []
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "mine"


def test_a_model_that_brings_nothing_more_is_not_asked_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunewright.data.synthesis.making._PATIENCE", 4)
    heard: list[Event] = []
    with serving(_good) as server:
        made = _make(server, tmp_path, rows=30, heard=heard)
    assert made.rows == 10
    assert made.rejected == {"near_copy": 4}
    assert len(server.asked) <= 10 + 4 + 2 * 4  # and what was asked ahead
    assert any(isinstance(event, Message) and "last 4 answers held no row" in event.text for event in heard)


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    with (tmp_path / "out.jsonl.part").open("w", encoding="utf-8") as file, serving(_good) as server:
        file.write("theirs")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="Another process is making this file"):
            _make(server, tmp_path)
        assert (tmp_path / "out.jsonl.part").read_text(encoding="utf-8") == "theirs"
        fcntl.flock(file, fcntl.LOCK_UN)
        assert _make(server, tmp_path).rows == 5  # what a killed process left is written anew


def test_nothing_at_all_is_an_error_that_says_why(tmp_path: Path) -> None:
    silly: Script = lambda body: "hm"  # noqa: E731
    with serving(silly) as server, pytest.raises(DataError, match=r"nothing could be taken: \d+ not json"):
        _make(server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_the_budget_ends_it_with_what_was_made(tmp_path: Path) -> None:
    with serving(_good) as server, pytest.raises(EndpointError, match="budget"):
        _make(server, tmp_path, rows=10, token_budget=1250, concurrency=1)
    assert len(_lines(tmp_path / "out.jsonl.part")) >= 1
