from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recipe.conftest import SMALLEST, Load
from tunewright.base.errors import RecipeError
from tunewright.recipe import load_recipe, recipe_from_mapping
from tunewright.recipe.schema import Train


def faults(load: Load, text: str, *overrides: str) -> list[str]:
    """The lines of the error that a recipe earns."""
    with pytest.raises(RecipeError) as caught:
        load(text, *overrides)
    return str(caught.value).replace("../project/", "").splitlines()


def test_the_smallest_recipe_has_all_defaults(load: Load) -> None:
    recipe = load()
    assert (recipe.name, recipe.goal, recipe.base, recipe.seed) == (
        "support-desk",
        "Sort the mail.",
        "smollm2-135m-instruct",
        17,
    )
    assert (recipe.method.name, recipe.train.objective.name) == ("lora", "sft")
    assert recipe.method.rank == 16


def test_paths_are_relative_to_the_recipe_and_to_the_working_directory_in_an_override(
    load: Load, tmp_path: Path
) -> None:
    def paths(recipe: object, part: str) -> list[str]:
        return [
            str(Path(source.path).resolve().relative_to(tmp_path.resolve())) for source in getattr(recipe.data, part)
        ]  # type: ignore[attr-defined]

    recipe = load(SMALLEST + "  test: [a.csv, {path: b/*.jsonl, columns: {text: body}}]\n")
    assert paths(recipe, "train") == ["project/mail.csv"]
    assert paths(recipe, "test") == ["project/a.csv", "project/b/*.jsonl"]
    recipe = load(SMALLEST, "data.train=x.csv", "data.test=[y.csv, {path: z.csv}]")
    assert paths(recipe, "train") == ["elsewhere/x.csv"]
    assert paths(recipe, "test") == ["elsewhere/y.csv", "elsewhere/z.csv"]
    assert load(SMALLEST, "data.train=/abs/x.csv").data.train[0].path == "/abs/x.csv"
    assert load(SMALLEST, "data.train=~/x.csv").data.train[0].path == str(Path.home() / "x.csv")


def test_a_base_that_looks_like_a_path_is_one(load: Load, tmp_path: Path) -> None:
    assert load(SMALLEST + "base: ./model\n").base.endswith("/project/model")
    assert load(SMALLEST, "base=./model").base == str(tmp_path / "elsewhere" / "model")
    assert load(SMALLEST, "base=model.gguf").base == str(tmp_path / "elsewhere" / "model.gguf")
    assert load(SMALLEST + "base: org/model\n").base == "org/model"


def test_globs_find_files_in_order(load: Load, tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "odd[1].csv"):
        (tmp_path / "project" / name).write_text("")
    source = load(SMALLEST, "data.train=../project/*.csv").data.train[0]
    assert [path.name for path in source.files()] == ["a.csv", "b.csv", "odd[1].csv"]
    assert [path.name for path in load(SMALLEST, "data.train='../project/odd[1].csv'").data.train[0].files()] == [
        "odd[1].csv"
    ]
    assert load(SMALLEST, "data.train=nothing.csv").data.train[0].files() == []


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("train.epochs=3", "train.epochs", 3.0),
        ("train.learning_rate=1e-3", "train.learning_rate", 1e-3),
        ("goal=a b = c", "goal", "a b = c"),
        ("evaluate.limit=null", "evaluate.limit", None),
        ("evaluate.systems=[base]", "evaluate.systems", ("base",)),
        (" seed = 3", "seed", 3),
        ("method.rank=8", "method.rank", 8),
        ("method={name: lora, rank: 4}", "method.rank", 4),
        ("success={tuned.accuracy: '>= 0.9'}", "success", {"tuned.accuracy": ">= 0.9"}),
        ("data.split.test=0.2", "data.split.test", 0.2),
    ],
)
def test_an_override_sets_a_field(load: Load, override: str, field: str, value: object) -> None:
    # Set where the recipe has no such section, an empty one, and a plug-in given as a bare name.
    for text in (SMALLEST, SMALLEST + "method: lora\ntrain:\nevaluate:\n"):
        found: object = load(text, override)
        for key in field.split("."):
            found = getattr(found, key)
        assert found == value


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.epochs", "--set train.epochs: An override reads a.b=value. As in: --set train.epochs=3."),
        ("=3", "--set =3: An override reads a.b=value. As in: --set train.epochs=3."),
        ("train..epochs=3", "--set train..epochs=3: An override reads a.b=value. As in: --set train.epochs=3."),
        ("seed.x=3", "--set seed.x=3: 'seed' holds no fields that could be set."),
        ("seed=[1", "--set seed=[1: The value is not valid YAML: expected ',' or ']', but got '<stream end>'."),
        (
            "train.epochs=few",
            "--set train.epochs=few: 'train.epochs': Input should be a valid number, "
            "unable to parse string as a number (given: 'few').",
        ),
        (
            "train.epoch=3",
            "--set train.epoch=3: 'train.epoch' is unknown. Did you mean 'epochs'? "
            f"Known: {', '.join(sorted(Train.model_fields))}.",
        ),
    ],
)
def test_a_wrong_override_is_named_as_it_was_given(load: Load, override: str, said: str) -> None:
    assert faults(load, SMALLEST + "seed: 1\ntrain:\n  epochs: 2\n", override) == [said]


