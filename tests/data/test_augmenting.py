"""Augmented rows from files to the dataset: seeded, capped, judged, on record, and never equal to what is held out."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tunewright.base.errors import DataError, ModelError
from tunewright.base.events import Event, Message
from tunewright.cli.ledger_tables import show_ledger
from tunewright.data import pieces, variants
from tunewright.data.augmenting import Trial, Verdict
from tunewright.data.dataset import Dataset
from tunewright.data.folding import text_key
from tunewright.data.ledger import StepEdits, read_ledger
from tunewright.data.prepare import prepare
from tunewright.lifecycle.undoing import undo
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace

FRUIT = ("apple", "pear", "plum", "fig", "melon", "grape", "lemon", "peach")
TOOLS = ("hammer", "saw", "drill", "file", "wrench", "chisel", "pliers", "level")
PLACES = ("market", "corner", "village", "harbour", "station")


def _rows(fruit: int, tools: int) -> list[tuple[str, str]]:
    def row(words: tuple[str, ...], verb: str, n: int, label: str) -> tuple[str, str]:
        place = PLACES[n // len(words) % len(PLACES)]
        return f"please {verb} me some {words[n % len(words)]} number {n} from Anna near that {place} today", label

    return [row(FRUIT, "bring", n, "fruit") for n in range(fruit)] + [
        row(TOOLS, "lend", n, "tool") for n in range(tools)
    ]


def _recipe(folder: Path, augment: dict[str, Any], rows: list[tuple[str, str]] | None = None, **data: Any) -> Recipe:
    file = folder / "rows.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *(rows or _rows(60, 20))])
    fields = {
        "train": str(file),
        "split": {"test": 0.2, "validation": 0.2, "minimum_test_rows": 1},
        "template": {"user": "Say: {text}", "assistant": "{label}"},
        "augment": {"by": ["swap", "deletion"], "trial": False, "similarity": "words", **augment},
        **data,
    }
    return recipe_from_mapping({"name": "r", "goal": "g", "data": fields})


def _prepare(tmp_path: Path, recipe: Recipe, **options: Any) -> Dataset:
    return prepare(recipe, Workspace.open(tmp_path / "workspace"), **options)


def _origins(dataset: Dataset) -> list[dict[str, Any]]:
    return pl.read_parquet(dataset.path / "augmented.parquet").to_dicts()


def test_each_row_names_its_parent_and_its_maker_and_is_in_the_ledger(tmp_path: Path) -> None:
    heard: list[Event] = []
    dataset = _prepare(tmp_path, _recipe(tmp_path, {}), listener=heard.append)
    train = {example.id: example for example in dataset.examples("train")}
    origins = _origins(dataset)
    report = dataset.manifest["augment"]
    assert report["rows"] == report["made"] == len(origins) > 20
    assert Counter(origin["by"] for origin in origins) == report["by"]
    assert report["tried"] == report["made"] + sum(report["rejected"].values())
    log = {row["row_id"]: row for row in pl.read_parquet(dataset.path / "edits.parquet").to_dicts()}
    for origin in origins:
        made, parent = train[origin["id"]], train[origin["parent"]]
        assert origin["id"].startswith(f"{parent.id}+aug-")
        assert (made.answer, made.source, made.line) == (parent.answer, parent.source, parent.line)
        assert 0.5 <= origin["similarity"] <= 1
        text = made.prompt[0].content
        assert text != parent.prompt[0].content
        assert text.startswith("Say:")  # the template's own word
        assert "Anna" in text
        entry = log[made.id]
        assert (entry["step"], entry["before"], entry["field"]) == ("augment", None, None)
        assert entry["reason"] == f"made of {parent.id} by {origin['by']}"
        assert json.loads(entry["after"])["messages"][0]["content"] == text
    counts = dataset.manifest["counts"]
    assert dataset.manifest["splits"]["train"] == counts["kept"] - 32 + len(origins) == len(train)
    assert any("Augmentation made" in event.text for event in heard if isinstance(event, Message))


def test_no_row_is_made_of_or_equal_to_a_held_out_one(tmp_path: Path) -> None:
    dataset = _prepare(tmp_path, _recipe(tmp_path, {"cap": 3, "per_row": 5}))
    held = {e.id: e for part in ("validation", "test") for e in dataset.examples(part)}  # type: ignore[arg-type]
    assert not any("+aug-" in row_id for row_id in held)
    parents = {origin["parent"] for origin in _origins(dataset)}
    assert not parents & set(held)
    texts = [text_key([e.prompt[0].content]) for e in dataset.examples("train")]
    assert len(texts) == len(set(texts))
    assert not set(texts) & {text_key([e.prompt[0].content]) for e in held.values()}


def test_a_variant_that_is_a_held_out_text_is_dropped(tmp_path: Path) -> None:
    # Each text is also there with two words swapped, so that many swaps give a text that somebody else has.
    rows = [
        (f"word{chr(97 + n)}{a} {b}", "xy"[n % 2]) for n in range(26) for a, b in ((" up", "down"), (" down", "up"))
    ]
    settings = {"by": [{"name": "swap", "share": 0.1}], "check_labels": False, "least_similarity": 0.0, "per_row": 9}
    recipe = _recipe(tmp_path, settings, rows, template={"user": "{text}", "assistant": "{label}"})
    report = _prepare(tmp_path, recipe).manifest["augment"]
    assert report["rejected"]["equal to a held-out row"] > 0
    assert report["rejected"]["equal to another training row"] > 0


def test_the_same_recipe_gives_the_same_rows_however_they_are_cut(tmp_path: Path, monkeypatch: Any) -> None:
    recipe = _recipe(tmp_path, {"cap": 0.5})
    first = _prepare(tmp_path, recipe)
    assert prepare(recipe, Workspace.open(tmp_path / "other")).hash == first.hash
    monkeypatch.setattr(pieces, "PIECE_ROWS", 7)
    assert {e.id: e for e in _prepare(tmp_path, recipe).examples("train")} == {e.id: e for e in first.examples("train")}
    other = _prepare(tmp_path, recipe.model_copy(update={"seed": 18}))
    assert {o["id"] for o in _origins(other)} != {o["id"] for o in _origins(first)}


def test_a_class_gets_no_more_than_its_cap(tmp_path: Path) -> None:
    def made(folder: str, **asked: Any) -> tuple[Counter[str], Counter[str]]:
        (tmp_path / folder).mkdir()
        dataset = _prepare(tmp_path / folder, _recipe(tmp_path / folder, {"check_labels": False, **asked}))
        own = Counter(e.answer for e in dataset.examples("train") if "+aug-" not in e.id)
        return own, Counter(e.answer for e in dataset.examples("train") if "+aug-" in e.id)

    own, new = made("half", cap=0.5)
    assert new == {label: count // 2 for label, count in own.items()}
    own, new = made("rare", cap=5, per_row=9, until_rows=30)
    assert own["fruit"] >= 30
    assert new == {"tool": 30 - own["tool"]}


def test_rounds_do_not_change_what_is_made(tmp_path: Path, monkeypatch: Any) -> None:
    recipe = _recipe(tmp_path, {"cap": 0.5})
    first = _origins(_prepare(tmp_path, recipe))
    monkeypatch.setattr(variants, "_AT_ONCE", 3)
    again = _origins(_prepare(tmp_path, recipe))
    assert sorted(o["id"] for o in again) == sorted(o["id"] for o in first)


class _Contrary:
    """Says that every variant belongs to a class of its own choosing, and is as like as it says."""

    measure = "words"

    def __init__(self, similarity: float, label: str) -> None:
        self._similarity, self._label = similarity, label

    def similarity(self, originals: Any, found: Any) -> Any:
        import numpy as np

        return np.full(len(found), self._similarity, np.float32)

    def survives(self, texts: Any, labels: Any) -> Any:
        import numpy as np

        return np.array([label == self._label for label in labels])


@pytest.mark.parametrize(
    ("similarity", "settings", "reason"),
    [
        (0.3, {}, "too far from its row"),
        (0.97, {"most_similarity": 0.95}, "too close to its row"),
        (0.9, {}, "another class"),
    ],
)
def test_the_guard_rejects(
    tmp_path: Path, monkeypatch: Any, similarity: float, settings: dict[str, Any], reason: str
) -> None:
    judge = _Contrary(similarity, "fruit")
    monkeypatch.setattr("tunewright.data.augmenting.find_judge", lambda *args, **named: judge)
    dataset = _prepare(tmp_path, _recipe(tmp_path, settings))
    assert dataset.manifest["augment"]["rejected"][reason] > 0
    made = {e.answer for e in dataset.examples("train") if "+aug-" in e.id}
    assert made == ({"fruit"} if reason == "another class" else set())


@pytest.mark.parametrize("keep", [True, False])
def test_a_trial_decides(tmp_path: Path, keep: bool) -> None:
    given: list[Trial] = []

    def trial(asked: Trial) -> Verdict:
        given.append(asked)
        return Verdict(keep, {"gain": 0.1 if keep else -0.1}, "told")

    heard: list[Event] = []
    recipe = _recipe(tmp_path, {"trial": True, "trials": 3})
    dataset = _prepare(tmp_path, recipe, trial=trial, listener=heard.append)
    (asked,) = given
    assert asked.times == 3
    parents = {sample.parent for sample in asked.own}
    assert {sample.parent for sample in asked.made} <= parents
    assert {sample.label for sample in asked.held} == {"fruit", "tool"}
    assert len(asked.held) == dataset.manifest["splits"]["validation"]
    report = dataset.manifest["augment"]
    assert report["trial"] == {"kept": keep, "told": "told", "gain": 0.1 if keep else -0.1}
    assert report["made"] == len(asked.made)
    assert report["rows"] == (report["made"] if keep else 0)
    assert sum("+aug-" in e.id for e in dataset.examples("train")) == report["rows"] == len(_origins(dataset))
    edits = pl.read_parquet(dataset.path / "edits.parquet")
    assert edits.height == report["rows"] == dataset.manifest["edit_count"]
    levels = [event.level for event in heard if isinstance(event, Message) and event.text == "told"]
    assert levels == ["info" if keep else "warning"]


@pytest.mark.parametrize(
    ("settings", "rows", "data", "what"),
    [
        ({"trial": True}, None, {}, "cannot be tried here"),
        ({"by": ["rephrase"]}, None, {}, "give it an `endpoint`"),
        ({"trial": True}, [(f"question {n}", f"a long answer {n}") for n in range(40)], {}, "no classes"),
        ({"trial": True}, None, {"split": {"test": 9, "validation": 0, "minimum_test_rows": 1}}, "no validation rows"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, settings: dict[str, Any], rows: Any, data: dict[str, Any], what: str
) -> None:
    with pytest.raises(DataError, match=what):
        _prepare(tmp_path, _recipe(tmp_path, settings, rows, **data))


def test_the_encoder_is_missed_where_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        _prepare(tmp_path, _recipe(tmp_path, {"similarity": "meaning"}), cache=tmp_path)
    report = _prepare(tmp_path, _recipe(tmp_path, {"similarity": "auto"}), cache=tmp_path).manifest["augment"]
    assert report["similarity"]["measure"] == "words"


def test_what_a_json_answer_quotes_stays(tmp_path: Path) -> None:
    rows = [(f"send the blue parcel {n} to oslo town now please", "send" if n % 2 else "stop") for n in range(60)]
    file = tmp_path / "rows.jsonl"
    lines = [{"text": text, "intent": intent, "city": "oslo town"} for text, intent in rows]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    recipe = _recipe(
        tmp_path,
        {"by": ["swap"], "check_labels": False},
        train=str(file),
        template={"user": "{text}", "assistant": {"intent": "intent", "city": "city"}},
    )
    dataset = _prepare(tmp_path, recipe)
    made = [e for e in dataset.examples("train") if "+aug-" in e.id]
    assert made
    assert all("oslo town" in e.prompt[0].content for e in made)
    assert dataset.answer_kind == "json"


def test_tagged_words_are_not_augmented(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(f'{{"tokens": ["w{n}", "v"], "tags": ["A", "B"]}}' for n in range(30)))
    with pytest.raises(DataError, match="belong to single words"):
        _prepare(tmp_path, _recipe(tmp_path, {}, train=str(file), template=None))


def test_the_terms_of_the_steps_glossary_stay(tmp_path: Path) -> None:
    (tmp_path / "terms.yaml").write_text("some apple: {variants: [], confirmed: true}\n")
    rows = [(f"please bring me some apple number {n} from the market today", "xy"[n % 2]) for n in range(60)]
    steps = [{"name": "glossary", "file": str(tmp_path / "terms.yaml")}]
    settings = {"by": [{"name": "swap", "share": 0.5}], "check_labels": False, "least_similarity": 0.0}
    dataset = _prepare(tmp_path, _recipe(tmp_path, settings, rows, steps=steps))
    made = [e.prompt[0].content for e in dataset.examples("train") if "+aug-" in e.id]
    assert len(made) > 20
    assert all("some apple" in text for text in made)


def test_the_ledger_shows_them_as_rows_that_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = _prepare(tmp_path, _recipe(tmp_path, {"cap": 0.2}))
    ledger = read_ledger(dataset, step="augment", limit=2)
    assert ledger.counts == (StepEdits("augment", "", dataset.manifest["augment"]["rows"]),)
    show_ledger(ledger, whole=False)
    shown = capsys.readouterr().out
    assert "rows added" in shown
    assert "augment added" in shown
    assert "made of" in shown
    assert "None" not in shown


def test_undo_says_how_to_do_without_them(tmp_path: Path) -> None:
    dataset = _prepare(tmp_path, _recipe(tmp_path, {"cap": 0.2}))
    with pytest.raises(DataError, match=r"added by data\.augment") as caught:
        undo(dataset.hash, step="augment", workspace=tmp_path / "workspace")
    assert "Take data.augment out" in str(caught.value)
