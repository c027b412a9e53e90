"""Banking77's test questions and its 77 labels in tokens, for both sides. A process of bench/evaluate.py.

python -m evaluation.questions DATA QUESTIONS BASE OUT.json
"""

from __future__ import annotations

import csv
import os
import random
import sys
from pathlib import Path
from typing import Any

from speed.processes import BENCH
from speed.works import BANKING77_SYSTEM

from tunewright.base.files import write_json
from tunewright.base.quiet import quiet
from tunewright.base.seeds import derive
from tunewright.models.base import chat_format
from tunewright.models.chat import Turn
from tunewright.models.resolve import resolve
from tunewright.store import Workspace

SEED = 17


def drawn(data: Path, questions: int) -> list[dict[str, str]]:
    """So many of the test rows, drawn with the seed; 0: all."""
    with (data / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return random.Random(derive(SEED, "bench", "label_scoring")).sample(rows, questions or len(rows))


def labels_of(data: Path) -> list[str]:
    """The 77 labels, in order."""
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        return sorted({row["category"] for row in csv.DictReader(file)})


def main() -> None:
    """Writes prompts (questions as chat, up to where the answer begins) and labels, in tokens, and the model's place.

    Labels stand without the token that ends an answer, which is how the peer scores continuations.
    """
    data, questions, name, out = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    workspace = Workspace.open(os.environ.get("TUNEWRIGHT_HOME") or BENCH.parent / ".tunewright")
    with quiet():
        files = resolve(name, workspace.cache)
        chat = chat_format(files)
    rows, labels = drawn(data, questions), labels_of(data)
    turns = [[Turn("system", BANKING77_SYSTEM), Turn("user", row["text"])] for row in rows]
    case: dict[str, Any] = {
        "prompts": [chat.prompt(asked) for asked in turns],
        "labels": labels,
        "candidates": [chat.tokenizer(label, add_special_tokens=False)["input_ids"] for label in labels],
        "right": [labels.index(row["category"]) for row in rows],
        "base": name,
        "cache": str(workspace.cache),
        "model_folder": str(files.folder),
        "weights_hash": files.weights_hash,
    }
    write_json(out, case)


if __name__ == "__main__":
    main()
