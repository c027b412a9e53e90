"""The gate of a run: refused before training, missed behind it, released on a person's word, and the champion."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tests.cli.command import tunewright
from tests.lifecycle.world import make_world
from tunewright.base.errors import InputError, RecipeError, WorkspaceError
from tunewright.base.events import Event, Message
from tunewright.evaluate import answer_examples
from tunewright.lifecycle import answering
from tunewright.lifecycle.champion import champion_answers
from tunewright.lifecycle.despite import release_despite
from tunewright.lifecycle.gating import finding_names
from tunewright.lifecycle.job import start
from tunewright.lifecycle.release import describe, lineage_of
from tunewright.lifecycle.stages import preflight, prepare
from tunewright.lifecycle.talk import load_release

QUICK = ["train.epochs=0.1", "evaluate.systems=[bag_of_words]", "evaluate.limit=12"]
HOPELESS = 'gate={accuracy: ">= 1.01", cut: "<= 1", vs_bag_of_words: significant, vs_champion: significant}'
REASON = "the <old> one is down"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120)


@pytest.fixture(scope="module")
def place(world: Path) -> Path:
    return world.parent / "ws"


@pytest.fixture(scope="module")
def missed(world: Path, place: Path) -> Any:
    given = [option for override in (*QUICK, HOPELESS) for option in ("--set", override)]
    return tunewright("run", world, *given, "--workspace", place, "--json")


def test_a_missed_gate_is_exit_1_and_no_release(missed: Any, place: Path) -> None:
    assert missed.code == 1
    document = missed.document
    assert (document["release"], document["passed"], document["success"]) == (None, False, [])
    assert [(ruling["what"], ruling["bar"], ruling["passed"]) for ruling in document["gate"]] == [
        ("accuracy", ">= 1.01", False),
        ("cut", "<= 1", True),
        ("vs_bag_of_words", "significant", False),
        ("vs_champion", "significant", True),
    ]
    assert document["gate"][3]["note"] == "There is no release of this name yet to lose against."
    accuracy = document["evaluation"]["tuned"]["accuracy"]["value"]
    assert document["gate"][0]["by"] == pytest.approx(accuracy - 1.01)
    workspace = tw.Workspace.open(place)
    assert workspace.releases() == []
    assert workspace.artifacts("release") == []
    assert len(workspace.artifacts("adapter")) == 1
    assert workspace.find_run(document["run"]).status == "succeeded"


def test_the_report_says_that_it_was_not_released(missed: Any) -> None:
    page = Path(missed.document["report"]).read_text(encoding="utf-8")
    assert "Gate missed: 2 of 4 bars. It was not released" in page
    assert f"tunewright models release {missed.document['run']} --despite" in page
    assert "colours@1" not in page


def test_resuming_says_the_same_again(world: Path, place: Path, missed: Any) -> None:
    again = tw.run(world, overrides=[*QUICK, HOPELESS], workspace=place, resume="latest")
    assert again.release == ""
    assert again.gate == missed.document["gate"]
    assert not again.passed
    assert tw.Workspace.open(place).releases() == []


def test_people_read_which_bar_was_missed_and_by_how_much(world: Path, place: Path, missed: Any) -> None:
    given = [option for override in (*QUICK, HOPELESS) for option in ("--set", override)]
    outcome = tunewright("run", world, *given, "--workspace", place, "--resume", missed.document["run"])
    assert outcome.code == 1
    assert "✗ gate: accuracy >= 1.01: missed by" in outcome.out
    assert "Not released: the gate was missed" in outcome.out
    assert f"models release {missed.document['run']} --despite WHY" in outcome.out
    measured = tunewright("eval", world, *given, "--workspace", place, "--json")
    assert (measured.code, measured.document["passed"]) == (1, False)
    assert measured.document["gate"] == missed.document["gate"]


@pytest.fixture(scope="module")
def word(missed: Any, place: Path) -> tuple[Path, Any]:
    """A copy of the workspace, in which a person has released the run."""
    copy = place.with_name("copy")
    shutil.copytree(place, copy)
    run = missed.document["run"]
    return copy, tunewright("models", "release", run, "--despite", REASON, "--workspace", copy, "--json")


def test_a_person_may_release_it_with_a_reason_that_stays(word: tuple[Path, Any], world: Path) -> None:
    place, outcome = word
    assert outcome.code == 0, outcome.err
    assert outcome.document["release"] == "colours@1"
    assert outcome.document["missed"] == ["accuracy", "vs_bag_of_words"]
    workspace = tw.Workspace.open(place)
    (stored,) = workspace.artifacts("release")
    card = (stored.path / "README.md").read_text(encoding="utf-8")
    assert f"**It was released although the gate was missed**: {REASON}" in card
    assert "- accuracy >= 1.01: missed by" in card
    assert stored.manifest["despite"] == REASON
    assert lineage_of(workspace, "colours")["despite"] == REASON
    assert describe(workspace, "colours@1")["gate"][0]["passed"] is False
    page = Path(outcome.document["report"]).read_text(encoding="utf-8")
    assert "Gate missed (2 of 4 bars), and released as colours@1 by a person&#39;s word" in page
    assert "the &lt;old&gt; one is down" in page
    shown = tunewright("models", "show", "colours@1", "--workspace", place)
    assert f"Released although its gate was missed: {REASON}" in " ".join(shown.out.split())
    again = tw.run(world, overrides=[*QUICK, HOPELESS], workspace=place, resume="latest")
    assert (again.release, again.despite, again.passed) == ("colours@1", REASON, False)


def test_a_word_needs_a_reason_and_a_missed_gate(word: tuple[Path, Any], missed: Any, place: Path) -> None:
    run = missed.document["run"]
    with pytest.raises(InputError, match="needs a reason"):
        release_despite(run, "  ", workspace=place)
    with pytest.raises(WorkspaceError, match="released already, as colours@1"):
        release_despite(run, "again", workspace=word[0])


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ('{acuracy: ">= 0.5"}', "gate.acuracy: 'acuracy' will not be measured. Did you mean 'accuracy'?"),
        ('{accuracy.low: ">= 0.5", macro_f.low: "> 0"}', "gate.macro_f.low: 'macro_f' will not be measured"),
        ('{slice.lang=de.accuracy: ">= 0.5"}', "The rows are not told apart by 'lang'"),
        ('{slice.class=red.acuracy: ">= 0.5"}', "'acuracy' will not be measured"),
    ],
)
def test_what_will_not_be_measured_is_refused_before_training(
    world: Path, tmp_path: Path, gate: str, said: str
) -> None:
    recipe = tw.load_recipe(world, [*QUICK, f"gate={gate}"])
    with pytest.raises(RecipeError) as refused, start(recipe, workspace=tmp_path) as job:
        preflight(job)
    assert said in str(refused.value)
    assert "train" not in job.run.manifest["stages"]


def test_a_probe_that_nobody_asked_is_named(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunewright.lifecycle import gating

    class Probes:
        """Two probes: one names what it finds, the other only begins with its own name."""

        Config = type(tw.load_recipe(world).method)

        def names(self) -> tuple[str, ...]:
            return ("claims", "forgetting")

        def config(self, name: str) -> Any:
            return lambda: type("Asked", (), {"plugin": name})()

        def has(self, name: str, function: str) -> bool:
            return name == "claims"

        def call(self, name: str, function: str, config: Any) -> list[str]:
            return ["hallucination"]

    monkeypatch.setattr(gating, "PROBES", Probes())
    assert finding_names(Probes().config("claims")()) == ("hallucination",)
    for name, probe in (("hallucination", "claims"), ("forgetting_tasks", "forgetting")):
        recipe = tw.load_recipe(world, [*QUICK, f'gate={{{name}: "<= 0.1"}}'])
        with pytest.raises(RecipeError, match=f"'{name}' is found by the probe '{probe}'"):
            gating.check_gate_names(recipe, None, ["accuracy"])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def second(word: tuple[Path, Any], world: Path) -> tuple[tw.RunResult, list[Event]]:
    """A run after the release: held against it, and with a condition of success that it misses."""
    heard: list[Event] = []
    changes = ["gate={vs_champion: not_worse by 1}", 'success={accuracy: ">= 1.01"}', "train.learning_rate=0.004"]
    return tw.run(world, overrides=[*QUICK, *changes], workspace=word[0], listener=heard.append), heard


def test_success_that_is_missed_is_released_all_the_same(second: tuple[tw.RunResult, list[Event]]) -> None:
    found = second[0]
    assert (found.release, found.passed) == ("colours@2", False)
    assert [ruling["passed"] for ruling in found.gate] == [True]


def test_the_champion_is_held_against_on_the_same_rows(second: tuple[tw.RunResult, list[Event]], missed: Any) -> None:
    found, heard = second
    said = [event.text for event in heard if isinstance(event, Message)]
    assert "colours@1 answered these rows when it was measured; that is taken." in said
    before = missed.document["evaluation"]["tuned"]["accuracy"]
    assert found.evaluation["champion"]["accuracy"] == before
    assert [each["b"] for each in found.evaluation["differences"]] == ["bag_of_words", "champion"]
    reached = found.evaluation["tuned"]["accuracy"]["value"]
    assert found.gate[0]["value"] == pytest.approx(reached - before["value"])


def test_a_champion_measured_on_other_rows_answers_these(
    second: tuple[tw.RunResult, list[Event]], word: tuple[Path, Any], world: Path
) -> None:
    heard: list[Event] = []
    workspace = tw.Workspace.open(word[0])
    recipe = tw.load_recipe(world, [*QUICK, "gate={vs_champion: not_worse}", "seed=4"])  # other rows are held out
    with start(recipe, workspace=workspace, listener=heard.append) as job:
        dataset = prepare(job)
        found = champion_answers(job, dataset, adapter="")["champion"]
        rows = answering.test_rows(job.recipe, dataset)
    assert any("colours@2 was measured on other rows" in e.text for e in heard if isinstance(e, Message))
    assert [(answer.id, answer.reference) for answer in found.answers] == [(row.id, row.answer) for row in rows]
    # The same rows asked of the adapter as its own evaluation asks it.
    specialist = load_release("colours@2", workspace=workspace)
    again = answer_examples(specialist.model, specialist.base, rows[:3], max_new_tokens=8, batch_size=4)
    assert [answer.prediction for answer in found.answers[:3]] == [answer.prediction for answer in again.answers]
    assert found.answers[0].nats == pytest.approx(again.answers[0].nats, rel=1e-4)
