"""Greedy answers to Banking77 questions, against transformers' `generate` at its best batch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from evaluation.shared import Bench, NotComparable

SPEED_BAR = 3.0  # wanted
_BATCHES = (1, 8, 32, 64)
_PROBED = 64  # questions: one full batch of the largest


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this work."""
    parser.add_argument("--greedy-questions", type=int, default=500, help="greedy: test questions; 0: all.")
    parser.add_argument("--adapter", type=Path, help="greedy: the folder of a tuned adapter; else the base alone.")
    parser.add_argument("--new-tokens", type=int, default=24, help="greedy: longest answer.")


def measure(bench: Bench) -> dict[str, Any]:
    """Both sides' answers a second, in float32, and how many answers differ.

    Raises:
        NotComparable: If the two sides have not answered equally many.
    """
    asked = bench.options.greedy_questions
    told = [str(bench.data), str(asked), bench.options.base, str(bench.folder / "greedy_case.json")]
    bench.start("questions", told, name="questions of greedy")
    questions = len(bench.read("greedy_case.json")["prompts"])
    ours = _ask(bench, questions, 0)
    probes = {batch: _ask(bench, min(_PROBED, questions), batch) for batch in _BATCHES}
    best = min(probes, key=lambda batch: probes[batch]["seconds"])
    peer = _ask(bench, questions, best) if questions > _PROBED else probes[best]
    if len(ours["answers"]) != len(peer["answers"]):
        raise NotComparable("the two sides have not answered equally many questions")
    different = sum(one != other for one, other in zip(ours["answers"], peer["answers"], strict=True))
    return {
        "speed_ratio": peer["seconds"] / ours["seconds"],
        "ours_per_s": questions / ours["seconds"],
        "peer_per_s": questions / peer["seconds"],
        "best_batch": best,
        "different": different,
        "questions": questions,
        "tokens_per_answer": sum(map(len, ours["answers"])) / questions,
        "adapter": str(bench.options.adapter) if bench.options.adapter else None,
        "ours": _without_answers(ours),
        "peer": _without_answers(peer),
        "probes": {str(batch): _without_answers(probe) for batch, probe in probes.items()},
    }


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    who = "the tuned model" if found["adapter"] else "the base"
    return (
        f"greedy: {found['speed_ratio']:.1f} x (wanted: {SPEED_BAR:g} x), {found['questions']} questions, "
        f"{found['tokens_per_answer']:.1f} tokens an answer, {who}\n"
        f"  ours {found['ours_per_s']:.1f} answers/s, peer {found['peer_per_s']:.1f}/s at batch {found['best_batch']}; "
        f"{found['different']} answers differ"
    )


def _without_answers(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in ("answers", "stop_ids")}


def _ask(bench: Bench, questions: int, batch: int) -> dict[str, Any]:
    """One side's run: the peer's at a batch, ours without one."""
    adapter = str(bench.options.adapter.absolute()) if bench.options.adapter else ""
    told = [str(questions), str(bench.options.new_tokens), str(bench.options.threads), adapter]
    paths = [str(bench.folder / name) for name in ("greedy_case.json", "greedy_ours.json", "greedy_peer.json")]
    if batch:
        name = f"peer, greedy, batch {batch}, {questions} questions"
        finished = bench.start("answered_by_peer", [*paths[:2], str(batch), *told, paths[2]], name=name, peer=True)
    else:
        name = f"ours, greedy, {questions} questions"
        finished = bench.start("answered_by_us", [paths[0], *told, paths[1]], name=name)
    found: dict[str, Any] = bench.read("greedy_peer.json" if batch else "greedy_ours.json")
    return {**found, "questions": questions, "peak_memory_bytes": finished.peak_memory_bytes}
