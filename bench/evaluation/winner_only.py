"""The most probable of Banking77's 77 labels, against lm-evaluation-harness, which scores all of them."""

from __future__ import annotations

import argparse
from typing import Any

from evaluation.label_scoring import case_of, scored_by_peer, scored_by_us
from evaluation.shared import Bench, NotComparable

SPEED_BAR = 20.0  # wanted
_NEAR = {"float32": 2e-3, "bfloat16": 0.5}  # nats: candidates nearer than that are told apart by rounding


def add_options(parser: argparse.ArgumentParser) -> None:
    """Has those of `label_scoring`."""


def measure(bench: Bench) -> dict[str, Any]:
    """Both sides' seconds for all questions.

    Raises:
        NotComparable: If the sides name different winners where rounding does not explain it.
    """
    peer, ours = scored_by_peer(bench), scored_by_us(bench, "winner")
    near = max(_NEAR[side["dtype"]] for side in (peer, ours))
    for question, (scores, winner) in enumerate(zip(peer["scores"], ours["winners"], strict=True)):
        if scores[winner] < max(scores) - near:
            labels = case_of(bench)["labels"]
            best = labels[scores.index(max(scores))]
            raise NotComparable(f"question {question}: ours is {labels[winner]}, the peer's {best}")
    return {
        "speed_ratio": peer["seconds"] / ours["seconds"],
        "questions": len(ours["winners"]),
        "read_per_question": sum(ours["read"]) / len(ours["read"]),
        "ours": {name: ours[name] for name in ("seconds", "dtype", "peak_memory_bytes")},
        "peer": {name: peer[name] for name in ("seconds", "dtype", "peak_memory_bytes", "batch_size")},
    }


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    return (
        f"winner_only: {found['speed_ratio']:.1f} x (wanted: {SPEED_BAR:g} x), {found['questions']} questions\n"
        f"  ours {found['ours']['seconds']:.1f} s, peer {found['peer']['seconds']:.1f} s; "
        f"{found['read_per_question']:.0f} nodes read behind a question"
    )
