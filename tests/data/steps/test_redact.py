"""Addresses and telephone numbers go; order numbers and dates stay."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.data.steps.frames import frame_of
from tunewright.base.errors import DataError, InputError, MissingExtraError
from tunewright.data.personal.keys import Key, WrongKeyError, open_sealed
from tunewright.data.steps.redact import Config, apply


def _redacted(text: str, region: str | None) -> str | None:
    found: str | None = apply(frame_of(t=[text]), Config(columns=("t",), region=region)).frame["t"][0]
    return found


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("Mail bob.o'brien+x@mail.example.co.uk.", None, "Mail [EMAIL]."),
        ("<jürgen@bücher.example>", None, "<[EMAIL]>"),
        ("+1 202 555 0123 or +44 7700 900123", None, "[PHONE] or [PHONE]"),
        ("(202) 555-0123", "US", "[PHONE]"),
        ("call 2025550123 now", "US", "call [PHONE] now"),
        ("Tel. 030 1234567", "DE", "Tel. [PHONE]"),
        ("07911 123456", "GB", "[PHONE]"),
    ],
)
def test_found(text: str, region: str | None, expected: str) -> None:
    assert _redacted(text, region) == expected


@pytest.mark.parametrize("region", [None, "US", "GB", "DE"])
@pytest.mark.parametrize(
    "text",
    [
        "order 2025550123",
        "order no. 202-555-0123",
        "ORD-2025550123",
        "#2025550123",
        "it is 2025550123",
        "A-10293847 and 1Z 999 AA1 01 2345 6784",
        "on 2024-03-05 at 10:30, or 05.03.2024 12:30, or 12/03/2024",
        "invoice 12345678",
        "user@localhost, @handle, a @ b",
    ],
)
def test_left_alone(text: str, region: str | None) -> None:
    assert _redacted(text, region) == text


def test_counts() -> None:
    kinds = ("email", "phone")
    result = apply(
        frame_of(t=["a@b.example c@d.example", None, "+1 202 555 0123"]), Config(columns=("t",), kinds=kinds)
    )
    assert result.findings == {"emails": 2, "phones": 1, "cells_changed": 2}
    assert set(result.edits["reason"]) == {"email, phone redacted"}


def test_all_kinds_by_default() -> None:
    text = (
        "DOB 03/05/1980, SSN 123-45-6789, card 4111 1111 1111 1111, from 10.0.0.7 (00:1A:2B:3C:4D:5E), "
        "password: hunter2!"
    )
    expected = "DOB [BIRTH_DATE], SSN [NATIONAL_ID], card [CARD], from [IP] ([MAC]), password: [SECRET]"
    assert _redacted(text, None) == expected


def test_only_what_is_asked_for() -> None:
    result = apply(frame_of(t=["a@b.example from 10.0.0.7"]), Config(columns=("t",), kinds=("ip",)))
    assert result.frame["t"].to_list() == ["a@b.example from [IP]"]


def test_names_street_addresses_and_web_addresses_go() -> None:
    text = (
        "My name is Zorvath Lindqvister, 12 Elm Street, Leeds LS1 4AP. See https://a.example/x?token=9f8e7d6c. "
        "The Aurora Lamp is fine."
    )
    assert _redacted(text, None) == "My name is [NAME], [ADDRESS]. See [URL]. The Aurora Lamp is fine."


def test_what_is_kept_is_nobodys_name() -> None:
    text = "I asked Velora Zentrix about it."
    assert apply(frame_of(t=[text]), Config(columns=("t",))).frame["t"][0] == "I asked [NAME] about it."
    kept = Config(columns=("t",), keep=("velora zentrix",))
    assert apply(frame_of(t=[text]), kept).frame["t"][0] == text


KEY_TEXT = bytes(range(32)).hex()
ROWS = [
    "Zorvath Lindqvister (zl@mail.example) called.",
    "I spoke with ZORVATH LINDQVISTER's wife Anna, card 4111 1111 1111 1111.",
    None,
    "nothing here",
    "Mail ZL@mail.example or 4111-1111-1111-1111.",
]


@pytest.fixture
def hiding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("TUNEWRIGHT_KEY", KEY_TEXT)
    return Config(columns=("t",), replace="pseudonym", vault=str(tmp_path / "redact.vault"))


def test_one_person_keeps_one_pseudonym_over_rows_pieces_and_runs(hiding: Config) -> None:
    whole = apply(frame_of(t=ROWS), hiding)
    texts = whole.frame["t"].to_list()
    mail = re.findall(r"Mail-\w{12}", texts[0])[0]
    card = re.findall(r"Card-\w{12}", texts[1])[0]
    assert texts[2:4] == [None, "nothing here"]
    assert texts[4] == f"Mail {mail} or {card}."
    pieces = [apply(frame_of(t=[row]), hiding).frame["t"][0] for row in ROWS]
    assert pieces == texts
    again = apply(whole.frame, hiding)
    assert again.edits.is_empty()
    assert again.frame.equals(whole.frame)


def test_nothing_of_the_originals_is_left_without_the_key(hiding: Config) -> None:
    result = apply(frame_of(t=ROWS), hiding)
    written = result.frame.write_json() + result.edits.write_json() + str(result.findings)
    for original in ("Zorvath", "ZORVATH", "Anna", "zl@mail", "4111", KEY_TEXT):
        assert original not in written
    assert result.edits["before"].str.starts_with("[sealed:").all()


def test_undoing_from_a_sealed_log_restores_the_bytes(hiding: Config) -> None:
    result = apply(frame_of(t=ROWS), hiding)
    key = Key(bytes(range(32)))
    before = {row: open_sealed(text, key)[0] for row, text in result.edits.select("row_id", "before").iter_rows()}
    restored = [before.get(row, text) for row, text in result.frame.select("_row_id", "t").iter_rows()]
    assert restored == ROWS


def test_pseudonyms_are_other_ones_with_another_key(hiding: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    one = apply(frame_of(t=ROWS), hiding).frame["t"][0]
    monkeypatch.setenv("TUNEWRIGHT_KEY", bytes(range(1, 33)).hex())
    with pytest.raises(WrongKeyError, match="another key"):
        apply(frame_of(t=ROWS), hiding)
    other = hiding.model_copy(update={"vault": f"{hiding.vault}2"})
    assert apply(frame_of(t=ROWS), other).frame["t"][0] != one


def test_two_people_are_never_one(hiding: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two identities come to one code, the step refuses: here the codes are cut to nothing."""
    monkeypatch.setattr("tunewright.data.steps.redact.pseudonym", lambda kind, who, key: f"{kind}-aaaaaaaaaaaa")
    with pytest.raises(DataError, match="Two originals"):
        apply(frame_of(t=["Dr. Zorvath and Dr. Lindqvister"]), hiding)


