"""One Unicode form; nothing invisible; emoji and joined scripts stay whole."""

from __future__ import annotations

import pytest

from tunewright.data.steps.unicode import normal


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
