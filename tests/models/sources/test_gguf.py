import pytest
import torch
from transformers import AutoTokenizer

from tests.models.making import write_gguf
from tests.tiny import CHAT_TEMPLATE
from tunewright.base.errors import ModelError, OutOfMemoryError
from tunewright.base.events import Message, Stage
from tunewright.models.base import load_base
from tunewright.models.delivery import Delivery
from tunewright.models.resolve import resolve
from tunewright.models.sources import gguf


@pytest.fixture(scope="module")
def resolved(tmp_path_factory):
    """The model that was written, the files that came of it, and what was heard meanwhile."""
    folder = tmp_path_factory.mktemp("gguf")
    model = write_gguf(folder / "tiny.gguf")
    events = []
    return model, resolve(str(folder / "tiny.gguf"), folder / "cache", events.append), events


def test_converted_model_gives_the_same_logits(resolved):
    model, files, _ = resolved
    tokens = torch.arange(3, 40)[None]
    with torch.no_grad():
        torch.testing.assert_close(load_base(files).model(tokens).logits, model(tokens).logits, rtol=1e-6, atol=1e-6)


def test_facts_come_from_the_file(resolved):
    _, files, _ = resolved
    assert (files.licence, files.context_length, files.kind) == ("mit", 2048, "causal-lm")
    assert files.source.endswith("tiny.gguf")


def test_tied_weights_are_stored_once(resolved):
    from tunewright.models.files import tensor_shapes

    _, files, _ = resolved
    names = tensor_shapes(files.folder / "model.safetensors")
    assert "model.embed_tokens.weight" in names
    assert "lm_head.weight" not in names


def test_chat_template_and_markers_are_saved_along(resolved):
    _, files, _ = resolved
    tokenizer = AutoTokenizer.from_pretrained(files.folder)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer("<|im_start|>a<|im_end|>")["input_ids"][::2] == [1, 2]
    assert tokenizer.eos_token == "<|im_end|>"


def test_digits_are_set_apart_before_the_merges_as_smollm_does(resolved):
    # GPT-2's way leaves the second line break with the digit's word, and they are two tokens.
    _, files, _ = resolved
    tokenizer = AutoTokenizer.from_pretrained(files.folder)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("a\n\n7")["input_ids"])
    assert tokens == ["a", "ĊĊ", "7"]


def test_progress_is_heard_and_nothing_is_printed(tmp_path, capfd):
    write_gguf(tmp_path / "tiny.gguf", split="unheard-of")
    events = []
    (tmp_path / "out").mkdir()
    gguf.convert(tmp_path / "tiny.gguf", Delivery("tiny", tmp_path / "out", tmp_path / "work", events.append))
    assert capfd.readouterr() == ("", "")
    last = [event for event in events if isinstance(event, Stage)][-1]
    assert (last.status, last.done, last.total, last.unit) == ("finished", 20, 20, "tensors")
    (warning,) = [event for event in events if isinstance(event, Message)]
    assert "'unheard-of'" in warning.text


def test_the_second_time_it_is_not_converted_again(resolved, monkeypatch):
    _, files, _ = resolved
    monkeypatch.setattr(gguf, "convert", lambda *_: pytest.fail("converted again"))
    assert resolve(files.name, files.folder.parents[1]) == files


@pytest.mark.parametrize("kept", [10, 2000, -64])
def test_a_cut_file_is_refused(tmp_path, kept):
    file = tmp_path / "tiny.gguf"
    write_gguf(file)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        resolve(str(file), tmp_path / "cache")


def test_weights_that_do_not_fit_in_memory_are_refused_first(tmp_path, monkeypatch):
    write_gguf(tmp_path / "tiny.gguf")
    monkeypatch.setattr(gguf, "available_bytes", lambda: 1000)
    with pytest.raises(OutOfMemoryError, match="De-quantised"):
        resolve(str(tmp_path / "tiny.gguf"), tmp_path / "cache")
