"""Answers that are there already: a file's, or those that a workspace keeps; no model is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from rouge_score import rouge_scorer

from tests.cli.command import tunewright
from tunewright.base.errors import DataError, InputError, UnknownNameError, WorkspaceError
from tunewright.base.events import Event, Stage
from tunewright.evaluate import Answers, evaluate, store_answers
from tunewright.lifecycle.outputs_measuring import OutputsAsked, OutputsMeasured, measure_outputs
from tunewright.metrics import Answer
from tunewright.store import Workspace

SHOWN = Path(__file__).parent.parent / "evaluate" / "outputs" / "answers.jsonl"


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def measured(path: Path, *metrics: str, **asked: Any) -> OutputsMeasured:
    return measure_outputs(OutputsAsked(str(path), metrics=metrics, samples=200, **asked))


def labels(folder: Path) -> Path:
    given = ["a", "a", "", "b", "B", "a", "b", "c"]
    right = ["a", "a", "a", "b", "b", "b", "b", "a"]
    return lines(
        folder / "labels.jsonl",
        [{"id": n, "prediction": p, "label": r} for n, (p, r) in enumerate(zip(given, right, strict=True))],
    )


def test_labels_are_measured_as_labels(tmp_path: Path) -> None:
    heard: list[Event] = []
    found = measure_outputs(OutputsAsked(str(labels(tmp_path)), samples=200), listener=heard.append)
    assert found.evaluation["answer_kind"] == "label"
    assert (found.evaluation["n"], found.evaluation["seed"]) == (8, 17)
    score = found.evaluation["outputs"]["accuracy"]
    assert score["value"] == 4 / 8
    assert (score["n"], score["seed"], score["template"]) == (8, 17, None)
    # Right answers to `a`: 2 of 4 wanted and 3 given; to `b`: 2 of 4 wanted, 2 given; answers that are no label count.
    assert found.evaluation["outputs"]["macro_f1"]["value"] == pytest.approx((4 / 7 + 4 / 6) / 2)
    odd = found.oddities["outputs"]
    assert odd == {
        "rows": 8,
        "empty": 1,
        "cut": 0,
        "unknown_labels": {"rows": 2, "different": 2, "labels": {"B": 1, "c": 1}},
    }
    assert any("1 of 8 answers are empty" in note for note in found.notes)
    assert found.source["columns"] == {"id": "id", "prediction": "prediction", "reference": "label"}
    assert [e.status for e in heard if isinstance(e, Stage)] == ["started", "progress", "finished"]


def test_intervals_are_those_of_an_evaluation_with_the_same_seed(tmp_path: Path) -> None:
    answers = tuple(Answer(str(n), "a" if n % 2 else "b", "a") for n in range(20))
    whole = evaluate({"outputs": Answers("outputs", answers, 0.0)}, answer_kind="label", seed=5, samples=200).as_json()
    rows = [{"id": a.id, "prediction": a.prediction, "reference": a.reference} for a in answers]
    found = measured(lines(tmp_path / "rows.jsonl", rows), seed=5)
    for metric in ("accuracy", "macro_f1", "cut"):
        assert found.evaluation["outputs"][metric] == whole["outputs"][metric]


def test_each_system_of_a_file_is_measured(tmp_path: Path) -> None:
    rows = [
        {"id": n, "model": model, "output": "yes" if model == "one" or n else "no", "target": "yes"}
        for n in range(4)
        for model in ("one", "two")
    ]
    found = measured(lines(tmp_path / "rows.jsonl", rows), "exact_match")
    assert {name: found.evaluation[name]["exact_match"]["value"] for name in found.oddities} == {
        "one": 1.0,
        "two": 0.75,
    }
    assert found.evaluation["n"] == 4


def test_metrics_that_cannot_be_had_are_never_zero(tmp_path: Path) -> None:
    path = labels(tmp_path)
    assert "perplexity" not in measured(path).evaluation["outputs"]
    found = measured(path, "accuracy", "perplexity")
    assert "perplexity" not in found.evaluation["outputs"]
    assert any(note.startswith("Not measured: perplexity") for note in found.notes)
    with pytest.raises(InputError, match="Nothing can be measured"):
        measured(path, "perplexity")
    with pytest.raises(UnknownNameError, match="Did you mean 'accuracy'"):
        measured(path, "acuracy")


def test_answers_without_references(tmp_path: Path) -> None:
    path = lines(tmp_path / "rows.jsonl", [{"id": 1, "prediction": "{}"}])
    with pytest.raises(InputError, match="nothing to hold the given ones against"):
        measured(path)
    assert measured(path, "json_valid").evaluation["outputs"]["json_valid"]["value"] == 1.0
    with pytest.raises(InputError, match="runs_code"):
        measured(path, "pass_at_k")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    place = Workspace.open(tmp_path_factory.mktemp("outputs") / "ws")
    right = ["x", "y", "x", "y"] * 3
    given = {
        name: Answers(
            name,
            tuple(Answer(f"r{n}", r, r if n < good else "x?", nats=1.0, tokens=2) for n, r in enumerate(right)),
            1.0,
            template=f"hash of {name}",
        )
        for name, good in (("base", 3), ("tuned", 9))
    }
    run = place.start_run("letters", "eval", {"name": "letters", "seed": 4})
    with run.lock():
        stored = place.put(
            "answers",
            lambda folder: store_answers(given, folder),
            manifest={"n": 12, "answer_kind": "label", "systems": list(given)},
            producer=run.id,
        )
        run.update_manifest(stages={"evaluate": {"answers": stored.hash}})
        run.finish("succeeded")
    return place


def test_stored_answers_get_another_metric_later(workspace: Workspace) -> None:
    stored = workspace.artifacts("answers")[0].hash
    (run,) = workspace.runs(name="letters")
    for word in (stored[:12], stored, run.id, "letters"):
        found = measure_outputs(OutputsAsked(word, metrics=("exact_match",), samples=200), workspace=workspace)
        assert found.evaluation["tuned"]["exact_match"]["value"] == 9 / 12
        assert found.evaluation["base"]["exact_match"]["value"] == 3 / 12
        # As the run that stored them had it.
        assert found.evaluation["seed"] == 4
        assert found.evaluation["tuned"]["exact_match"]["template"] == "hash of tuned"
        assert found.source["artifact"] == stored


def test_nothing_is_stored_under_a_word(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="no answers are stored under it"):
        measure_outputs(OutputsAsked("deadbeef"), workspace=workspace)
    with pytest.raises(InputError, match="no such file"):
        measure_outputs(OutputsAsked("nowhere.jsonl"), workspace=workspace)
    with pytest.raises(InputError, match="have their references"):
        measure_outputs(OutputsAsked("letters", references="right.csv"), workspace=workspace)


def test_the_command_line_prints_scores_with_intervals(tmp_path: Path) -> None:
    outcome = tunewright("eval", "--outputs", SHOWN, "--metrics", "exact_match", "--json")
    assert outcome.code == 0, outcome.err
    score = outcome.document["evaluation"]["outputs"]["exact_match"]
    assert score["value"] == pytest.approx(1 / 6)
    assert score["low"] <= score["value"] <= score["high"]
    assert outcome.document["answers_are"]["outputs"]["empty"] == 1
    table = tunewright("eval", f"--outputs={SHOWN}")
    assert table.code == 0
    assert "1 of 6 answers are empty" in table.out
    assert max(map(len, table.out.splitlines())) <= 80


def test_texts_are_scored_by_the_usual_metrics() -> None:
    outcome = tunewright("eval", "--outputs", SHOWN, "--metrics", "bleu,rouge,chrf", "--json")
    assert outcome.code == 0, outcome.err
    scores = outcome.document["evaluation"]["outputs"]
    said = [json.loads(line) for line in SHOWN.read_text(encoding="utf-8").splitlines()]
    predictions, references = [row["prediction"] for row in said], [[row["reference"] for row in said]]
    assert scores["bleu"]["value"] == pytest.approx(sacrebleu.corpus_bleu(predictions, references).score)
    assert scores["chrf"]["value"] == pytest.approx(sacrebleu.corpus_chrf(predictions, references).score)
    rouge = rouge_scorer.RougeScorer(["rougeL"])
    wanted = [rouge.score(row["reference"], row["prediction"])["rougeL"].fmeasure for row in said]
    assert scores["rougeL"]["value"] == pytest.approx(sum(wanted) / len(wanted))
    for name in ("bleu", "chrf", "rougeL"):
        assert scores[name]["low"] <= scores[name]["value"] <= scores[name]["high"]
        assert scores[name]["n"] == 6


def test_wrong_references_exit_with_two(tmp_path: Path) -> None:
    right = lines(tmp_path / "right.jsonl", [{"id": f"q{n}", "reference": "r"} for n in range(2, 9)])
    outcome = tunewright("eval", "--outputs", SHOWN, "--references", right, "--json")
    assert outcome.code == 2
    error = outcome.document["error"]
    assert "1 predictions have no reference (q1) and 2 references have no prediction (q7, q8)" in error["what"]
    with pytest.raises(DataError):
        measured(SHOWN, references=str(right))
