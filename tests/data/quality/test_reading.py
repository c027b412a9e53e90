from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data.quality.made import LABELLED, rows_of
from tunewright.base.errors import DataError
from tunewright.data.quality.reading import AskedOnly, choose_shape, gather, kind_of, shape_of_others
from tunewright.data.rows import Fault, Row
from tunewright.recipe.schema import Source


def written(path: Path, text: str) -> list[Source]:
    path.write_text(text, encoding="utf-8")
    return [Source(path=str(path))]


def test_a_known_format_is_recognised_by_its_fields(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
    assert choose_shape(written(tmp_path / "a.jsonl", json.dumps(chat) + "\n")).name == "chat"
    assert choose_shape(written(tmp_path / "b.csv", "text,label\na b,x\n")).name == "labelled"


def test_question_and_answer_are_found_among_other_columns(tmp_path: Path) -> None:
    rows = "".join(f"{n},this is ticket number {n},{'ab'[n % 2]}\n" for n in range(12))
    shape = choose_shape(written(tmp_path / "a.csv", "id,text,category\n" + rows))
    assert shape.name == "columns"
    assert shape.sides(["id", "text", "category"]) == (("text",), ("category",))


def test_a_single_column_is_asked_and_not_answered(tmp_path: Path) -> None:
    shape = choose_shape(written(tmp_path / "a.csv", "comment\nfirst one here\nsecond one here\n"))
    assert shape.name == "text"
    assert shape.sides(["comment"]) == (("comment",), ())


def test_a_single_document_with_a_title_is_a_text(tmp_path: Path) -> None:
    page = (
        "<html><body><article><h1>Hello</h1><p>A paragraph about parcels and cards, long enough.</p></article></body>"
    )
    assert choose_shape(written(tmp_path / "a.html", page)).sides([]) == (("text",), ())


def test_plain_documents_are_texts(tmp_path: Path) -> None:
    assert isinstance(choose_shape(written(tmp_path / "a.txt", "hello\n")), AskedOnly)


def test_columns_without_text_are_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No column holds text.*n \(3 different values\)"):
        choose_shape(written(tmp_path / "a.csv", "n\n1\n2\n3\n"))


def test_held_out_rows_of_other_columns_have_their_own_layout(tmp_path: Path) -> None:
    data = choose_shape(written(tmp_path / "a.csv", "text,label\na b,x\n"))
    same = shape_of_others(written(tmp_path / "b.csv", "id,label,text\n1,x,a b\n"), data)
    other = shape_of_others(written(tmp_path / "c.csv", "prompt,completion\na b,x\n"), data)
    assert same is data
    assert other.name == "prompt_completion"


def test_rows_that_do_not_fit_are_kept_apart_with_the_reason() -> None:
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    from tunewright.data.formats import ConversationFormat

    good = {"messages": [*chat["messages"], {"role": "assistant", "content": "ho"}], "channel": "mail"}
    rows = gather([Row(chat, "a", 1), Fault("a", 2, "broken"), Row(good, "a", 3)], ConversationFormat(), name="a")
    assert rows.total == 3
    assert rows.refused.select("line", "stage").rows() == [(1, "format"), (2, "read")]
    assert rows.columns == ("channel", "messages[0].content", "answer")
    assert rows.prompts == ["hi"]
    assert rows.answers == ["ho"]


def test_no_usable_row_is_an_error_with_the_first_reason() -> None:
    with pytest.raises(DataError, match=r"No row can be used.*a:2: broken"):
        gather([Fault("a", 2, "broken")], LABELLED, name="a")


def test_too_many_rows_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many seeds each row is drawn about as often as any other, whichever chunk it came in."""
    monkeypatch.setattr("tunewright.data.quality.reading._CHUNK_ROWS", 8)
    counts = [0] * 40
    for seed in range(300):
        rows = gather(
            (Row({"text": str(n), "label": "x"}, "a", n) for n in range(40)), LABELLED, name="a", most=10, seed=seed
        )
        assert rows.drawn
        assert rows.total == 40
        assert len(rows) == 10
        assert rows.prompts == sorted(rows.prompts, key=int)
        for text in rows.prompts:
            counts[int(text)] += 1
    # Binomial with n = 300 and p = 1/4: mean 75, standard deviation 7.5.
    assert all(75 - 34 <= count <= 75 + 34 for count in counts)


def test_of_long_rows_fewer_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.data.quality.reading.MOST_BYTES", 50_000)
    monkeypatch.setattr("tunewright.data.quality.reading._CHUNK_CHARACTERS", 10_000)
    rows = gather((Row({"text": f"{n} " + "x" * 990, "label": "x"}, "a", n) for n in range(400)), LABELLED, name="a")
    assert rows.total == 400
    assert rows.drawn
    assert 30 <= len(rows) <= 50
    # Early and late rows alike: the mean number of about 45 out of 0 to 399 has a standard deviation of 17.
    assert abs(sum(int(text.split()[0]) for text in rows.prompts) / len(rows) - 199.5) < 4 * 17


def test_a_system_prompt_that_is_always_the_same_tells_no_rows_apart() -> None:
    from tunewright.data.formats import InstructionFormat

    values = [{"system": "Be kind.", "instruction": f"task {n}", "input": None, "output": "x"} for n in range(3)]
    rows = gather((Row(value, "a", n) for n, value in enumerate(values)), InstructionFormat(), name="a")
    from tunewright.data.quality.reading import without_constant

    assert without_constant(rows) == ("instruction",)


def test_one_label_alone_is_still_a_label() -> None:
    assert kind_of(rows_of([("a", "x"), ("b", "x")])) == "label"
    assert kind_of(rows_of([("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")])) == "label"
    assert kind_of(rows_of([("a", None)])) == "document"
