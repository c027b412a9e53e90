"""Our training against TRL's, on the same rows, both sides in one go.

python bench/sft.py --json            # banking77_lora, gsm8k_lora, gsm8k_dpo, banking77_full
python bench/sft.py --work banking77_lora --steps 30

Each side runs in a process of its own, one after the other. README.md in this folder says what is held equal, what
is timed, and what each figure means.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from speed import report, rows
from speed.folders import folder_for
from speed.peers import NoPeer, peer_python
from speed.processes import BENCH, Finished, ProcessFailed, environment, run
from speed.report import NotComparable, Run
from speed.works import BATCH_SIZE, WORKS, Work

PROBE_STEPS = 3  # enough to tell which dtype is the peer's faster one
DEFAULT_STEPS = 30
SEED = 17


@dataclass(frozen=True)
class Variant:
    """One way to run the peer."""

    dtype: str
    steps: int
    grouped: bool = False
    compiled: bool = False

    @property
    def label(self) -> str:
        """What people call it."""
        order = "length-grouped" if self.grouped else "plain"
        return f"peer, {order}{', compiled' if self.compiled else ''}, {self.dtype}"


@dataclass(frozen=True)
class Ours:
    """One run of ours.

    Args:
        run: Its figures.
        step_end_s: When each step ended.
        seen: What it learned from.
    """

    run: Run
    step_end_s: tuple[float, ...]
    seen: Path


@dataclass(frozen=True)
class Bench:
    """What one work's runs share: its folder, and how processes are started."""

    work: Work
    folder: Path
    options: argparse.Namespace
    peer: Path
    warmup: int

    @property
    def case(self) -> Path:
        """The file that both sides read."""
        return self.folder / "case.json"

    def start(self, module: str, arguments: Sequence[str], *, name: str, python: Path) -> Finished:
        """Runs one of the processes, telling people."""
        print(f"{self.work.name}: {name}", file=sys.stderr, flush=True)
        log = self.folder / f"{name.replace(', ', '-').replace(' ', '-')}.log"
        told = environment(self.options.threads)
        return run(module, list(arguments), python=python, log=log, environment=told)

    def prepare(self) -> list[rows.Step]:
        """Writes the case, and gives the steps that both sides are to take."""
        options = self.options
        given = {
            "work": self.work.name,
            "data": str(options.data),
            "base": options.base,
            "steps": 0 if options.epoch else options.steps,
            "seed": SEED,
            "device": options.device,
            "threads": options.threads,
            "tokens": str(self.folder / "tokens"),
        }
        self.case.write_text(json.dumps(given))
        self.start("prepare", [str(self.case)], name="prepare", python=Path(sys.executable))
        return list(rows.read(self.folder / "plan.jsonl"))

    def ours(self, compiled: str) -> Ours:
        """A run of ours, `train.compile` as given; its learning rates become the peer's."""
        name = "ours" if compiled == "auto" else "ours, compiled"
        out = self.folder / name.replace(", ", "-")
        finished = self.start("ours", [str(self.case), str(out), compiled], name=name, python=Path(sys.executable))
        found = json.loads(Path(f"{out}.json").read_text())
        self.case.write_text(json.dumps({**self.facts(), "learning_rates": found["learning_rates"]}))
        run = self._run(f"{name}, {found['dtype']}", found, finished)
        return Ours(run, tuple(found["step_end_s"]), Path(f"{out}.seen.jsonl"))

    def peers(self, variant: Variant) -> tuple[Run, Path]:
        """A run of the peer, and what it saw."""
        out = self.folder / variant.label.replace(", ", "-").replace(" ", "-")
        out = out.with_name(f"{out.name}-{variant.steps}")
        seen = Path(f"{out}.seen.jsonl")
        seen.unlink(missing_ok=True)  # a probe of as many steps was the same run
        settings = Path(f"{out}.variant.json")
        settings.write_text(json.dumps(asdict(variant)))
        arguments = [str(self.case), str(out), str(settings)]
        finished = self.start("peer", arguments, name=f"{variant.label}, {variant.steps} steps", python=self.peer)
        found = json.loads(Path(f"{out}.json").read_text())
        report.check_rates(self.facts()["learning_rates"], found["learning_rates"])
        return self._run(variant.label, found, finished), seen

    def facts(self) -> dict[str, Any]:
        """The case as it stands."""
        found: dict[str, Any] = json.loads(self.case.read_text())
        return found

    def _run(self, label: str, found: dict[str, Any], finished: Finished) -> Run:
        steps = len(found["losses"])
        total = self.facts()["rows"]
        step_rows = [min(BATCH_SIZE, total - step * BATCH_SIZE) for step in range(steps)]
        return Run(
            label=label,
            dtype=found["dtype"],
            steps=steps,
            examples_per_s=report.examples_per_s(step_rows, found["step_end_s"], min(self.warmup, steps - 1)),
            peak_memory_bytes=found["device_peak_bytes"] or finished.peak_memory_bytes,
            train_s=found["run_s"],
            whole_s=finished.seconds,
            losses=tuple(found["losses"]),
        )


