"""All 77 labels of Banking77 behind each of some test questions, against lm-evaluation-harness."""

from __future__ import annotations

import argparse
from typing import Any

from evaluation.shared import Bench, NotComparable

SPEED_BAR, DIFFERENCE_BAR = 10.0, 1e-3  # wanted; the difference in nats, in float32
_DTYPES = ("float32", "bfloat16")
_BATCHES = (8, 16, 32, 64)
_PROBED = 16  # candidates: enough to tell which dtype is the peer's faster one here
_CHECKED = 4  # questions in float32, where the best dtype is another one


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this work and of `winner_only`."""
    parser.add_argument("--questions", type=int, default=40, help="label_scoring, winner_only: test questions; 0: all.")
    parser.add_argument("--dtype", choices=("best", *_DTYPES), default="best", help="The same, of both sides.")
    parser.add_argument("--peer-batch", type=int, help="The same: the peer's batch; else the best of 8, 16, 32 and 64.")


def measure(bench: Bench) -> dict[str, Any]:
    """Both sides' seconds for all candidates of all questions, and how far their log-likelihoods lie apart."""
    peer, ours = scored_by_peer(bench), scored_by_us(bench, "all")
    checked_peer, checked_ours = peer, ours
    if (peer["dtype"], ours["dtype"]) != ("float32", "float32"):
        checked_peer = _ask_peer(bench, "float32", peer["batch_size"], _CHECKED)
        checked_ours = _ask_us(bench, "all", "float32", _CHECKED)
    return {
        "speed_ratio": peer["seconds"] / ours["seconds"],
        "max_difference": max_difference(checked_peer["scores"], checked_ours["scores"]),
        "memory_ratio": ours["peak_memory_bytes"] / peer["peak_memory_bytes"],
        "accuracy": _accuracy(bench, ours["scores"]),
        **_facts(bench),
        "ours": {name: value for name, value in ours.items() if name != "scores"},
        "peer": {name: value for name, value in peer.items() if name != "scores"},
        "probes": bench.once("probes", list),
    }


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    return (
        f"label_scoring: {found['speed_ratio']:.1f} x (wanted: {SPEED_BAR:g} x), {found['questions']} questions x "
        f"{found['candidates']} labels\n"
        f"  ours {found['ours']['seconds']:.1f} s in {found['ours']['dtype']}, "
        f"peer {found['peer']['seconds']:.1f} s in {found['peer']['dtype']}, batch {found['peer']['batch_size']}\n"
        f"  log-likelihoods within {found['max_difference']:.1e} nats in float32 (wanted: {DIFFERENCE_BAR:g}); "
        f"memory {found['memory_ratio']:.2f} of the peer's"
    )


def scored_by_peer(bench: Bench) -> dict[str, Any]:
    """The peer's run at its best, made once."""
    found: dict[str, Any] = bench.once("peer", lambda: _peer_at_its_best(bench))
    return found


def scored_by_us(bench: Bench, work: str) -> dict[str, Any]:
    """Our run of a work, `all` or `winner`, made once."""
    dtype = "auto" if bench.options.dtype == "best" else bench.options.dtype
    questions = len(case_of(bench)["prompts"])
    found: dict[str, Any] = bench.once(f"ours {work}", lambda: _ask_us(bench, work, dtype, questions))
    return found


def case_of(bench: Bench) -> dict[str, Any]:
    """What both sides are asked, made once."""

    def make() -> Any:
        out = bench.folder / "case.json"
        told = [str(bench.data), str(bench.options.questions), bench.options.base, str(out)]
        bench.start("questions", told, name="questions")
        return bench.read("case.json")

    found: dict[str, Any] = bench.once("case", make)
    return found


def max_difference(one: list[list[float]], other: list[list[float]]) -> float:
    """Largest difference of two sides' scores.

    Raises:
        NotComparable: If they have not scored equally many.
    """
    if [len(row) for row in one] != [len(row) for row in other]:
        raise NotComparable("the two sides have not scored equally many candidates")
    return max(abs(a - b) for rows in zip(one, other, strict=True) for a, b in zip(*rows, strict=True))


def _facts(bench: Bench) -> dict[str, Any]:
    case = case_of(bench)
    return {
        "questions": len(case["prompts"]),
        "candidates": len(case["candidates"]),
        "tokens_per_question": sum(map(len, case["prompts"])) / len(case["prompts"]),
        "tokens_per_candidate": sum(map(len, case["candidates"])) / len(case["candidates"]),
        "base": case["base"],
        "base_weights_hash": case["weights_hash"],
        "threads": bench.options.threads,
    }


def _accuracy(bench: Bench, scores: list[list[float]]) -> float:
    right = case_of(bench)["right"]
    return sum(row.index(max(row)) == want for row, want in zip(scores, right, strict=True)) / len(right)


def _peer_at_its_best(bench: Bench) -> dict[str, Any]:
    """Short runs tell the faster dtype and batch; the full run has these."""
    dtype, probes = bench.options.dtype, bench.once("probes", list)
    if dtype == "best":
        tried = {name: _ask_peer(bench, name, _BATCHES[1], 1, _PROBED) for name in _DTYPES}
        probes += [_without_scores(each) for each in tried.values()]
        dtype = min(tried, key=lambda name: tried[name]["seconds"])
    batch = bench.options.peer_batch
    if batch is None:
        by_batch = {size: _ask_peer(bench, dtype, size, 1) for size in _BATCHES}
        probes += [_without_scores(each) for each in by_batch.values()]
        batch = min(by_batch, key=lambda size: by_batch[size]["seconds"])
    return _ask_peer(bench, dtype, batch, len(case_of(bench)["prompts"]))


def _without_scores(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "scores"}


def _ask_peer(bench: Bench, dtype: str, batch: int, questions: int, candidates: int = 1_000) -> dict[str, Any]:
    case_of(bench)
    name = f"peer, {dtype}, batch {batch}, {questions} questions" + (", probe" if candidates < 1_000 else "")
    told = [dtype, str(batch), str(questions), str(candidates), str(bench.options.threads)]
    paths = [str(bench.folder / name) for name in ("case.json", "peer.json")]
    finished = bench.start("scored_by_peer", [paths[0], *told, paths[1]], name=name, peer=True)
    found: dict[str, Any] = bench.read("peer.json")
    return {**found, "batch_size": batch, "questions": questions, "peak_memory_bytes": finished.peak_memory_bytes}


def _ask_us(bench: Bench, work: str, dtype: str, questions: int) -> dict[str, Any]:
    case_of(bench)
    told = [work, dtype, str(questions), str(bench.options.threads)]
    paths = [str(bench.folder / name) for name in ("case.json", "ours.json")]
    finished = bench.start("scored_by_us", [paths[0], *told, paths[1]], name=f"ours, {work}, {questions} questions")
    found: dict[str, Any] = bench.read("ours.json")
    return {**found, "questions": questions, "peak_memory_bytes": finished.peak_memory_bytes}
