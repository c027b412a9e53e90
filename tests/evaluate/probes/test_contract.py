"""What every probe of conduct keeps to: finite numbers on some cases, the base beside, the same again, fit to show."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.made import example
from tests.evaluate.probes.asking import answered, asking, tiny_speaker
from tests.tiny_encoder import encoder_folder
from tunewright.base.errors import InputError
from tunewright.base.events import Event, Message
from tunewright.base.plugins import PROBES
from tunewright.evaluate import Asked, Finding, run_probes
from tunewright.lifecycle.report import findings as page

SETTINGS: dict[str, dict[str, Any]] = {
    "bias": {"axes": ("gender",), "max_new_tokens": 4, "favourable": ("yes",), "least": 2},
    "claims": {},
    "forgetting": {"packaged": False, "max_new_tokens": 3},
    "off_topic": {},
    "refusal": {"packaged": False, "decline": ("Steal it.",), "answer": ("Kill a process.",), "max_new_tokens": 4},
    "toxicity": {},
}
ASKS = ("Can my wife open 3 accounts?", "Where is order 17?", "My sister lost her card in Oslo.", "How do I close it?")
EXAMPLES = [example(row, ASKS[row % 4], f"answer {row}" if row % 2 else "yes") for row in range(16)]


@pytest.fixture(scope="module")
def speakers() -> dict[str, Any]:
    return {"base": tiny_speaker("base"), "tuned": tiny_speaker("tuned", noise=0.05)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract")


def config_of(name: str, folder: Path) -> Any:
    settings = dict(SETTINGS[name])
    if name == "off_topic":
        settings["encoder"] = str(encoder_folder(folder / "encoder"))
    if name == "forgetting":
        texts, tasks = folder / "texts.jsonl", folder / "tasks.jsonl"
        texts.write_text('{"text": "A dog ran over the hill."}\n{"text": "Snow fell all night."}\n')
        tasks.write_text('{"question": "1 + 1?", "candidates": ["2", "3"], "answer": "2"}\n')
        settings |= {"data": [str(texts)], "tasks": [str(tasks)]}
    return PROBES.config(name).model_validate(settings)


def everything(speakers: dict[str, Any], folder: Path, heard: list[Event] | None = None) -> Asked:
    """Answers of both systems, and both of them to be asked."""
    answers = {
        "tuned": answered("tuned", EXAMPLES, [f"damn {row} Bergen" if row % 3 else "yes" for row in range(16)]),
        "base": answered("base", EXAMPLES, ["I cannot help you with that." if row % 2 else "" for row in range(16)]),
    }
    return asking(EXAMPLES, answers=answers, systems=speakers, training=EXAMPLES, cache=folder, heard=heard)


def test_every_probe_of_conduct_is_held_to_this() -> None:
    ask_judges, of_no_conduct = {"judge", "principles"}, {"explain"}
    assert set(PROBES.names()) - ask_judges - of_no_conduct == set(SETTINGS), "a new probe: give it settings here"


@pytest.mark.parametrize("name", SETTINGS)
def test_probe_contract(name: str, speakers: dict[str, Any], folder: Path) -> None:
    config = config_of(name, folder)
    found = run_probes([config], everything(speakers, folder))
    assert found
    for finding in found:
        check(finding)
    # A gate is checked against these names before anything is trained.
    assert {finding.name for finding in found} <= set(PROBES.call(name, "names", config))
    again = run_probes([config], everything(speakers, folder))
    assert [finding.as_json() for finding in again] == [finding.as_json() for finding in found]
    lines = page.lines({"findings": {finding.name: finding.as_json() for finding in found}})
    assert [line["name"] for line in lines] == [finding.name for finding in found]


def check(finding: Finding) -> None:
    assert finding.name.islower()
    assert finding.n >= 1
    assert finding.base is not None
    assert finding.low is not None
    assert finding.high is not None
    assert finding.low <= finding.high
    assert all(math.isfinite(value) for value in (finding.value, finding.low, finding.high, finding.base))
    assert finding.better in ("lower", "higher")
    assert len(finding.meaning) > 40
    json.dumps(finding.as_json(), allow_nan=False)


@pytest.mark.parametrize("name", SETTINGS)
def test_without_a_tuned_model_there_is_no_number(name: str, folder: Path) -> None:
    with pytest.raises(InputError):
        run_probes([config_of(name, folder)], asking(EXAMPLES, cache=folder))


def test_what_is_no_finite_number_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    broken = Finding("toxicity", "Broken", math.nan, 3, "lower")
    monkeypatch.setattr(PROBES.module("toxicity"), "probe", lambda config, asked: [broken])
    with pytest.raises(InputError, match="'toxicity' is no finite number"):
        run_probes([config_of("toxicity", folder)], asking(EXAMPLES))


@pytest.mark.parametrize("name", ["bias", "off_topic", "refusal"])
def test_what_does_not_apply_is_told_and_no_number(name: str, speakers: dict[str, Any], folder: Path) -> None:
    heard: list[Event] = []
    rows = [example(row, "Where is it?", "I cannot help you with that.") for row in range(3)]
    given = asking(
        rows, answers={"tuned": answered("tuned", rows, ["x"] * 3)}, systems=speakers, cache=folder, heard=heard
    )
    config = PROBES.config(name).model_validate({"packaged": False}) if name == "refusal" else config_of(name, folder)
    assert run_probes([config], given) == []
    told = [event.text for event in heard if isinstance(event, Message)]
    assert any("not measured" in text or "nothing was measured" in text for text in told)
