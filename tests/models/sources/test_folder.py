import pytest

from tests.models.making import write_fake_model
from tunewright.base.errors import ModelError
from tunewright.models.delivery import Delivery
from tunewright.models.sources import folder


def test_only_the_models_own_files_are_copied(tmp_path):
    model = write_fake_model(tmp_path / "model")
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    (model / "modeling_evil.py").write_text("raise SystemExit")
    target = tmp_path / "target"
    target.mkdir()
    origin = folder.fetch(
        folder.Config(path=str(model)), Delivery("tiny", target, tmp_path / "work", lambda event: None)
    )
    assert origin.text == f"folder {model}"
    assert sorted(path.name for path in target.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_a_missing_folder_is_named():
    with pytest.raises(ModelError, match=r"/no/such: There is no such folder"):
        folder.existing_folder("/no/such")
