"""A starter recipe loads, fits the file's columns, and makes a dataset as it stands."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunewright.base.errors import DataError
from tunewright.data.columns import columns_in, date_order, pick_label, pick_text
from tunewright.data.prepare import prepare
from tunewright.data.starter import starter
from tunewright.recipe import Recipe, load_recipe
from tunewright.store import Workspace

WORDS = ("the", "parcel", "lamp", "never", "came", "and", "I", "want", "to", "know", "why", "it", "broke", "after")


def sentence(number: int) -> str:
    """A sentence that no other number gives."""
    return " ".join(WORDS[(number * step) % len(WORDS)] for step in (1, 3, 5, 7, 11)) + f" case {number}"


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def load(path: Path, folder: Path) -> Recipe:
    recipe = folder / "recipe.yaml"
    recipe.write_text(starter(path, folder=folder), encoding="utf-8")
    return load_recipe(recipe)


def labelled(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"T-{n}", "created": f"{n % 28 + 1:02d}/03/2025", "message": sentence(n), "category": "abc"[n % 3]}
        for n in range(count)
    ]


def test_columns_become_a_label_task(tmp_path: Path) -> None:
    recipe = load(write_csv(tmp_path / "My Tickets.csv", labelled(240)), tmp_path)
    assert recipe.name == "my-tickets"
    assert recipe.data.template is not None
    assert recipe.data.template.user == "{message}"
    assert recipe.data.template.assistant == "{category}"
    assert recipe.data.answer == "label"
    assert [step.name for step in recipe.data.steps] == ["unicode", "whitespace", "require", "exact_duplicates"]
    assert recipe.data.split.test == 60  # a quarter of 240: a small file cannot spare 200


@pytest.mark.parametrize("count", [40, 240, 900, 2400])
def test_a_dataset_can_be_made_as_it_stands(tmp_path: Path, count: int) -> None:
    recipe = load(write_csv(tmp_path / "rows.csv", labelled(count)), tmp_path)
    dataset = prepare(recipe, Workspace.open(tmp_path / "workspace"))
    splits = dataset.manifest["splits"]
    assert sum(splits.values()) == count
    assert splits["test"] == {40: 10, 240: 60, 900: 200, 2400: 240}[count]


def test_shares_that_cannot_be_used_are_allowed_for_and_told(tmp_path: Path) -> None:
    rows = labelled(400)
    for row in rows[::3]:
        row["category"] = ""
    rows += [{**row, "category": "other"} for row in rows[1:31:3]]  # ten that contradict ten others
    path = write_csv(tmp_path / "rows.csv", rows)
    with path.open("a", encoding="utf-8") as file:
        file.write("cells,too,many,for,this\n")
    # 134 without a label, 20 that contradict, one broken, of 411.
    text = starter(path, folder=tmp_path)
    assert "38% lack" in text
    assert "# 1 records could not be read, such as rows.csv:412: 5 cells" in text
    recipe = load(path, tmp_path)
    assert recipe.data.max_unusable_share == pytest.approx(155 / 411 + 0.1, abs=0.01)
    dataset = prepare(recipe, Workspace.open(tmp_path / "workspace"))
    assert sum(dataset.manifest["splits"].values()) == 256


def test_addresses_and_numbers_are_redacted_where_they_occur(tmp_path: Path) -> None:
    rows = labelled(60)
    rows[3]["message"] += " call +44 20 7946 0958"
    rows[4]["message"] += " or write to jo@example.com"
    for n, row in enumerate(rows):
        row["contact"] = f"person{n}@example.com"
    path = write_csv(tmp_path / "rows.csv", rows)
    step = next(step for step in load(path, tmp_path).data.steps if step.name == "redact")
    asked = {"columns", "kinds", "region", "replace"}
    assert step.model_dump(include=asked) == {
        "columns": ("message",), "kinds": ("email", "phone"), "region": None, "replace": "tag"
    }  # fmt: skip
    assert "# contact holds e-mail addresses; the model never sees it." in starter(path)


def test_dates_are_noticed_with_their_order(tmp_path: Path) -> None:
    text = starter(write_csv(tmp_path / "rows.csv", labelled(60)))
    noticed = text[text.index("# created holds dates") :].splitlines()[:4]
    # Taking the comment marks away must give a step that the recipe takes.
    step = yaml.safe_load("\n".join(line.replace("# ", "", 1) for line in noticed[1:]))
    assert step == [{"name": "iso_dates", "columns": ["created"], "order": "dmy"}]


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        (["13/02/2025", "01/02/2025"], "dmy"),
        (["02/13/2025"], "mdy"),
        (["01/02/2025"], ""),
        (["13/02/2025", "02/13/2025"], ""),
        (["14 March 2025", "2025-03-14"], ""),
    ],
)
def test_date_order_is_told_only_where_the_values_show_it(dates: list[str], order: str) -> None:
    (column,) = columns_in([{"when": date} for date in dates])
    assert column.is_date
    assert date_order(column) == order


def test_free_answers_keep_their_white_space(tmp_path: Path) -> None:
    rows = [{"question": sentence(n), "answer": f"because of {sentence(n + 1)}"} for n in range(60)]
    recipe = load(write_jsonl(tmp_path / "faq.jsonl", rows), tmp_path)
    assert recipe.data.template is not None
    assert (recipe.data.template.user, recipe.data.template.assistant) == ("{question}", "{answer}")
    assert recipe.data.answer == "text"
    assert [step.name for step in recipe.data.steps] == ["unicode", "require", "exact_duplicates"]


def test_nested_values_and_odd_column_names_are_named_by_paths(tmp_path: Path) -> None:
    rows = [{"Ref. no.": n, "request": {"body": sentence(n)}, "triage": {"topic": "ab"[n % 2]}} for n in range(60)]
    recipe = load(write_jsonl(tmp_path / "portal.jsonl", rows), tmp_path)
    assert recipe.data.template is not None
    assert (recipe.data.template.user, recipe.data.template.assistant) == ("{request.body}", "{triage.topic}")
    assert sum(prepare(recipe, Workspace.open(tmp_path / "w")).manifest["splits"].values()) == 60
    odd = [{'Say "what": #1 é': sentence(n), "Kind, of [it].": "ab"[n % 2]} for n in range(60)]
    recipe = load(write_csv(tmp_path / "odd.csv", odd), tmp_path)
    assert sum(prepare(recipe, Workspace.open(tmp_path / "w")).manifest["splits"].values()) == 60


def test_several_answers_are_suggested_as_json(tmp_path: Path) -> None:
    rows = [{**row, "Priority": "P1" if n % 2 else "P2"} for n, row in enumerate(labelled(60))]
    line = next(line for line in starter(write_csv(tmp_path / "rows.csv", rows)).splitlines() if "assistant: {" in line)
    assert yaml.safe_load(line.replace("# ", "")) == {"assistant": {"category": "category", "priority": "Priority"}}


def _known_rows(name: str, count: int) -> list[dict[str, Any]]:
    made = {
        "chat": lambda n: {
            "messages": [{"role": "user", "content": sentence(n)}, {"role": "assistant", "content": f"so {n}"}]
        },
        "sharegpt": lambda n: {
            "conversations": [{"from": "human", "value": sentence(n)}, {"from": "gpt", "value": f"so {n}"}]
        },
        "prompt_completion": lambda n: {"prompt": sentence(n), "completion": f"so {n}"},
        "instruction": lambda n: {"instruction": "Explain.", "input": sentence(n), "output": f"so {n}"},
        "preference": lambda n: {"prompt": sentence(n), "chosen": f"so {n}", "rejected": f"no {n}"},
    }
    return [made[name](n) for n in range(count)]


@pytest.mark.parametrize("name", ["chat", "sharegpt", "prompt_completion", "instruction", "preference"])
def test_known_formats_need_no_template(tmp_path: Path, name: str) -> None:
    recipe = load(write_jsonl(tmp_path / f"{name}.jsonl", _known_rows(name, 80)), tmp_path)
    assert recipe.data.format == name
    assert recipe.data.template is None
    assert recipe.train.objective.plugin == ("dpo" if name == "preference" else "sft")
    dataset = prepare(recipe, Workspace.open(tmp_path / "workspace"))
    assert dataset.manifest["format"] == name
    assert dataset.manifest["splits"] == {"train": 56, "validation": 4, "test": 20}


def test_long_rows_and_long_answers_get_room(tmp_path: Path) -> None:
    rows = [{"prompt": f"{sentence(n)} " * 40, "completion": "so " * 200} for n in range(60)]
    recipe = load(write_jsonl(tmp_path / "long.jsonl", rows), tmp_path)
    assert recipe.data.max_length >= 1024
    assert 240 <= recipe.evaluate.max_new_tokens <= 1024


def test_the_path_is_absolute_or_relative_to_the_recipe(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", labelled(60))
    (tmp_path / "recipes").mkdir()
    assert yaml.safe_load(starter(path))["data"]["train"] == str(path)
    assert yaml.safe_load(starter(path, folder=tmp_path / "recipes"))["data"]["train"] == "../rows.csv"
    (found,) = load(path, tmp_path / "recipes").data.train[0].files()
    assert found.resolve() == path.resolve()


@pytest.mark.parametrize("name", ["2024 Año!.csv", "---.csv", "x" * 90 + ".csv", "ÄÖ.csv"])
def test_any_file_name_gives_a_valid_name(tmp_path: Path, name: str) -> None:
    load(write_csv(tmp_path / name, labelled(60)), tmp_path)


def test_a_telling_name_beats_other_columns_of_few_values() -> None:
    rows = [{"state": "xyz"[n % 3], "text": sentence(n), "intent": "ab"[n % 2], "score": n % 4} for n in range(60)]
    columns = columns_in(rows)
    text = pick_text(columns)
    assert text is not None
    label = pick_label(columns, text)
    assert (text.name, label and label.name) == ("text", "intent")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", "", "This file is empty"),
        ("header.csv", "text,label\n", "only a header"),
        ("one.csv", "text\n" + "".join(f"{sentence(n)}\n" for n in range(30)), "No two columns look like"),
        ("same.csv", "text,label\n" + "".join(f"{sentence(n)},a\n" for n in range(30)), "label .1 different"),
        ("chat.jsonl", '{"messages": [{"role": "user", "content": "hi"}]}\n', "No row is a whole conversation"),
        ("broken.jsonl", '{"a": \n{"b": \n', "No row of 2 could be read"),
    ],
)
def test_files_with_nothing_to_learn_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        starter(tmp_path / name)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", labelled(3))
    with pytest.raises(DataError, match=r"does not exist. Did you mean '.*tickets.csv'"):
        starter(tmp_path / "ticket.csv")
    with pytest.raises(DataError, match="is a folder"):
        starter(tmp_path)
