"""A run that begins from an adapter: by which names, with which method, on record, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import tunewright as tw
from tests.lifecycle.world import make_world, write_recipe, write_rows
from tests.tiny import tiny_folder
from tunewright.base.errors import RecipeError
from tunewright.base.events import Event, Message
from tunewright.base.files import read_json
from tunewright.lifecycle.beginning import as_it_trains, find_adapter
from tunewright.lifecycle.pipeline import RunResult
from tunewright.lifecycle.release import lineage_of
from tunewright.lifecycle.serving.names import set_alias
from tunewright.recipe import load_recipe

METHOD = {"name": "rslora", "rank": 2}
QUICK = {"train": {"epochs": 0.2}, "evaluate": {"limit": 4, "systems": ["base"]}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120, instead={"method": METHOD}, **QUICK).parent


@pytest.fixture(scope="module")
def first(world: Path) -> RunResult:
    return tw.run(world / "recipe.yaml", workspace=world / "ws")


@pytest.fixture(scope="module")
def workspace(world: Path, first: RunResult) -> Any:
    return tw.Workspace.open(world / "ws")


def recipe(world: Path, adapter: str, **changes: Any) -> Path:
    """A recipe that names an adapter; without a method, unless one is given."""
    written = write_recipe(world, name="further", adapter=adapter, **QUICK)
    found = yaml.safe_load(written.read_text())
    del found["method"]
    written.write_text(yaml.safe_dump({**found, **changes}))
    return written


@pytest.fixture(scope="module")
def further(world: Path, workspace: Any) -> tuple[RunResult, list[Event]]:
    heard: list[Event] = []
    write_rows(world / "more.csv", 120, start=1000)
    asked = yaml.safe_load(recipe(world, "colours").read_text())
    written = recipe(world, "colours", data={**asked["data"], "train": "more.csv"})
    return tw.run(written, workspace=workspace, listener=heard.append), heard


def test_the_adapter_learns_on_by_its_own_method(
    first: RunResult, further: tuple[RunResult, list[Event]], workspace: Any
) -> None:
    made = workspace.artifact(further[0].adapter, "adapter")
    assert made.hash != first.adapter
    assert {**made.manifest["method"], **METHOD} == made.manifest["method"]
    assert read_json(made.path / "adapter_config.json")["r"] == 2


def test_where_it_began_is_told_and_on_record(
    first: RunResult, further: tuple[RunResult, list[Event]], workspace: Any
) -> None:
    result, heard = further
    said = [event.text for event in heard if isinstance(event, Message) and "begins from" in event.text]
    assert said == [f"This run begins from the adapter {first.adapter[:12]} of colours."]
    made = workspace.artifact(result.adapter, "adapter")
    assert first.adapter in {parent.hash for parent in workspace.lineage(made.hash).parents}
    assert sources(lineage_of(workspace, "further")["artifacts"]) == ["more.csv", "rows.csv"]
    report = workspace.artifact(workspace.find_run(result.run).manifest["stages"]["report"]["report"]).path
    assert f"the adapter {first.adapter[:12]} of colours" in (report / "report.html").read_text()
    kept = workspace.find_release("further").recipe
    assert kept["adapter"] == first.adapter, "another version of that name changes nothing"
    card = (workspace.artifact(workspace.find_run(result.run).manifest["stages"]["release"]["card"]).path) / "README.md"
    assert f"It began from the adapter {first.adapter[:12]} of colours" in card.read_text()


def sources(node: dict[str, Any]) -> list[str]:
    """Names of the files behind the datasets of a lineage, each dataset's own."""
    own = [Path(source["path"]).name for source in node.get("sources", ())]
    return sorted({*own, *(name for parent in node["parents"] for name in sources(parent))})


@pytest.mark.parametrize("name", ["colours@1", "alias", "hash"])
def test_it_has_several_names(name: str, first: RunResult, workspace: Any) -> None:
    if name == "alias":
        set_alias(workspace, "alias", "colours")
    asked = first.adapter[:10] if name == "hash" else name
    assert find_adapter(workspace, asked).hash == first.adapter


def test_what_has_no_adapter_cannot_learn_on(world: Path, workspace: Any) -> None:
    with pytest.raises(RecipeError, match="called 'colour'") as unknown:
        tw.run(recipe(world, "colour"), workspace=workspace)
    assert "Did you mean 'colours'?" in str(unknown.value)
    set_alias(workspace, "bare", str(world / "base"))
    with pytest.raises(RecipeError, match="'bare' is a base model, and has no adapter"):
        tw.run(recipe(world, "bare"), workspace=workspace)
    assert not workspace.runs(name="further", kind="run")[1:], "no run is begun for it"


def test_another_method_than_its_own_is_refused(world: Path, workspace: Any) -> None:
    with pytest.raises(RecipeError) as other:
        tw.run(recipe(world, "colours", method={"name": "lora", "rank": 4}), workspace=workspace)
    assert "method.name: the adapter's is 'rslora', the recipe's 'lora'" in str(other.value)
    assert "method.rank: the adapter's is 2, the recipe's 4" in str(other.value)


def test_another_base_than_its_own_is_refused(world: Path, workspace: Any) -> None:
    tiny_folder(world / "other", seed=5)
    with pytest.raises(RecipeError, match=r"This adapter was trained on \S+/base with weights"):
        tw.run(recipe(world, "colours", base="./other"), workspace=workspace)


def test_a_plan_is_of_the_adapters_method(world: Path, first: RunResult, workspace: Any) -> None:
    wanted = load_recipe(recipe(world, "colours"))
    found = as_it_trains(wanted, workspace)
    assert (found.method.plugin, found.method.model_dump()["rank"]) == ("rslora", 2)
    assert found.adapter == first.adapter
    with pytest.raises(RecipeError, match="There is no workspace here"):
        as_it_trains(wanted, None)
