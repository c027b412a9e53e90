"""What every step must keep to: all changes logged, ids stable, a second run that changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.plugins import STEPS
from tunewright.data.clean import clean_frame, surveys
from tunewright.data.frame import EDITS, LINE, ROW_ID, SOURCE, StepConfig, StepResult

TERMS = str(Path(__file__).with_name("terms.yaml"))
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "unicode": [{}, {"form": "NFKC"}, {"mojibake": "keep"}],
    "whitespace": [{}, {"keep_lines": False}],
    "exact_duplicates": [{}, {"conflicts": "keep_first"}, {"conflicts": "keep"}],
    "near_duplicates": [{}, {"answers": "any", "threshold": 0.5}],
    "iso_dates": [{"columns": ["text"], "on_error": what, "order": "dmy"} for what in ("keep", "null", "drop")]
    + [{"columns": ["text"], "on_error": "keep", "least_proofs": 1}],
    "boilerplate": [{"columns": ["text"], "least_rows": 2, "least_characters": 5}],
    "contradictions": [{"keep": what} for what in ("none", "majority", "newest", "all")],
    "glossary": [{"file": TERMS}],
    "language": [{"keep": ["en"], "least_probability": 0.5}],
    "length": [{"least_words": 2, "most_characters": 40}],
    "markup": [{"markdown": True}],
    "missing_values": [{}, {"become": "empty", "then": "drop"}, {"then": "fill", "fill": "nothing said"}],
    "numbers": [
        {"columns": ["text"], "decimal": decimal, "on_error": what, "least_proofs": 1}
        for decimal, what in (("infer", "keep"), ("infer", "drop"), ("comma", "null"), ("point", "drop"))
    ],
    "quality": [{"least_words": 3, "least_stop_words": 1}],
    "spelling": [
        {"own_word_rows": 2, "own_word_share": 0, "least_known_share": 0.3, "glossary": TERMS, "least_uses": 0},
        {"least_uses": 1},
    ],
    "units": [{"convert": {"lb": "kg", "mi": "km", "°F": "°C"}}, {"convert": {"km": "mi"}, "decimal": "point"}],
    "redact": [{}, {"region": "US"}, {"kinds": ["phone"], "region": "DE"}, {"keep": ["bob"]}],
    # Put on the tiny encoder, which tells few texts apart.
    "meaning_duplicates": [{"threshold": 0.999}, {"answers": "any", "threshold": 0.7}],
    "label_errors": [{"action": what, "odds": 2} for what in ("set_aside", "drop", "report")],
    "require": [{"columns": ["text", "label"]}],
    "map_values": [
        {"column": "text", "mapping": {"Kaputt": "broken", "defekt": "broken"}, "unknown": what}
        for what in ("keep", "drop")
    ],
}
TEXTS = [
    None, "", "  ", "Kaputt", "KAPUTT ", "defekt", "broken", "ﬁne\u200b  text\r\n\n\n\nhere\t", "cafe\u0301",
    "\ufeffb\x00c", "5 March 2024", "03/04/2024", "2024-03-05", "tomorrow",
    "mail bob@mail.example.com, or call (202) 555-0123!",
    "+49 30 123456 +49 30 123457", "order 2025550123",
    "card 4111 1111 1111 1111 from 10.0.0.7", "password: [SECRET] or x=hunter2!",
    "My name is Zorvath Lindqvister, 12 Elm Street, Leeds LS1 4AP",
    "see https://a.example/?token=9f8e7d6c Anna and Bob",
    "n/a", "-", "1.234,56", "1,234", "1.234", "12,345", "1,5", "2.5", "−1.234.567", "€ 0,125", "12,34,567", "1e5",
    "25/03/2024", "schÃ¶n", "A\u0303©", "<p>Hi <b>there</b> &amp;lt;i&gt;</p><pre>a &lt; b</pre>", "&lt;b&gt; <u>x",
    "**so** _it_ `**is**`", "Thanks!\nSent from my iPhone", "> all\n> quoted",
    "On Mon, Ann wrote:\n> old\nnew line here\nBest wishes from us", "new line here\nBest wishes from us",
    "please recieve teh mony, I dont know wether it arived", "Recieve it. recieve it",
    "5kgs, 10 lbs and 3.5 miles at 72 °F", "1,234 km or 5-10 kilos", "postgres and POSTGRES or e mail in `postgres`",
    "Das ist ein ziemlich langer deutscher Satz über Rechnungen und Mahnungen.", "a a a a a a a a", "AAAAAAAAAAAAAAAA",
    "DOB 03/05/1980, GB82 WEST 1234 5698 7654 32", "👩\u200d💻 a\u200db",
]  # fmt: skip
text = st.sampled_from(TEXTS) | st.text(max_size=12)
CASES = [(name, case) for name in STEPS.names() for case in SETTINGS.get(name, [None])]


@pytest.mark.parametrize(("name", "case"), CASES)
@given(rows=st.lists(st.tuples(text, st.sampled_from(["a", "b", "", None])), max_size=8))
@settings(deadline=None, max_examples=25)
def test_contract(
    name: str, case: dict[str, Any] | None, encoder_folder: Path, rows: list[tuple[str | None, str | None]]
) -> None:
    assert case is not None, f"Say in SETTINGS with what settings the step '{name}' is to be tested"
    if "encoder" in STEPS.config(name).model_fields:
        case = {"encoder": str(encoder_folder), **case}
    config = STEPS.config(name).model_validate({"name": name, **case})
    assert isinstance(config, StepConfig)
    frame = pl.DataFrame(
        {
            ROW_ID: pl.Series([f"r{index}" for index in range(len(rows))], dtype=pl.String),
            SOURCE: pl.Series(["f"] * len(rows), dtype=pl.String),
            LINE: pl.Series(range(1, len(rows) + 1), dtype=pl.Int64),
            "text": pl.Series([row[0] for row in rows], dtype=pl.String),
            "label": pl.Series([row[1] for row in rows], dtype=pl.String),
        }
    )
    bound = config.bind(["text"], ["label"]).at(encoder_folder.parent / "cache")
    first = clean_frame(frame, bound)
    _check_log(frame, first)
    second = clean_frame(first.frame, bound)
    assert second.edits.is_empty()
    assert second.frame.equals(first.frame)
    _check_cut(frame, bound, first)


def _check_cut(frame: pl.DataFrame, config: StepConfig, whole: StepResult) -> None:
    """Cut after each second row, the step finds, changes and drops the same."""
    pieces = list(frame.iter_slices(2)) or [frame]
    known = (STEPS.call(config.plugin, "survey", pieces, config),) if surveys(config) else ()
    parts: list[StepResult] = [STEPS.call(config.plugin, "apply", piece, config, *known) for piece in pieces]
    assert pl.concat([part.frame for part in parts]).equals(whole.frame)
    order = ["row_id", "field"]
    assert pl.concat([part.edits for part in parts]).sort(order).equals(whole.edits.sort(order))
    assert frozenset[str]().union(*(part.unusable for part in parts)) == whole.unusable
    for name in whole.findings:
        assert sum(part.findings[name] for part in parts) == whole.findings[name]


def _check_log(before: pl.DataFrame, result: StepResult) -> None:
    assert result.frame.schema == before.schema
    assert dict(result.edits.schema) == EDITS
    assert all(isinstance(count, int) for count in result.findings.values())
    kept = set(result.frame[ROW_ID])
    dropped = result.edits.filter(pl.col("field").is_null())
    assert dropped["row_id"].to_list() == [row for row in before[ROW_ID] if row not in kept]
    assert dropped["after"].is_null().all()
    assert dropped["reason"].str.len_chars().gt(0).all()
    assert result.unusable <= set(dropped["row_id"])
    # Replaying the logged changes over what was read gives what came out, so no change went unlogged.
    cells = {row[ROW_ID]: row for row in before.to_dicts()}
    for edit in result.edits.filter(pl.col("field").is_not_null()).to_dicts():
        row = cells[edit["row_id"]]
        assert row[edit["field"]] == edit["before"]
        assert edit["before"] != edit["after"]
        row[edit["field"]] = edit["after"]
    assert [cells[row] for row in cells if row in kept] == result.frame.to_dicts()
