"""Our side: greedy answers. A process of bench/evaluate.py.

python -m evaluation.answered_by_us CASE.json QUESTIONS NEW_TOKENS THREADS ADAPTER OUT.json
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from tunewright.base.files import read_json, write_json
from tunewright.base.quiet import quiet
from tunewright.forest import layout
from tunewright.generate import generate
from tunewright.models.adapters import load_adapter
from tunewright.models.base import load_base
from tunewright.models.resolve import resolve

_SIDE_BY_SIDE = 128


def main() -> None:
    """Answers, and writes seconds and tokens. Loading is not counted; adding the adapter into the weights is."""
    case, questions, limit, threads, adapter = read_json(Path(sys.argv[1])), *map(int, sys.argv[2:5]), sys.argv[5]
    torch.set_num_threads(threads)
    with quiet():
        base = load_base(resolve(case["base"], Path(case["cache"])), "float32")
        layout.adopt(base.model)
        model = load_adapter(base, Path(adapter)) if adapter else base.model
    prompts, stop_ids = case["prompts"][:questions], base.chat.stop_ids
    generate(model, prompts[:2], max_new_tokens=2, stop_ids=stop_ids)  # kernels and memory, as the peer has them too
    started = time.perf_counter()
    found = generate(model, prompts, max_new_tokens=limit, stop_ids=stop_ids, batch_size=_SIDE_BY_SIDE)
    seconds = time.perf_counter() - started
    answers = [each.tokens for each in found]
    write_json(Path(sys.argv[6]), {"answers": answers, "seconds": seconds, "stop_ids": sorted(stop_ids)})


if __name__ == "__main__":
    main()