def measure(bench: Bench) -> dict[str, Any]:
    """All runs of one work, and the row that follows."""
    planned = bench.prepare()
    products = bench.folder / "products.json"
    arguments = [str(products), bench.options.device, str(bench.options.threads)]
    bench.start("products", arguments, name="products", python=Path(sys.executable))
    best = json.loads(products.read_text())
    # By itself a run is compiled where it is long enough to win that back.
    ours = [bench.ours(compiled) for compiled in (("auto", "on") if bench.options.all else ("auto",))]
    probes, dtype = choose_dtype(bench, len(planned))
    plain = Variant(dtype, len(planned))
    variants = [plain, replace(plain, grouped=True)]
    if bench.options.all:
        variants += [replace(variant, compiled=True) for variant in variants]
    runs = [bench.peers(variant) for variant in variants]
    in_another = [seen for variant, (_, seen) in zip(variants, runs, strict=True) if variant.grouped]
    for seen in (seen for variant, (_, seen) in zip(variants, runs, strict=True) if not variant.grouped):
        for mine in ours:
            report.check_same(planned, mine.seen, seen, in_another)
    warmup = min(bench.warmup, len(planned) - 1)
    fastest = max(ours, key=lambda mine: mine.run.examples_per_s)
    times = fastest.step_end_s
    seconds = times[-1] - (times[warmup - 1] if warmup else 0.0)
    case = bench.facts()
    limit_dtype = max(("float32", "bfloat16"), key=lambda name: best[name])
    share = report.limit_share(bench.work, case, planned[warmup:], seconds, best[limit_dtype])
    facts = {
        "steps": len(planned),
        "warmup_steps": warmup,
        "batch_size": case["batch_size"],
        "tokens_per_row": sum(map(rows.tokens_of, planned)) / case["rows"],
        "nodes_per_row": sum(rows.nodes_and_sources(step)[0] for step in planned) / case["rows"],
        "base": case["base"],
        "base_weights_hash": case["weights_hash"],
        "threads": case["threads"],
        "machine": best["device"],
        "best_product_flops": best[limit_dtype],
        "best_product_dtype": limit_dtype,
        "products": {name: best[name] for name in ("float32", "bfloat16")},
        "probes": [asdict(probe) for probe in probes],
        "our_runs": [asdict(mine.run) for mine in ours],
    }
    return report.row(bench.work, fastest.run, [run for run, _ in runs], runs[0][0], facts, share)


def choose_dtype(bench: Bench, steps: int) -> tuple[list[Run], str]:
    """The peer's faster dtype, and the short runs that showed it; none are made where it is given."""
    if bench.options.peer_dtype != "best":
        return [], bench.options.peer_dtype
    if bench.options.device == "cuda":
        return [], "bfloat16"
    probes = []
    for dtype in ("bfloat16", "float32"):
        probe, _ = bench.peers(Variant(dtype, min(PROBE_STEPS, steps)))
        probes.append(replace(probe, label=f"{probe.label} (probe)"))
    return probes, max(probes, key=lambda probe: probe.examples_per_s).dtype


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=",".join(WORKS), help="Which, separated by commas; all by default.")
    parser.add_argument("--base", default="smollm2-135m-instruct", help="Another model, as recipes name it.")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="Steps of 16 rows, warm-up included.")
    parser.add_argument("--epoch", action="store_true", help="Every row once, in place of --steps.")
    parser.add_argument("--warmup", type=int, default=2, help="First steps that the rates leave out.")
    parser.add_argument("--all", action="store_true", help="Both sides compiled as well.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="Of arithmetic, on both sides.")
    parser.add_argument("--peer-dtype", choices=("best", "float32", "bfloat16"), default="best")
    parser.add_argument("--peer-python", type=Path, help="An interpreter that has TRL; else bench/.peers is made.")
    parser.add_argument("--data", type=Path, help="Default: $TUNEWRIGHT_DATA, else ../shared/data.")
    parser.add_argument("--keep", type=Path, help="A folder for all that the runs write; else it is thrown away.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.work.split(",") if name not in WORKS]
    if unknown:
        parser.error(f"--work: {', '.join(unknown)} is unknown. Known: {', '.join(WORKS)}.")
    if options.steps < 2 or options.warmup < 0:
        parser.error("--steps must be 2 or more, and --warmup 0 or more.")
    default = Path(os.environ.get("TUNEWRIGHT_DATA") or BENCH.parents[1] / "shared" / "data")
    options.data = (options.data or default).expanduser().absolute()
    for name in options.work.split(","):
        if not (options.data / WORKS[name].file).is_file():
            parser.error(f"{options.data / WORKS[name].file} does not exist. Name the data's folder with --data.")
    return options


def main() -> int:
    """Measures and prints; 0 when all was measured, 3 when a side failed or the sides did not do the same."""
    options = options_of()
    found: dict[str, Any] = {}
    try:
        peer = options.peer_python or peer_python(BENCH / ".peers")
        for name in options.work.split(","):
            with folder_for(name, options.keep) as folder:
                found[name] = measure(Bench(WORKS[name], folder, options, peer.absolute(), options.warmup))
            if not options.json:
                print(report.text(WORKS[name], found[name]), flush=True)
    except (NoPeer, ProcessFailed, NotComparable) as error:
        print(f"bench/sft.py: {error}", file=sys.stderr)
        return 3
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