def test_an_unknown_key_is_refused_with_its_line_and_what_was_meant(load: Load) -> None:
    assert faults(load, SMALLEST + "gaol: x\n") == [
        "recipe.yaml:5: 'gaol' is unknown. Did you mean 'goal'? "
        "Known: adapter, base, data, evaluate, forgetting, gate, goal, method, name, seed, success, train."
    ]


def test_several_faults_are_told_at_once_each_with_its_line(load: Load) -> None:
    text = """
    name: Support Desk
    success:
      tuned.accuracy: 0.9
    data:
      train:
        - pth: a.csv
        - b.csv
      steps:
        - whitespase
        - name: unicode
          form: NFX
          fom: 1
      template:
        user: "{text}"
        assistant: 5
    method:
      rnak: 8
    train:
      dtype: bf16
    """
    found = faults(load, text)
    assert found[0] == "recipe.yaml: There are 11 faults"
    starts = sorted(line.split(". ")[0].strip().rstrip(".") for line in found[1:])
    assert starts == sorted(
        [
            "recipe.yaml:1: 'goal' is missing",
            "recipe.yaml:1: 'name': a name is 1 to 64 lower case letters, digits, dots, dashes and underscores "
            "(given: 'Support Desk')",
            "recipe.yaml:3: 'success.tuned.accuracy': a bar reads \">= 0.9\", with one of >=, <=, >, <, == "
            "(given: 0.9)",
            "recipe.yaml:6: 'data.train.0.path' is missing",
            "recipe.yaml:6: 'data.train.0.pth' is unknown",
            "recipe.yaml:9: 'data.steps.0': data step 'whitespase' is unknown",
            "recipe.yaml:11: 'data.steps.1.form': Input should be 'NFC' or 'NFKC' (given: 'NFX')",
            "recipe.yaml:12: 'data.steps.1.fom' is unknown",
            "recipe.yaml:15: 'data.template.assistant': Input should be a valid string (given: 5)",
            "recipe.yaml:17: 'method.rnak' is unknown",
            "recipe.yaml:19: 'train.dtype': Input should be 'auto', 'float32' or 'bfloat16' (given: 'bf16')",
        ]
    )
    for meant in ("path", "whitespace", "NFC", "form", "rank", "bfloat16"):
        assert sum(f"Did you mean '{meant}'" in line for line in found) == 1


def test_a_template_that_is_missing_is_missed(load: Load) -> None:
    assert faults(load, SMALLEST + "  format: template\n") == [
        "recipe.yaml:1: The recipe: data.format is 'template', and data.template is missing."
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [a\ngoal: b\n", r"recipe\.yaml:2: This is not valid YAML: .*"),
        ("a: 1\nb: {{\n", r"recipe\.yaml:3: This is not valid YAML: .*"),
        ("name: a\n\tgoal: b\n", r"recipe\.yaml:2: This is not valid YAML: .*"),
        ("name: \x01\n", r"recipe\.yaml: This is not valid YAML: .*special characters.*"),
        ("", r"recipe\.yaml: A recipe is a mapping with the keys name, goal and data\. Write one with: .*"),
        ("- a\n", r"recipe\.yaml: A recipe is a mapping.*"),
        (
            "name: a\ndata:\n  train: a\n  train: b\n",
            r"recipe\.yaml:4: 'data\.train' is given twice\. Take one of them out\.",
        ),
        ("name: &a [*a]\n", r"recipe\.yaml:1: An alias here holds itself\."),
        ("[a, b]: c\n", r"recipe\.yaml:1: .*"),
    ],
)
def test_what_is_not_a_recipe_is_refused_with_its_line(load: Load, text: str, said: str) -> None:
    found = " ".join(faults(load, text))
    assert re.fullmatch(said, found), found


def test_a_recipe_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"This recipe does not exist\. Write one with: tunewright init"):
        load_recipe(tmp_path / "absent.yaml")
    with pytest.raises(RecipeError, match="This recipe cannot be read"):
        load_recipe(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"This recipe is not UTF-8 \(byte 9\)"):
        load_recipe(tmp_path / "latin.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "windows.yaml").write_bytes(b"\xef\xbb\xbf" + SMALLEST.lstrip().replace("\n", "\r\n").encode())
    assert load_recipe(tmp_path / "windows.yaml").name == "support-desk"


def test_anchors_and_merges_work(load: Load) -> None:
    text = SMALLEST + "  template: &t {user: '{a}', assistant: '{b}'}\ntrain: {epochs: 2}\nevaluate: {<<: {shots: 2}}\n"
    assert load(text).evaluate.shots == 2


def test_a_recipe_survives_being_stored(load: Load) -> None:
    recipe = load(
        SMALLEST + "  steps: [whitespace, {name: unicode, form: NFKC}]\n  template: {user: '{a}', assistant: {x: b}}\n"
        "success: {tuned.accuracy: '>= 0.9'}\nmethod: {rank: 4}\n"
    )
    assert recipe_from_mapping(recipe.model_dump(mode="json")) == recipe


@given(key=st.text(min_size=1, max_size=8), value=st.one_of(st.none(), st.integers(), st.text(max_size=8)))
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_mapping_breaks_the_check(key: str, value: object) -> None:
    """Whatever stands in a recipe, it is accepted or refused, never a crash."""
    for mapping in (
        {key: value},
        {"data": {key: value}},
        {"method": {key: value}},
        {"data": {"steps": [{key: value}]}},
    ):
        with pytest.raises(RecipeError):
            recipe_from_mapping(mapping)
