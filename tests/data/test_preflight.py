"""The look before training, on token tables whose numbers are worked by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import tiny_tokenizer
from tunewright.base.errors import DataError
from tunewright.data.dataset import Dataset
from tunewright.data.example import Example, Message
from tunewright.data.fitting import TooLong
from tunewright.data.preflight import Preflight, Span, check_preflight, preflight, preview
from tunewright.data.prepare import prepare
from tunewright.data.tokens import TokenTable, tokenize, tokenize_parts
from tunewright.models.chat import ChatFormat
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace

STOP = 2  # <|im_end|> of the tiny tokenizer


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return ChatFormat(tiny_tokenizer())


def made_recipe(folder: Path, **data: object) -> Recipe:
    mapping = {
        "name": "made",
        "goal": "Answer.",
        "data": {
            "train": "rows.jsonl",
            "template": {"user": "{ask}", "assistant": "{tell}"},
            "answer": "text",
            "split": {"validation": 2, "test": 4, "minimum_test_rows": 1},
            "max_unusable_share": 0.5,
            **data,
        },
    }
    return recipe_from_mapping(mapping, folder=folder)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Twenty good rows, three without an answer, one broken line: 14 to train on, 2 to validate, 4 to test."""
    lines = [json.dumps({"ask": f"what is {n:02d}?", "tell": f"it is {n:02d}"}) for n in range(20)]
    lines += [json.dumps({"ask": f"and {n}?", "tell": ""}) for n in range(3)]
    lines.insert(4, '{"ask": "cut')
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return prepare(made_recipe(tmp_path), Workspace.open(tmp_path / "workspace"))


def tables_of(dataset: Dataset, chat: ChatFormat, cache: Path, max_length: int = 512) -> dict[str, TokenTable]:
    parts = ("train", "validation")
    return {
        part: tokenize(dataset.examples(part), chat, key=f"{dataset.hash}/{part}", cache=cache, max_length=max_length)
        for part in parts
    }


def made_table(
    rows: Sequence[tuple[Sequence[int], Sequence[float]]], too_long: Sequence[int] = (), prefix: str = "row"
) -> TokenTable:
    """A table of given (tokens, weights)."""
    return TokenTable(
        folder=Path(),
        ids=tuple(f"{prefix}-{n}" for n in range(len(rows))),
        starts=np.cumsum([0, *(len(tokens) for tokens, _ in rows)]).astype(np.int64),
        too_long={f"{prefix}-long-{n}": length for n, length in enumerate(too_long)},
        _tokens=np.array([token for tokens, _ in rows for token in tokens], np.int32),
        _weights=np.array([weight for _, weights in rows for weight in weights], np.float32),
    )


def looked_at(dataset: Dataset, tables: dict[str, TokenTable], chat: ChatFormat, folder: Path) -> Preflight:
    return preflight(dataset, tables, chat, made_recipe(folder), previews=0)


