"""Terms are mined with their spellings, and written for a person to confirm."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from tests.cli.command import tunewright
from tunewright.base.errors import DataError
from tunewright.data.glossary import read_glossary
from tunewright.data.terms import mine_file, squash

ROWS = [
    "I lost my Zentralkarte and want it blocked",
    "The Zentralkarte was lost, can you help me",
    "why was a chargeback made on this",
    "The charge back came on Monday",
    "another charge-back for the same thing",
    "chargeback again and again, every chargeback",
    "my kerfuffle plan ran out, is there a new kerfuffle plan",
    "a kerfuffle plan costs how much",
    "see https://kerfuffle.example/Zentralkarte and `chargeback`",
] * 4


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([text, "Zentralkarte"] for text in ROWS)
    return path


def test_squash() -> None:
    assert {squash(form) for form in ("E-Mail", "email", "e mail", "E_MAIL")} == {"email"}


def test_terms_and_their_forms(data: Path) -> None:
    mined = mine_file(data, least=5)
    found = {candidate.form: candidate for candidate in mined.candidates}
    assert mined.rows == 36
    assert found["chargeback"].variants == {"charge back": 4, "charge-back": 4}
    assert found["chargeback"].count == 20
    # In single-word cells nothing is counted, nor in addresses.
    assert (found["Zentralkarte"].count, found["Zentralkarte"].variants) == (8, {})
    assert found["kerfuffle plan"].count == 12
    assert not {"the", "The", "was", "is"} & set(found)
    assert [candidate.score for candidate in mined.candidates] == sorted(
        (candidate.score for candidate in mined.candidates), reverse=True
    )


def test_the_beginning_of_a_sentence_makes_no_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt.jsonl"
    path.write_text('{"a": ["Overdraught again. My overdraught grows. Overdraught fees"]}\n' * 5)
    candidate = next(each for each in mine_file(path).candidates if squash(each.form) == "overdraught")
    assert (candidate.form, candidate.count, candidate.variants) == ("overdraught", 15, {})


def test_a_rare_misspelling_joins_its_term(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "the Zentralkarte is here"}\n' * 20 + '{"a": "the Zentrallkarte is here"}\n')
    assert mine_file(path).candidates[0].variants == {"Zentrallkarte": 1}


def test_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "word", "b": 3}\n')
    with pytest.raises(DataError, match="no text of two words"):
        mine_file(path)


def test_the_command_writes_a_glossary_to_confirm(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "glossary.yaml"
    outcome = tunewright("data", "glossary", data, "--output", output, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["rows"] == 36
    terms = {term.form: term for term in read_glossary(output)}
    assert terms["chargeback"].variants == ("charge back", "charge-back")
    assert not any(term.confirmed for term in terms.values())
    assert yaml.safe_load(output.read_text())["chargeback"] == {
        "variants": {"charge back": 4, "charge-back": 4},
        "count": 20,
        "confirmed": False,
    }
    again = tunewright("data", "glossary", data, "--output", output)
    assert again.code == 2
    assert "may hold terms that you have confirmed" in again.err


def test_the_table_fits_a_narrow_terminal(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = tunewright("data", "glossary", data, "--output", tmp_path / "g.yaml")
    assert outcome.code == 0, outcome.err
    assert "charge back (4), charge-back (4)" in outcome.out
    assert max(map(len, outcome.out.split("Wrote")[0].splitlines())) <= 80


def test_a_recipe_names_its_data(data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: x\ngoal: g\ndata:\n  train: rows.csv\n  template: {user: '{text}', assistant: '{label}'}\n"
    )
    assert mine_file(recipe).rows == 36
