"""The four works that both trainers do: their data as examples, their settings, and what is wanted of the ratios."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewright.data.example import Example

BANKING77_SYSTEM = (
    "You are the assistant of a bank. Read the customer's message and answer with the name of its intent, "
    "one of 77, and nothing else."
)


@dataclass(frozen=True)
class Work:
    """One row of the table.

    Args:
        name: As `--work` has it.
        what: For people.
        file: Its data, below the folder that `--data` names.
        examples: Reads that file.
        objective: Ours, by name; decides which of TRL's trainers is the peer.
        method: Ours, with its settings.
        learning_rate: At its peak.
        node_flops: Floating-point operations of one step on each node and non-embedding weight.
        speed_bar: Wanted: examples a second over the peer's, at least.
        memory_bar: Wanted: peak memory over the peer's, at most.
        peer_at_once: Rows of a step that the peer computes together; the others' gradients are accumulated.
    """

    name: str
    what: str
    file: str
    examples: Callable[[Path], Iterator[Example]]
    objective: str
    method: Mapping[str, Any]
    learning_rate: float
    node_flops: int
    speed_bar: float
    memory_bar: float
    peer_at_once: int = 16

    def recipe(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe of our side, as a mapping: one epoch over the case's rows."""
        return {
            "name": self.name.replace("_", "-"),
            "goal": f"Measure the speed of training: {self.what}.",
            "base": case["base"],
            "seed": case["seed"],
            "data": {"train": str(Path(case["data"]) / self.file)},
            "method": dict(self.method),
            "train": {
                "objective": self.objective,
                "epochs": 1,
                "batch_size": BATCH_SIZE,
                "learning_rate": self.learning_rate,
                "checkpoint_every_s": 1e9,  # the peer writes none either
            },
        }


def _banking77(file: Path) -> Iterator[Example]:
    from tunewright.data.example import Example, Message

    with file.open(encoding="utf-8", newline="") as stream:
        for line, row in enumerate(csv.DictReader(stream), start=2):
            asked = (Message("system", BANKING77_SYSTEM), Message("user", row["text"]))
            answered = Message("assistant", row["category"])
            yield Example(f"{file.name}:{line}", (*asked, answered), {}, file.name, line)


def _gsm8k(file: Path) -> Iterator[Example]:
    from tunewright.data.example import Example, Message

    with file.open(encoding="utf-8") as stream:
        for line, text in enumerate(stream, start=1):
            row = json.loads(text)
            turns = (Message("user", row["question"]), Message("assistant", row["answer"]))
            yield Example(f"{file.name}:{line}", turns, {}, file.name, line)


def _gsm8k_pairs(file: Path) -> Iterator[Example]:
    """One pair for each question that some model solved and another did not: the first of either kind."""
    from tunewright.data.example import Example, Message

    with file.open(encoding="utf-8") as stream:
        for line, text in enumerate(stream, start=1):
            row = json.loads(text)
            tried = [value for value in row.values() if isinstance(value, dict) and "is_correct" in value]
            right = [attempt["solution"] for attempt in tried if attempt["is_correct"]]
            wrong = [attempt["solution"] for attempt in tried if not attempt["is_correct"]]
            if right and wrong:
                turns = (Message("user", row["question"]), Message("assistant", right[0]))
                yield Example(f"{file.name}:{line}", turns, {}, file.name, line, rejected=wrong[0])


BATCH_SIZE = 16
_LORA = {"name": "lora", "rank": 16}
_TABLE = (
    Work(
        name="banking77_lora",
        what="Banking77 as chat, LoRA rank 16",
        file="banking77/train.csv",
        examples=_banking77,
        objective="sft",
        method=_LORA,
        learning_rate=1e-3,
        node_flops=4,
        speed_bar=12.0,
        memory_bar=0.4,
    ),
    Work(
        name="gsm8k_lora",
        what="GSM8K, LoRA rank 16",
        file="gsm8k/train.jsonl",
        examples=_gsm8k,
        objective="sft",
        method=_LORA,
        learning_rate=1e-3,
        node_flops=4,
        speed_bar=5.0,
        memory_bar=0.4,
    ),
    Work(
        name="gsm8k_dpo",
        what="GSM8K preference pairs, DPO, LoRA rank 16",
        file="gsm8k/example_model_solutions.jsonl",
        examples=_gsm8k_pairs,
        objective="dpo",
        method=_LORA,
        learning_rate=1e-4,
        node_flops=6,  # 4 for the policy, and the reference's forward pass
        speed_bar=4.0,
        memory_bar=0.5,
        peer_at_once=4,  # all 16 pairs in float32 take more than 24 GB, and the peer is killed
    ),
    Work(
        name="banking77_full",
        what="Banking77 as chat, every weight trained",
        file="banking77/train.csv",
        examples=_banking77,
        objective="sft",
        method={"name": "full"},
        learning_rate=1e-4,
        node_flops=6,
        speed_bar=6.0,
        memory_bar=0.6,
    ),
)
WORKS = {work.name: work for work in _TABLE}
