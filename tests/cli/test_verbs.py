"""Every verb on one finished run: what people read, and what machines read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Outcome, tunewright
from tests.lifecycle.world import make_world
from tunewright.data.example import Message

VERBS = [
    ["demo"],
    ["init"],
    ["recipe", "schema"],
    ["recipe", "check"],
    ["data", "prepare"],
    ["data", "glossary"],
    ["data", "diff"],
    ["data", "undo"],
    ["data", "label"],
    ["data", "synthesize"],
    ["train"],
    ["eval", "measure"],
    ["eval", "outputs"],
    ["compare"],
    ["plan"],
    ["run"],
    ["chat"],
    ["models", "pull"],
    ["models", "list"],
    ["models", "show"],
    ["models", "lineage"],
    ["runs", "list"],
    ["runs", "show"],
    *(["jobs", verb] for verb in ("create", "list", "show", "follow", "cancel", "pause", "resume")),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=200, success={"perplexity": "<= 100000"})


@pytest.fixture(scope="module")
def finished(world: Path) -> Outcome:
    return tunewright("run", world, "--workspace", world.parent / "ws", "--json")


@pytest.fixture
def place(world: Path, finished: Outcome) -> tuple[str, str]:
    assert finished.code == 0, finished.err
    return "--workspace", str(world.parent / "ws")


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_has_an_example_and_the_shared_options(verb: list[str]) -> None:
    outcome = tunewright(*verb, "--help")
    assert outcome.code == 0
    assert f"Example: tunewright {' '.join(verb)}" in " ".join(outcome.out.split())
    for option in ("--workspace", "--json", "--debug"):
        assert option in outcome.out


def test_run_prints_one_document(finished: Outcome) -> None:
    document = finished.document
    assert document["release"] == "colours@1"
    assert document["passed"] is True
    assert document["success"][0]["metric"] == "perplexity"
    assert set(document["evaluation"]) >= {"base", "base_few_shot", "tuned", "bag_of_words", "comparisons", "n"}
    assert set(document["evaluation"]["tuned"]["accuracy"]) == {"value", "low", "high", "n", "seed", "template"}
    assert Path(document["report"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(document["timings"]) == ["prepare", "preflight", "train", "evaluate", "release", "report"]
    assert all(cost["seconds"] >= 0 and cost["peak_memory_bytes"] > 1e6 for cost in document["timings"].values())


def test_progress_stays_on_stderr_and_libraries_are_silent(finished: Outcome) -> None:
    lines = finished.err.splitlines()
    assert "train: started" in lines
    stages = ("prepare", "preflight", "train", "evaluate", "release", "report", "answer", "tokenise", "hash")
    diagnosis = ("Neither over- nor underfitting:", "Over- or underfitting cannot be told:", "Underfitting:")
    assert all(line.startswith((*stages, *diagnosis, "Forests are computed by the backend")) for line in lines), lines
    assert sum(line.startswith(diagnosis) for line in lines) == 1


def test_show_json_is_what_the_run_measured(place: tuple[str, str], finished: Outcome) -> None:
    shown = tunewright("models", "show", "colours", *place, "--json").document
    assert shown["evaluation"] == finished.document["evaluation"]
    assert shown["success"] == finished.document["success"]
    assert (shown["name"], shown["version"]) == ("colours", 1)
    assert shown["adapter"]["hash"] == finished.document["adapter"]
    assert shown["report"] == finished.document["report"]
    assert shown["base"]["hash"]
    assert "library_name: peft" in Path(shown["card"]).read_text()


def test_lineage_goes_back_to_the_source_file(place: tuple[str, str], finished: Outcome) -> None:
    found = tunewright("models", "lineage", "colours@1", *place, "--json").document
    adapter = next(node for node in found["artifacts"]["parents"] if node["kind"] == "adapter")
    assert adapter["hash"] == finished.document["adapter"]
    assert adapter["parents"][0]["hash"] == finished.document["dataset"]
    assert adapter["producer"] == finished.document["run"]
    assert found["sources"][0]["path"] == "rows.csv"
    text = tunewright("models", "lineage", "colours", *place).out
    assert text.index("colours@1") < text.index("adapter") < text.index("dataset") < text.index("rows.csv")


def test_lists_and_details_read_well(place: tuple[str, str], finished: Outcome) -> None:
    assert "colours@1" in tunewright("models", "list", *place).out
    assert "smollm2-135m-instruct" in tunewright("models", "list", *place).out
    shown = tunewright("models", "show", "colours", *place).out
    assert "Before and after, on 24 held-out rows" in shown
    assert "exact McNemar test" in " ".join(shown.split())
    assert "succeeded" in tunewright("runs", "list", *place).out
    assert "prepare" in tunewright("runs", "show", finished.document["run"], *place).out
    assert tunewright("runs", "show", "colours", *place, "--json").document["status"] == "succeeded"


def test_tables_fit_80_columns(place: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for verb in (["models", "list"], ["models", "show", "colours"], ["runs", "list"]):
        lines = tunewright(*verb, *place).out.splitlines()
        assert max(len(line.rstrip()) for line in lines if "/" not in line) <= 80


def test_chat_answers_through_the_template_of_the_release(place: tuple[str, str]) -> None:
    reply = tunewright("chat", "colours", "--message", "red  lamp 4\u200b", *place, "--json").document
    assert reply["release"] == "colours@1"
    # Cleaned as the training rows were, and put into the base's own chat format.
    assert reply["prompt"] == "<|im_start|>user\nred lamp 4<|im_end|>\n<|im_start|>assistant\n"
    assert tunewright("chat", "colours", "--message", "red  lamp 4", *place).out.rstrip("\n") == reply["answer"]
    assert tunewright("chat", "colours", *place, stdin="red lamp 4\n").out.rstrip("\n") == reply["answer"]
    assert tunewright("chat", "colours", "--message", " ", *place).code == 2


def test_eval_measures_a_release_with_other_questions(place: tuple[str, str], finished: Outcome) -> None:
    outcome = tunewright(
        *("eval", "colours", "--set", "evaluate.limit=5", "--set", "evaluate.systems=[base]", *place, "--json")
    )
    assert outcome.code == 0, outcome.err
    assert outcome.document["evaluation"]["n"] == 5
    assert "train: skipped" in outcome.err
    refused = tunewright("eval", "colours", "--set", "train.epochs=9", *place)
    assert refused.code == 2
    assert "train.epochs" in refused.err


def test_parity_of_a_run_stands_in_its_report_and_is_checked_again(
    place: tuple[str, str], finished: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = finished.document["evaluation"]["findings"]["parity"]
    assert (finding["value"], finding["n"]) == (1, 3)
    outcome = tunewright("eval", "parity", "colours", "--rows", "2", *place, "--json")
    assert outcome.code == 0, outcome.err
    assert (outcome.document["passed"], outcome.document["rows"]) == (True, 2)
    assert set(outcome.document["ways"]) >= {"evaluation", "served", "plain transformers", "merged, reloaded"}
    shown = tunewright("eval", "parity", "colours", "--rows", "1", *place)
    assert "Prompts and tokens are the same on each way." in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    # Another request than the one that was measured.
    monkeypatch.setattr("tunewright.lifecycle.talk.request", lambda *_: [Message("user", "green ?")])
    failed = tunewright("eval", "parity", "colours", "--rows", "1", *place)
    assert failed.code == 1
    assert "the prompt differs at its token number" in failed.err


def test_eval_of_a_recipe_is_its_latest_run(world: Path, place: tuple[str, str], finished: Outcome) -> None:
    outcome = tunewright("eval", world, *place, "--json")
    assert outcome.document["evaluation"] == finished.document["evaluation"]


def test_a_missed_bar_is_exit_1_and_is_released_all_the_same(world: Path, tmp_path: Path) -> None:
    fast = ("--set", "train.epochs=0.1", "--set", "evaluate.systems=[]", "--set", "evaluate.limit=4")
    outcome = tunewright("run", world, *fast, "--set", 'success={perplexity: "<= 1"}', "--workspace", tmp_path / "ws")
    assert outcome.code == 1
    assert "✗ Perplexity <= 1: missed" in outcome.out
    assert "Released as colours@1" in outcome.out
    assert f"models show colours --workspace {tmp_path / 'ws'}" in outcome.out
    shown = tunewright("models", "show", "colours", "--workspace", tmp_path / "ws", "--json").document
    assert shown["success"][0]["passed"] is False


def test_train_then_run_resume_does_not_train_again(world: Path, tmp_path: Path) -> None:
    fast = ("--set", "train.epochs=0.2", "--set", "evaluate.systems=[]", "--workspace", str(tmp_path / "ws"))
    trained = tunewright("train", world, *fast, "--json").document
    outcome = tunewright("run", world, *fast, "--resume", trained["run"], "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["adapter"] == trained["adapter"]
    assert "train: skipped" in outcome.err


def test_data_prepare_shows_rows_with_what_is_learned(world: Path, tmp_path: Path) -> None:
    outcome = tunewright("data", "prepare", world, "--workspace", tmp_path / "ws")
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("<|im_end|>⟧") == 3
    assert "200 read, 0 refused" in outcome.err
    document = tunewright("data", "prepare", world, "--workspace", tmp_path / "ws", "--json").document
    assert document["preflight"]["end_trained"] is True
    assert document["manifest"]["splits"] == {"train": 164, "validation": 12, "test": 24}


def test_init_writes_a_recipe_that_checks(tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tunewright("init").code == 0
    assert tunewright("recipe", "check", "recipe.yaml").code == 0
    fitted = tunewright("init", "--from", world.parent / "rows.csv", "--out", "mine.yaml")
    assert fitted.code == 0
    assert "recipe check mine.yaml" in fitted.out
    checked: Any = tunewright("recipe", "check", "mine.yaml", "--json").document
    assert checked["data"]["template"]["assistant"] == "{label}"
    assert Path(checked["data"]["train"][0]["path"]).samefile(world.parent / "rows.csv")
    assert tunewright("init", "--force").code == 0


def test_schema_is_a_json_schema() -> None:
    schema = tunewright("recipe", "schema").document
    assert schema["$schema"].endswith("2020-12/schema")
    assert {"name", "goal", "data"} <= set(schema["required"])


def test_pull_of_a_folder(world: Path, tmp_path: Path) -> None:
    outcome = tunewright("models", "pull", str(world.parent / "base"), "--workspace", tmp_path / "ws", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document[0]["kind"] == "causal-lm"
    unknown = tunewright("models", "pull", "smolm2-135m-instruct", "--workspace", tmp_path / "ws")
    assert unknown.code == 2
    assert "Did you mean" in unknown.err


HEAVY = ("torch", "transformers", "polars", "sklearn", "scipy", "numpy", "pydantic", "sqlalchemy", "peft")


@pytest.mark.parametrize(
    "code", ["import tunewright", "import sys; sys.argv = ['tunewright', '--version']; from tunewright.cli import app"]
)
def test_starting_loads_nothing_heavy(code: str) -> None:
    asked = f"{code}; import sys, json; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
