"""Our side: the candidates' log-probabilities, or the winner alone. A process of bench/evaluate.py.

python -m evaluation.scored_by_us CASE.json all|winner DTYPE QUESTIONS THREADS OUT.json
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from tunewright.base.files import read_json, write_json
from tunewright.base.quiet import quiet
from tunewright.forest import layout
from tunewright.generate.candidates import score_each
from tunewright.generate.choosing import choose_each
from tunewright.models.base import load_base, pick_dtype
from tunewright.models.resolve import resolve


def main() -> None:
    """Scores, and writes seconds and scores. Loading is not counted; merging the labels is."""
    case, work, wanted, threads = read_json(Path(sys.argv[1])), sys.argv[2], sys.argv[3], int(sys.argv[5])
    torch.set_num_threads(threads)
    dtype = pick_dtype(wanted)  # type: ignore[arg-type]
    with quiet():
        base = load_base(resolve(case["base"], Path(case["cache"])), dtype)
        layout.adopt(base.model)
    prompts = case["prompts"][: int(sys.argv[4])]
    candidates = [case["candidates"]] * len(prompts)
    score_each(base.model, prompts[:1], [case["candidates"][:4]])  # kernels and memory, as the peer has them too
    started = time.perf_counter()
    found: dict[str, Any]
    if work == "all":
        found = {"scores": [each.logp.tolist() for each in score_each(base.model, prompts, candidates)]}
    else:
        chosen = choose_each(base.model, prompts, candidates)
        found = {
            "winners": [each.winner for each in chosen],
            "logp": [each.logp for each in chosen],
            "read": [each.read for each in chosen],
        }
    seconds = time.perf_counter() - started
    write_json(
        Path(sys.argv[6]), {**found, "seconds": seconds, "dtype": dtype, "version": f"torch {torch.__version__}"}
    )


if __name__ == "__main__":
    main()
