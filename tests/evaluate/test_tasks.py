"""Task files of lm-evaluation-harness: what is read, what is refused, and that the numbers are the harness's."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base.errors import DataError, InputError
from tunewright.evaluate.task_scores import encode_pair, run_task
from tunewright.evaluate.tasks import Texts, places_of, read_task, rows_of
from tunewright.forest.layout import adopt
from tunewright.models.chat import ChatFormat

ROWS = [
    {"question": "Where is it?", "options": ["here", "there", "nowhere"], "right": 1, "answer": "there"},
    {"question": "Who?", "options": ["I", "you", "he"], "right": 2, "answer": "he"},
    {"question": "When? ", "options": ["now", "never", "then"], "right": 0, "answer": "now"},
    {"question": "Why?", "options": ["so", "because", "for it"], "right": 1, "answer": "because"},
]
CHOICE: dict[str, Any] = {
    "task": "where",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "Q: {{question}}\nA:",
    "doc_to_target": "{{right}}",
    "doc_to_choice": "options",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    "metadata": {"version": 1.0},
}
ENDING = {name: value for name, value in CHOICE.items() if name not in ("doc_to_choice", "metric_list")} | {
    "task": "ending",
    "output_type": "loglikelihood",
    "doc_to_target": " {{answer}}",
    "metric_list": [{"metric": "perplexity", "aggregation": "perplexity"}, {"metric": "acc"}],
}
WRITTEN = ENDING | {
    "task": "written",
    "output_type": "generate_until",
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["\n", "a"], "do_sample": False, "max_gen_toks": 6},
    "metric_list": [{"metric": "exact_match", "ignore_case": True, "regexes_to_ignore": [".*"]}],
}


def write(folder: Path, task: dict[str, Any], rows: list[dict[str, Any]] | None = None) -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in (ROWS if rows is None else rows))
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    path = folder / f"{task['task']}.yaml"
    path.write_text(yaml.safe_dump(task), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def base() -> Any:
    tokenizer = tiny_tokenizer()
    return SimpleNamespace(
        chat=ChatFormat(tokenizer), tokenizer=tokenizer, files=SimpleNamespace(context_length=512), model=None
    )


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_model(seed=3)
    adopt(made)
    return made


def test_a_choice_is_scored_behind_its_question(model: Any, base: Any, tmp_path: Path) -> None:
    from tunewright.evaluate.continuations import score_continuations

    scores = run_task(model, base, read_task(write(tmp_path, CHOICE)))
    right, by_letter = [], []
    for row in ROWS:
        pairs = [encode_pair(base, f"Q: {row['question']}\nA:", f" {option}") for option in row["options"]]
        logp = [each for each, _ in score_continuations(model, pairs, longest=512)]
        right.append(logp.index(max(logp)) == row["right"])
        each = [value / len(option) for value, option in zip(logp, row["options"], strict=True)]
        by_letter.append(each.index(max(each)) == row["right"])
    assert scores.n == 4
    assert scores.metrics["acc"].value == sum(right) / 4
    assert scores.metrics["acc_norm"].value == sum(by_letter) / 4
    assert scores.as_json()["acc"].keys() >= {"value", "low", "high", "n"}


@pytest.mark.parametrize("task", [CHOICE, ENDING, WRITTEN, CHOICE | {"description": "Answer.\n\n"}])
def test_numbers_are_those_of_the_harness(model: Any, base: Any, tmp_path: Path, task: Any) -> None:
    pytest.importorskip("lm_eval")
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    path = write(tmp_path, task)
    ours = run_task(model, base, read_task(path))
    theirs = dict(task) | {"dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}}}
    peer = HFLM(pretrained=tiny_model(seed=3), tokenizer=tiny_tokenizer(), device="cpu", max_length=512, batch_size=2)
    found = simple_evaluate(model=peer, tasks=[theirs], bootstrap_iters=0)["results"][task["task"]]
    for name, interval in ours.metrics.items():
        assert interval.value == pytest.approx(found[f"{name},none"], rel=1e-4)


def test_white_space_before_an_answer_is_the_answers(base: Any) -> None:
    context, answer = encode_pair(base, "ab ", "c")
    assert base.tokenizer.decode(context) == "ab"
    assert base.tokenizer.decode(answer) == " c"
    context, answer = encode_pair(base, "", "c")
    assert context == [base.tokenizer.bos_token_id]


def test_an_answer_ends_before_a_stop_text(model: Any, base: Any, tmp_path: Path) -> None:
    # Whatever is written is left out by the pattern, as is what is right.
    assert run_task(model, base, read_task(write(tmp_path, WRITTEN))).metrics["exact_match"].value == 1.0
    strict = WRITTEN | {"metric_list": [{"metric": "exact_match"}]}
    assert run_task(model, base, read_task(write(tmp_path, strict))).metrics["exact_match"].value == 0.0


def test_only_the_first_rows_where_there_is_a_limit(model: Any, base: Any, tmp_path: Path) -> None:
    assert run_task(model, base, read_task(write(tmp_path, CHOICE)), limit=2).n == 2


def test_a_file_may_include_another(tmp_path: Path) -> None:
    write(tmp_path, CHOICE)
    (tmp_path / "more.yaml").write_text("include: where.yaml\ntask: more\ndescription: Say.\n", encoding="utf-8")
    task = read_task(tmp_path / "more.yaml")
    assert (task.task, task.description, task.doc_to_choice) == ("more", "Say.", "options")
    (tmp_path / "round.yaml").write_text("include: round.yaml\n", encoding="utf-8")
    with pytest.raises(InputError, match="includes itself"):
        read_task(tmp_path / "round.yaml")


def test_code_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, CHOICE)
    path.write_text(path.read_text() + "process_docs: !function utils.process_docs\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"!function utils\.process_docs.* runs code.*harness"):
        read_task(path)


def test_templates_are_in_a_sandbox(tmp_path: Path) -> None:
    reaching = "{{ question.__class__.__mro__ }}"
    task = read_task(write(tmp_path, CHOICE | {"doc_to_text": reaching}))
    with pytest.raises(InputError, match="doc_to_text"):
        Texts(task).context(ROWS[0])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"process_results": "x"}, "process_results: is not done here"),
        ({"filter_list": []}, "filter_list: is not done here"),
        ({"num_fewshot": 5}, "num_fewshot"),
        ({"dataset_path": "allenai/ai2_arc"}, "dataset_path"),
        ({"metric_list": [{"metric": "bleu"}]}, "The metric 'bleu' is not known"),
        ({"metric_list": [{"metric": "acc", "regexes_to_ignore": ["("]}]}, "is no pattern"),
        ({"doc_to_choice": None}, "needs its choices"),
    ],
)
def test_what_is_not_done_here_is_refused(tmp_path: Path, changes: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_task(write(tmp_path, CHOICE | changes))


@pytest.mark.parametrize(
    ("changes", "rows", "what"),
    [
        ({"dataset_kwargs": {}}, ROWS, "not at hand"),
        ({"dataset_kwargs": {"data_files": "none.jsonl"}}, ROWS, "does not exist"),
        ({"test_split": "other"}, ROWS, "no file for the part 'other'"),
        ({}, [], "no rows"),
    ],
)
def test_data_that_are_not_at_hand_are_refused(tmp_path: Path, changes: Any, rows: Any, what: str) -> None:
    with pytest.raises(DataError, match=what):
        rows_of(read_task(write(tmp_path, CHOICE | changes, rows)))


def test_rows_may_be_csv_or_one_list(tmp_path: Path) -> None:
    write(tmp_path, CHOICE)
    (tmp_path / "rows.csv").write_text("question,right\nWho?,2\n", encoding="utf-8")
    task = CHOICE | {"dataset_path": "csv", "dataset_kwargs": {"data_files": ["rows.csv"]}}
    assert rows_of(read_task(write(tmp_path, task))) == [{"question": "Who?", "right": 2}]
    (tmp_path / "list.json").write_text(json.dumps(ROWS), encoding="utf-8")
    task = CHOICE | {"dataset_kwargs": {"data_files": {"test": "list.json"}}}
    assert rows_of(read_task(write(tmp_path, task))) == ROWS


def test_a_right_answer_that_is_no_choice_is_an_error() -> None:
    assert places_of("b", ["a", "b"], "row 1") == {1}
    assert places_of([0, 1], ["a", "b"], "row 1") == {0, 1}
    for target in (2, "c", -1, []):
        with pytest.raises(DataError, match=r"row 1.*none of the 2 choices"):
            places_of(target, ["a", "b"], "row 1")
