"""A tiny T5 and its tokenizer, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PAD, END = 0, 1


def tiny_t5_tokenizer() -> Any:
    """One token a byte; texts end in `</s>` and there is no chat template, as in T5."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<pad>", "</s>", "<unk>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="</s>", pad_token="<pad>", unk_token="<unk>", model_max_length=512
    )


def tiny_t5(seed: int = 0, **changes: Any) -> Any:
    """A T5 of two blocks a stack with random weights, in float32, without dropout, in evaluation mode."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    settings: dict[str, Any] = {
        "vocab_size": 259,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 16,
        "dropout_rate": 0.0,
        "decoder_start_token_id": PAD,
        "pad_token_id": PAD,
        "eos_token_id": END,
        "n_positions": 512,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(T5Config(**(settings | changes))).eval()
        # Begun at zero in effect: positions would hardly matter, and a wrong one would hardly show.
        for stack in (model.encoder, model.decoder):
            torch.nn.init.normal_(stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight, std=2.0)
    return model


def tiny_t5_folder(path: Path, seed: int = 0, **changes: Any) -> Path:
    """Writes a tiny T5 and its tokenizer as a folder of safetensors that any loader reads."""
    path.mkdir(parents=True, exist_ok=True)
    tiny_t5(seed, **changes).save_pretrained(path)
    tiny_t5_tokenizer().save_pretrained(path)
    return path
