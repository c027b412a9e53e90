"""From what the sides wrote to one row of the table."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speed import rows
from speed.works import Work

WINDOW = 10  # steps of one point of a loss curve
LOSS_BAR = 0.02


class NotComparable(Exception):  # noqa: N818 (what is so, not whose fault it is)
    """The two sides did not do the same work."""


@dataclass(frozen=True)
class Run:
    """One run of one side.

    Args:
        label: The side and how it ran: "ours", "peer plain float32".
        dtype: What it computed in.
        steps: Steps of the run, those of the warm-up included.
        examples_per_s: Without the warm-up.
        peak_memory_bytes: Of its process; on a GPU, of the GPU's memory.
        train_s: The whole training, the warm-up included.
        whole_s: The whole process, imports and loading included.
        losses: One a step.
    """

    label: str
    dtype: str
    steps: int
    examples_per_s: float
    peak_memory_bytes: int
    train_s: float
    whole_s: float
    losses: tuple[float, ...]


def examples_per_s(step_rows: Sequence[int], step_end_s: Sequence[float], warmup: int) -> float:
    """Rows a second over the steps behind the warm-up."""
    began = step_end_s[warmup - 1] if warmup else 0.0
    return sum(step_rows[warmup : len(step_end_s)]) / (step_end_s[-1] - began)


def loss_gap(ours: Sequence[float], peers: Sequence[float]) -> float:
    """The largest relative difference between the two curves' means over whole windows of ten steps.

    A run that is shorter than one window is compared as a whole, and does not count (`reasons`).
    """
    ends = range(WINDOW, len(ours) + 1, WINDOW) if len(ours) >= WINDOW else [len(ours)]
    gaps = []
    for end in ends:
        window = slice(max(0, end - WINDOW), end)
        mine, theirs = statistics.fmean(ours[window]), statistics.fmean(peers[window])
        gaps.append(abs(mine - theirs) / abs(theirs))
    return max(gaps)


def limit_share(work: Work, case: Mapping[str, Any], steps: Sequence[rows.Step], seconds: float, best: float) -> float:
    """Arithmetic that the steps need, each prefix once, over what the machine's best matrix product would have done.

    Args:
        work: Says how many operations a node takes on each weight.
        case: The model's sizes.
        steps: The steps that were timed.
        seconds: What they took.
        best: Operations a second.
    """
    counts = [rows.nodes_and_sources(step) for step in steps]
    nodes, sources = (sum(column) for column in zip(*counts, strict=True))
    weights = case["layer_weights"] * nodes + case["vocabulary"] * case["width"] * sources
    return float(work.node_flops * weights / seconds / best)


def check_same(planned: Sequence[rows.Step], ours: Path, plain: Path, others: Sequence[Path]) -> None:
    """Asserts that both sides saw the planned tokens, masks and order; length-grouped runs, the same rows in another.

    Raises:
        NotComparable: If not; names the first difference.
    """
    for name, file in (("ours", ours), ("the peer", plain)):
        seen = rows.in_steps(rows.read(file), [len(step) for step in planned])
        if len(seen) != len(planned):
            raise NotComparable(f"{name} took {len(seen)} steps, and {len(planned)} were planned ({file})")
        for step, (want, got) in enumerate(zip(planned, seen, strict=True), start=1):
            if want != got:
                raise NotComparable(f"{name} saw other tokens, masks or another order in step {step} ({file})")
    want_rows = _content(planned)
    for file in others:
        if _content(list(rows.read(file))) != want_rows:
            raise NotComparable(f"the peer's other order has other rows ({file})")


def check_rates(ours: Sequence[float], peers: Sequence[float]) -> None:
    """Asserts that both sides followed the same learning rates.

    Raises:
        NotComparable: If not; names the first step that differs.
    """
    for step, (mine, theirs) in enumerate(zip(ours, peers, strict=False), start=1):
        if abs(mine - theirs) > 1e-6 * abs(mine) + 1e-12:
            raise NotComparable(f"in step {step} our learning rate is {mine}, and the peer's {theirs}")


def _content(steps: Sequence[rows.Step]) -> Counter[str]:
    return Counter(json.dumps(row) for step in steps for row in step)


def reasons(steps: int, gap: float) -> list[str]:
    """Why a row does not count; empty: it does."""
    found = []
    if steps < WINDOW:
        found.append(f"fewer than {WINDOW} steps")
    if gap > LOSS_BAR:
        found.append(f"the loss curves differ by {gap:.1%}, more than {LOSS_BAR:.0%}")
    return found


def row(
    work: Work, ours: Run, peers: Sequence[Run], plain: Run, facts: Mapping[str, Any], share: float
) -> dict[str, Any]:
    """The table's row as JSON.

    Args:
        work: What was done.
        ours: Our fastest run.
        peers: The peer's full runs.
        plain: That of them in our order, whose losses are compared.
        facts: Anything else to be kept beside the figures.
        share: Of the machine's limit.
    """
    fastest = max(peers, key=lambda run: run.examples_per_s)
    smallest = min(peers, key=lambda run: run.peak_memory_bytes)
    gap = loss_gap(ours.losses, plain.losses)
    speed = ours.examples_per_s / fastest.examples_per_s
    memory = ours.peak_memory_bytes / fastest.peak_memory_bytes
    why_not = reasons(ours.steps, gap)
    return {
        "speed_ratio": speed,
        "memory_ratio": memory,
        "loss_gap": gap,
        "limit_share": share,
        "counts": not why_not,
        "reasons": why_not,
        "speed_bar": work.speed_bar,
        "memory_bar": work.memory_bar,
        "reached": not why_not and speed >= work.speed_bar and memory <= work.memory_bar,
        "memory_ratio_to_smallest_peer": ours.peak_memory_bytes / smallest.peak_memory_bytes,
        "fastest_peer": fastest.label,
        "ours": asdict(ours),
        "peers": [asdict(run) for run in peers],
        **facts,
    }


def text(work: Work, found: Mapping[str, Any]) -> str:
    """The row for people."""
    facts = (
        f"{found['steps']} steps of {found['batch_size']} rows, {found['warmup_steps']} of them warm-up; "
        f"{found['tokens_per_row']:.1f} tokens a row, {found['nodes_per_row']:.1f} nodes; "
        f"{found['threads']} threads, {found['machine']}"
    )
    lines = [f"{work.name}: {work.what}", f"  {facts}"]
    for run in [*found["our_runs"], *found["peers"], *found["probes"]]:
        lines.append(
            f"  {run['label']:<34} {run['examples_per_s']:8.2f} examples/s {run['peak_memory_bytes'] / 1e9:8.2f} GB"
            f"   {run['steps']} steps in {run['train_s']:.1f} s, whole process {run['whole_s']:.1f} s"
        )
    limit = f"{found['best_product_flops'] / 1e9:,.0f} GFLOP/s in {found['best_product_dtype']}"
    lines += [
        f"  speed_ratio  {found['speed_ratio']:.2f}  (bar: at least {work.speed_bar:g}; "
        f"against the {found['fastest_peer']})",
        f"  memory_ratio {found['memory_ratio']:.2f}  (bar: at most {work.memory_bar:g}; "
        f"{found['memory_ratio_to_smallest_peer']:.2f} against the peer's smallest run)",
        f"  loss_gap     {found['loss_gap']:.4f}",
        f"  limit_share  {found['limit_share']:.3f}  (of {limit})",
        "  counts" if found["counts"] else f"  does not count: {'; '.join(found['reasons'])}",
    ]
    return "\n".join(lines)