def test_a_missing_key_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TUNEWRIGHT_KEY", raising=False)
    for settings in ({"replace": "pseudonym"}, {"ledger": "seal"}):
        with pytest.raises(InputError, match="TUNEWRIGHT_KEY holds none"):
            apply(frame_of(t=ROWS), Config.model_validate({"columns": ("t",), **settings}))


def test_tags_can_be_sealed_too(hiding: Config) -> None:
    config = Config(columns=("t",), ledger="seal", vault=hiding.vault)
    result = apply(frame_of(t=ROWS), config)
    assert result.frame["t"][4] == "Mail [EMAIL] or [CARD]."
    assert result.edits["before"].str.starts_with("[sealed:").all()
    assert not Path(hiding.vault).exists()


def test_a_dataset_does_not_depend_on_where_its_recipe_lies() -> None:
    config = Config(key_file="/somewhere/redact.key", vault="/somewhere/redact.vault")
    assert config.model_dump()["vault"] == "redact.vault"
    assert config.model_dump()["key_file"] == "redact.key"
    assert config.model_dump(mode="json")["vault"] == "/somewhere/redact.vault"


def test_presidio_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tunewright\[presidio\]'"):
        apply(frame_of(t=["Anna"]), Config(columns=("t",), engine="presidio", model="xx_absent"))
