"""Tiny encoders made on the spot, with a word-piece tokenizer of a few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("red", "green", "blue", "apple", "lamp", "coat", "door", "cup", "boat", "bird", "shoe", "book", "star", "in")
NAMES = ("ann", "bob", "rome", "oslo", "lives", "visits", "today", "is", "the", "of", ".")
PIECES = tuple("0123456789abcdefghijklmnopqrstuvwxyz")


def encoder_tokenizer(pair_types: bool = True) -> Any:
    """BERT's way of tokenising: known words whole, others letter by letter; a pair's second text has the type 1."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens = [*SPECIALS, *WORDS, *NAMES, *PIECES, *(f"##{piece}" for piece in PIECES)]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    told = ["input_ids", *(["token_type_ids"] if pair_types else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, mask_token="[MASK]", model_input_names=told, model_max_length=64, **named
    )


def tiny_encoder(kind: str = "bert", seed: int = 0, **changes: Any) -> Any:
    """A random encoder of two layers, in evaluation mode.

    Args:
        kind: `bert`, `roberta`, `distilbert` or `modernbert`.
    """
    import torch
    import transformers

    common: dict[str, Any] = {"vocab_size": 110, "initializer_range": 0.3, "pad_token_id": 0}
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    positions = {"max_position_embeddings": 66}
    settings = {
        "bert": common | shape | positions,
        "roberta": common | shape | positions | {"pad_token_id": 1},
        "distilbert": common | positions | {"dim": 24, "n_layers": 2, "n_heads": 2, "hidden_dim": 48},
        "modernbert": common | shape | positions | {"local_attention": 6, "global_attn_every_n_layers": 2},
    }[kind]
    config = {
        "bert": transformers.BertConfig,
        "roberta": transformers.RobertaConfig,
        "distilbert": transformers.DistilBertConfig,
        "modernbert": transformers.ModernBertConfig,
    }[kind](**(settings | changes))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.AutoModel.from_config(config, attn_implementation="sdpa").eval()


def encoder_folder(path: Path, kind: str = "bert", seed: int = 0, **changes: Any) -> Path:
    """Writes a tiny encoder and its tokenizer as a folder of safetensors that any loader reads."""
    path.mkdir(parents=True, exist_ok=True)
    tiny_encoder(kind, seed, **changes).save_pretrained(path)
    encoder_tokenizer(pair_types=kind == "bert").save_pretrained(path)
    return path
