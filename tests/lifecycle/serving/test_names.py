"""What is served under which name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lifecycle.serving.worlds import BASE, add_adapter, make_workspace
from tests.tiny import tiny_folder
from tunewright.base.errors import InputError, ModelError, UnknownNameError
from tunewright.lifecycle.serving.names import (
    ProtectedModelError,
    UnknownModelError,
    aliases,
    all_served,
    delete_model,
    find_served,
    remove_alias,
    set_alias,
)
from tunewright.models.resolve import resolve
from tunewright.store import Workspace

TUNED = "ft:tiny:acme:desk:abc123"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def release(workspace: Workspace, name: str) -> None:
    tuned = find_served(workspace, TUNED)
    dataset = workspace.put("dataset", lambda folder: (folder / "x").write_text("x") and None, manifest={})
    run = workspace.start_run(name, "run", {"n": len(workspace.runs())})
    workspace.add_release(
        name,
        adapter=tuned.adapter,
        dataset=dataset.hash,
        run=run.id,
        base=tuned.base,
        base_hash=tuned.base_hash,
        template=tuned.template,
        evaluation={"run": run.id},
        recipe=tuned.recipe,
    )


def test_an_alias_leads_to_the_folder_that_the_operator_named(workspace: Workspace, tmp_path: Path) -> None:
    served = find_served(workspace, BASE)
    assert (served.kind, served.origin, served.adapter) == ("chat", "alias", "")
    assert served.base == str(tmp_path / "base")
    assert served.base_hash == resolve(str(tmp_path / "base"), workspace.cache).weights_hash
    shown = served.as_model()
    assert {key: shown[key] for key in ("id", "object", "parent")} == {
        "id": BASE,
        "object": "model",
        "parent": str(tmp_path / "base"),
    }


def test_a_fine_tuned_model_is_served_to_its_project_and_deleted(workspace: Workspace) -> None:
    made = add_adapter(workspace, TUNED, project="acme")
    assert find_served(workspace, TUNED) == made == find_served(workspace, TUNED, project="acme")
    assert (made.owned_by, made.parent, made.job) == ("acme", BASE, "ftjob-1")
    with pytest.raises(UnknownModelError):
        find_served(workspace, TUNED, project="others")
    assert TUNED not in [served.name for served in all_served(workspace, project="others")]
    with pytest.raises(UnknownModelError):
        delete_model(workspace, TUNED, project="others")
    delete_model(workspace, TUNED, project="acme")
    with pytest.raises(UnknownModelError, match=TUNED):
        find_served(workspace, TUNED)
    assert workspace.artifact(made.adapter, "adapter").hash == made.adapter


def test_an_alias_of_a_release_follows_its_newest_version(workspace: Workspace) -> None:
    add_adapter(workspace, TUNED)
    release(workspace, "support-desk")
    set_alias(workspace, "gpt-4o-mini", "support-desk")
    first = find_served(workspace, "gpt-4o-mini")
    release(workspace, "support-desk")
    assert find_served(workspace, "gpt-4o-mini").adapter == first.adapter
    names = [served.name for served in all_served(workspace)]
    assert names == ["gpt-4o-mini", BASE, TUNED, "support-desk", "support-desk@2", "support-desk@1"]
    assert find_served(workspace, "support-desk@1").origin == "release"
    with pytest.raises(UnknownModelError):
        find_served(workspace, "support-desk@3")
    with pytest.raises(ProtectedModelError, match="a release"):
        delete_model(workspace, "support-desk")
    with pytest.raises(ProtectedModelError, match="an alias"):
        delete_model(workspace, "gpt-4o-mini")


def test_bases_in_the_cache_are_served_and_others_are_not_fetched(workspace: Workspace) -> None:
    place = workspace.cache / "models" / "hub--acme--little"
    tiny_folder(place, 2)
    sealed = resolve(str(place), workspace.cache)  # sealed beside it; a pulled model has its manifest inside
    manifest = next((workspace.cache / "models" / "folders").glob("hub--acme--little--*.json"))
    text = manifest.read_text().replace(str(place), "acme/little")
    (place / "tunewright.json").write_text(text)
    served = find_served(workspace, "acme/little")
    assert (served.origin, served.base_hash) == ("base", sealed.weights_hash)
    assert "acme/little" in [each.name for each in all_served(workspace)]
    with pytest.raises(ProtectedModelError, match="a base model"):
        delete_model(workspace, "acme/little")
    for name in ("smollm2-360m-instruct", "acme/other"):
        with pytest.raises(UnknownModelError) as found:
            find_served(workspace, name)
        assert (found.value.code, found.value.where) == ("model_not_found", "model")


@pytest.mark.parametrize("name", ["/etc", "../base", "./base", "~", "x.gguf", "..", "hub/../../base", "", "a\0b"])
def test_a_request_names_no_place_on_the_disk(workspace: Workspace, name: str) -> None:
    with pytest.raises(UnknownNameError):
        find_served(workspace, name)


def test_aliases_are_checked_changed_and_removed(workspace: Workspace, tmp_path: Path) -> None:
    add_adapter(workspace, TUNED)
    set_alias(workspace, "mine", TUNED)
    assert aliases(workspace) == {BASE: str(tmp_path / "base"), "mine": TUNED}
    assert set_alias(workspace, "mine", str(tmp_path / "base")).adapter == ""
    with pytest.raises(InputError, match="is an alias itself"):
        set_alias(workspace, "other", "mine")
    with pytest.raises(InputError, match="called 'ft:tiny"):
        set_alias(workspace, TUNED, str(tmp_path / "base"))
    with pytest.raises(UnknownModelError):
        set_alias(workspace, "other", "nothing")
    with pytest.raises(ModelError):
        set_alias(workspace, "other", str(tmp_path / "gone"))
    with pytest.raises(InputError, match="cannot be a model's name"):
        set_alias(workspace, " x", TUNED)
    remove_alias(workspace, "mine")
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny'"):
        remove_alias(workspace, "tinyy")
    assert list(aliases(workspace)) == [BASE]
    with pytest.raises(UnknownModelError):
        find_served(workspace, "mine")


def test_an_alias_whose_model_is_gone_says_so(workspace: Workspace) -> None:
    add_adapter(workspace, TUNED)
    set_alias(workspace, "mine", TUNED)
    delete_model(workspace, TUNED)
    assert "mine" not in [served.name for served in all_served(workspace)]
    with pytest.raises(UnknownModelError, match=TUNED):
        find_served(workspace, "mine")
