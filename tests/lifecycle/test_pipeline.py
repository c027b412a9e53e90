"""The whole pipeline on a tiny model: what each stage leaves, and how it hangs together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tests.lifecycle.world import make_world
from tunewright.base.errors import DataError, InputError, RecipeError
from tunewright.base.events import Artifact, Event, Stage
from tunewright.evaluate import load_answers
from tunewright.lifecycle.job import start
from tunewright.lifecycle.pipeline import RunResult
from tunewright.lifecycle.stages import STAGES, evaluate, preflight, prepare, train
from tunewright.lifecycle.talk import load_release, request


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train = {"epochs": 6, "batch_size": 8, "learning_rate": 0.02, "dtype": "float32", "patience": 99}
    return make_world(tmp_path_factory.mktemp("world"), rows=300, train=train, method={"name": "lora", "rank": 8})


@pytest.fixture(scope="module")
def heard() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def result(world: Path, heard: list[Event]) -> RunResult:
    return tw.run(world, workspace=world.parent / "ws", listener=heard.append)


@pytest.fixture(scope="module")
def workspace(world: Path, result: RunResult) -> Any:
    return tw.Workspace.open(world.parent / "ws")


def test_training_taught_the_model_something(result: RunResult) -> None:
    assert result.evaluation["tuned"]["perplexity"]["value"] < 0.2 * result.evaluation["base"]["perplexity"]["value"]
    assert result.evaluation["n"] == 24
    assert {each["value"] for each in result.evaluation["slices"]["slices"]} >= {"red", "green", "blue"}
    assert [each["b"] for each in result.evaluation["differences"]] == ["base", "base_few_shot", "bag_of_words"]
    assert result.passed  # no condition, none missed
    assert result.verdicts == []


def test_stages_are_heard_in_order(result: RunResult, heard: list[Event]) -> None:
    for status in ("started", "finished"):
        names = [event.name for event in heard if isinstance(event, Stage) and event.status == status]
        assert [name for name in names if name in STAGES] == list(STAGES)
    kinds = {event.artifact_kind for event in heard if isinstance(event, Artifact)}
    assert kinds == {"dataset", "adapter", "answers", "release", "report"}


def test_the_run_is_on_record(result: RunResult, workspace: Any) -> None:
    run = workspace.find_run(result.run)
    assert run.status == "succeeded"
    assert list(run.manifest["stages"]) == list(STAGES)
    environment = run.manifest["environment"]
    assert environment["dtype"] == "float32"
    assert environment["threads"] >= 1
    assert environment["versions"]["torch"]
    assert len(environment["base_hash"]) == 64
    assert result.timings["train"] == {
        key: run.manifest["stages"]["train"][key] for key in ("seconds", "peak_memory_bytes")
    }
    assert not (run.folder / "checkpoints").exists()


def test_the_lineage_goes_from_release_to_dataset(result: RunResult, workspace: Any) -> None:
    release = workspace.find_release("colours")
    assert (release.adapter, release.dataset, release.run) == (result.adapter, result.dataset, result.run)
    tree = workspace.lineage(release.adapter)
    assert tree.producer == result.run
    assert [parent.hash for parent in tree.parents] == [result.dataset]


def test_every_system_answered_every_held_out_row(result: RunResult, workspace: Any) -> None:
    (stored,) = workspace.artifacts("answers")
    answers = load_answers(stored.path)
    assert list(answers) == ["base", "base_few_shot", "tuned", "bag_of_words"]
    assert {len(given.answers) for given in answers.values()} == {24}
    assert [parent.kind for parent in workspace.lineage(stored.hash).parents] == ["adapter", "dataset"]


def test_the_card_says_what_it_is_and_how_good(result: RunResult, workspace: Any) -> None:
    (stored,) = workspace.artifacts("release")
    card = (stored.path / "README.md").read_text(encoding="utf-8")
    assert "Name the colour." in card
    assert result.dataset in card
    assert "Measured on 24 held-out rows" in card
    assert re.search(r"\| Accuracy \| [\d.]+% \(", card)
    assert "## Limits" in card
    assert json.loads((stored.path / "evaluation.json").read_text()) == result.evaluation
    assert tw.load_recipe(stored.path / "recipe.yaml").name == "colours"


def test_the_report_holds_the_facts(result: RunResult) -> None:
    page = result.report.read_text(encoding="utf-8")
    for fact in ("Name the colour.", "colours@1", result.adapter[:8], "rows.csv"):
        assert fact in page
    assert not re.search(r"""(src|href)=["']https?://""", page)


def test_a_release_answers_as_the_evaluation_did(result: RunResult, workspace: Any) -> None:
    (stored,) = workspace.artifacts("answers")
    specialist = load_release("colours@1", workspace=workspace)
    with start(world_recipe(workspace, result), workspace=workspace, resume=result.run) as job:
        rows = {row.id: row for row in prepare(job).examples("test")}
    for answer in load_answers(stored.path)["tuned"].answers[:5]:
        reply = specialist.answer(rows[answer.id].prompt[-1].content)
        assert (reply.text, reply.stopped) == (answer.prediction, answer.stopped)


def world_recipe(workspace: Any, result: RunResult) -> tw.Recipe:
    from tunewright.recipe import recipe_from_mapping

    return recipe_from_mapping(workspace.find_run(result.run).recipe)


