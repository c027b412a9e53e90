"""Files of answers: columns by their usual names, references of their own, and all that can be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DataError, InputError
from tunewright.evaluate import outputs as module
from tunewright.evaluate.outputs import Outputs, open_outputs
from tunewright.metrics import Answer


def lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def read(outputs: Outputs, system: str = "") -> list[Answer]:
    return [answer for piece in outputs.pieces(system) for answer in piece]


def opened(folder: Path, rows: Sequence[Mapping[str, Any]], **named: str) -> Outputs:
    return open_outputs(lines(folder / "answers.jsonl", rows), named)


def test_columns_go_by_their_usual_names(tmp_path: Path) -> None:
    row = {
        **{"Example ID": "a", "Model Output": "yes", "expected": ["yes", "aye"], "prompt": "Well?"},
        **{
            "confidence": 0.75,
            "latency_s": "1.5",
            "finish_reason": "length",
            "completion_tokens": 3,
            "channel": "mail",
        },
    }
    (answer,) = read(opened(tmp_path, [row]))
    assert answer == Answer(
        id="a",
        reference="yes",
        prediction="yes",
        stopped=False,
        probability=0.75,
        question="Well?",
        references=("aye",),
        columns={"channel": "mail"},
        seconds=1.5,
        written=3,
    )


@pytest.mark.parametrize(
    ("row", "prediction", "reference"),
    [
        ({"answer": "given", "reference": "right"}, "given", "right"),
        ({"prediction": "given", "answer": "right"}, "given", "right"),
        ({"output": "given", "label": "right"}, "given", "right"),
        ({"response": "given", "target": "right", "input": "?"}, "given", "right"),
    ],
)
def test_an_answer_is_what_the_other_columns_leave_it_to_be(
    tmp_path: Path, row: dict[str, str], prediction: str, reference: str
) -> None:
    (answer,) = read(opened(tmp_path, [row]))
    assert (answer.prediction, answer.reference) == (prediction, reference)
    assert answer.id == "1"  # the row's number, where there is no id


def test_named_columns_win(tmp_path: Path) -> None:
    row = {"prediction": "old", "new": "given", "reference": "right", "gold": "wrong"}
    (answer,) = read(opened(tmp_path, [row], prediction="new"))
    assert answer.prediction == "given"
    assert answer.columns == {"prediction": "old", "gold": "wrong"}
    with pytest.raises(DataError, match=r"Did you mean 'new'.*--prediction"):
        opened(tmp_path, [row], prediction="nw")


def test_other_kinds_of_files_read_alike(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": ["a", "b"], "prediction": ["x", None], "reference": ["x", "y"], "seconds": [0.5, 2.0]})
    table.write_parquet(tmp_path / "answers.parquet")
    table.write_csv(tmp_path / "answers.csv")
    table.write_csv(tmp_path / "answers.tsv", separator="\t")
    found = [read(open_outputs(tmp_path / f"answers.{kind}", {})) for kind in ("parquet", "csv", "tsv")]
    assert found[0] == found[1] == found[2]
    assert [answer.prediction for answer in found[0]] == ["x", ""]  # what was not answered is empty, and stays
    assert [answer.seconds for answer in found[0]] == [0.5, 2.0]


def test_several_systems_in_one_file(tmp_path: Path) -> None:
    rows = [{"id": i, "system": s, "prediction": s, "reference": "r"} for i in range(3) for s in ("one", "two")]
    outputs = opened(tmp_path, rows)
    assert outputs.systems() == ["one", "two"]
    assert [answer.prediction for answer in read(outputs, "two")] == ["two"] * 3
    prompts = [{"id": i, "system": f"You are number {i}.", "prediction": "p", "reference": "r"} for i in range(60)]
    with pytest.raises(InputError, match="does not say who answered"):
        opened(tmp_path, prompts).systems()


def both(folder: Path, answers: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]) -> Outputs:
    right = lines(folder / "references.jsonl", references)
    return open_outputs(lines(folder / "answers.jsonl", answers), {}, right)


def test_references_are_found_by_their_ids_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_ROWS", 4)
    answers = [{"id": i, "prediction": f"p{i}"} for i in range(11)]
    references = [{"id": i, "reference": [f"r{i}", "also"]} for i in reversed(range(11))]
    found = read(both(tmp_path, answers, references))
    assert [(a.id, a.prediction, a.reference) for a in found] == [(str(i), f"p{i}", f"r{i}") for i in range(11)]
    assert {a.references for a in found} == {("also",)}


def test_references_with_other_ids(tmp_path: Path) -> None:
    answers = [{"id": f"a{i}", "prediction": "p"} for i in range(6)]
    references = [{"id": f"a{i}", "reference": "r"} for i in range(4, 12)]
    with pytest.raises(
        DataError,
        match=r"4 predictions have no reference \(a0, a1, a2 and 1 more\) and 6 references have no prediction "
        r"\(a10, a11, a6 and 3 more\)",
    ):
        read(both(tmp_path, answers, references))


def test_references_without_ids_go_by_their_lines(tmp_path: Path) -> None:
    answers = [{"prediction": f"p{i}"} for i in range(3)]
    references = [{"reference": f"r{i}"} for i in range(3)]
    assert [answer.reference for answer in read(both(tmp_path, answers, references))] == ["r0", "r1", "r2"]
    for fewer, more in ((answers[:2], references), (answers, references[:2])):
        told = f"{len(fewer)} predictions and {len(more)} references"
        with pytest.raises(DataError, match=told):
            read(both(tmp_path, fewer, more))


def test_ids_on_one_side_only(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"answers\.jsonl has ids, and references\.jsonl has none"):
        both(tmp_path, [{"id": 1, "prediction": "p"}], [{"reference": "r"}])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"id": "a"}, {"id": "b"}, {"id": "a"}], r"1 ids stand more than once: a"),
        ([{"id": "a"}, {"id": None}], r"1 rows have no id: answers\.jsonl:2"),
        ([{"id": "a"}, {"id": "b", "reference": None}], r"1 rows have no 'reference' to be held against: b"),
        (
            [{"id": "a", "seconds": 1}, {"id": "b", "seconds": "soon"}],
            r"1 rows have a 'seconds' that is no finite.*: b",
        ),
        ([{"id": "a", "probability": float("inf")}], r"a 'probability' that is no finite number: a"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, rows: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(opened(tmp_path, [{"prediction": "p", "reference": "r"} | row for row in rows]))


def test_a_csv_with_nan_for_a_number(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("id,prediction,reference,nats\na,p,r,1.5\nb,p,r,NaN\n")
    with pytest.raises(DataError, match=r"1 rows have a 'nats' that is no finite number: b"):
        read(open_outputs(tmp_path / "answers.csv", {}))


def test_a_record_that_cannot_be_read_is_no_row_to_leave_out(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"id": 1, "prediction": "p", "reference": "r"}\n{"id": 2,\n')
    with pytest.raises(DataError, match=r"1 records cannot be read\n  answers\.jsonl:2"):
        read(open_outputs(tmp_path / "answers.jsonl", {}))


def test_a_file_without_answers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Name it with --prediction. Columns: id, colour"):
        opened(tmp_path, [{"id": 1, "colour": "red"}])
    assert not opened(tmp_path, [{"id": 1, "prediction": "p"}]).has_references


TEXTS = st.text(max_size=8)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, st.lists(TEXTS, max_size=2)), min_size=1, max_size=12))
def test_whatever_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, list[str]]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.jsonl"
    written = [
        {"id": f"r{n}", "prediction": said, "reference": [right, *more]} for n, (said, right, more) in enumerate(rows)
    ]
    found = read(open_outputs(lines(path, written), {}))
    assert [(a.prediction, a.reference) for a in found] == [(said, right) for said, right, _ in rows]
    assert [a.references for a in found] == [tuple(dict.fromkeys(more)) for _, _, more in rows]
