"""What compiling blocks takes, and what it saves: the same steps' gradients as they are and compiled, in turn.

One thread, and processor time, so that other work on the machine counts little; an empty folder for compiled code, so
that compiling is counted whole.

python bench/compile.py --json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from plan import DEEP, made_base

EMBEDDED = "smollm2-135m-instruct"
CASES = {
    "small": {"base": {**DEEP, "num_hidden_layers": 8}, "blocks": 8, "whole": 24},
    "smollm2": {"base": EMBEDDED, "blocks": 4, "whole": 30},
}
_ROWS, _SHARED, _OWN, _LEARNED = 16, 40, 28, 8  # as Banking77 has them: some 490 nodes a step
_IDS = 250  # every vocabulary has so many


def main() -> None:
    """Measures each case, and prints a line each or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", choices=CASES, action="append", help="Default: all.")
    parser.add_argument("--method", default="lora")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--cache", type=Path, help="Where the embedded model lies; default: the workspace's.")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        for case in options.case or CASES:
            # Read when the first graph is compiled; one process compiles, so that its time can be counted.
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{name}/code-{case}"
            os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
            found.append({"case": case, **measured(Path(name), CASES[case], options)})
            if not options.json:
                print(", ".join(f"{key} {shown(value)}" for key, value in found[-1].items()), flush=True)
    if options.json:
        print(json.dumps({"cases": found}, indent=2))


def measured(folder: Path, case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """What one case takes; seconds of processor time."""
    import torch

    from tunewright.base.plugins import METHODS
    from tunewright.forest import layout
    from tunewright.forest.score import grow, score
    from tunewright.models.base import load_base
    from tunewright.models.resolve import resolve
    from tunewright.train.blocks import CompiledBlocks, find_blocks
    from tunewright.train.determinism import deterministic
    from tunewright.train.trial import Ways

    torch.set_num_threads(1)
    named = case["base"] if isinstance(case["base"], str) else str(made_base(folder, case["base"]))
    base = load_base(resolve(named, options.cache or _cache()), dtype="float32", device="cpu")
    inner = layout.backbone(base.model)
    inner.layers, inner.config.num_hidden_layers = inner.layers[: case["blocks"]], case["blocks"]
    layout.adopt(base.model)
    config = METHODS.config(options.method).model_validate({"name": options.method})
    model = METHODS.call(options.method, "attach", base.model.requires_grad_(False), config, 1)
    for weight in model.parameters():
        if weight.requires_grad:  # where a matrix is zero, half of the gradients vanish
            torch.nn.init.normal_(weight, std=0.02)
    forests = [grow(model, made_paths(seed)) for seed in range(options.turns)]
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    blocks = CompiledBlocks(model)

    def gradient(step: int) -> None:
        model.train()
        (-score(model, forests[step]).logp.sum()).backward()

    def switch(on: bool) -> None:
        blocks.on = on

    ways = Ways(gradient, weights, switch, clock=time.process_time)
    with deterministic():
        before, wall = spent(), time.monotonic()
        made = blocks.warm_up()
        compiling_s, compiling_wall_s = spent() - before, time.monotonic() - wall
        ways.forget()
        difference = ways.difference(0)
        plain, compiled = ways.seconds(range(options.turns), lambda done: None)
    blocks.remove()
    saved_s = statistics.median(plain) - statistics.median(compiled)
    whole_s = saved_s / made.blocks * (case["whole"] - 1)
    return {
        "method": options.method,
        "blocks": len(find_blocks(model)),
        "compiled_blocks": made.blocks,
        "graphs": made.graphs,
        "nodes": round(statistics.mean(forest.nodes for forest in forests)),
        "compiling_s": compiling_s,
        "compiling_wall_s": compiling_wall_s,
        "plain_s": statistics.median(plain),
        "compiled_s": statistics.median(compiled),
        "plain_best_s": min(plain),
        "compiled_best_s": min(compiled),
        "saving": saved_s / statistics.median(plain),
        "saving_best": 1 - min(compiled) / min(plain),
        "saving_paired": 1 - statistics.median(b / a for a, b in zip(plain, compiled, strict=True)),
        "gradient_difference": difference,
        "break_even_steps": compiling_s / saved_s if saved_s > 0 else None,
        "break_even_steps_of_whole_model": compiling_s / whole_s if whole_s > 0 else None,
    }


def made_paths(seed: int) -> list[Any]:
    """Rows of drawn tokens with a common beginning, the last ones learned."""
    from tunewright.forest import Path as ForestPath

    dice = np.random.default_rng(seed)
    common = np.random.default_rng(0).integers(3, _IDS, _SHARED)
    weights = np.r_[np.zeros(_SHARED + _OWN - _LEARNED), np.ones(_LEARNED)].astype(np.float32)
    rows = [np.r_[common, dice.integers(3, _IDS, _OWN)].astype(np.int32) for _ in range(_ROWS)]
    return [ForestPath(tokens, weights, row, row) for row, tokens in enumerate(rows)]


def spent() -> float:
    """Processor time of this process and of those that it has waited for: the C++ compiler's, too."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def shown(value: Any) -> str:
    """A figure, for people."""
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


def _cache() -> Path:
    from tunewright.store import Workspace

    return Workspace.open().cache


if __name__ == "__main__":
    main()
