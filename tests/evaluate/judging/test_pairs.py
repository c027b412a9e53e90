"""Pairs in both orders: wins, ties, flips and leanings, by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.server import serving
from tests.evaluate.judging.bench import bench, pieces
from tunewright.base.errors import EndpointError, InputError
from tunewright.evaluate import Finding
from tunewright.evaluate.judging.people import NOT_HELD
from tunewright.evaluate.judging.rounds import judge_all
from tunewright.evaluate.probes.judge import Config

Choose = Callable[[str, str], str]


def _compared(
    choose: Choose, cache: Path, tuned: list[str], base: list[str], **settings: Any
) -> tuple[Finding, Finding]:
    def judge(body: dict[str, Any]) -> str:
        shown = pieces(body)
        return json.dumps({"reason": "So it is.", "better": choose(shown["ANSWER 1"], shown["ANSWER 2"])})

    with serving(judge) as server:
        config = Config.model_validate(
            {
                "rubrics": [],
                "pairwise": True,
                "endpoint": {"url": server.url, "model": "grader", "attempts": 1},
                **settings,
            }
        )
        rate, flips = judge_all(config, bench(cache, tuned=tuned, base=base), ("tuned", "base"), where="here")
    return rate, flips


def _good(first: str, second: str) -> str:
    """Likes the answer with more exclamation marks, wherever it stands."""
    marks = first.count("!") - second.count("!")
    return "tie" if not marks else "1" if marks > 0 else "2"


def test_wins_and_losses_whatever_the_order(tmp_path: Path) -> None:
    # Three wins, one loss, one tie: (3 + 0.5) / 5; the sign test of 3 to 1 has p = 10 / 16.
    rate, flips = _compared(_good, tmp_path, ["!", "!", "!", "", ""], ["", "", "", "!", ""])
    assert rate.value == pytest.approx(0.7)
    (counted,) = rate.details["Pairs"]
    assert counted == {
        "tuned better": 3,
        "base better": 1,
        "ties": 1,
        "not judged": 0,
        "p (sign test)": pytest.approx(0.625),
    }
    assert (flips.value, flips.n) == (0.0, 5)
    (bias,) = rate.details["Position bias"]
    assert bias["leaning to the first place"] == 0.0
    assert bias["favoured"] == "neither place, as far as can be seen"
    assert [row["row"] for row in rate.details["Lost pairs"]] == ["row3"]
    assert rate.details["Agreement with people"] == NOT_HELD


@pytest.mark.parametrize(
    ("always", "place", "leaning"), [("1", "the first place", 1.0), ("2", "the second place", -1.0)]
)
def test_a_judge_that_looks_at_places_alone_says_nothing(
    always: str, place: str, leaning: float, tmp_path: Path
) -> None:
    rate, flips = _compared(lambda *_: always, tmp_path, ["a", "b", "c"], ["x", "y", "z"])
    assert rate.value == 0.5
    assert rate.details["Pairs"][0]["ties"] == 3
    assert flips.value == 1.0
    (bias,) = rate.details["Position bias"]
    assert (bias["leaning to the first place"], bias["favoured"]) == (leaning, place)
    assert bias["flipped pairs"] == 1.0
    assert bias["flipped low"] == pytest.approx(0.438, abs=1e-3)  # Wilson's interval of 3 of 3


def test_a_tie_in_one_order_and_a_win_in_the_other_is_a_flip(tmp_path: Path) -> None:
    rate, flips = _compared(lambda first, _: "1" if first == "ours" else "tie", tmp_path, ["ours"], ["theirs"])
    assert (rate.value, flips.value) == (0.5, 1.0)
    assert rate.details["Position bias"][0]["leaning to the first place"] == 0.5


def test_a_judge_that_likes_length_is_seen(tmp_path: Path) -> None:
    def longer(first: str, second: str) -> str:
        return "1" if len(first) > len(second) else "2"

    rate, _ = _compared(longer, tmp_path, ["aaaa", "a", "aaa"], ["bb", "bbbb", "b"])
    (bias,) = rate.details["Length bias"]
    assert (bias["decided pairs of unequal length"], bias["the longer one won"]) == (3, 1.0)
    rate, _ = _compared(_good, tmp_path, ["!", "a"], [" ", "b"])
    assert rate.details["Length bias"] == [{"decided pairs of unequal length": 0}]


def test_systems_are_not_named_to_the_judge(tmp_path: Path) -> None:
    with serving(lambda _: '{"reason": "Alike.", "better": "tie"}') as server:
        config = Config.model_validate(
            {"rubrics": [], "pairwise": True, "endpoint": {"url": server.url, "model": "grader"}}
        )
        judge_all(config, bench(tmp_path, tuned=["a"], base=["b"]), ("tuned", "base"), where="here")
        assert not any("tuned" in json.dumps(body) or "base" in json.dumps(body) for body in server.asked)
        assert sorted(pieces(body)["ANSWER 1"] for body in server.asked) == ["a", "b"]


def test_a_pair_judged_in_one_order_alone_is_not_judged(tmp_path: Path) -> None:
    def half(first: str, second: str) -> str:
        return "neither" if second == "odd" else "1" if first == "odd" else _good(first, second)

    rate, _ = _compared(half, tmp_path, ["!", "odd", "!"], ["", "", ""], max_not_judged=0.4)
    assert (rate.value, rate.n) == (1.0, 2)
    assert rate.details["Pairs"][0]["not judged"] == 1
    with pytest.raises(EndpointError, match="no verdict on 1 of 3"):
        _compared(half, tmp_path, ["!", "odd", "!"], ["", "", ""], max_not_judged=0.1)


def test_people_who_chose_stand_beside_the_win_rate(tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    chosen = ["tuned", "tuned", "base", "both bad"]
    rows = [{"id": f"row{row}", "rater": "Ann", "choice": choice} for row, choice in enumerate(chosen)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rate, _ = _compared(_good, tmp_path, ["!", "!", "", ""], ["", "", "!", ""], people=str(file))
    assert rate.details["Agreement in numbers"][0]["value"] == pytest.approx(1.0)
    assert "κ 1.00 with Ann" in rate.meaning


def test_pairs_need_two(tmp_path: Path) -> None:
    config = Config(rubrics=(), pairwise=True, local="never-opened")
    with pytest.raises(InputError, match="'base' has no answers, so there are no pairs"):
        judge_all(config, bench(tmp_path, tuned=["a"]), ("tuned",), where="here")
