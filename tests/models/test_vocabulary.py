"""A tokenizer that knows more tokens than its model is refused, and an adapter of another vocabulary as well."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from peft import LoraConfig, get_peft_model

from tests.tiny import tiny_folder, tiny_model, tiny_tokenizer
from tunewright.base.errors import ModelError
from tunewright.models.adapters import load_adapter
from tunewright.models.base import load_base
from tunewright.models.resolve import resolve
from tunewright.models.vocabulary import check_vocabulary


def test_added_tokens_are_named(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model")
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<a>", "<b>", "<c>", "<d>"])
    tokenizer.save_pretrained(folder)
    files = resolve(str(folder), tmp_path / "cache")
    with pytest.raises(
        ModelError, match=r"4 tokens that .*: '<a>' \(259\), '<b>' \(260\), '<c>' \(261\), …; .* 259 rows"
    ):
        load_base(files)


def test_rows_that_no_token_uses_are_usual(tmp_path: Path) -> None:
    check_vocabulary(tiny_tokenizer(), tiny_model(vocab_size=259), "here")
    check_vocabulary(tiny_tokenizer(), tiny_model(vocab_size=320), "here")
    with pytest.raises(ModelError, match=r"here: .*'.*' \(258\); its embedding has 258 rows"):
        check_vocabulary(tiny_tokenizer(), tiny_model(vocab_size=258), "here")


def test_an_adapter_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    settings = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"])
    get_peft_model(tiny_model(vocab_size=300, tie_word_embeddings=False), settings).save_pretrained(tmp_path)
    base = SimpleNamespace(model=tiny_model(tie_word_embeddings=False), files=SimpleNamespace(name="tiny"))
    with pytest.raises(ModelError, match=r"does not fit the base tiny \(size mismatch for .*lm_head.*300, 32.*259, 32"):
        load_adapter(base, tmp_path)  # type: ignore[arg-type]


def test_an_adapter_of_other_layers_is_refused(tmp_path: Path) -> None:
    settings = LoraConfig(r=2, target_modules=["q_proj"])
    get_peft_model(tiny_model(hidden_size=64), settings).save_pretrained(tmp_path)
    base = SimpleNamespace(model=tiny_model(), files=SimpleNamespace(name="tiny"))
    with pytest.raises(ModelError, match=r"does not fit the base tiny \(size mismatch for .*q_proj"):
        load_adapter(base, tmp_path)  # type: ignore[arg-type]