def test_a_finished_run_resumed_does_nothing_and_says_the_same(world: Path, result: RunResult, workspace: Any) -> None:
    events: list[Event] = []
    again = tw.run(world, workspace=workspace, resume="latest", listener=events.append)
    assert again == result
    assert {event.status for event in events if isinstance(event, Stage)} == {"skipped"}
    assert len(workspace.releases()) == 1


def test_the_same_recipe_gives_the_same_artifacts(world: Path, result: RunResult, tmp_path: Path) -> None:
    with start(world, workspace=tmp_path / "other") as job:
        adapter = train(job)
    assert adapter.stored.hash == result.adapter


def test_an_evaluation_cut_off_goes_on_with_the_systems_left(
    world: Path, result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tunewright.evaluate as room

    real, asked = room.answer_examples, []

    def cut_off(*given: Any, **named: Any) -> Any:
        asked.append(named["system"])
        if named["system"] == "tuned" and len(asked) == 3:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(room, "answer_examples", cut_off)
    with pytest.raises(KeyboardInterrupt):
        tw.run(world, workspace=tmp_path / "ws")
    again = tw.run(world, workspace=tmp_path / "ws", resume="latest")
    assert asked == ["base", "base_few_shot", "tuned", "tuned"]
    assert _without_times(again.evaluation) == _without_times(result.evaluation)


def _without_times(evaluation: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: value for key, value in scores.items() if key != "seconds"} if isinstance(scores, dict) else scores
        for name, scores in evaluation.items()
    }


def test_a_stage_alone_does_those_before_it(world: Path, tmp_path: Path) -> None:
    recipe = tw.load_recipe(world, ["train.epochs=0.1", "evaluate.systems=[base]", "evaluate.limit=7"])
    with start(recipe, workspace=tmp_path / "ws") as job:
        measured = evaluate(job)
    assert list(job.run.manifest["stages"]) == ["prepare", "preflight", "train", "evaluate"]
    assert measured.evaluation["n"] == 7


def test_too_many_unusable_rows_stop_the_run_behind_the_table(world: Path, tmp_path: Path) -> None:
    recipe = tw.load_recipe(world, ["data.max_length=34"])
    shown: list[str] = []
    with (
        pytest.raises(DataError, match="longer than"),
        start(recipe, workspace=tmp_path / "ws", stage_done=lambda name, _: shown.append(name)) as job,
    ):
        preflight(job)
    assert shown == ["prepare", "preflight"]
    assert job.run.status == "failed"


def test_json_answers_from_messy_columns(tmp_path: Path) -> None:
    template = {"user": "{text}", "assistant": {"colour": "label", "number": "missing"}}
    recipe = make_world(tmp_path / "w", rows=90, name="records", data=_data(template), success={"json_valid": ">= 0"})
    rows = (tmp_path / "w" / "rows.csv").read_text().splitlines()
    (tmp_path / "w" / "rows.csv").write_text("\n".join([f"{rows[0]},missing", *(f"{row}," for row in rows[1:])]))
    result = tw.run(recipe, overrides=["train.epochs=0.2", "evaluate.limit=6"], workspace=tmp_path / "ws")
    assert set(result.evaluation["tuned"]) >= {"record_exact_match", "json_valid", "colour_accuracy"}
    assert "colour_accuracy" in result.evaluation["bag_of_words"]
    assert [verdict["passed"] for verdict in result.verdicts] == [True]


def _data(template: dict[str, Any]) -> dict[str, Any]:
    return {"template": template, "split": {"validation": 8, "test": 20, "minimum_test_rows": 20}}


def test_free_text_leaves_the_classifier_out_unless_it_is_named(tmp_path: Path) -> None:
    recipe = make_world(tmp_path / "w", rows=90, data={"answer": "text"})
    quick = ["train.epochs=0.2", "evaluate.limit=4"]
    result = tw.run(recipe, overrides=quick, workspace=tmp_path / "ws")
    assert "bag_of_words" not in result.evaluation
    assert "exact_match" in result.evaluation["tuned"]
    named = [*quick, "evaluate.systems=[bag_of_words]"]
    with pytest.raises(RecipeError, match="cannot give free text"):
        tw.run(recipe, overrides=named, workspace=tmp_path / "ws")


def test_a_request_fills_the_template_as_a_training_row_did(world: Path) -> None:
    recipe = tw.load_recipe(world)
    one = {"template": {"system": "Answer.", "user": "Say: {text}!", "assistant": "{label}"}, "system": ""}
    turns = request(one, recipe, " a\u00a0 b ")
    assert [(turn.role, turn.content) for turn in turns] == [("system", "Answer."), ("user", "Say: a b!")]
    two = {"template": {"system": "", "user": "{a} and {b}", "assistant": "{label}"}, "system": ""}
    assert request(two, recipe, '{"a": "x", "b": 3}')[0].content == "x and 3"
    with pytest.raises(InputError, match="JSON object"):
        request(two, recipe, "just text")
    bare = {"template": None, "system": "Be kind."}
    assert [(turn.role, turn.content) for turn in request(bare, recipe, "hello  you")] == [
        ("system", "Be kind."),
        ("user", "hello you"),
    ]
