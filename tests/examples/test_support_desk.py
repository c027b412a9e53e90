"""The made data: the committed bytes come from the generator, and are as its README says."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunewright.data.prepare import prepare
from tunewright.data.readers import read_rows
from tunewright.data.rows import Fault, Row
from tunewright.data.steps import iso_dates
from tunewright.recipe import Recipe, load_recipe
from tunewright.store import Workspace

DESK = Path(__file__).parents[2] / "examples" / "support-desk"
FILES = ("tickets.csv", "portal.jsonl", "chats.jsonl", "heldout.jsonl")
FIELDS = ("intent", "product", "order_id", "date", "urgency")
RUN = 4


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("support_desk_generator", DESK / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(DESK / "recipe.yaml")


@pytest.fixture(scope="module")
def rows(recipe: Recipe) -> list[Row]:
    return [row for source in recipe.data.train for row in read_rows(source) if isinstance(row, Row)]


@pytest.fixture(scope="module")
def heldout() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DESK / "data" / "heldout.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_committed_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    command = [sys.executable, str(DESK / "generate.py"), "--seed", "17", "--out", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60, env={"PYTHONHASHSEED": "1"})
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (DESK / "data" / name).read_bytes(), name


def test_another_seed_makes_other_data(generator: ModuleType, tmp_path: Path) -> None:
    generator.generate(18, tmp_path)
    assert (tmp_path / "heldout.jsonl").read_bytes() != (DESK / "data" / "heldout.jsonl").read_bytes()


def _templates(phrases: Any) -> Iterator[str]:
    if isinstance(phrases, str):
        # Names of topics and intents are single words, and no templates.
        if " " in phrases:
            yield phrases
    else:
        for inner in phrases.values() if isinstance(phrases, dict) else phrases:
            yield from _templates(inner)


def _words(template: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9']+|\{\w+\}", template.lower()))


def _runs(words: tuple[str, ...], length: int) -> set[tuple[str, ...]]:
    return {words[at : at + length] for at in range(len(words) - length + 1)}


def test_no_held_out_template_overlaps_one_of_training(generator: ModuleType) -> None:
    training = {_words(template) for template in _templates(generator.phrases("training"))}
    runs = set().union(*(_runs(words, RUN) for words in training))
    for template in _templates(generator.phrases("heldout")):
        words = _words(template)
        assert words not in training, template
        assert not _runs(words, RUN) & runs, template
        # A short template must not stand inside a longer one either.
        contained = [other for other in training if len(words) > 2 and words in _runs(other, len(words))]
        assert not contained, template
        assert not [other for other in training if len(other) > 2 and other in _runs(words, len(other))], template


def test_each_intent_is_worded_in_many_ways(generator: ModuleType) -> None:
    for intent in generator.INTENTS:
        assert len(set(generator.phrases("training")["intents"][intent]["requests"])) >= 25
        assert len(set(generator.phrases("heldout")["intents"][intent]["requests"])) >= 10


def test_a_broken_line_is_refused_with_its_place(recipe: Recipe) -> None:
    faults = [row for source in recipe.data.train for row in read_rows(source) if isinstance(row, Fault)]
    assert Counter(fault.file for fault in faults) == {"tickets.csv": 3, "portal.jsonl": 2, "chats.jsonl": 2}


def test_the_planted_mess_is_as_the_readme_says(rows: list[Row]) -> None:
    assert Counter(row.file for row in rows) == {"tickets.csv": 796, "portal.jsonl": 531, "chats.jsonl": 443}
    values = [{name: value or None for name, value in row.values.items()} for row in rows]
    untriaged = [value for value in values if value["message"] and not any(value[name] for name in FIELDS)]
    assert len(untriaged) == 1030
    assert sum(value["message"] is None for value in values) == 12
    assert sum(value["intent"] is not None and value["urgency"] is None for value in values) == 12
    labelled = [value for value in values if all(value[name] for name in ("message", "intent", "urgency"))]
    folded = Counter(" ".join(value["message"].replace("\u200b", "").casefold().split()) for value in labelled)
    assert len(labelled) == 716
    assert sum(count - 1 for count in folded.values()) == 60 + 40 + 6
    assert Counter(folded.values()) == {1: 504, 2: 106}
    redacted = [value for value in values if re.search(r"@example\.com|\+44 ", value["message"] or "")]
    assert len(redacted) == 81


def test_conflicting_records_differ_in_the_intent_alone(generator: ModuleType) -> None:
    records = [
        record for record in generator.training_records(generator.phrases("training"), 17) if record.intent is not None
    ]
    by_message: dict[str, list[Any]] = {}
    for record in records:
        by_message.setdefault(record.message, []).append(record)
    conflicts = [
        found for message, found in by_message.items() if message and len({record.intent for record in found}) > 1
    ]
    assert len(conflicts) == 6
    for found in conflicts:
        assert len({(record.product, record.order_id, record.date, record.urgency) for record in found}) == 1


def test_every_date_label_is_written_day_first(recipe: Recipe, rows: list[Row]) -> None:
    texts = sorted({row.values["date"] for row in rows if row.values["date"]})
    read = iso_dates.read_dates(texts, "dmy", ("en",))
    assert all(re.fullmatch(r"202[56]-\d\d-\d\d", date) for date in read.values())
    assert {"/", ".", "-", " "} <= {character for text in texts for character in text}


def test_held_out_answers_stand_in_their_messages(generator: ModuleType, heldout: list[dict[str, Any]]) -> None:
    assert len(heldout) >= 200
    assert len({row["message"] for row in heldout}) == len(heldout)
    assert {row["intent"] for row in heldout} == set(generator.INTENTS)
    for row in heldout:
        assert tuple(row)[1:] == FIELDS
        assert row["urgency"] in generator.URGENCY_SPELLINGS
        digits = re.sub(r"\D", "", row["message"])
        if row["order_id"]:
            assert re.search(rf"{row['order_id'][0]}[- ]?{row['order_id'][1:]}", row["message"], re.IGNORECASE)
        if row["date"]:
            assert row["date"][:4] in digits
        if row["product"]:
            assert row["product"][0].lower() in row["message"].lower()
        else:
            assert not any(product.lower() in row["message"].lower() for product in generator.PRODUCTS)


def test_the_recipe_knows_every_spelling_of_a_label(generator: ModuleType, recipe: Recipe) -> None:
    maps = {step.column: step.known() for step in recipe.data.steps if step.name == "map_values"}
    spellings = {
        "intent": {text: key for key, texts in generator.INTENT_SPELLINGS.items() for text in [key, *texts]},
        "urgency": {text: key for key, texts in generator.URGENCY_SPELLINGS.items() for text in [key, *texts]},
        "product": {
            text: name for name, kind in generator.PRODUCTS.items() for text in (name, name.upper(), f"{name} {kind}")
        },
    }
    # The held-out answers name intents that no mapping spells out; they are canonical, and must not be dropped.
    for column, expected in spellings.items():
        assert {text: maps[column].get(text.casefold()) for text in expected} == expected


def test_a_bag_of_words_is_led_astray(generator: ModuleType, heldout: list[dict[str, Any]]) -> None:
    """Key words of other intents stand in the messages; what is asked for has to be understood."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    records = generator.training_records(generator.phrases("training"), 17)
    usable = [record for record in records if record.intent and record.message and record.urgency]
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2)), TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), max_features=20000)
    )
    classifier = make_pipeline(features, LogisticRegression(C=10, max_iter=300))
    classifier.fit([record.message for record in usable], [record.intent for record in usable])
    score = classifier.score([row["message"] for row in heldout], [row["intent"] for row in heldout])
    assert 0.7 < score < 0.87


def test_cleaning_leaves_what_the_readme_says(recipe: Recipe, tmp_path: Path) -> None:
    manifest = prepare(recipe, Workspace.open(tmp_path)).manifest
    assert manifest["splits"] == {"train": 564, "validation": 40, "test": 200}
    assert manifest["refused_count"] == 7 + 1054 + 12  # broken, not triaged or with gaps, contradicting
    found = {step["name"]: step["findings"] for step in manifest["steps"]}
    assert found["exact_duplicates"]["duplicates"] == 100
    assert found["exact_duplicates"]["conflicting_texts"] == 6
    assert found["iso_dates"]["ambiguous"] == found["iso_dates"]["unparsable"] == 0
    assert found["redact"]["emails"] + found["redact"]["phones"] > 20
