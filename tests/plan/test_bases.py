import pytest

from tests.tiny import tiny_folder, tiny_model
from tunewright.base.errors import InputError, ModelError
from tunewright.models import catalog
from tunewright.models.memory import size_of
from tunewright.plan.bases import base_at_hand, base_size, known_bases, llama_tensors, smaller_bases


def test_known_shapes_give_the_published_numbers_of_weights():
    # From the models' cards; reading bases.yaml checks each entry against its own.
    assert known_bases()["meta-llama/llama-2-7b-hf"].parameters == 6_738_415_616
    assert known_bases()["mistralai/mistral-7b-v0.1"].parameters == 7_241_732_096
    assert known_bases()["qwen/qwen2.5-7b"].parameters == 7_615_616_512


def test_the_catalogues_causal_models_are_all_known():
    entries = [entry for entry in catalog.entries().values() if entry.kind == "causal-lm"]
    assert {entry.name: entry.parameters for entry in entries} == {
        entry.name: known_bases()[entry.name].parameters for entry in entries
    }


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": False}, {"head_dim": 16, "attention_bias": True}])
def test_shapes_from_a_configuration_are_the_models_own(changes):
    model = tiny_model(**changes)
    own = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    if "attention_bias" in changes:  # transformers gives the output projection one as well
        own = {name: shape for name, shape in own.items() if not name.endswith("o_proj.bias")}
    assert dict(llama_tensors(model.config.to_dict())) == own


def test_a_folder_is_read_in_place_and_nothing_is_written(tmp_path):
    folder = tiny_folder(tmp_path / "model")
    before = sorted(tmp_path.rglob("*"))
    expected = size_of(tiny_model().config.to_dict(), llama_tensors(tiny_model().config.to_dict()))
    assert base_size(str(folder), None).parameters == expected.parameters
    assert base_at_hand(str(folder), None).folder == folder
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_in_the_cache_is_found_by_its_name(tmp_path):
    folder = tiny_folder(tmp_path / "models" / "hub--maker--model")
    assert base_at_hand("maker/model", tmp_path).folder == folder
    assert base_at_hand("other/model", tmp_path) is None


def test_what_is_neither_here_nor_known_is_refused(tmp_path):
    with pytest.raises(InputError, match="models pull maker/unknown"):
        base_size("maker/unknown", tmp_path)
    with pytest.raises(ModelError, match="no such folder"):
        base_size(str(tmp_path / "nothing"), tmp_path)


def test_smaller_bases_come_largest_first():
    assert smaller_bases(known_bases()["llama-3.2-1b-instruct"]) == [
        "qwen2.5-0.5b-instruct",
        "smollm2-360m-instruct",
        "smollm2-135m-instruct",
    ]
