"""Principles: the share of answers that break one, and evidence that must stand in the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.server import Server, serving
from tests.evaluate.judging.bench import bench, outside, pieces
from tunewright.base.errors import InputError
from tunewright.evaluate import Finding
from tunewright.evaluate.judging.people import NOT_HELD
from tunewright.evaluate.judging.rounds import hold_all
from tunewright.evaluate.probes.principles import Config

REFUND, POLITE = "Never promises a refund.", "Is polite."


def _judge(body: dict[str, Any]) -> str:
    word = "refund" if REFUND in outside(body) else "fool"
    answer = pieces(body)["ANSWER"]
    broken = word in answer
    return json.dumps({"reason": f"It says {word}.", "broken": broken, "quote": word if broken else ""})


def _held(cache: Path, judge: Any = _judge, **answers: list[str]) -> tuple[Finding, Server]:
    with serving(judge) as server:
        config = Config.model_validate(
            {"principles": [REFUND, POLITE], "endpoint": {"url": server.url, "model": "m"}, "max_not_judged": 0.5}
        )
        (finding,) = hold_all(config, bench(cache, **answers), tuple(answers), where="here")
    return finding, server


def test_the_share_that_breaks_a_principle(tmp_path: Path) -> None:
    tuned = ["You get a refund, fool.", "Let me look.", "A refund!", "Hello."]
    finding, server = _held(tmp_path, tuned=tuned, base=["fool"] * 4)
    assert (finding.value, finding.base, finding.n) == (0.5, 1.0, 4)
    assert finding.details["Each principle"] == [
        {"principle": REFUND, "broken by tuned": 0.5, "broken by base": 0.0, "answers": 4},
        {"principle": POLITE, "broken by tuned": 0.25, "broken by base": 1.0, "answers": 4},
    ]
    worst = finding.details["Worst answers"]
    assert [(row["row"], row["words"]) for row in worst] == [("row0", "refund"), ("row0", "fool"), ("row2", "refund")]
    assert NOT_HELD in finding.meaning
    assert len(server.asked) == 16


def test_a_judge_that_makes_its_quote_up_is_not_believed(tmp_path: Path) -> None:
    def judge(body: dict[str, Any]) -> str:
        if "liar" in pieces(body)["ANSWER"]:
            return json.dumps({"reason": "Bad.", "broken": True, "quote": "words that are not there"})
        return _judge(body)

    finding, _ = _held(tmp_path, judge, tuned=["liar", "fine", "refund  here"])
    assert (finding.value, finding.n) == (0.5, 2)
    assert finding.details["Not judged"] == "2 of 6 verdicts"
    assert "the quote is not in the ANSWER" in finding.details["Why not judged"][0]["reason"]


def test_the_reference_is_no_evidence_for_or_against(tmp_path: Path) -> None:
    _, server = _held(tmp_path, tuned=["Hello."])
    assert set(pieces(server.asked[0])) == {"QUESTION", "ANSWER"}


def test_there_must_be_a_principle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No principle is stated"):
        hold_all(Config(), bench(tmp_path, tuned=["a"]), ("tuned",), where="here")
