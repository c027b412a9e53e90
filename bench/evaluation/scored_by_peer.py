"""The peer's side: lm-evaluation-harness on the same tokens, in the peer's environment. Imports nothing of tunewright.

python -m evaluation.scored_by_peer CASE.json DTYPE BATCH_SIZE QUESTIONS CANDIDATES THREADS OUT.json
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    """Scores, and writes seconds and scores. Loading and tokenising are not counted.

    `HFLM.loglikelihood` tokenises text, and takes white space at a prompt's end for the answer's. What it then does is
    called with the tokens that both sides are to see.
    """
    case, dtype, batch_size = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], int(sys.argv[3])
    questions, candidates = int(sys.argv[4]), int(sys.argv[5])
    torch.set_num_threads(int(sys.argv[6]))
    model = AutoModelForCausalLM.from_pretrained(case["model_folder"], dtype=getattr(torch, dtype)).eval()
    tokenizer = AutoTokenizer.from_pretrained(case["model_folder"])
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, device="cpu")
    asked = [
        (("", label), prompt, tokens)
        for prompt in case["prompts"][:questions]
        for label, tokens in list(zip(case["labels"], case["candidates"], strict=True))[:candidates]
    ]
    harness._loglikelihood_tokens(asked[:4], disable_tqdm=True)
    started = time.perf_counter()
    found = harness._loglikelihood_tokens(asked, disable_tqdm=True)
    seconds = time.perf_counter() - started
    each = min(candidates, len(case["candidates"]))
    scores = [[logp for logp, _ in found[start : start + each]] for start in range(0, len(found), each)]
    told = f"lm_eval {version('lm_eval')}, transformers {version('transformers')}, torch {torch.__version__}"
    Path(sys.argv[7]).write_text(json.dumps({"scores": scores, "seconds": seconds, "dtype": dtype, "version": told}))


if __name__ == "__main__":
    main()
