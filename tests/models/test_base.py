import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.making import write_encoder
from tests.tiny import tiny_folder, tiny_model
from tests.tiny_encoder import encoder_folder
from tunewright.base.errors import ModelError
from tunewright.models import base
from tunewright.models.base import load_base, pick_dtype, processor_flags
from tunewright.models.chat import Turn
from tunewright.models.resolve import resolve


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return resolve(str(tiny_folder(folder / "model")), folder / "cache")


def test_loaded_model_is_frozen_and_equal_to_the_saved_one(files, capfd):
    loaded = load_base(files)
    assert capfd.readouterr() == ("", "")
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.model.config._attn_implementation == "sdpa"
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(tokens).logits, tiny_model()(tokens).logits)


def test_chat_format_is_the_models_own(files):
    assert load_base(files).chat.stop_ids == {2}


def test_bfloat16_on_request(files):
    assert load_base(files, dtype="bfloat16").model.dtype == torch.bfloat16


def test_an_encoder_reads_and_does_not_write(tmp_path):
    base = load_base(resolve(str(write_encoder(tmp_path / "encoder")), tmp_path / "cache"))
    question = [Turn("user", "the cat sat")]
    assert base.tokenizer.convert_ids_to_tokens(base.chat.prompt(question)) == ["[CLS]", "the", "cat", "sat", "[SEP]"]
    with pytest.raises(ModelError, match="cannot write answers"):
        base.chat.render([*question, Turn("assistant", "on")])
    # The pooler is no part of the encoder any more, so that no method trains it where nothing reads it.
    assert base.model.pooler is None
    assert base.pooler.in_features == base.pooler.out_features == 24


def test_what_an_encoders_files_lack_is_not_drawn_at_random(tmp_path):
    folder = encoder_folder(tmp_path / "encoder")
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("pooler.")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_base(resolve(str(folder), tmp_path / "one")).pooler is None
    kept.pop("encoder.layer.1.output.dense.weight")
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lack 1 of the encoder's weights"):
        load_base(resolve(str(folder), tmp_path / "two"))


def test_code_in_the_models_folder_is_never_run(tmp_path):
    folder = tiny_folder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "homemade", "auto_map": {"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Conf"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(resolve(str(folder), tmp_path / "cache"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512_bf16 amx_tile\n", "bfloat16"),
        ("processor : 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", "float32"),
        ("processor : 0\nFeatures : fp asimd bf16 i8mm\n", "bfloat16"),
        ("processor : 0\n", "float32"),
    ],
)
def test_bfloat16_only_where_the_processor_computes_in_it(tmp_path, monkeypatch, cpuinfo, expected):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    flags = processor_flags(tmp_path / "cpuinfo")
    monkeypatch.setattr(base, "processor_flags", lambda: flags)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_dtype("auto") == expected


def test_dtype_that_is_asked_for_is_taken():
    assert pick_dtype("float32") == "float32"
    assert pick_dtype("bfloat16") == "bfloat16"


def test_system_without_cpuinfo_claims_nothing(tmp_path):
    assert processor_flags(tmp_path / "absent") == frozenset()