def test_rows_read_and_refused_are_counted_with_their_lines(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    found = preflight(dataset, tables_of(dataset, chat, tmp_path), chat, made_recipe(tmp_path))
    assert (found.rows, found.refused, found.examples, found.usable) == (24, 4, 16, 16)
    assert found.unusable_share == 4 / 24
    assert found.refused_places[0].startswith("rows.jsonl:5: this is not valid JSON")
    assert {place.rsplit(":", 1)[0] for place in found.refused_places[1:]} == {
        "rows.jsonl:22",
        "rows.jsonl:23",
        "rows.jsonl:24",
    }
    assert found.warnings == ()
    check_preflight(found, made_recipe(tmp_path))


def test_test_files_do_not_dilute_the_share(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    rows = [json.dumps({"ask": f"held {n}", "tell": "yes" if n else ""}) for n in range(9)]
    (tmp_path / "test.jsonl").write_text("\n".join(rows), encoding="utf-8")
    both = prepare(made_recipe(tmp_path, test="test.jsonl"), Workspace.open(tmp_path / "workspace"))
    found = looked_at(both, tables_of(both, chat, tmp_path), chat, tmp_path)
    assert both.manifest["refused_count"] == 5
    assert (found.rows, found.refused, found.examples) == (24, 4, 20)


def test_lengths_are_those_of_the_rendered_rows(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    found = preflight(dataset, tables_of(dataset, chat, tmp_path), chat, made_recipe(tmp_path))
    # One token a byte, one a marker: "<s>user\n" 6, "what is 00?" 11, "<e>\n" 2, "<s>assistant\n" 11, "it is 00" 8,
    # "<e>" 1; the line break behind it is not rendered.
    assert set(found.lengths.values()) == {6 + 11 + 2 + 11 + 8 + 1}
    assert set(found.learned_lengths.values()) == {8 + 1}
    assert found.learned_share == 9 / 39
    assert found.end_share == 1.0


def test_quantiles_shares_and_counts_by_hand(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    rows = [
        ([5] * length + [STOP], [0.0] * length + [1.0]) for length in range(9, 17)
    ]  # lengths 10 to 17, ends learned
    rows.append(([5] * 18, [0.0] * 18))  # nothing is learned
    rows.append(([5] * 17 + [STOP, 7], [0.0] * 16 + [1.0, 0.0, 0.0]))  # 19 tokens; the end is not learned
    tables = {"train": made_table(rows[:6], [600]), "validation": made_table(rows[6:], [700], prefix="other")}
    found = looked_at(dataset, tables, chat, tmp_path)
    # Twelve lengths: 10 … 19, 600, 700. A quarter of twelve do not exceed the third smallest, and so on.
    assert found.lengths == {"min": 10, "p25": 12, "p50": 15, "p75": 18, "p95": 700, "p99": 700, "max": 700}
    assert (found.examples, found.too_long, found.no_target, found.usable) == (12, 2, 1, 9)
    assert found.learned_lengths == {"min": 0, "p25": 1, "p50": 1, "p75": 1, "p95": 1, "p99": 1, "max": 1}
    assert found.end_share == 8 / 9
    assert found.learned_share == 9 / sum(range(10, 20))
    assert found.unusable_share == (4 + 2 + 1) / 24
    seen = found.as_json()
    assert seen["truncated_share"] == 2 / 12
    assert seen["end_trained"] is False
    assert [warning.split()[0] for warning in found.warnings] == ["2", "1", "Only"]


def test_it_survives_json(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    found = preflight(dataset, tables_of(dataset, chat, tmp_path), chat, made_recipe(tmp_path))
    assert len(found.previews) == 3
    assert Preflight.from_json(json.loads(json.dumps(found.as_json()))) == found


def test_preview_marks_the_answer_and_its_end(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    tables = tables_of(dataset, chat, tmp_path)
    shown = preview(dataset.examples("train"), tables["train"], chat, n=3, seed=17)
    assert shown == preview(dataset.examples("train"), tables["train"], chat, n=3, seed=17)
    assert len({each.id for each in shown}) == 3
    for each in shown:
        line = int(each.place.removeprefix("rows.jsonl:"))
        number = line - 1 if line < 5 else line - 2  # the broken line stands fifth
        assert each.spans == (
            Span(f"<|im_start|>user\nwhat is {number:02d}?<|im_end|>\n<|im_start|>assistant\n", False),
            Span(f"it is {number:02d}<|im_end|>", True),
        )


def test_preview_follows_the_weights_of_each_turn(chat: ChatFormat, tmp_path: Path) -> None:
    # The first answer is only read, though it says the same as the second; the last stands in the question too.
    messages = (
        Message("system", "yes or no"),
        Message("user", "one"),
        Message("assistant", "yes", 0),
        Message("user", "two"),
        Message("assistant", "yes"),
        Message("user", "no?"),
        Message("assistant", " no "),
    )
    example = Example(id="a", messages=messages, fields={}, source="chat.jsonl", line=9)
    table = tokenize([example], chat, key="k", cache=tmp_path, max_length=500)
    (shown,) = preview([example], table, chat, n=3)
    assert shown.place == "chat.jsonl:9"
    assert [span.text for span in shown.spans if span.learned] == ["yes<|im_end|>", " no <|im_end|>"]
    assert "".join(span.text for span in shown.spans) == chat.text(messages).removesuffix("\n")
    assert shown.spans[0].text.endswith("two<|im_end|>\n<|im_start|>assistant\n")


def test_preview_shows_an_untrained_end_as_read(chat: ChatFormat, tmp_path: Path) -> None:
    messages = (Message("user", "a"), Message("assistant", "b"))
    example = Example(id="row-0", messages=messages, fields={}, source="s", line=1)
    rendered = chat.render(messages)
    learned = [
        weight if token != STOP else 0.0 for token, weight in zip(rendered.tokens, rendered.learned, strict=True)
    ]
    (shown,) = preview([example], made_table([(rendered.tokens, learned)]), chat)
    assert [span.text for span in shown.spans if span.learned] == ["b"]
    assert shown.spans[-1].text == "<|im_end|>"


def test_too_many_unusable_rows_stop_the_run(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    found = preflight(dataset, tables_of(dataset, chat, tmp_path), chat, made_recipe(tmp_path))
    check_preflight(found, made_recipe(tmp_path, max_unusable_share=4 / 24))
    with pytest.raises(DataError, match=r"(?s)16.7% of 24 rows cannot be used.*rows.jsonl:5: this is not") as caught:
        check_preflight(found, made_recipe(tmp_path, max_unusable_share=0.15))
    assert caught.value.exit_code == 2


def test_rows_that_are_all_too_long_stop_the_run(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    tables = tables_of(dataset, chat, tmp_path, max_length=38)
    found = preflight(dataset, tables, chat, made_recipe(tmp_path, max_length=38))
    assert (found.usable, found.previews, found.learned_lengths) == (0, (), {})
    assert "16 of 16 examples (100.0%) are longer than data.max_length, 38 tokens" in found.warnings[0]
    with pytest.raises(DataError, match="16 longer than 38 tokens"):
        check_preflight(found, made_recipe(tmp_path))
    with pytest.raises(DataError, match=r"No row has a token to learn.*Raise data.max_length"):
        check_preflight(found, made_recipe(tmp_path, max_unusable_share=1.0))


def test_a_dataset_that_teaches_nothing_stops_the_run(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    tables = {"train": made_table([([5, 6, STOP], [0.0, 0.0, 0.0])] * 3)}
    with pytest.raises(DataError, match="in 3 nothing is learned"):
        check_preflight(looked_at(dataset, tables, chat, tmp_path), made_recipe(tmp_path))


def test_an_end_that_is_never_learned_stops_the_run(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    tables = {"train": made_table([([5, 6, STOP], [0.0, 1.0, 0.0])] * 3)}
    with pytest.raises(DataError, match=r"would not know when to stop.*chat template"):
        check_preflight(looked_at(dataset, tables, chat, tmp_path), made_recipe(tmp_path))


def made_pairs(folder: Path, chat: ChatFormat, **train: str) -> tuple[Recipe, Dataset, Preflight]:
    rows = [{"prompt": f"what is {n:02d}?", "chosen": f"it is {n:02d}", "rejected": "no"} for n in range(20)]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    recipe = made_recipe(folder, train="pairs.jsonl", template=None)
    recipe = Recipe.model_validate({**recipe.model_dump(), "train": train})
    dataset = prepare(recipe, Workspace.open(folder / "workspace"))
    return recipe, dataset, preflight(dataset, tables_of(dataset, chat, folder), chat, recipe)


def test_both_answers_of_a_pair_count(chat: ChatFormat, tmp_path: Path) -> None:
    recipe, _, found = made_pairs(tmp_path, chat, objective="dpo")
    check_preflight(found, recipe)
    # A prompt of 30 tokens; "it is 00" and its end 9, "no" and its end 3.
    assert set(found.lengths.values()) == {30 + 9}
    assert set(found.learned_lengths.values()) == {9 + 3}
    assert found.learned_share == (9 + 3) / (30 + 9 + 30 + 3)
    assert (found.examples, found.pairs, found.end_share, found.warnings) == (16, 16, 1.0, ())
    assert {shown.rejected for shown in found.previews} == {"no<|im_end|>"}
    assert Preflight.from_json(json.loads(json.dumps(found.as_json()))) == found


def test_rejected_answers_that_nothing_learns_from_are_told(chat: ChatFormat, tmp_path: Path) -> None:
    recipe, _, found = made_pairs(tmp_path, chat)
    check_preflight(found, recipe)
    (warning,) = found.warnings
    assert warning.startswith("16 examples have a rejected answer, and the objective 'sft'")


def test_an_objective_of_pairs_refuses_rows_with_one_answer(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**made_recipe(tmp_path).model_dump(), "train": {"objective": "dpo"}})
    found = preflight(dataset, tables_of(dataset, chat, tmp_path), chat, recipe)
    with pytest.raises(DataError, match="16 of 16 examples have no rejected answer, and the objective 'dpo'"):
        check_preflight(found, recipe)


def cut_to(dataset: Dataset, chat: ChatFormat, folder: Path, too_long: TooLong, limit: int) -> tuple[Recipe, Preflight]:
    recipe = made_recipe(folder, too_long=too_long, max_length=limit)
    return recipe, preflight(dataset, tokenize_parts(dataset, recipe, chat, cache=folder), chat, recipe)


def test_rows_that_are_cut_are_counted_and_shown(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    # Rows of 39 tokens, as above, of which nine are learned; all sixteen lose three letters of their question.
    recipe, found = cut_to(dataset, chat, tmp_path, "truncate_left", 36)
    check_preflight(found, recipe)
    assert (found.examples, found.truncated, found.lost, found.too_long, found.usable) == (16, 16, 0, 0, 16)
    assert set(found.lengths.values()) == {39}
    assert found.warnings[0].endswith("are longer than data.max_length, 36 tokens, and were cut (truncate_left).")
    assert len(found.warnings) == 1
    shown = found.previews[0].spans[0].text
    assert shown.startswith("<|im_start|>user\nt is ")
    recipe, found = cut_to(dataset, chat, tmp_path, "truncate_right", 38)
    assert (found.truncated, found.lost, found.end_share) == (16, 16, 0.0)
    assert "16 of the cut examples lost a part of their answers" in found.warnings[1]
    with pytest.raises(DataError, match="would not know when to stop"):
        check_preflight(found, recipe)


def test_rows_that_are_split_count_once(dataset: Dataset, chat: ChatFormat, tmp_path: Path) -> None:
    # 36 tokens with six learned ones, then three more; the first piece is not asked whether it ends an answer.
    recipe, found = cut_to(dataset, chat, tmp_path, "split", 36)
    check_preflight(found, recipe)
    assert (found.examples, found.split, found.split_rows, found.end_share, found.usable) == (16, 16, 32, 1.0, 16)
    assert all(("#2" in shown.id) == shown.place.endswith(", piece 2") for shown in found.previews)
    assert found.warnings == ("16 of 16 examples are longer than data.max_length, 36 tokens, and became 32 rows.",)
