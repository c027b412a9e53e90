"""Out to every format and in again: equal; what a format cannot hold is refused, or counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DataError, UnknownNameError
from tunewright.base.plugins import EXPORTS
from tunewright.data.dataset import Dataset
from tunewright.data.example import Example, Message
from tunewright.data.exporting import export, guarded_cell
from tunewright.data.formats import choose_format
from tunewright.data.frame import TOOLS as TOOL_COLUMN
from tunewright.data.prepare import prepare
from tunewright.data.readers import read_rows
from tunewright.data.rows import Row
from tunewright.data.tool_rows import read_tools
from tunewright.models.tool_calls import ToolCall
from tunewright.recipe import recipe_from_mapping
from tunewright.recipe.schema import Data
from tunewright.store import Workspace

TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]


class Made(Dataset):
    """A dataset of examples that are given."""

    def __init__(self, examples: list[Example]) -> None:
        super().__init__("0" * 64, Path("nowhere"), {"answer_kind": "text"})
        object.__setattr__(self, "given", examples)

    def each(self, part: Any) -> Any:
        yield from self.given  # type: ignore[attr-defined]


def example(*turns: tuple[str, str] | Message, rejected: str | None = None, tools: Any = ()) -> Example:
    messages = tuple(turn if isinstance(turn, Message) else Message(*turn) for turn in turns)
    return Example("id", messages, {}, "rows.jsonl", 3, rejected, tuple(tools))


def read_back(path: Path) -> list[tuple[Any, ...]]:
    """What a file says when it is read as a recipe's data: messages, tools and rejected answer of each row."""
    data = Data.model_validate({"train": str(path)})
    format = choose_format(data)
    found = []
    for row in read_rows(data.train[0]):
        assert isinstance(row, Row), row
        cells = format.flatten(row.values)
        found.append((format.messages(cells), read_tools(cells.get(TOOL_COLUMN)), format.rejected(cells)))
    return found


def said(each: Example) -> tuple[Any, ...]:
    return each.messages, each.tools, each.rejected


# --- In, out, in again ----------------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)
text = st.builds(lambda before, word, after: before + word + after, words, st.sampled_from("aä=+-@\"',;{"), words)
single = st.builds(lambda asked, answer: [("user", asked), ("assistant", answer)], text, text)
with_system = st.builds(lambda system, turns: [("system", system), *turns], text, single)
several = st.builds(lambda one, other: [*one, *other], st.one_of(single, with_system), single)


def weighed(turns: list[tuple[str, str]], weight: float) -> list[Message]:
    """The turns, of which only the last is learned, so much."""
    read = [Message(role, content, 0) for role, content in turns[:-1]]
    return [*read, Message("assistant", turns[-1][1], weight)]


FITTING: dict[str, st.SearchStrategy[Example]] = {
    "chat": st.builds(lambda turns: example(*turns), several),
    "openai": st.builds(lambda turns, weight: example(*weighed(turns, weight)), several, st.just(1)),
    "prompt_completion": st.builds(lambda turns: example(*weighed(turns, 1)), st.one_of(single, several)),
    "preference": st.builds(
        lambda turns, bad: example(*weighed(turns, 1), rejected=f"{bad}{turns[-1][1]}"), several, text
    ),
    "sharegpt": st.builds(lambda turns: example(*turns), several),
    "alpaca": st.builds(lambda turns: example(*turns), st.one_of(single, with_system)),
    "csv": st.builds(lambda turns: example(*turns), st.one_of(single, with_system)),
    "parquet": st.builds(lambda turns, weight: example(*weighed(turns, weight)), several, st.sampled_from([0.5, 1.0])),
}


def test_every_format_is_here() -> None:
    assert set(FITTING) == set(EXPORTS.names())


