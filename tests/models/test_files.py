import hashlib
import json
import os

import pytest

from tests.models.making import write_fake_model
from tunewright.base.errors import ModelError
from tunewright.base.events import ignore
from tunewright.base.files import hash_value
from tunewright.models import files
from tunewright.models.files import INDEX, examine, is_wanted, seal, tensor_shapes, unseal, weight_files


@pytest.fixture
def folder(tmp_path):
    return write_fake_model(tmp_path / "model")


@pytest.fixture
def sealed(folder, tmp_path):
    manifest = tmp_path / "manifest.json"
    seal(folder, manifest, examine(folder, "tiny", "folder x"), ignore)
    return folder, manifest


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def split_into_shards(folder):
    """The same weights once more as two shards and an index."""
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name in names:
        (folder / name).write_bytes(content)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1]}}))
    return names


@pytest.mark.parametrize("path", ["model.safetensors", "model-00001-of-00003.safetensors", "1_Pooling/config.json"])
def test_model_files_are_wanted(path):
    assert is_wanted(path)


@pytest.mark.parametrize(
    "path", ["pytorch_model.bin", "modeling_x.py", "onnx/model.onnx", "consolidated.safetensors", "sub/config.json"]
)
def test_pickles_code_and_other_formats_are_not(path):
    assert not is_wanted(path)


def test_one_weights_file_gives_its_own_hash(sealed):
    folder, manifest = sealed
    found = unseal(folder, manifest, "mine")
    assert found.weights_hash == sha256(folder / "model.safetensors")
    assert (found.name, found.kind, found.context_length, found.licence) == ("mine", "causal-lm", 128, "unknown")


def test_shards_give_the_hash_of_their_names_and_hashes(folder, tmp_path):
    names = split_into_shards(folder)
    seal(folder, tmp_path / "m.json", examine(folder, "tiny", "x"), ignore)
    expected = hash_value({name: sha256(folder / name) for name in names})
    assert unseal(folder, tmp_path / "m.json", "tiny").weights_hash == expected


def test_a_missing_shard_is_named(folder):
    names = split_into_shards(folder)
    (folder / names[1]).unlink()
    with pytest.raises(ModelError, match="model-00002-of-00002"):
        weight_files(folder)


def test_untouched_files_are_not_hashed_again(sealed, monkeypatch):
    monkeypatch.setattr(files, "hash_file", lambda path: pytest.fail(f"hashed {path}"))
    unseal(*sealed, "tiny")


def test_a_touched_file_is_hashed_once_more_and_accepted(sealed, monkeypatch):
    folder, manifest = sealed
    os.utime(folder / "model.safetensors", ns=(1, 1))
    before = unseal(folder, manifest, "tiny")
    monkeypatch.setattr(files, "hash_file", lambda path: pytest.fail(f"hashed {path}"))
    assert unseal(folder, manifest, "tiny") == before


def test_changed_content_of_the_same_size_is_noticed(sealed):
    folder, manifest = sealed
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="not what it was"):
        unseal(folder, manifest, "tiny")


def test_a_vanished_file_is_noticed(sealed):
    folder, manifest = sealed
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json: A file of this model is gone"):
        unseal(folder, manifest, "tiny")


@pytest.mark.parametrize("kept", [0, 5, 40, -1])
def test_a_cut_weights_file_is_refused(folder, kept):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ModelError, match="safetensors"):
        examine(folder, "tiny", "x")


def test_header_gives_dtypes_and_shapes(folder):
    assert tensor_shapes(folder / "model.safetensors") == {"w": ("F32", (4,))}


def test_pickled_weights_are_refused_by_name(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickles \(pytorch_model\.bin\)"):
        examine(folder, "tiny", "x")


def test_an_adapter_is_not_a_base(folder):
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="adapter, not a base model"):
        examine(folder, "tiny", "x")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_part_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name.split(".")[0]):
        examine(folder, "tiny", "x")


@pytest.mark.parametrize(("architecture", "kind"), [("GPT2LMHeadModel", "causal-lm"), ("BertModel", "text-encoder")])
def test_kind_follows_the_architecture(folder, architecture, kind):
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture], "n_positions": 64}))
    facts = examine(folder, "tiny", "x")
    assert (facts.kind, facts.context_length) == (kind, 64)


def test_other_architectures_are_refused(folder):
    (folder / "config.json").write_text(json.dumps({"architectures": ["T5ForConditionalGeneration"]}))
    with pytest.raises(ModelError, match="neither causal language models nor encoders"):
        examine(folder, "tiny", "x")


def test_licence_comes_from_the_model_card(folder):
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    assert examine(folder, "tiny", "x").licence == "apache-2.0"
