"""One Unicode form; nothing invisible; emoji and joined scripts stay whole."""

from __future__ import annotations

import pytest

from tests.data.steps.frames import frame_of
from tunewright.data.steps.unicode import Config, apply, normal, repair


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("\ufeffhi\u200bthere\x07", "hithere"),
        ("soft\u00adhyphen", "softhyphen"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("क्\u200dष", "क्\u200dष"),
        ("a\u200db", "ab"),
        ("e\u200b\u0301", "\u00e9"),
        ("caf\u00c3\u00a9", "caf\u00c3\u00a9"),
        ("ﬁ", "ﬁ"),
    ],
)
def test_nfc(text: str, expected: str) -> None:
    assert normal(text, "NFC") == expected


def test_nfkc_unfolds_ligatures_and_wide_letters() -> None:
    assert normal("ﬁ Ａ", "NFKC") == "fi A"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schÃ¶n, Ã¼ber", "schön, über"),
        ("donâ€™t", "don’t"),
        ("â‚¬5", "€5"),
        ("ðŸ˜€", "😀"),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "привет"),
        ("schÃƒÂ¶n", "schön"),  # twice
        ("A\u0303©", "é"),  # seen only once composed
        ("Ã la carte, São Paulo, £5 © €", "à la carte, São Paulo, £5 © €"),
        ("naïve Ångström Ærø ÃO", "naïve Ångström Ærø ÃO"),
        ("plain", "plain"),
    ],
)
def test_mojibake(text: str, expected: str) -> None:
    assert repair(text, "NFC") == expected


def test_the_log_says_which_cells_were_mojibake() -> None:
    frame = frame_of(t=["schÃ¶n", "cafe\u0301", "fine"])
    result = apply(frame, Config(columns=("t",)))
    assert result.frame["t"].to_list() == ["schön", "café", "fine"]
    assert result.findings == {"cells_changed": 2, "mojibake_repaired": 1}
    assert result.edits["reason"].to_list() == [
        "mojibake repaired, NFC, invisible characters removed",
        "NFC, invisible characters removed",
    ]
    kept = apply(frame, Config(columns=("t",), mojibake="keep"))
    assert kept.frame["t"].to_list() == ["schÃ¶n", "café", "fine"]
    assert kept.findings == {"cells_changed": 1, "mojibake_repaired": 0}
