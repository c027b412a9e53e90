"""Our reinforcement (GRPO) against TRL's, on the same prompts, both sides in one go.

python bench/grpo.py --json
python bench/grpo.py --steps 4 --answers 8

Messages to a bank under one system message that lists all 77 intents, several answers to each. Both sides draw at
temperature 1, with the same adapter shape, reward, divergence from the reference, and a learning rate so small that
both go on drawing from the base; answers are as long as they come, and their mean length stands beside the ratio. The
peer draws all of a step's answers together, and accumulates gradients over as many rows as fit in memory. The first
step is left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from speed.folders import folder_for
from speed.peers import NoPeer, peer_python
from speed.processes import BENCH, ProcessFailed, environment, run

SEED = 17


def case_of(options: argparse.Namespace) -> dict[str, Any]:
    """What both sides do."""
    from tunewright.models.resolve import resolve
    from tunewright.store import Workspace

    with (options.data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    intents = ", ".join(sorted({row["category"] for row in rows}))
    told = f"You are the assistant of a bank. Answer with the name of the message's intent, one of: {intents}."
    texts = [row["text"] for row in rows[:: len(rows) // (options.steps * options.prompts)]]
    prompts = [
        [{"role": "system", "content": told}, {"role": "user", "content": text}]
        for text in texts[: options.steps * options.prompts]
    ]
    cache = Path(os.environ.get("TUNEWRIGHT_CACHE") or Workspace.open().cache)
    return {
        "prompts": prompts,
        "base_folder": str(resolve(options.base, cache).folder),
        "batch_size": options.prompts,
        "answers": options.answers,
        "at_once": options.peer_at_once,
        "max_new_tokens": options.max_new_tokens,
        "beta": 0.04,
        "learning_rate": 1e-7,
        "steps": options.steps,
        "seed": SEED,
        "threads": options.threads,
    }


def rates(found: dict[str, Any], case: dict[str, Any]) -> dict[str, float]:
    """Answers a second behind the first step, and how long they were."""
    ends = found["step_end_s"]
    seconds = ends[-1] - ends[0]
    answers = (len(ends) - 1) * case["batch_size"] * case["answers"]
    return {
        "answers_per_s": answers / seconds,
        "step_s": seconds / (len(ends) - 1),
        "answer_tokens": statistics.fmean(found["answer_tokens"][1:]),
    }


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both sides, one after the other."""
    peer = options.peer_python or peer_python(BENCH / ".peers")
    case, told = case_of(options), environment(options.threads)
    place = folder / "case.json"
    place.write_text(json.dumps(case))
    sides = {}
    for name, python in (("ours", Path(sys.executable)), ("peer", peer)):
        print(f"grpo: {name}", file=sys.stderr, flush=True)
        out = folder / name / "found.json"
        out.parent.mkdir()
        done = run(f"grpo_{name}", [str(place), str(out)], python=python, log=folder / f"{name}.log", environment=told)
        sides[name] = rates(json.loads(out.read_text()), case) | {"peak_memory_bytes": done.peak_memory_bytes}
    ours, theirs = sides["ours"], sides["peer"]
    return {
        "speed_ratio": ours["answers_per_s"] / theirs["answers_per_s"],
        "memory_ratio": ours["peak_memory_bytes"] / theirs["peak_memory_bytes"],
        "sides": sides,
        **{name: case[name] for name in ("batch_size", "answers", "max_new_tokens", "steps", "threads", "at_once")},
    }


def options_of() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="smollm2-135m-instruct", help="Another model, as recipes name it.")
    parser.add_argument("--steps", type=int, default=4, help="Steps, the first of which is left out.")
    parser.add_argument("--prompts", type=int, default=8, help="Prompts of a step.")
    parser.add_argument("--answers", type=int, default=8, help="Answers to each prompt.")
    parser.add_argument("--max-new-tokens", type=int, default=32, help="Longest answer.")
    parser.add_argument("--peer-at-once", type=int, default=8, help="Rows that the peer computes together.")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="Of arithmetic, on both sides.")
    parser.add_argument("--peer-python", type=Path, help="An interpreter that has TRL; else bench/.peers is made.")
    parser.add_argument("--data", type=Path, help="Default: $TUNEWRIGHT_DATA, else ../shared/data.")
    parser.add_argument("--keep", type=Path, help="A folder for all that the runs write; else it is thrown away.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.steps < 2:
        parser.error("--steps must be 2 or more.")
    default = Path(os.environ.get("TUNEWRIGHT_DATA") or BENCH.parents[1] / "shared" / "data")
    options.data = (options.data or default).expanduser().absolute()
    return options


def main() -> int:
    """Measures and prints; 3 when a side failed."""
    options = options_of()
    try:
        with folder_for("grpo", options.keep) as folder:
            found = measure(options, folder)
    except (NoPeer, ProcessFailed) as error:
        print(f"bench/grpo.py: {error}", file=sys.stderr)
        return 3
    if options.json:
        print(json.dumps(found))
        return 0
    for name, side in found["sides"].items():
        print(
            f"{name}: {side['answers_per_s']:.3g} answers/s of {side['answer_tokens']:.3g} tokens, "
            f"{side['peak_memory_bytes'] / 1e9:.3g} GB"
        )
    print(f"{found['speed_ratio']:.3g} x the speed, {found['memory_ratio']:.2g} x the memory")
    return 0


if __name__ == "__main__":
    sys.exit(main())