@pytest.mark.parametrize("format", FITTING)
def test_what_is_written_is_read_back(format: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("out")

    @given(st.lists(FITTING[format], min_size=1, max_size=4))
    @settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def round_trip(examples: list[Example]) -> None:
        path = folder / f"rows.{EXPORTS.module(format).FILE}"
        done = export(Made(examples), path, format, guard=False)
        assert (done.rows, done.left_out, done.lost) == (len(examples), 0, {})
        assert read_back(path) == [said(each) for each in examples]

    round_trip()


call = Message("assistant", "", 1, [ToolCall("find", {"id": 7}, "c1")])
result = Message("tool", "found", 0, tool_call_id="c1")


@pytest.mark.parametrize("format", ["chat", "openai", "parquet"])
def test_tools_and_their_calls_survive(format: str, tmp_path: Path) -> None:
    given_ = example(("user", "Where?"), call, result, ("assistant", "There."), tools=TOOLS)
    path = tmp_path / "rows"
    export(Made([given_]), path, format)
    assert read_back(path) == [said(given_)]
    if format == "openai":
        (row,) = map(json.loads, path.read_text().splitlines())
        assert row["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"id":7}'
        assert row["messages"][1]["content"] is None


@pytest.mark.parametrize("format", ["csv", "openai", "parquet"])
def test_pairs_survive(format: str, tmp_path: Path) -> None:
    pair = example(("system", "Be kind."), ("user", "Hm?"), ("assistant", "Yes."), rejected="No.")
    path = tmp_path / "rows"
    export(Made([pair]), path, format)
    assert read_back(path) == [said(pair)]


# --- What does not fit ----------------------------------------------------------------------------------------------

plain = example(("user", "a"), ("assistant", "b"))
with_tools = example(("user", "a"), call, result, ("assistant", "b"))
pair = example(("user", "a"), ("assistant", "b"), rejected="c")
half = example(("user", "a"), Message("assistant", "b", 0.5))
turns = example(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
told = example(Message("developer", "Be kind."), ("user", "a"), ("assistant", "b"))

MISFITS: list[tuple[str, Example, str, bool]] = [
    # format, example, what is lost, whether the rest is written with --partial
    ("chat", pair, "the rejected answer", True),
    ("openai", half, "what of its turns", True),
    ("prompt_completion", with_tools, "tools", False),
    ("prompt_completion", turns, "what of its turns", True),
    ("prompt_completion", pair, "the rejected answer", True),
    ("preference", plain, "has no rejected one", False),
    ("sharegpt", with_tools, "tools", False),
    ("sharegpt", half, "what of its turns", True),
    ("sharegpt", told, "developer", False),
    ("alpaca", turns, "more than a system message", False),
    ("alpaca", pair, "the rejected answer", True),
    ("csv", turns, "more than a system message", False),
    ("csv", example(("user", "a\0"), ("assistant", "b")), "a NUL byte", False),
    ("csv", half, "what of its turns", True),
]


@pytest.mark.parametrize(("format", "misfit", "lost", "kept"), MISFITS)
def test_what_does_not_fit_is_refused_or_counted(
    format: str, misfit: Example, lost: str, kept: bool, tmp_path: Path
) -> None:
    good = pair if format == "preference" else plain
    path = tmp_path / "rows"
    with pytest.raises(DataError, match=rf"(?s)1 of 2 rows do not fit.*rows\.jsonl:3: .*{lost}") as caught:
        export(Made([good, misfit]), path, format)
    assert caught.value.exit_code == 2
    assert not path.exists()
    done = export(Made([good, misfit]), path, format, partial=True)
    assert (done.rows, done.left_out) == ((2, 0) if kept else (1, 1))
    ((reason, count),) = done.lost.items()
    assert lost in reason
    assert count == 1


def test_nothing_that_fits_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Not one of 1 rows"):
        export(Made([turns]), tmp_path / "rows", "alpaca", partial=True)
    with pytest.raises(DataError, match="has no rows"):
        export(Made([]), tmp_path / "rows", "alpaca")
    with pytest.raises(UnknownNameError, match="Did you mean 'alpaca'"):
        export(Made([plain]), tmp_path / "rows", "alpaka")
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_there_stays_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows"
    path.write_text("before")
    rows: Callable[..., Any] = lambda *a: 1 / 0  # noqa: E731
    monkeypatch.setattr(EXPORTS.module("chat"), "row", rows)
    with pytest.raises(ZeroDivisionError):
        export(Made([plain]), path, "chat")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


# --- Formulas in CSV ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "--x"])
def test_cells_that_begin_like_formulas_get_an_apostrophe(cell: str) -> None:
    assert guarded_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "text", "-5", "+3.5", "-12,5%", "1=1", " =1", "a@b.org"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert guarded_cell(cell) == cell


def test_guarded_cells_are_counted(tmp_path: Path) -> None:
    rows = [example(("user", '=HYPERLINK("x")'), ("assistant", "-5"))]
    done = export(Made(rows), tmp_path / "a.csv", "csv")
    assert done.guarded == 1
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["prompt", "completion"], ['\'=HYPERLINK("x")', "-5"]]
    assert export(Made(rows), tmp_path / "b.csv", "csv", guard=False).guarded == 0


# --- A stored dataset -----------------------------------------------------------------------------------------------


def test_a_stored_part_is_streamed(tmp_path: Path) -> None:
    with (tmp_path / "rows.jsonl").open("w") as file:
        for n in range(3000):
            file.write(json.dumps({"prompt": f"question {n}", "completion": f"answer {n}"}) + "\n")
    data = {"train": "rows.jsonl", "split": {"validation": 10, "test": 20, "minimum_test_rows": 1}}
    recipe = recipe_from_mapping({"name": "x", "goal": "y", "data": data}, folder=tmp_path)
    dataset = prepare(recipe, Workspace.open(tmp_path / "workspace"))
    events: list[Any] = []
    done = export(dataset, tmp_path / "out.jsonl", "prompt_completion", part="train", listener=events.append)
    assert done.rows == 2970
    first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert first["completion"] == first["prompt"].replace("question", "answer")
    assert [event.status for event in events] == ["started", "progress", "progress", "finished"]
    with pytest.raises(DataError, match="is no part of this dataset"):
        export(dataset, tmp_path / "out.jsonl", "chat", part="tset")  # type: ignore[arg-type]


def test_documents_are_refused(tmp_path: Path) -> None:
    documents = Dataset("0" * 64, tmp_path, {"answer_kind": "document"})
    with pytest.raises(DataError, match=r"holds documents.*train\.parquet"):
        export(documents, tmp_path / "x", "chat")
