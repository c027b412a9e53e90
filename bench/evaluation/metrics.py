"""Metrics over many stored answers, with their intervals: labels, and texts."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from evaluation.shared import Bench

SECONDS_BAR = 60.0  # wanted, for a million answers
_MILLION = 1_000_000
# What is measured of each kind of answers. 77 labels; texts of 6 to 18 words.
METRICS = {
    "labels": ("accuracy", "macro_f1", "precision", "recall", "f1", "calibration", "latency"),
    "texts": ("exact_match", "bleu", "chrf", "rouge"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this work."""
    parser.add_argument("--answers", type=int, default=_MILLION, help="metrics: answers of each kind.")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="metrics: processes that share the work.")


def measure(bench: Bench) -> dict[str, Any]:
    """Seconds and memory for each kind of answers; the seconds of the slower kind count."""
    answers, processes = bench.options.answers, bench.options.processes
    kinds: dict[str, Any] = {}
    for kind, names in METRICS.items():
        folder = bench.folder / f"answers-{kind}"
        bench.start("answers_made", [str(folder), kind, str(answers)], name=f"making {kind}")
        out = bench.folder / f"metrics-{kind}.json"
        finished = bench.start(
            "metrics_measured", [str(folder), ",".join(names), str(processes), str(out)], name=f"measuring {kind}"
        )
        found = json.loads(out.read_text())
        kinds[kind] = found | {"metrics": names, "process_seconds": finished.seconds}
        for file in folder.iterdir():
            file.unlink()
    scale = _MILLION / answers
    return {
        "seconds_per_million": max(found["seconds"] for found in kinds.values()) * scale,
        "peak_memory_bytes": max(found["peak_memory_bytes"] for found in kinds.values()),
        "answers": answers,
        "processes": processes,
        **kinds,
    }


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    lines = [
        f"metrics: {found['seconds_per_million']:.0f} s for a million answers (wanted: {SECONDS_BAR:g} s), "
        f"{found['answers']:,} measured, {found['processes']} processes"
    ]
    for kind in METRICS:
        one = found[kind]
        lines.append(
            f"  {kind}: {one['seconds']:.1f} s ({one['interval_seconds']:.1f} s of it for intervals), "
            f"{one['peak_memory_bytes'] / 1e9:.2f} GB; {', '.join(one['metrics'])}"
        )
    return "\n".join(lines)
