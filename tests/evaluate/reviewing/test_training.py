"""Items whose verdict is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.base.errors import DataError
from tunewright.evaluate.judging.rubrics import find_rubric
from tunewright.evaluate.reviewing.training import PairToLearn, RatingToLearn, is_right, read_training

PAIR = {"question": "Open?", "left": "From nine.", "right": "Hours.", "choice": "left", "why": "It answers."}
RATING = {"question": "Open?", "answer": "From nine.", "ratings": {"clarity": 4}}
CLARITY = (find_rubric("clarity"),)


def _file(folder: Path, *lines: object) -> Path:
    path = folder / "training.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def test_both_kinds_are_read(tmp_path: Path) -> None:
    assert read_training(_file(tmp_path, PAIR, ""), "pairwise", ()) == (PairToLearn(**PAIR),)
    assert read_training(_file(tmp_path, RATING), "rating", CLARITY) == (RatingToLearn(**RATING),)


def test_what_is_right() -> None:
    pair, rating = PairToLearn(**PAIR), RatingToLearn(**RATING)
    assert [is_right(pair, choice=choice, ratings={}) for choice in ("left", "right", "tie")] == [True, False, False]
    # One point off on a scale is right, two are wrong.
    assert [is_right(rating, choice="", ratings={"clarity": point}) for point in (2, 3, 4, 5)] == [
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{nonsense", "line 2: Expecting property name"),
        ({**PAIR, "choice": "both"}, "line 2: choice: Input should be 'left', 'right', 'tie' or 'both_bad'"),
        ({**PAIR, "extra": 1}, "line 2: extra: Extra inputs"),
        ({"question": "Open?"}, "line 2: left: Field required"),
        ("[" * 100_000, "line 2: "),
    ],
)
def test_faults_name_the_line(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_training(_file(tmp_path, PAIR, line), "pairwise", ())
    assert said in str(caught.value)


def test_ratings_must_be_on_the_scales(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="clarity 9 is not on its scale"):
        read_training(_file(tmp_path, {**RATING, "ratings": {"clarity": 9}}), "rating", CLARITY)
    with pytest.raises(DataError, match="'ratings' has tone, and not clarity"):
        read_training(_file(tmp_path, {**RATING, "ratings": {"tone": 3}}), "rating", CLARITY)
    with pytest.raises(DataError, match="No item"):
        read_training(_file(tmp_path), "rating", CLARITY)
    with pytest.raises(DataError, match="cannot be read"):
        read_training(tmp_path / "absent.jsonl", "rating", CLARITY)
