"""The peer's side: transformers' `generate` on the same tokens, in its own environment. Imports nothing of tunewright.

python -m evaluation.answered_by_peer CASE.json OURS.json BATCH QUESTIONS NEW_TOKENS THREADS ADAPTER OUT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    """Answers, and writes seconds and tokens. Loading, and merging the adapter into the weights, are not counted."""
    case, ours = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
    batch, questions, limit, threads = map(int, sys.argv[3:7])
    torch.set_num_threads(threads)
    model: Any = AutoModelForCausalLM.from_pretrained(case["model_folder"], dtype=torch.float32).eval()
    if sys.argv[7]:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, sys.argv[7]).merge_and_unload().eval()
    tokenizer = AutoTokenizer.from_pretrained(case["model_folder"])
    prompts, stop_ids = case["prompts"][:questions], ours["stop_ids"]
    # Rows of one length side by side: the least padding, as anybody would who wants it quick.
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    settings = {
        "max_new_tokens": limit,
        "do_sample": False,
        "eos_token_id": stop_ids,
        "pad_token_id": tokenizer.pad_token_id,
    }
    answer(model, prompts[:2], {**settings, "max_new_tokens": 2})
    started = time.perf_counter()
    found: dict[int, list[int]] = {}
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        found.update(zip(rows, answer(model, [prompts[row] for row in rows], settings), strict=True))
    seconds = time.perf_counter() - started
    answers = [until(found[row], stop_ids) for row in range(len(prompts))]
    Path(sys.argv[8]).write_text(json.dumps({"answers": answers, "seconds": seconds, "batch_size": batch}))


def answer(model: Any, prompts: list[list[int]], settings: dict[str, Any]) -> list[list[int]]:
    """What `generate` writes behind prompts that are padded on the left."""
    width = max(map(len, prompts))
    padding = settings["pad_token_id"]
    rows = [[padding] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    with torch.inference_mode():
        out = model.generate(input_ids=torch.tensor(rows), attention_mask=torch.tensor(mask), **settings)
    written: list[list[int]] = out[:, width:].tolist()
    return written


def until(tokens: list[int], stop_ids: list[int]) -> list[int]:
    """The tokens before the first that ends an answer."""
    ends = [place for place, token in enumerate(tokens) if token in stop_ids]
    return tokens[: ends[0]] if ends else tokens


if __name__ == "__main__":
    main()
