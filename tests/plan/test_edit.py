from pathlib import Path

import pytest
import yaml

from tunewright.base.errors import RecipeError
from tunewright.plan.edit import edit, read

RECIPE = """\
# Ours, and commented.
name: desk   # lower case
goal: "Answer."
base: smollm2-1.7b-instruct
data:
  train: rows.csv  # the rows

method:
  name: full
train:
  # how long
  epochs: 2      # passes
  node_budget: 2048  # bounds memory
"""


def after(text: str, **fields: object) -> str:
    return edit(Path("recipe.yaml"), text, {name.replace("__", "."): value for name, value in fields.items()}).after


def test_only_the_value_changes():
    assert after(RECIPE, train__node_budget=512) == RECIPE.replace("2048", "512")


def test_several_fields_and_a_new_one():
    changed = after(RECIPE, train__node_budget=64, train__dtype="bfloat16", base="smollm2-135m-instruct")
    assert changed == RECIPE.replace("2048", "64").replace("smollm2-1.7b-instruct", "smollm2-135m-instruct").replace(
        "  epochs: 2 ", "  dtype: bfloat16\n  epochs: 2 "
    )


def test_another_method_takes_the_settings_it_has():
    assert after(RECIPE, method="lora") == RECIPE.replace("name: full", "name: lora")
    with_rank = RECIPE.replace("  name: full", "  name: lora  # adapter\n  rank: 64")
    assert after(with_rank, method="qlora") == with_rank.replace("name: lora", "name: qlora")


def test_another_method_without_the_old_ones_settings_stands_alone():
    layers = RECIPE.replace("  name: full\n", "  name: layers\n  last: 3  # blocks\n")
    changed = after(layers, method="qlora")
    assert yaml.safe_load(changed)["method"] == "qlora"
    assert "# how long" in changed
    assert "# Ours" in changed


@pytest.mark.parametrize(
    ("before", "fields", "expected"),
    [
        ("name: a\n", {"train.node_budget": 64}, "name: a\ntrain:\n  node_budget: 64\n"),
        ("name: a", {"base": "b"}, "name: a\nbase: b\n"),
        ("train: {epochs: 1}\n", {"train.dtype": "bfloat16"}, "train: {dtype: bfloat16, epochs: 1}\n"),
        ("name: a\ntrain: {}\n", {"train.batch_size": 2}, "name: a\ntrain: {batch_size: 2}\n"),
        ("{name: a}", {"train.batch_size": 2}, "{train: {batch_size: 2}, name: a}"),
        ("method: lora  # adapter\n", {"method.rank": 8}, "method: {name: lora, rank: 8}  # adapter\n"),
        ("method: lora\n", {"method": "qlora"}, "method: qlora\n"),
        ("name: a\n", {"method": "qlora"}, "name: a\nmethod: qlora\n"),
        ("train:\n  # none\nname: a\n", {"train.batch_size": 2}, "train:\n  batch_size: 2\n  # none\nname: a\n"),
        ("name: a\r\ntrain:\r\n  epochs: 1\r\n", {"train.epochs": 2}, "name: a\r\ntrain:\r\n  epochs: 2\r\n"),
        ("\ufeffname: a\n", {"base": "b"}, "\ufeffname: a\nbase: b\n"),
    ],
)  # fmt: skip
def test_layouts(before, fields, expected):
    assert edit(Path("recipe.yaml"), before, fields).after == expected


def test_what_cannot_be_changed_without_doubt_is_left_alone():
    shared = "common: &common {epochs: 1}\ntrain: *common\n"
    with pytest.raises(RecipeError, match=r"Set train\.epochs: 2"):
        after(shared, train__epochs=2)


def test_the_file_is_written_and_the_difference_shown(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    path.chmod(0o600)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    made = edit(link, read(link), {"train.node_budget": 512})
    made.write()
    assert path.read_text() == RECIPE.replace("2048", "512")
    assert path.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    assert "-  node_budget: 2048  # bounds memory\n+  node_budget: 512  # bounds memory\n" in made.diff


def test_a_file_that_changed_meanwhile_is_not_written_over(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    made = edit(path, read(path), {"train.node_budget": 512})
    path.write_text(RECIPE + "# more\n")
    with pytest.raises(RecipeError, match="changed by someone else"):
        made.write()
    assert path.read_text() == RECIPE + "# more\n"
