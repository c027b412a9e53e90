"""The support desk's gold tests: they can be read, and right answers pass them."""

from __future__ import annotations

import json
from pathlib import Path

from tunewright.evaluate.gold.cases import CHAMPION, read_folder
from tunewright.evaluate.gold.checks import misses

DESK = Path(__file__).parents[2] / "examples" / "support-desk"


def test_right_answers_keep_the_schema_and_wrong_ones_do_not() -> None:
    cases = {each.name: each.case for each in read_folder(DESK / "gold")}
    assert len(cases) == 10
    assert {case.wanted.rival for case in cases.values()} == {"", CHAMPION}
    wanted = cases["every field is there"].wanted
    lines = (DESK / "data" / "heldout.jsonl").read_text(encoding="utf-8").splitlines()
    for record in map(json.loads, lines):
        right = {key: value for key, value in record.items() if key != "message"}
        assert misses(wanted, json.dumps(right)) == []
        assert misses(wanted, json.dumps(right | {"urgency": "P1"})) != []
        assert misses(wanted, json.dumps({**right, "order_id": "1042"})) != []


def test_each_case_is_passed_by_its_right_answer_alone() -> None:
    right = {
        "intent": "refund",
        "product": "Lumo",
        "order_id": "B2210",
        "date": None,
        "urgency": "normal",
    }
    case = next(each.case for each in read_folder(DESK / "gold") if each.name == "a plain refund")
    assert misses(case.wanted, json.dumps(right)) == []
    for field in right:
        assert misses(case.wanted, json.dumps(right | {field: "else"})) != []
